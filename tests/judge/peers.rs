//! The judge against small runtimes of the kinds that tutorials and workshops teach, in shell, C, Go, Python, Perl and
//! Rust. What fails is what reading them gives, as it is said beside each.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::common::child::command;
use crate::common::{Who, am_root, have, place, run, skip};
use crate::korean::assert_told_in_korean;
use crate::{check_in, each};

/// What each is made of, with packages.
const NEEDED: [(&str, &str); 9] = [
    ("bash", "bash"),
    ("unshare", "util-linux"),
    ("cc", "gcc"),
    ("go", "golang-go"),
    ("python3", "python3"),
    ("rustc", "rustup"),
    ("perl", "perl"),
    ("busybox", "busybox-static"),
    ("bwrap", "bubblewrap"),
];

/// What chroot(2) comes to: the namespace keeps its root, and all that is mounted there.
const CHROOT: [&str; 2] = ["pivoted", "old-root-gone"];
/// Nothing is mounted on /dev and /sys, and a descriptor that was inherited is handed on.
const BARE: [&str; 3] = ["devices", "sys", "no-descriptors"];

/// Each program, the step that it is judged as, and the checks that must fail, in groups.
const PEERS: [(&str, usize, &[&[&str]]); 11] = [
    ("pivot.c", 2, &[]),
    ("pivot.c", 3, &[&BARE]),
    ("pivot.sh", 3, &[]),
    // ExitCode() is -1 for a signal; whoever waits for CMD alone reaps nobody else, and dies of SIGTERM alone; there is no
    // CLONE_NEWIPC among the flags.
    (
        "reexec.go",
        3,
        &[&["death-status", "reaped", "sigterm"], &CHROOT, &["devices", "sys", "own-ipc", "no-descriptors"]],
    ),
    // It exits with -9, and has no handler.
    ("ctypes_box.py", 3, &[&["death-status", "sigterm"]]),
    ("subprocess_box.py", 2, &[&["streams", "sigterm"]]),
    ("std.rs", 3, &[&["sigterm"], &CHROOT, &BARE]),
    // Two flags of five.
    ("unshare.pl", 3, &[&CHROOT, &["devices", "sys", "own-names", "own-ipc", "no-descriptors"]]),
    // unshare(1) ignores SIGTERM while it waits.
    ("chroot.sh", 3, &[&["sigterm"], &CHROOT, &BARE]),
    ("busybox.sh", 3, &[&["sigterm"], &CHROOT, &BARE]),
    ("bwrap.sh", 3, &[&["sys", "no-descriptors"]]),
];

/// Makes a program, in a folder that everybody may read.
fn made(dir: &Path, name: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judge/peers").join(name);
    let program = dir.join(name.replace('.', "-"));
    let mut compiler = match name.rsplit('.').next() {
        Some("c") => command("cc"),
        Some("go") => command("go"),
        Some("rs") => command("rustc"),
        _ => {
            fs::copy(&source, &program).expect("a script");
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("let others run it");
            return program;
        }
    };
    if name.ends_with(".go") {
        compiler.arg("build").env("GO111MODULE", "off").env("GOCACHE", dir.join("cache"));
    }
    if name.ends_with(".rs") {
        compiler.args(["--edition", "2024"]);
    }
    let built = run(compiler.arg("-o").arg(&program).arg(&source));
    assert_eq!(built.status, 0, "{name}: {}", built.stderr);
    program
}

/// util-linux before 2.39 can't end as its child did if that was killed by SIGKILL, for which no handler can be set.
fn without_mended(name: &str, mut failed: Vec<String>) -> Vec<String> {
    if ["pivot.sh", "chroot.sh", "subprocess_box.py"].contains(&name) {
        failed.retain(|check| check != "death-status");
    }
    failed
}

#[test]
fn runtimes_of_other_kinds_get_the_verdict_that_reading_them_gives() {
    if !am_root() {
        return skip("most of these need root", "Run the tests as root");
    }
    if !NEEDED.into_iter().all(|(program, package)| have(program, package)) {
        return;
    }
    let dir = place().dir.join("peers");
    fs::create_dir_all(&dir).expect("a folder for programs");
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).expect("open it to others");
    let programs: BTreeMap<&str, PathBuf> =
        PEERS.iter().map(|(name, ..)| (*name, made(&dir, name))).collect();
    let found = Mutex::new(BTreeMap::new());
    each(&PEERS, |(name, step, _)| {
        let verdict = check_in("ko", Who::Root, &step.to_string(), &programs[name]);
        assert_told_in_korean(name, &verdict.events);
        let failed = without_mended(name, verdict.failed);
        found.lock().expect("a list").insert((*name, *step), failed);
    });
    let found = found.into_inner().expect("a list");
    let row = |name: &str, step: usize| {
        format!("{step}  {name:<20}{}", found[&(name, step)].join(", ")).trim_end().to_owned()
    };
    let table: Vec<String> = PEERS.iter().map(|(name, step, _)| row(name, *step)).collect();
    let wrong = |(name, step, fails): &&(&str, usize, &[&[&str]])| found[&(*name, *step)] != fails.concat();
    let wrong: Vec<_> = PEERS.iter().filter(wrong).collect();
    assert!(wrong.is_empty(), "name, step, expected: {wrong:#?}\n{}", table.join("\n"));
    insta::assert_snapshot!("runtimes_of_other_kinds", table.join("\n"));
}
