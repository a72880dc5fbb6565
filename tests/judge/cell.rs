//! A cell is a host like the one it is made on: what a runtime gets there, it gets in the cell.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::common::{self, Who, command_as, have, run};
use crate::{Verdict, check, script};

/// What was found where a claim did not hold.
fn actual<'v>(verdict: &'v Verdict, claim: &str) -> &'v str {
    let check = verdict.events.iter().find(|e| e["event"] == "check" && e["name"] == claim);
    check.and_then(|check| check["actual"].as_str()).unwrap_or_default()
}

/// Mounts what a runtime with a user namespace of its own mounts, and says what came of it.
const MOUNTS: &str = r#"#!/bin/sh
got=$(unshare --user --map-root-user --mount --net --pid --fork sh -c '
    mount --make-rprivate /
    try() { mount -t "$1" -o "$2" "$1" "$3" 2>/dev/null; printf "%s %s: %d, " "$1" "$2" $?; }
    try proc ro /proc; try proc rw /proc; try sysfs rw /mnt; umount /mnt; try sysfs ro /mnt')
echo "$got" >&2
exit 3
"#;

#[test]
fn a_user_namespace_gets_in_the_cell_what_it_gets_outside() {
    if !have("unshare", "util-linux") {
        return;
    }
    let program = script("mounts in a user namespace", MOUNTS);
    for who in common::who() {
        let outside = run(&mut command_as(who, &program)).stderr;
        assert!(outside.contains("proc ro: "), "{outside}");
        let verdict = check(who, "0", &program);
        let inside = actual(&verdict, "starts");
        assert!(inside.contains(outside.trim()), "{who:?}\noutside: {outside}\ninside: {inside}");
    }
}

/// Whether an ID that owns nothing can look into DIR.
const REACH: &str = r#"#!/bin/sh
shift
[ "$1" = --rootfs ] && setpriv --reuid 100000 --clear-groups ls "$2" >/dev/null && echo reached >&2
exit 3
"#;

#[test]
fn everybody_can_reach_the_root_filesystem_that_a_program_is_given() {
    if !have("setpriv", "util-linux") || !common::am_root() {
        return common::skip("only root can become somebody else", "Run the tests as root");
    }
    let closed = fs::Permissions::from_mode(0o700);
    fs::set_permissions(common::home(Who::Root), closed).expect("close root's home");
    let verdict = check(Who::Root, "3", &script("reaches DIR", REACH));
    assert!(actual(&verdict, "starts").contains("reached"), "{:?}", verdict.events);
}

/// Starts CMD by clone(2) with `CLONE_UNTRACED`, which hides it from whoever follows the caller.
const UNTRACED: &str = "#!/usr/bin/env python3
import ctypes, os, platform, sys
CLONE_UNTRACED, SIGCHLD = 0x800000, 17
clone = {'x86_64': 56, 'aarch64': 220}[platform.machine()]
if ctypes.CDLL(None).syscall(clone, CLONE_UNTRACED | SIGCHLD, 0, 0, 0, 0) == 0:
    os.execv(sys.argv[2], sys.argv[2:])
os._exit(os.waitstatus_to_exitcode(os.wait()[1]) % 256)
";

#[test]
fn a_program_that_nobody_can_follow_is_told_so() {
    if have("python3", "python3") {
        let verdict = check(Who::User, "0", &script("starts CMD untraced", UNTRACED));
        assert_eq!(verdict.failed, ["starts"]);
        assert!(actual(&verdict, "starts").contains("CLONE_UNTRACED"), "{}", actual(&verdict, "starts"));
        let check = verdict.events.iter().find(|e| e["name"] == "starts").expect("the check");
        let causes = check["causes"].as_array().expect("causes");
        assert!(
            causes.len() == 1 && causes[0].as_str().expect("text").starts_with("CLONE_UNTRACED"),
            "{causes:?}"
        );
    }
}

/// Programs that fail in a way that could be told by the judge's own words, a check that they fail, and what is told.
const OWN_WORDS: [(&str, &str, &str, &str); 3] = [
    ("hands on no words", "exec \"$2\"", "starts", "was started with other words than CMD's: ["),
    ("loses the first word", "program=$2; shift 3; exec \"$program\" \"$@\"", "starts", "with other words"),
    ("ends with 1", "shift; \"$@\"; exit 1", "exit-status", "PROGRAM ended with status 1"),
];

#[test]
fn what_the_judges_own_program_says_is_not_told_as_the_judged_ones() {
    for (name, text, failed, told) in OWN_WORDS {
        let verdict = check(Who::User, "0", &script(name, &format!("#!/bin/sh\n{text}\n")));
        assert!(verdict.failed.iter().any(|check| check == failed), "{name}: {:?}", verdict.failed);
        let actual = actual(&verdict, failed);
        assert!(
            actual.contains(told) && !actual.contains("error") && !actual.contains("said"),
            "{name}: {actual}"
        );
    }
}
