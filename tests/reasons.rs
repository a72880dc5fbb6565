//! Why a judged program failed: what it said itself, without the noise around it, and what kept it from starting at all.

#![cfg(test)]

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::project::{at, me, project, set};
use common::screen::ESCAPE;
use common::watch::Desk;
use common::{am_root, command_as, events, have, place, run, workshop};
use serde_json::Value;

/// A folder of a test's own that everybody may read.
fn folder(name: &str) -> PathBuf {
    let dir = place().dir.join(name);
    fs::create_dir(&dir).expect("a folder");
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).expect("open it to others");
    dir
}

/// A file with a text, and with a mode.
fn put(path: &Path, text: impl AsRef<[u8]>, mode: u32) -> PathBuf {
    fs::write(path, text).expect("write");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set the mode");
    path.into()
}

/// What a compiler must do without a word.
fn build(program: &str, args: &[&str], dir: &Path) {
    let mut command = crate::common::child::command(program);
    command.args(args).current_dir(dir).env("GOCACHE", dir.join(".cache")).env("GO111MODULE", "off");
    let built = run(&mut command);
    assert_eq!(built.status, 0, "{program}: {}", built.stderr);
}

/// The check that a program starts, in JSON.
fn starts(check: &mut Command) -> Value {
    let ran = run(check);
    assert_eq!(ran.status, 1, "{}{}", ran.stdout, ran.stderr);
    let check = events(&ran.stdout).into_iter().find(|event| event["name"] == "starts");
    let check = check.unwrap_or_else(|| panic!("{}", ran.stdout));
    assert_eq!(check["passed"], false, "{}", ran.stdout);
    check
}

fn found(program: &[&Path]) -> String {
    let mut command = workshop(me());
    let check = starts(command.args(["check", "0", "--format", "json", "--"]).args(program));
    check["actual"].as_str().expect("what was found").to_owned()
}

#[test]
fn what_a_program_says_of_its_failure_is_told_in_any_language() {
    let dir = folder("reasons");
    let own = |name: &str| dir.join(name);
    if have("rustc", "rustup") {
        put(&own("p.rs"), "fn main() { std::fs::read(\"/no/such\").expect(\"the root\"); }\n", 0o644);
        build("rustc", &["-o", "p", "p.rs"], &dir);
        let told = found(&[&own("p")]);
        assert!(told.starts_with("PROGRAM ended with status 101: panicked at p.rs:1:"), "{told}");
        assert!(told.contains("the root: Os { code: 2") && !told.contains("BACKTRACE"), "{told}");
    }
    if have("go", "golang-go") {
        put(&own("main.go"), "package main\n\nfunc main() { var m map[string]int; m[\"a\"] = 1 }\n", 0o644);
        build("go", &["build", "-buildvcs=false", "-o", "g", "main.go"], &dir);
        let told = found(&[&own("g")]);
        assert_eq!(told, "PROGRAM ended with status 2: panic: assignment to entry in nil map");
    }
    if have("python3", "python3") {
        let text = "#!/usr/bin/env python3\ntry:\n    open('/no/such')\nexcept OSError as error:\n    \
                    raise RuntimeError('no root') from error\n";
        let told = found(&[&put(&own("box.py"), text, 0o755)]);
        let reason =
            "RuntimeError: no root <- FileNotFoundError: [Errno 2] No such file or directory: '/no/such'";
        assert_eq!(told, format!("PROGRAM ended with status 1: {reason}"));
    }
    if have("gcc", "gcc") {
        let text = "#include <stdlib.h>\nint main(int c, char **v) { char *p = malloc(4); p[4 + c] = 1; return p[0]; }\n";
        put(&own("a.c"), text, 0o644);
        build("gcc", &["-g", "-fsanitize=address", "-o", "a", "a.c"], &dir);
        let told = found(&[&own("a")]);
        assert!(told.contains("AddressSanitizer: heap-buffer-overflow") && told.contains("a.c:2"), "{told}");
        put(&own("e.c"), "#include <stdio.h>\nint main(void) { perror(\"box\"); return 3; }\n", 0o644);
        build("gcc", &["-o", "e", "e.c"], &dir);
        assert_eq!(found(&[&own("e")]), "PROGRAM ended with status 3: box: Success");
    }
    let script = put(&own("box.sh"), "#!/bin/sh\nset -x\nno-such-program\nexit 127\n", 0o755);
    let told = found(&[&script]);
    assert!(told.contains("no-such-program: ") && told.ends_with("not found"), "{told}");
}

/// A right program that its sanitizer watches is judged as one that it doesn't.
#[test]
fn a_leak_checker_is_no_reason_to_fail() {
    if !have("gcc", "gcc") {
        return;
    }
    let dir = folder("leaks");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("lessons/00-run/starter/c/box.c");
    build(
        "gcc",
        &["-g", "-fsanitize=address,undefined", "-o", "box", source.to_str().expect("a path")],
        &dir,
    );
    let ran = run(workshop(me()).args(["check", "0", "--"]).arg(dir.join("box")));
    assert_eq!(ran.status, 0, "{}", ran.stdout);
}

