//! What `workshop run` can be given that is nothing to run with: one message, a status that no program's is taken for, and
//! nothing left.

#![cfg(test)]

mod common;

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use common::{Ran, Who, home, place, run, who, workshop};

/// What a value is: none of these is one that a number, a size or a file can be.
const NUMBERS: [&str; 13] = [
    "",
    " ",
    "x",
    "-1x",
    "-5",
    "+5",
    "1e3",
    "0x10",
    "99999999999999999999999",
    "-99999999999999999999",
    "NaN",
    "1;2",
    "한",
];

/// What is asked of an option of `run`.
struct Row {
    option: &'static str,
    /// Values that are refused.
    bad: Vec<OsString>,
}

fn row<'v>(option: &'static str, more: impl IntoIterator<Item = &'v str>) -> Row {
    Row { option, bad: more.into_iter().map(OsString::from).collect() }
}

/// Things on a disk: a file, a directory, one that may not be read, a name that is nobody's.
struct Things {
    dir: tempfile::TempDir,
}

impl Things {
    fn new() -> Things {
        let dir = tempfile::Builder::new().prefix("things-").tempdir_in(&place().dir).expect("a directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("open it to others");
        let things = Things { dir };
        fs::write(things.path("file"), "A=1\n").expect("write");
        fs::write(things.path("blanks"), "A B=1\n").expect("write");
        fs::write(things.path("nul"), "A=\0\n").expect("write");
        fs::write(things.path("noname"), "=1\n").expect("write");
        fs::write(things.path("closed"), "A=1\n").expect("write");
        fs::create_dir(things.path("shut")).expect("make it");
        for closed in ["closed", "shut"] {
            fs::set_permissions(things.path(closed), fs::Permissions::from_mode(0o000)).expect("close it");
        }
        things
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().expect("a path").to_owned()
    }
}

/// Bytes that are no UTF-8, behind a beginning.
fn raw(beginning: &str, end: &str) -> OsString {
    OsStr::from_bytes(&[beginning.as_bytes(), b"\xff\xfe", end.as_bytes()].concat()).to_owned()
}

/// Every option that takes a value, with values that are refused.
fn table(things: &Things) -> Vec<Row> {
    let huge = "9".repeat(100_000);
    let long = "x".repeat(100_000);
    let numbers =
        |more: &[&'static str]| NUMBERS.iter().copied().chain(more.iter().copied()).collect::<Vec<_>>();
    let mut rows = vec![
        row("--memory", numbers(&["0", "1", "5", "64Q", "64MM", "-1", "1.5G", "17179869184G"])),
        row("--memory-swap", numbers(&["0", "64M", "-1"])),
        row("--pids", numbers(&["0", "1.5", "4194305"])),
        row(
            "--cpus",
            NUMBERS
                .iter()
                .copied()
                .filter(|value| !["+5", "1e3"].contains(value))
                .chain(["0", "-1", "inf", "1e9", "0.001"]),
        ),
        row("--cpu-shares", numbers(&["0", "1", "262145", "-1"])),
        row("--stop-timeout", numbers(&["1.5", "1000001", "-2"])),
        row("--stop-signal", numbers(&["0", "99", "SIG", "SIGNOPE", "RTMIN"])),
        row(
            "--ulimit",
            numbers(&["nofile", "nofile=", "nofile=x", "nofile=5:4", "nope=1", "nofile=1:2:3", "=1"]),
        ),
        row(
            "--user",
            [
                "",
                ":",
                "x:",
                ":x",
                "4294967295",
                "-1:",
                "a:b:c",
                "1:99999999999",
                "nobody-here",
                "root:nogroup-here",
            ],
        ),
        row("--name", ["", "x", "../x", "/x", "a/b", "a b", ".x", "한글", &long]),
        row("--hostname", ["", "-x", "a b", "a/b", "a\nb", "한글", &"x".repeat(65), &long]),
        row("--workdir", ["", "x", "./x", "../x", &long]),
        row("--step", ["", "0", "99", "-1", "x", "7", "boot-vm", &huge]),
        row("--network", ["", "x", "bridge", "container:x", "LAB"]),
        row(
            "--rootfs",
            ["", "x", "debian:12", ":", "/:", "/nonexistent", "/etc/passwd", "/tmp:/nonexistent", &long],
        ),
        row("--env", ["", "=", "=x"]),
        row("--env-file", ["", "/nonexistent", "/", "/dev/zero", &long]),
        row(
            "--volume",
            [
                "",
                "x",
                ":",
                "::",
                "x:/y",
                "/etc",
                "/etc:",
                ":/x",
                "/etc:x",
                "/etc:/x:",
                "/etc:/x:rx",
                "/etc:/x:ro:ro",
                "/nonexistent:/x",
                "/etc:/",
                "/etc:/proc",
                &long,
            ],
        ),
        row(
            "--mount",
            [
                "",
                "x",
                "type=bind",
                "type=bind,src=/etc",
                "type=bind,dst=/x",
                "type=volume,src=/etc,dst=/x",
                "type=bind,src=/nonexistent,dst=/x",
                "type=bind,src=/etc,dst=x",
                "type=bind,src=/etc,dst=/x,ro=maybe",
                "type=bind,src=/etc,dst=/x,size=1",
                "type=tmpfs",
                "type=tmpfs,dst=/x,src=/etc",
                "type=tmpfs,dst=/x,tmpfs-size=x",
                "type=tmpfs,dst=/x,tmpfs-mode=9",
                "type=,dst=/x",
                &long,
            ],
        ),
        row(
            "--tmpfs",
            [
                "",
                "x",
                "/",
                "/proc",
                "/x:",
                "/x:size=",
                "/x:size=-1",
                "/x:size=99999999999G",
                "/x:mode=8",
                "/x:mode=",
                "/x:uid=0",
                "/x:ro=1",
                &long,
            ],
        ),
    ];
    for row in &mut rows {
        // Those that are paths or bytes to begin with are what they are; nobody is called so, and nothing is there.
        row.bad.push(match row.option {
            "--env" => OsString::from("="),
            "--workdir" => raw("", ""),
            "--volume" => raw("/nonexistent", ":/x"),
            _ => raw("x", ""),
        });
        if !["--workdir", "--env", "--rootfs", "--network", "--hostname", "--name", "--step"]
            .contains(&row.option)
        {
            row.bad.push(huge.clone().into());
        }
    }
    let mut add = |option: &str, values: Vec<String>| {
        let row = rows.iter_mut().find(|row| row.option == option).expect("a row");
        row.bad.extend(values.into_iter().map(OsString::from));
    };
    add("--env-file", ["blanks", "nul", "noname", "closed", "shut"].map(|name| things.text(name)).into());
    add("--rootfs", vec![things.text("file"), things.text("shut")]);
    add("--volume", vec![format!("{}/x:/x", things.text("shut")), format!("{}/x:/x", things.text("file"))]);
    rows
}

/// Everything below a directory, by its path.
fn below(dir: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        found.insert(entry.path());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            below(&entry.path(), found);
        }
    }
}

