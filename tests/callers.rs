//! Callers with odd surroundings: streams that are closed or full, a working directory that is gone, tight
//! limits, arguments and variables of any length and any bytes.

#![cfg(test)]

mod common;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

use common::{Ran, Who, command_as, events, have, home, place, run, workshop};

/// Root and an ordinary user where both are possible, or the latter alone.
fn all() -> impl Iterator<Item = Who> {
    Who::BOTH.into_iter().filter(|who| who.possible())
}

/// A shell does something, and becomes the workshop.
fn after(who: Who, script: &str, args: &[&str]) -> Command {
    let mut command = command_as(who, Path::new("/bin/sh"));
    command.args(["-c", &format!("{script}\nexec \"$@\""), "sh"]).arg(&place().program).args(args);
    command
}

/// The program ran to its end, and if something went wrong, it said so.
fn expect_words(ran: &Ran, why: &str) {
    let said = format!("{why}: status {}: {}{}", ran.status, ran.stdout, ran.stderr);
    assert!([0, 1, 3, 4].contains(&ran.status), "{said}");
    assert!(!ran.stderr.contains("panicked"), "{said}");
    let last = events(&ran.stdout).pop().unwrap_or_else(|| panic!("nothing was said: {said}"));
    assert_eq!(last["event"], if ran.status < 2 { "done" } else { "error" }, "{said}");
}

#[test]
fn closed_standard_streams_are_nobodys_fault() {
    for who in all() {
        for closed in ["0<&-", "1>&-", "2>&-", "0<&- 1>&-", "0<&- 1>&- 2>&-"] {
            for args in [&["step", "3"][..], &["step", "1", "--format", "json"], &["run", "--", "true"]] {
                let ran = run(&mut after(who, &format!("exec {closed}"), args));
                assert_eq!(ran.status, 0, "{who:?} {closed} {args:?}: {}{}", ran.stdout, ran.stderr);
                assert_eq!(ran.stderr, "", "{who:?} {closed} {args:?}");
            }
        }
    }
}

#[test]
fn a_stream_that_is_full_ends_the_run_and_says_so_on_the_other() {
    for args in [&["step", "2"][..], &["list"], &["step", "2", "--format", "json"]] {
        let ran = run(&mut after(Who::User, "exec >/dev/full", args));
        assert_eq!(ran.status, 4, "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("No space left on device"), "{args:?}: {}", ran.stderr);
    }
    let ran = run(&mut after(Who::User, "exec 2>/dev/full", &["step", "99"]));
    assert_eq!(ran.status, 2, "the exit status is all that is left");
}

#[test]
fn a_working_directory_that_is_gone_does_not_matter() {
    let gone = "d=$(mktemp -d); cd $d; rmdir $d";
    for who in all() {
        for args in [&["step", "1"][..], &["step", "6"], &["run", "--", "true"], &["step", "2", "--", "true"]]
        {
            let ran = run(&mut after(who, gone, args));
            assert_eq!(ran.status, 0, "{who:?} {args:?}: {}{}", ran.stdout, ran.stderr);
        }
        let ran = run(&mut after(who, gone, &["step", "3", "--rootfs", "."]));
        assert_eq!(ran.status, 2, "{}{}", ran.stdout, ran.stderr);
    }
}

/// The workshop with a limit of prlimit(1); `None` without it.
fn limited(limit: &str, step: &str) -> Option<Ran> {
    if !have("prlimit", "util-linux") {
        return None;
    }
    let mut command = command_as(Who::User, Path::new("/usr/bin/prlimit"));
    command.arg(limit).arg(&place().program).args(["step", step, "--format", "json"]);
    Some(run(&mut command))
}

#[test]
fn few_open_files_are_enough_and_fewer_are_named_as_the_cause() {
    let Some(enough) = limited("--nofile=64", "6") else { return };
    assert_eq!(enough.status, 0, "{}{}", enough.stdout, enough.stderr);
    let mut named = 0;
    for files in 5..24 {
        let Some(ran) = limited(&format!("--nofile={files}"), "6") else { return };
        expect_words(&ran, &format!("{files} files"));
        named += u32::from(ran.stdout.contains("RLIMIT_NOFILE"));
    }
    assert!(named > 5, "the limit was named {named} times");
}

#[test]
fn a_limit_on_processes_is_named_as_the_cause() {
    let Some(ran) = limited("--nproc=1", "1") else { return };
    expect_words(&ran, "no more processes");
    // Root's processes are not counted, an ordinary user's own are.
    assert_eq!(ran.status, 4, "{}", ran.stdout);
    assert!(ran.stdout.contains("EAGAIN") && ran.stdout.contains("RLIMIT_NPROC"), "{}", ran.stdout);
    for processes in 2..8 {
        let Some(ran) = limited(&format!("--nproc={processes}"), "5") else { return };
        expect_words(&ran, &format!("{processes} processes"));
    }
}

#[test]
fn a_limit_on_file_sizes_kills_it_and_the_next_run_finds_nothing_half_made() {
    let Some(_) = limited("--fsize=200000", "3") else { return };
    let ran = run(workshop(Who::User).args(["step", "3"]));
    assert_eq!(ran.status, 0, "{}{}", ran.stdout, ran.stderr);
    let images = home(Who::User).join(".cache/workshop/images");
    let left: Vec<_> =
        fs::read_dir(images).expect("images").flatten().map(|entry| entry.file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with("tmp-")), "{left:?}");
}