/// The beginning of an ELF program for a machine that is not ours.
fn foreign() -> Vec<u8> {
    let machine: u16 = if cfg!(target_arch = "s390x") { 62 } else { 22 };
    let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0];
    bytes.extend(machine.to_le_bytes());
    bytes.extend([1, 0, 0, 0]);
    bytes.resize(256, 0);
    bytes
}

#[test]
fn what_keeps_a_program_from_starting_is_told_as_run_tells_it() {
    let dir = folder("unstarted");
    let own = |name: &str| dir.join(name);
    let sh = "#!/bin/sh\nshift\nexec \"$@\"\n";
    put(&own("plain it's"), sh, 0o644);
    put(&own("dos"), sh.replace('\n', "\r\n"), 0o755);
    put(&own("lost"), "#!/no/such/sh\n", 0o755);
    put(&own("text"), "words\n", 0o755);
    put(&own("foreign"), foreign(), 0o755);
    fs::create_dir(own("dir")).expect("a directory");
    symlink("/no/such/file", own("link")).expect("a link");
    fs::create_dir(own("noexec")).expect("a directory");
    let mut table = vec![
        ("plain it's", "may not be executed.", "chmod +x '"),
        ("dos", "its first line ends as on DOS", "sed -i"),
        ("lost", "its interpreter /no/such/sh is not", "first line (#!)"),
        ("text", "is no program", "#!/bin/sh"),
        ("foreign", "was built for another machine", "emulator"),
        ("dir", "is a directory", "Name a program"),
        ("link", "leads nowhere: /no/such/file", "cp -L"),
    ];
    if have("unshare", "util-linux") && have("mount", "mount") {
        table.push(("noexec/box", "may not be executed where it is", "findmnt -T"));
    }
    if have("gcc", "gcc") {
        put(
            &own("main.c"),
            "int of_the_library(void);\nint main(void) { return of_the_library(); }\n",
            0o644,
        );
        put(&own("own.c"), "int of_the_library(void) { return 0; }\n", 0o644);
        build("gcc", &["-shared", "-fPIC", "-o", "libown-of-ours.so", "own.c"], &dir);
        build("gcc", &["-o", "needy", "main.c", "-L.", "-lown-of-ours"], &dir);
        build("gcc", &["-o", "unloaded", "own.c", "main.c", "-Wl,--dynamic-linker=/no/such/ld.so"], &dir);
        fs::remove_file(own("libown-of-ours.so")).expect("remove the library");
        table.push(("needy", "lacks libraries: libown-of-ours.so", "ldd"));
        table.push(("unloaded", "its loader /no/such/ld.so is not", "statically"));
    }
    for (name, message, cure) in table {
        let told = ["en", "ko"].map(|lang| {
            let check = starts(&mut inside(&dir, &["check", "0", "--lang", lang, "--format", "json"], name));
            let causes = check["causes"].as_array().expect("causes");
            assert_eq!(causes.len(), 1, "the real one and no other: {check}");
            let (actual, cause) =
                (check["actual"].as_str().expect("words"), causes[0].as_str().expect("words"));
            (actual.to_owned(), cause.to_owned())
        });
        assert!(told[0].0.contains(message) && told[0].1.contains(cure), "{name}: {told:?}");
        for (lang, (actual, _)) in ["en", "ko"].iter().zip(&told) {
            let ran =
                run(&mut inside(&dir, &["run", "--step", "1", "--lang", lang, "--format", "json"], name));
            let last = events(&ran.stdout).pop().unwrap_or_else(|| panic!("{name}: {}", ran.stderr));
            assert_eq!(&last["message"], actual, "{name}: run and check say the same");
        }
    }
}

/// The workshop in a mount namespace of its own, where a program is on a filesystem that is mounted noexec; as it is
/// where the program is elsewhere.
fn inside(dir: &Path, args: &[&str], name: &str) -> Command {
    if !name.starts_with("noexec/") {
        let mut command = workshop(me());
        command.args(args).arg("--").arg(dir.join(name));
        return command;
    }
    let script = "mount -t tmpfs -o noexec none \"$1/noexec\" && cp \"$1/dos\" \"$1/noexec/box\" || exit 99; shift; exec \"$@\"";
    let mut command = command_as(me(), Path::new("unshare"));
    command.args(if am_root() { &["-m"][..] } else { &["-rm"] });
    command
        .args(["sh", "-c", script, "sh"])
        .arg(dir)
        .arg(&place().program)
        .args(args)
        .arg("--")
        .arg(dir.join(name));
    command
}

#[test]
fn watching_shows_the_one_cause_too() {
    let dir = project("unstarted-watch", "sh");
    set(&dir, "run = [\"./box.sh\"]", "run = [\"./box\"]");
    put(&dir.join("box"), "#!/bin/sh\r\n", 0o755);
    let mut screen = at(&dir, &Desk::new(me(), "unstarted"));
    screen.line("$workshop watch");
    screen.see_words("1 failed");
    screen.keys(ESCAPE);
    screen.see_words("its first line ends as on DOS");
    let page = screen.see_words("sed -i");
    assert!(!page.contains(" 2. "), "{page}");
    screen.keys("q");
    screen.see_words("outer>");
    screen.line("exit");
    screen.end();
}