/// What the program still holds for a container: pages of the ledger, names, directories that were written to.
fn kept(who: Who) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for dir in [".local/state/workshop/ledger", ".local/state/workshop/names", ".cache/workshop/boxes"] {
        below(&home(who).join(dir), &mut found);
    }
    found
}

/// Each test looks at what is kept while no other runs.
static ALONE: Mutex<()> = Mutex::new(());

/// One message, with a status that says whose it is.
fn is_refused(ran: &Ran, case: &str) {
    assert!([2, 125, 126, 127].contains(&ran.status), "{case}: {} {}{}", ran.status, ran.stdout, ran.stderr);
    assert_eq!(ran.stdout, "", "{case}");
    assert_eq!(ran.stderr.matches("error:").count(), 1, "{case}: {}", ran.stderr);
    assert!(!ran.stderr.contains("panicked") && !ran.stderr.contains("report it"), "{case}: {}", ran.stderr);
}

#[test]
fn no_value_of_an_option_is_too_odd_to_be_refused_in_words() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let things = Things::new();
    for who in who() {
        assert_eq!(run(workshop(who).args(["run", "true"])).status, 0);
        // Most are refused before it matters who asks.
        let reaches_files =
            |row: &Row| ["--user", "--env-file", "--rootfs", "--volume"].contains(&row.option);
        let rows = table(&things).into_iter().filter(|row| who == Who::User || reaches_files(row));
        for Row { option, bad } in rows {
            for value in bad {
                // Root may read what is closed.
                let name = value.to_string_lossy().into_owned();
                if who == Who::Root
                    && (name.ends_with("/closed") || name.ends_with("/shut"))
                    && option == "--rootfs"
                    || who == Who::Root && name.ends_with("/closed")
                {
                    continue;
                }
                let mut word = OsString::from(option);
                word.push("=");
                word.push(&value);
                let mut asked = workshop(who);
                asked.args(["--lang", "en", "run"]).arg(word);
                if option == "--memory-swap" {
                    // Without a limit on memory there is none on both.
                    let with: &[&str] = if name == "-1" { &[] } else { &["--memory", "128M"] };
                    asked.args(with);
                }
                let ran = run(asked.arg("true"));
                let short: String = name.chars().take(60).collect();
                is_refused(&ran, &format!("{who:?} {option}={short}"));
            }
        }
        assert_eq!(kept(who), BTreeSet::new());
    }
}

