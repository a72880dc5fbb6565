//! `workshop vm`: a program in a real virtual machine, as its user sees it. Software emulation does for all of
//! it, so these tests run wherever QEMU and a kernel are.

#![cfg(test)]

mod common;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use common::child::command;
use common::guest::{Guest, kernel, qemu};
use common::watch::wait_until;
use common::{Ran, Who, events, have, home, place, run, skip, who, workshop};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A run of `workshop vm` with these arguments, in software emulation, which is here on every host.
fn vm(who: Who, args: &[&str]) -> Ran {
    run(workshop(who)
        .args(["vm", "--accel", "tcg", "--lang", "en"])
        .env("WORKSHOP_KERNEL", kernel())
        .args(args))
}

/// Seconds in which a machine boots for certain, on this host and as busy as it is.
fn enough_to_boot() -> u64 {
    let begun = Instant::now();
    assert_eq!(vm(Who::User, &["--", "true"]).status, 0);
    2 * begun.elapsed().as_secs() + 10
}

#[test]
fn a_program_runs_on_another_kernel_with_its_streams_and_its_status() {
    if !Guest::possible() {
        return;
    }
    for who in who() {
        let script = "uname -r; echo to stderr >&2; cat; exit 7";
        let mut child = workshop(who)
            .args(["vm", "--accel", "tcg", "--", "sh", "-c", script])
            .env("WORKSHOP_KERNEL", kernel())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start it");
        // More than the serial line and the guest's pipe hold together.
        let text = "twelve bytes\n".repeat(20_000);
        let mut input = child.stdin.take().expect("a pipe");
        let sent = text.clone();
        let writer = std::thread::spawn(move || input.write_all(sent.as_bytes()));
        let ran = Ran::from(child.wait_with_output().expect("wait for it"));
        writer.join().expect("the writer").expect("all of it is taken");
        let (release, rest) = ran.stdout.split_once('\n').expect("a line");
        assert_eq!(ran.status, 7, "{who:?}: {}", ran.stderr);
        assert!(kernel().to_string_lossy().ends_with(release), "{release}");
        assert!(rest == text, "{} of {} bytes came back", rest.len(), text.len());
        assert!(ran.stderr.contains("in software emulation (TCG)"), "{}", ran.stderr);
        assert!(ran.stderr.ends_with("to stderr\n"), "{}", ran.stderr);
    }
}

