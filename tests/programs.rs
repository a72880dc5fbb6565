//! Programs in the container: what passes through, what comes back, and what is said when one can't run.

#![cfg(test)]

mod common;

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use common::child::command;
use common::{NOBODY, Ran, Who, am_root, events, place, run, skip, who, workshop};

/// A root filesystem with these files in it, each of them executable.
fn rootfs(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let dir = tempfile::Builder::new().prefix("rootfs-").tempdir_in(&place().dir).expect("a directory");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("open it to others");
    for (name, bytes) in files {
        put(dir.path(), name, bytes, 0o755);
    }
    dir
}

fn put(root: &Path, name: &str, bytes: &[u8], mode: u32) {
    let file = root.join(name.trim_start_matches('/'));
    fs::create_dir_all(file.parent().expect("a directory")).expect("make the directory");
    fs::write(&file, bytes).expect("write the file");
    fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("set its mode");
    if am_root() {
        // It belongs to the user who runs the program, with the directories that it is in.
        for path in file.ancestors().take_while(|path| path.starts_with(root)) {
            chown(path, Some(NOBODY), Some(NOBODY)).expect("give it away");
        }
    }
}

/// `workshop run --rootfs ROOTFS -- PROGRAM` as an ordinary user.
fn run_in(root: &Path, program: &str) -> Ran {
    run(workshop(Who::User).args(["run", "--rootfs"]).arg(root).args(["--", program]))
}

/// A dynamically linked program of the host's and the loader that it names; skips aloud if it is static.
fn dynamic_program() -> Option<(Vec<u8>, PathBuf)> {
    let program = fs::read("/bin/ls").expect("read /bin/ls");
    let text = String::from_utf8_lossy(&program).into_owned();
    let loader = text.split('\0').find(|s| s.starts_with("/lib") && s.contains("/ld-")).map(PathBuf::from);
    if loader.is_none() {
        skip("/bin/ls of this host is statically linked", "Run this test where it is not");
    }
    loader.map(|loader| (program, loader))
}

#[test]
fn a_programs_streams_and_status_pass_through() {
    for who in who() {
        for args in [&["run", "--"][..], &["step", "3", "--"], &["pivot-root", "--init", "--"]] {
            let script = "cat; echo to-stderr >&2; exit 7";
            let mut command = workshop(who);
            command.args(args).args(["sh", "-c", script]);
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().expect("start");
            child.stdin.take().expect("a pipe").write_all("안녕\n".as_bytes()).expect("write");
            let ran = Ran::from(child.wait_with_output().expect("wait"));
            assert_eq!(ran.status, 7, "{who:?} {args:?}\n{}{}", ran.stdout, ran.stderr);
            assert!(ran.stdout.contains("안녕\n"), "{args:?}: {}", ran.stdout);
            assert_eq!(ran.stderr, "to-stderr\n", "{args:?}");
        }
    }
}

#[test]
fn run_adds_no_word_of_its_own() {
    for who in who() {
        let ran = run(workshop(who).args(["run", "--", "echo", "a  b", ""]));
        assert_eq!((ran.status, ran.stdout.as_str(), ran.stderr.as_str()), (0, "a  b \n", ""));
    }
}

#[test]
fn a_signal_that_ends_the_program_is_128_and_its_number() {
    for who in who() {
        for (name, number) in [("KILL", 9), ("TERM", 15), ("SEGV", 11)] {
            let script = format!("kill -{name} $$");
            // Under an init the program is no PID 1, so that signals work on it as on any other.
            let ran = run(workshop(who).args(["run", "--init", "--", "sh", "-c", &script]));
            assert_eq!(ran.status, 128 + number, "{who:?} SIG{name}");
        }
    }
}

#[test]
fn in_json_a_programs_output_goes_to_standard_error() {
    for args in [["run", "--format", "json"], ["pivot-root", "--format", "json"]] {
        let ran = run(workshop(Who::User).args(args).args(["--", "echo", "from the program"]));
        assert_eq!((ran.status, ran.stderr.as_str()), (0, "from the program\n"), "{args:?}");
        assert!(events(&ran.stdout).iter().all(|e| e["event"].is_string()), "{}", ran.stdout);
        assert!(!ran.stdout.contains("from the program\""), "{}", ran.stdout);
    }
}