#[test]
fn the_table_has_every_option_that_takes_a_value() {
    let help = run(workshop(Who::User).args(["run", "--help"])).stdout;
    let own = ["--lang", "--format", "--color"];
    let takes_one = |line: &&str| line.trim_start().starts_with('-') && line.contains('<');
    let names = help
        .lines()
        .filter(takes_one)
        .filter_map(|line| line.split_whitespace().find(|w| w.starts_with("--")));
    let asked: BTreeSet<String> = names
        .map(|name| name.trim_end_matches(',').to_owned())
        .filter(|name| !own.contains(&name.as_str()))
        .collect();
    let things = Things::new();
    let known: BTreeSet<String> = table(&things).iter().map(|row| row.option.to_owned()).collect();
    assert_eq!(asked, known);
}

#[test]
fn no_program_is_too_odd_to_be_refused_in_words() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for who in who() {
        let long = "x".repeat(100_000);
        for (program, status) in [
            (OsString::from(""), 127),
            ("/".into(), 126),
            ("./".into(), 126),
            ("/nonexistent".into(), 127),
            ("/etc/passwd/x".into(), 127),
            ("nonexistent".into(), 127),
            ("..".into(), 127),
            ("한글".into(), 127),
            (raw("no", "such"), 127),
            (raw("/no/", "such"), 127),
            (long.into(), 127),
        ] {
            let ran = run(workshop(who).args(["--lang", "en", "run", "--"]).arg(&program));
            let name: String = program.to_string_lossy().chars().take(60).collect();
            is_refused(&ran, &name);
            assert_eq!(ran.status, status, "{name}: {}", ran.stderr);
        }
        assert_eq!(kept(who), BTreeSet::new());
    }
}

/// The head of an ELF file for a machine (elf(5)), little-endian and of 64 bits.
fn elf(machine: u16) -> Vec<u8> {
    let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0];
    bytes.extend(machine.to_le_bytes());
    bytes.extend([1, 0, 0, 0]);
    bytes.resize(256, 0);
    bytes
}

#[test]
fn a_root_filesystem_for_another_processor_is_named() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let here = if cfg!(target_arch = "aarch64") { 183 } else { 62 };
    for (machine, name) in [(62, "x86_64"), (183, "aarch64"), (243, "riscv64"), (22, "s390x")] {
        if machine == here {
            continue;
        }
        let dir = tempfile::Builder::new().prefix("foreign-").tempdir_in(&place().dir).expect("a directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).expect("open it to others");
        fs::create_dir(dir.path().join("bin")).expect("make it");
        for (file, bytes) in [("bin/sh", elf(machine)), ("bin/script", b"#!/bin/sh\n".to_vec())] {
            fs::write(dir.path().join(file), bytes).expect("write");
            fs::set_permissions(dir.path().join(file), fs::Permissions::from_mode(0o755))
                .expect("make it a program");
        }
        for program in ["sh", "/bin/sh", "script"] {
            for who in who() {
                let ran =
                    run(workshop(who).args(["--lang", "en", "run", "--rootfs"]).arg(dir.path()).arg(program));
                assert_eq!(ran.status, 126, "{program}: {}", ran.stderr);
                is_refused(&ran, program);
                assert!(ran.stderr.contains(name), "{name}: {}", ran.stderr);
            }
        }
    }
}