#[test]
fn a_program_that_cannot_be_run_or_dies_gives_the_status_that_a_shell_gives() {
    if !Guest::possible() {
        return;
    }
    let guest = Guest::new(Who::User);
    let script = "for c in 'no-such-program' /etc/passwd; do workshop run --no-net -- $c; echo $?; done";
    let ran = guest.run(&["sh", "-c", script]);
    assert_eq!(ran.stdout, "127\n126\n", "{}", ran.stderr);
    let ran = guest.run(&["no-such-program"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (127, ""), "{}", ran.stderr);
    assert!(ran.stderr.contains("no-such-program"), "{}", ran.stderr);
    assert_eq!(guest.run(&["sh", "-c", "kill -TERM $$"]).status, 128 + 15);
}

#[test]
fn files_and_an_ordinary_user_come_along_when_they_are_asked_for() {
    if !Guest::possible() {
        return;
    }
    let dir = place().dir.join("along");
    fs::create_dir_all(dir.join("sub")).expect("make a directory");
    fs::write(dir.join("sub/file"), "hello").expect("write a file");
    let copy = format!("{}:/opt/along", dir.display());
    // A file goes into a directory that is there.
    let file = format!("{}:/opt", dir.join("sub/file").display());
    let script =
        "id -u; cat /opt/along/sub/file /opt/file; cat /proc/self/cgroup; touch /opt/along/x || echo refused";
    let ran = vm(Who::User, &["--user=4711", "--copy", &copy, "--copy", &file, "--", "sh", "-c", script]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert_eq!(ran.stdout, "4711\nhellohello0::/user-4711/session\nrefused\n", "{}", ran.stderr);
}

#[test]
fn json_tells_the_boot_in_stages_and_leaves_standard_output_to_itself() {
    if !Guest::possible() {
        return;
    }
    let begun = Instant::now();
    let ran = vm(Who::User, &["--format", "json", "--", "echo", "hello"]);
    let whole = begun.elapsed().as_secs_f64();
    assert_eq!((ran.status, ran.stderr.as_str()), (0, "hello\n"), "{}", ran.stdout);
    let events = events(&ran.stdout);
    let [boot] = &events[..] else { panic!("{}", ran.stdout) };
    assert_eq!((&boot["event"], &boot["accelerator"]), (&"boot".into(), &"TCG".into()));
    let stages = boot["stages"].as_array().expect("a list");
    let names: Vec<&str> = stages.iter().filter_map(|stage| stage["name"].as_str()).collect();
    assert_eq!(names, ["hypervisor", "firmware", "unpacking", "kernel", "init", "program", "ending"]);
    let number = |stage: &serde_json::Value, field: &str| stage[field].as_f64().expect("a number");
    for pair in stages.windows(2) {
        let end = number(&pair[0], "at") + number(&pair[0], "seconds");
        assert!((end - number(&pair[1], "at")).abs() < 1e-6, "no gap: {boot}");
    }
    let last = &stages[stages.len() - 1];
    let told = number(last, "at") + number(last, "seconds");
    assert!(told > 0.3 && told <= whole, "{told} s of {whole} s");
}

#[test]
fn a_machine_boots_within_seconds() {
    if !Guest::possible() {
        return;
    }
    // On an idle host with two cores: 5 s to PID 1, 8 s for all of it. One of three, and a tolerance for other tests at
    // the same time.
    let to_init = || {
        let ran = vm(Who::User, &["--format", "json", "--", "true"]);
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        events(&ran.stdout)[0]["stages"][4]["at"].as_f64().expect("a number")
    };
    let mut seconds = Vec::new();
    while seconds.last().is_none_or(|last| *last >= 10.0) {
        assert!(seconds.len() < 3, "{seconds:?} s to PID 1");
        seconds.push(to_init());
    }
}

/// The QEMU that a workshop has started: its child.
fn qemu_of(child: &Child) -> Option<i32> {
    let children = format!("/proc/{0}/task/{0}/children", child.id());
    let of = |pid: &str| fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let text = fs::read_to_string(children).unwrap_or_default();
    text.split_whitespace().find(|pid| of(pid).starts_with("qemu")).and_then(|pid| pid.parse().ok())
}

fn gone(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.is_empty() || stat.contains(") Z ")
}

#[test]
fn no_qemu_outlives_us_whatever_ends_us() {
    if !Guest::possible() {
        return;
    }
    for (signal, ready, status) in [
        (Signal::SIGTERM, true, Some(143)),
        (Signal::SIGINT, false, Some(130)),
        (Signal::SIGKILL, true, None),
        (Signal::SIGKILL, false, None),
    ] {
        let mut child = workshop(Who::User)
            .args(["vm", "--accel", "tcg", "--", "sh", "-c", "echo it runs; sleep 1000"])
            .env("WORKSHOP_KERNEL", kernel())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("start it");
        wait_until("QEMU", || qemu_of(&child).is_some());
        let qemu = qemu_of(&child).expect("it was there just now");
        if ready {
            let mut line = [0; 8];
            std::io::Read::read_exact(child.stdout.as_mut().expect("a pipe"), &mut line).expect("it runs");
        }
        kill(Pid::from_raw(child.id() as i32), signal).expect("kill it");
        let ended = child.wait().expect("wait for it");
        assert_eq!(ended.code(), status, "{signal}");
        wait_until("the end of QEMU", || gone(qemu));
    }
}

#[test]
fn a_guest_that_takes_long_to_listen_holds_up_neither_a_signal_nor_the_timeout() {
    if !Guest::possible() {
        return;
    }
    // More than a serial line takes in a minute.
    let much = vec!["x".repeat(100_000); 10];
    let timeout = enough_to_boot();
    for (options, signal, status) in
        [(&[][..], Some(Signal::SIGTERM), 143), (&["--timeout", &timeout.to_string()][..], None, 125)]
    {
        let begun = Instant::now();
        let mut child = workshop(Who::User)
            .args(["vm", "--accel", "tcg", "--lang", "en"])
            .args(options)
            .args(["--", "true"])
            .args(&much)
            .env("WORKSHOP_KERNEL", kernel())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start it");
        let mut line = String::new();
        let mut told = std::io::BufReader::new(child.stderr.take().expect("a pipe"));
        std::io::BufRead::read_line(&mut told, &mut line).expect("it has booted");
        if let Some(signal) = signal {
            std::thread::sleep(Duration::from_secs(1));
            kill(Pid::from_raw(child.id() as i32), signal).expect("send a signal");
        }
        assert_eq!(child.wait().expect("wait for it").code(), Some(status), "{line}");
        assert!(begun.elapsed() < Duration::from_secs(3 * timeout), "{:?}", begun.elapsed());
    }
}

#[test]
fn a_guest_that_hangs_is_switched_off_and_its_last_words_are_told() {
    if !Guest::possible() {
        return;
    }
    let timeout = enough_to_boot().to_string();
    let ran = vm(Who::User, &["--timeout", &timeout, "--", "sleep", "1000"]);
    assert_eq!(ran.status, 125, "{}", ran.stderr);
    assert!(ran.stderr.contains(&format!("switched off after {timeout} s")), "{}", ran.stderr);
    assert!(ran.stderr.contains("as init process"), "the console's last lines: {}", ran.stderr);
}

#[test]
fn a_child_that_never_falls_silent_does_not_keep_the_machine() {
    if !Guest::possible() {
        return;
    }
    // Its own last words come through before those that are lost.
    let script = "yes & sleep 1; echo its own >&2; exit 3";
    let ran = vm(Who::User, &["--timeout", "600", "--", "sh", "-c", script]);
    assert_eq!(ran.status, 3, "{}", ran.stderr);
    assert!(ran.stderr.ends_with("its own\n"), "{}", ran.stderr);
    assert!(ran.stdout.starts_with("y\ny\n"));
}

/// What a run without a machine says: its status, and words that must be in it.
fn refused(command: &mut std::process::Command, status: i32, words: &[&str]) {
    let ran = run(command);
    assert_eq!((ran.status, ran.stdout.as_str()), (status, ""), "{}", ran.stderr);
    for word in words {
        assert!(ran.stderr.contains(word), "{word}: {}", ran.stderr);
    }
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
}

#[test]
fn what_a_machine_lacks_is_named_with_what_mends_it() {
    // Whatever is not there comes before what is wrong with the rest, so a stand-in for QEMU does.
    let bin = place().dir.join("bin");
    fs::create_dir_all(&bin).expect("make a directory");
    let start = || {
        let mut command = workshop(Who::User);
        command.args(["vm", "--lang", "en"]).env_remove("WORKSHOP_KERNEL");
        command
    };
    if qemu().is_some() {
        let text = home(Who::User).join("text");
        fs::write(&text, "no kernel\n").expect("write a file");
        let text = text.to_str().expect("UTF-8");
        refused(start().args(["--kernel", "/no/such/file", "--", "true"]), 2, &["/no/such/file"]);
        refused(start().args(["--kernel", text, "--", "true"]), 2, &["text"]);
        refused(start().args(["--kernel", "/bin/ls", "--", "true"]), 2, &["ELF"]);
        refused(start().args(["--memory", "much", "--", "true"]), 2, &["much"]);
        refused(start().args(["--copy", "/no/such/file", "--", "true"]), 2, &["/no/such/file"]);
    }
    if Guest::possible() {
        let mut command = start();
        command.env("WORKSHOP_KERNEL", kernel()).args(["--memory", "64M", "--", "true"]);
        refused(&mut command, 2, &["64 MiB", "--memory"]);
        // A file that is as large as a disk, and has nothing in it.
        let large = home(Who::User).join("large");
        fs::File::create(&large).and_then(|file| file.set_len(64 << 30)).expect("make a file");
        let mut command = start();
        command.env("WORKSHOP_KERNEL", kernel()).arg("--copy").arg(&large).args(["--", "true"]);
        refused(&mut command, 2, &["large", "1 GiB", "--copy"]);
    }
}

#[test]
fn without_qemu_the_package_is_named() {
    // In a mount namespace of its own, where QEMU's file is covered.
    let Some(qemu) = qemu() else {
        let mut command = workshop(Who::User);
        return refused(command.args(["vm", "--lang", "en", "--", "true"]), 125, &["qemu-system-x86"]);
    };
    if !common::am_root() {
        return skip("only root can hide QEMU", "Run as root");
    }
    if !have("unshare", "util-linux") || !have("mount", "mount") {
        return;
    }
    let hide = format!("mount --bind /dev/null {} && exec \"$@\"", qemu.display());
    let program = place().program.display().to_string();
    let mut command = command("unshare");
    command.args(["-m", "--", "sh", "-c", &hide, "sh", &program, "vm", "--lang", "en", "--", "true"]);
    command.env("HOME", home(Who::Root));
    refused(&mut command, 125, &["qemu-system-x86"]);
}

#[test]
fn nothing_of_the_hosts_changes() {
    if !Guest::possible() {
        return;
    }
    let files = |dir: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        paths
    };
    let look = || {
        let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
        let links = read("/proc/net/dev")
            .lines()
            .map(|l| l.split(':').next().unwrap_or("").to_owned())
            .collect::<Vec<_>>();
        (read("/proc/self/mountinfo"), links, files(&home(Who::Root)))
    };
    assert_eq!(vm(Who::Root, &["--", "true"]).status, 0);
    let before = look();
    assert_eq!(vm(Who::Root, &["--", "true"]).status, 0);
    assert_eq!(look(), before);
}