#[test]
fn a_program_that_is_not_there_is_127() {
    for (program, words) in [("nope", "'nope' was not found"), ("/bin/nope", "/bin/nope: no such file")] {
        for args in [&["run", "--"][..], &["step", "3", "--"]] {
            let ran = run(workshop(Who::User).args(args).arg(program));
            assert_eq!(ran.status, 127, "{args:?} {program}");
            assert!(ran.stderr.contains(words), "{}", ran.stderr);
        }
    }
    let ran = run(workshop(Who::User).args(["run", "--format", "json", "--", "nope"]));
    let error = &events(&ran.stdout)[0];
    assert_eq!((&error["event"], &error["code"]), (&"error".into(), &127.into()));
}

#[test]
fn a_program_without_its_loader_or_a_library_is_127() {
    let Some((program, loader)) = dynamic_program() else { return };
    let root = rootfs(&[("prog", &program)]);
    let ran = run_in(root.path(), "/prog");
    assert_eq!(ran.status, 127, "{}", ran.stderr);
    let wanted = format!("/prog is there, but its loader {} is not", loader.display());
    assert!(unwrapped(&ran.stderr).contains(&wanted), "{}", ran.stderr);
    assert!(unwrapped(&ran.stderr).contains("dynamically linked"), "{}", ran.stderr);

    let bytes = fs::read(&loader).expect("read the loader");
    put(root.path(), &loader.display().to_string(), &bytes, 0o755);
    let ran = run_in(root.path(), "/prog");
    // The loader does start, and is the one that says what is missing.
    assert_eq!(ran.status, 127, "{}", ran.stderr);
    assert!(ran.stderr.contains(".so"), "{}", ran.stderr);
}

/// Text without the breaks of its lines.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_script_without_its_interpreter_is_127() {
    let root = rootfs(&[("script", b"#!/bin/nope -x\n"), ("dos", b"#!/script\r\n")]);
    let ran = run_in(root.path(), "/script");
    assert_eq!(ran.status, 127);
    assert!(unwrapped(&ran.stderr).contains("/script is there, but its interpreter /bin/nope is not"));
    let ran = run_in(root.path(), "/dos");
    assert_eq!(ran.status, 127);
    assert!(unwrapped(&ran.stderr).contains("/dos is there, but its first line ends as on DOS"));
}

/// The head of a 64-bit little-endian ELF file for a machine that this one is not (elf(5)).
fn foreign_elf() -> Vec<u8> {
    let machine: u16 = if cfg!(target_arch = "s390x") { 62 } else { 22 };
    let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0];
    bytes.extend(machine.to_le_bytes());
    bytes.extend([1, 0, 0, 0]);
    bytes.resize(256, 0);
    bytes
}

#[test]
fn what_is_there_but_no_program_is_126() {
    let root =
        rootfs(&[("foreign", &foreign_elf()), ("empty", b""), ("text", b"words\n"), ("dir/file", b"")]);
    symlink("tail", root.path().join("head")).expect("a link");
    symlink("head", root.path().join("tail")).expect("a link back");
    put(root.path(), "plain", b"#!/bin/sh\n", 0o644);
    for (program, words) in [
        ("/foreign", "/foreign was built for another machine"),
        ("/empty", "/empty is no program"),
        ("/text", "/text is no program"),
        ("/dir", "/dir is a directory"),
        ("/plain", "/plain may not be executed"),
        ("/head", "its links lead in a circle"),
    ] {
        let ran = run_in(root.path(), program);
        assert_eq!(ran.status, 126, "{program}: {}", ran.stderr);
        assert!(unwrapped(&ran.stderr).contains(words), "{program}: {}", ran.stderr);
        assert_eq!(ran.stdout, "", "{program}");
    }
}