/// A shell in the container that is satisfied with nothing but these words.
fn expecting(args: &[&str], condition: &str, words: &[&OsStr]) -> Ran {
    let mut command = workshop(Who::User);
    command.args(args).args(["--", "sh", "-c", &format!("{condition} && exit 42"), "sh"]).args(words);
    run(&mut command)
}

#[test]
fn long_arguments_reach_the_program() {
    let long = OsString::from("x".repeat(130_000));
    let condition = "[ $# -eq 8 ] && [ ${#1} -eq 130000 ] && [ ${#8} -eq 130000 ]";
    for args in
        [&["run"][..], &["step", "1"], &["step", "1", "--format", "json"], &["step", "5", "--verbose"]]
    {
        let ran = expecting(args, condition, &[long.as_os_str(); 8]);
        assert_eq!(ran.status, 42, "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn arguments_and_variables_may_hold_any_bytes() {
    let odd = OsStr::from_bytes(b"a\xffb\n\x01 '\"");
    let made = "odd=$(printf 'a\\377b\\n\\001 \\047\"')";
    for args in
        [&["run"][..], &["step", "1"], &["step", "2", "--format", "json"], &["step", "5", "--verbose"]]
    {
        let ran = expecting(args, &format!("{made}; [ \"$1\" = \"$odd\" ]"), &[odd]);
        assert_eq!(ran.status, 42, "{args:?}: {}{}", ran.stdout, ran.stderr);
    }
    // The first steps have the caller's environment, the later ones a small one of their own.
    let mut command = workshop(Who::User);
    command.env("ODD", odd).env("TERM", odd).env("LC_ALL", odd).env("NO_COLOR", odd);
    let condition = format!("{made}; [ \"$ODD\" = \"$odd\" ] && exit 42");
    let ran = run(command.args(["step", "1", "--", "sh", "-c", &condition]));
    assert_eq!(ran.status, 42, "{}{}", ran.stdout, ran.stderr);
    let condition = format!("{made}; [ \"$TERM\" = \"$odd\" ] && [ -z \"$ODD\" ] && exit 42");
    let mut command = workshop(Who::User);
    command.env("ODD", odd).env("TERM", odd);
    let ran = run(command.args(["run", "--", "sh", "-c", &condition]));
    assert_eq!(ran.status, 42, "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn a_program_of_any_name_is_looked_for_and_named() {
    let odd = OsStr::from_bytes(b"no-\xff");
    let ran = run(workshop(Who::User).args(["run", "--"]).arg(odd));
    assert_eq!(ran.status, 127, "{}", ran.stderr);
    assert!(ran.stderr.contains("no-\u{fffd}"), "{}", ran.stderr);
}

#[test]
fn a_home_whose_name_is_odd_is_used_or_left_alone() {
    for name in [&b"with, comma: and \\ \"quotes\""[..], b"\xff"] {
        let odd = home(Who::User).join(OsStr::from_bytes(name));
        let made = run(command_as(Who::User, Path::new("/bin/mkdir")).arg("-p").arg(odd.join("tmp")));
        assert_eq!(made.status, 0, "{}", made.stderr);
        let mut command = workshop(Who::User);
        command.env("HOME", &odd).env("TMPDIR", home(Who::User));
        let ran = run(command.args(["step", "5"]));
        assert_eq!(ran.status, 0, "{odd:?}: {}{}", ran.stdout, ran.stderr);
    }
}
