//! The tests hold on a machine that is not ours: they start programs alike whoever started them, and what is recorded
//! in this tree has nothing of the machine that it was recorded on.
//!
//! `.ci/odd-hosts` runs all tests on hosts that are odd in one way each.

#![cfg(test)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::child::command;
use common::{have, run, stand_ins};
use nix::sys::utsname::uname;

/// Set in the test that runs inside itself.
const INSIDE: &str = "WORKSHOP_TEST_STARTED_ODDLY";

/// Signals that are ignored, and blocked, as /proc/PID/status shows them.
fn ignored_and_blocked(status: &str) -> [u64; 2] {
    ["SigIgn:", "SigBlk:"].map(|field| {
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect(field);
        u64::from_str_radix(line.trim(), 16).expect("a mask")
    })
}

#[test]
fn programs_start_alike_when_the_caller_ignores_signals() {
    if std::env::var_os(INSIDE).is_some() {
        let own = fs::read_to_string("/proc/self/status").expect("our own status");
        assert_ne!(ignored_and_blocked(&own)[0] & (1 << (libc::SIGINT - 1)), 0, "SIGINT is ignored: {own}");
        let child = run(command("sh").args(["-c", "umask; exec cat /proc/self/status"]));
        assert_eq!(ignored_and_blocked(&child.stdout), [0, 0], "{}", child.stdout);
        assert!(child.stdout.starts_with("0022\n"), "{}", child.stdout);
        return;
    }
    if !have("env", "coreutils") {
        return;
    }
    let again = std::env::current_exe().expect("this test program");
    let script = "umask 0077; exec env --ignore-signal=INT,HUP,CHLD,TERM,QUIT --block-signal=INT,USR1 \"$@\"";
    let mut odd = command("sh");
    odd.args(["-c", script, "sh"]).arg(again);
    odd.args(["--exact", "programs_start_alike_when_the_caller_ignores_signals", "--nocapture"]);
    let ran = run(odd.env(INSIDE, "1"));
    assert!(ran.status == 0 && ran.stdout.contains("1 passed"), "{}{}", ran.stdout, ran.stderr);
}

/// The files of this tree that a commit has, or would have.
fn tracked() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let ours = !["target", ".git", "node_modules"].iter().any(|other| name == *other);
            match path.is_dir() {
                true if ours => folders.push(path),
                false if ours => found.push(path),
                _ => {}
            }
        }
    }
    found
}

#[test]
fn tests_start_programs_through_one_helper() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let in_tests = |path: &PathBuf| {
        let inside = path.strip_prefix(root).expect("a path in the tree");
        // Those are programs that are judged.
        inside.extension().is_some_and(|end| end == "rs")
            && !inside.starts_with("tests/judge/peers")
            && inside.components().any(|part| part.as_os_str() == "tests")
    };
    // In two pieces, so that this line is none.
    let other_way = ["Command", "::new("].concat();
    for file in tracked().iter().filter(|path| in_tests(path)) {
        let text = fs::read_to_string(file).expect("source");
        // A line with an escaped quote is text of a program that a test writes.
        let line = text.lines().find(|line| line.contains(&other_way) && !line.contains("\\\""));
        assert_eq!(line, None, "{}: use common::child::command", file.display());
    }
}

/// What this machine alone has, as far as it can be told from ordinary words: a host name like `vm` can't.
fn own_words() -> Vec<(&'static str, String)> {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default().trim().to_owned();
    let uname = uname().expect("uname");
    let name = uname.nodename().to_string_lossy().into_owned();
    let value = |file: &str, field: &str| {
        let text = read(file);
        let line = text.lines().find(|line| line.starts_with(field)).unwrap_or_default();
        line.split_once(':').map_or(String::new(), |(_, value)| value.trim().to_owned())
    };
    let mut words = vec![
        ("kernel release", uname.release().to_string_lossy().into_owned()),
        // Whatever a personality(2) makes of it for this process.
        ("kernel release", read("/proc/sys/kernel/osrelease")),
        ("host name", if name.len() > 7 && name != "localhost" { name } else { String::new() }),
        ("boot ID", read("/proc/sys/kernel/random/boot_id")),
        ("machine ID", read("/etc/machine-id")),
        ("processor", value("/proc/cpuinfo", "model name")),
        ("memory", value("/proc/meminfo", "MemTotal")),
        ("clone's path", env!("CARGO_MANIFEST_DIR").to_owned()),
    ];
    let links = fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    let addresses = links.map(|link| read(&link.path().join("address").to_string_lossy()));
    words.extend(addresses.filter(|address| !address.starts_with("00:00:00:")).map(|a| ("link address", a)));
    // A clone may be in /src.
    words.retain(|(_, word)| word.len() > 7);
    words
}

/// What a start costs is worth nothing without the machine that it was measured on.
fn is_named_on_purpose(file: &Path, what: &str) -> bool {
    file.ends_with("runs/start.txt") && ["kernel release", "processor", "memory"].contains(&what)
}

#[test]
fn nothing_in_this_tree_is_of_the_machine_that_the_tests_run_on() {
    let words = own_words();
    assert!(words.len() >= 4, "{words:?}");
    for file in tracked() {
        let Ok(bytes) = fs::read(&file) else { continue };
        let text = String::from_utf8_lossy(&bytes);
        for (what, word) in words.iter().filter(|(what, _)| !is_named_on_purpose(&file, what)) {
            assert!(!text.contains(word), "the {what} of this machine, {word}, is in {}", file.display());
        }
    }
}

#[test]
fn a_run_of_any_machine_is_recorded_alike() {
    let recorded = include_str!("../book/en/runs/step-3.txt");
    let plain = console::strip_ansi_codes(recorded).into_owned();
    // As long as what they stand for, so that the columns stay.
    let elsewhere = [
        ("6.12.0                 6.12.0                ", "5.15.167.4-microsoft   5.15.167.4-microsoft  "),
        ("= 4711", "= 1234567"),
        ("laptop                 box", "db-17.example.org      box"),
        ("inode 2 on ext4   ", "inode 128 on xfs  "),
        ("ipc:[4026532218]", "ipc:[4026533199]"),
        ("mounts     31 ", "mounts     999"),
        ("/home      1", "/home      7"),
        ("/dev       187 ", "/dev       1033"),
    ];
    let run = elsewhere.iter().fold(plain.clone(), |run, (here, there)| {
        assert_eq!(run.matches(here).count(), 1, "{here}");
        run.replace(here, there)
    });
    assert_eq!(stand_ins::readable(&run), plain);
    assert_eq!(stand_ins::readable(recorded), recorded, "what is recorded stays as it is");
}