#[test]
fn a_root_filesystem_of_ones_own_is_not_written_to() {
    let root = rootfs(&[("etc/only-here", b""), ("etc/other", b"")]);
    // A small system: a shell, which the steps need themselves, and ls.
    for program in ["/bin/sh", "/bin/ls"] {
        let needs = command("ldd").arg(program).output().expect("run ldd");
        let text = String::from_utf8_lossy(&needs.stdout).into_owned();
        for file in text.split_whitespace().filter(|word| word.starts_with('/')).chain([program]) {
            put(root.path(), file, &fs::read(file).expect(file), 0o755);
        }
    }
    let names = || fs::read_dir(root.path()).expect("list it").count();
    let before = names();
    for args in [&["run"][..], &["step", "3"], &["step", "5"]] {
        let ran =
            run(workshop(Who::User).args(args).arg("--rootfs").arg(root.path()).args(["--", "ls", "/etc"]));
        assert_eq!(ran.status, 0, "{args:?}: {}{}", ran.stdout, ran.stderr);
        assert!(
            ran.stdout.contains("\nonly-here\n") || ran.stdout.starts_with("only-here\n"),
            "{args:?}: {}",
            ran.stdout
        );
    }
    assert_eq!(names(), before);
}

#[test]
fn run_sets_limits_that_the_program_can_read() {
    if !am_root() {
        return skip("limits need root on many hosts", "Run the tests as root");
    }
    let options = ["run", "--memory", "48M", "--pids", "33", "--cpus", "0.25", "--"];
    let script = "cd /sys/fs/cgroup; cat memory.max pids.max cpu.max memory/memory.limit_in_bytes \
                  pids/pids.max */cpu.cfs_quota_us 2>/dev/null; true";
    let ran = run(workshop(Who::Root).args(options).args(["sh", "-c", script]));
    let words: Vec<&str> = ran.stdout.split_whitespace().collect();
    assert_eq!(words[..3], ["50331648", "33", "25000"], "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn a_program_that_takes_more_memory_than_its_limit_is_killed() {
    if !am_root() {
        return skip("limits need root on many hosts", "Run the tests as root");
    }
    // Zeros hold no newline, so tail(1) has to keep them all.
    let ran = run(workshop(Who::Root).args(["run", "--memory", "16M", "--", "tail", "/dev/zero"]));
    assert_eq!(ran.status, 137, "{}", ran.stderr);
}

#[test]
fn run_takes_a_host_name_an_init_and_no_network() {
    for who in who() {
        let ask = |options: &[&str], script: &str| {
            let ran = run(workshop(who).arg("run").args(options).args(["--", "sh", "-c", script]));
            assert_eq!(ran.status, 0, "{options:?}: {}", ran.stderr);
            ran.stdout.trim().to_string()
        };
        assert_eq!(ask(&[], "uname -n; echo $$; ls /sys/class/net"), "box\n1\neth0\nlo");
        assert_eq!(ask(&["--hostname", "other"], "uname -n"), "other");
        assert_eq!(ask(&["--init"], "test $$ != 1 && echo $PPID"), "1");
        assert_eq!(ask(&["--no-net"], "ls /sys/class/net | grep -c eth0; true"), "0");
    }
}

#[test]
fn run_takes_the_contracts_command_line() {
    for who in who() {
        let ask = |args: &[&str]| {
            let ran = run(workshop(who).arg("run").args(args));
            assert_eq!(ran.status, 0, "{args:?}: {}", ran.stderr);
            ran.stdout.trim().to_string()
        };
        // Options after CMD are CMD's own.
        assert_eq!(ask(&["--net", "echo", "--", "-x", "--net"]), "-- -x --net");
        assert_eq!(ask(&["--step", "1", "sh", "-c", "echo $$; uname -n"]).lines().next(), Some("1"));
        assert_eq!(ask(&["--step", "3", "uname", "-n"]), "box");
        assert_eq!(ask(&["--step", "5", "sh", "-c", "ls -A /sys/class/net"]), "lo");
        assert_eq!(ask(&["--step", "6", "ls", "/sys/class/net"]), "eth0\nlo");
    }
}

#[test]
fn a_home_that_cannot_be_written_leaves_nothing_in_tmp() {
    for who in who() {
        let dir = tempfile::Builder::new().prefix("tmp-").tempdir_in(&place().dir).expect("a directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).expect("open it to others");
        let ran = run(workshop(who)
            .env("HOME", "/nonexistent")
            .env("TMPDIR", dir.path())
            .args(["run", "--step", "2", "true"]));
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        let left: Vec<_> = fs::read_dir(dir.path()).expect("list it").flatten().map(|e| e.path()).collect();
        assert_eq!(left, Vec::<PathBuf>::new(), "{who:?}");
    }
}
