//! Whoever starts us may ignore and block any signals. A status stays the program's own, CMD inherits what any shell
//! would pass on, and what we start for our own ends inherits nothing.

#![cfg(test)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use common::steps;
use common::watch::{Desk, Session, groups_of, pages, wait_until};
use common::{Who, have, home, run, who};
use nix::sys::signal::Signal;

/// What a process ignores and blocks, each a mask as in `/proc/PID/status`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Masks {
    ignored: u64,
    blocked: u64,
}

const NONE: Masks = Masks { ignored: 0, blocked: 0 };

const fn mask(signals: &[i32]) -> u64 {
    let (mut mask, mut at) = (0, 0);
    while at < signals.len() {
        mask |= 1 << (signals[at] - 1);
        at += 1;
    }
    mask
}

const CHLD: u64 = mask(&[libc::SIGCHLD]);
const RT: i32 = 40;

/// All signals that can be ignored and blocked (signal(7)).
const ALL: u64 = !mask(&[libc::SIGKILL, libc::SIGSTOP]);

/// The two signals that glibc has for itself, and never blocks (nptl(7)).
const OF_THE_C_LIBRARY: u64 = mask(&[32, 33]);

/// What we are started with.
const ROWS: [(&str, Masks); 10] = [
    ("nothing", NONE),
    ("SIGCHLD ignored, as by a daemon", Masks { ignored: CHLD, blocked: 0 }),
    ("SIGPIPE ignored, as by systemd", Masks { ignored: mask(&[libc::SIGPIPE]), blocked: 0 }),
    ("SIGHUP ignored, as by nohup", Masks { ignored: mask(&[libc::SIGHUP]), blocked: 0 }),
    ("a job in the background", Masks { ignored: mask(&[libc::SIGINT, libc::SIGQUIT]), blocked: 0 }),
    ("no job control", Masks { ignored: mask(&[libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU]), blocked: 0 }),
    ("a real-time signal", Masks { ignored: mask(&[RT]), blocked: mask(&[RT + 1]) }),
    (
        "signals blocked",
        Masks { ignored: 0, blocked: mask(&[libc::SIGTERM, libc::SIGINT, libc::SIGCHLD, libc::SIGALRM]) },
    ),
    ("all ignored", Masks { ignored: ALL, blocked: 0 }),
    ("all blocked", Masks { ignored: CHLD, blocked: ALL & !OF_THE_C_LIBRARY }),
];

/// Starts a command with exactly these masks.
fn given(command: &mut Command, masks: Masks) -> &mut Command {
    let set = move || {
        for signal in 1..=64 {
            let ignored = masks.ignored & mask(&[signal]) != 0;
            let action = [if ignored { libc::SIG_IGN } else { libc::SIG_DFL }, 0, 0, 0];
            // SAFETY: no handler of ours is set; it fails for what can't be ignored. (The C library's own functions
            // leave out two signals.)
            unsafe {
                libc::syscall(libc::SYS_rt_sigaction, signal, action.as_ptr(), std::ptr::null::<u64>(), 8)
            };
        }
        // SAFETY: an array of bits, of which the kernel reads 64 (rt_sigprocmask(2)); nix's set has no real-time signals.
        let done = unsafe {
            let blocked: *const u64 = &masks.blocked;
            libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, blocked, std::ptr::null::<u64>(), 8)
        };
        nix::errno::Errno::result(done).map(drop).map_err(Into::into)
    };
    // SAFETY: what is called in the child is async-signal-safe.
    unsafe { command.pre_exec(set) }
}

/// The masks in lines of `/proc/PID/status` that were printed.
fn seen(text: &str) -> Masks {
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'));
        u64::from_str_radix(line.unwrap_or_else(|| panic!("no {name}: {text}")).trim(), 16).expect("a mask")
    };
    Masks { ignored: of("SigIgn"), blocked: of("SigBlk") }
}

/// What shows them, and ends with 7: a program that changes none itself, as shells do.
const SHOW: [&str; 4] = ["sed", "-n", "/^Sig[BI]/p; $q7", "/proc/self/status"];

#[test]
fn a_status_is_cmds_own_and_cmd_inherits_what_a_shell_would_pass_on() {
    for who in who() {
        let desk = Desk::new(who, "table");
        desk.must(&["run", "--", "true"]);
        for (name, masks) in ROWS {
            // Whoever ignores SIGCHLD means children of its own.
            let passed_on = Masks { ignored: masks.ignored & !CHLD, ..masks };
            for args in [&["run"][..], &["run", "--init"], &["step", "1"], &["step", "5"]] {
                let story = format!("{who:?} {args:?}: {name}");
                let mut command = desk.workshop(args);
                let ran = run(given(command.arg("--").args(SHOW).stdout(Stdio::piped()), masks));
                assert_eq!((ran.status, seen(&ran.stdout)), (7, passed_on), "{story}: {}", ran.stderr);
            }
            assert!(pages(&desk.state).is_empty(), "{name}");
        }
    }
}

#[test]
fn every_step_works_with_every_signal_ignored_or_blocked() {
    let who = who()[0];
    let desk = Desk::new(who, "steps");
    for (name, masks) in &ROWS[8..] {
        for step in steps::parts().filter(|step| !step.limits() || common::has_limits(who)) {
            let ran = run(given(desk.workshop(&["step", step.slug]).stdout(Stdio::piped()), *masks));
            assert_eq!(ran.status, 0, "{}, {name}: {}{}", step.slug, ran.stdout, ran.stderr);
        }
    }
}

/// A program that runs CMD, if nothing is ignored or blocked where it runs. It looks by itself: a shell that waits for
/// another program blocks signals meanwhile.
const DEFENDANT: &str = r#"#!/bin/sh
while read -r name value; do
  case $name,$value in
    SigIgn:,*[1-9a-f]* | SigBlk:,*[1-9a-f]*) echo "$name $value" >&2; exit 99 ;;
  esac
done </proc/$$/status
shift
exec "$@"
"#;

#[test]
fn a_judged_program_and_an_adapters_runtime_inherit_nothing() {
    for who in who() {
        let desk = Desk::new(who, "judged");
        let program = home(who).join("defendant");
        fs::write(&program, DEFENDANT).expect("write a program");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("make it one");
        let path = program.to_str().expect("UTF-8");
        for args in [&["check", "0", "--", path][..], &["check", "1", "--adapter", "workshop"]] {
            let mut command = desk.workshop(args);
            let ran = run(given(command.stdout(Stdio::piped()), Masks { ignored: CHLD | ALL, blocked: ALL }));
            assert_eq!(ran.status, 0, "{who:?} {args:?}: {}{}", ran.stdout, ran.stderr);
        }
    }
}

#[test]
fn a_program_in_a_machine_inherits_nothing_and_its_status_is_its_own() {
    let who = who()[0];
    if !common::has_machines(who) {
        return;
    }
    let desk = Desk::new(who, "machine");
    let mut command = desk.workshop(&["vm", "--", "sh", "-c", "grep '^Sig[BI]' /proc/self/status; exit 7"]);
    let ran = run(given(command.stdout(Stdio::piped()), Masks { ignored: ALL, blocked: ALL }));
    assert_eq!((ran.status, seen(&ran.stdout)), (7, NONE), "{}", ran.stderr);
}

#[test]
fn a_signal_that_was_blocked_before_us_is_heard_by_us() {
    for who in who() {
        let desk = Desk::new(who, "heard");
        let mut session = Session::start(given(&mut desk.workshop(&["step", "6"]), ROWS[9].1));
        wait_until("a container", || session.processes().len() > 1);
        session.signal(Signal::SIGTERM);
        assert_eq!(session.end(), 128 + libc::SIGTERM, "{who:?}");
        session.gone();
        assert!(groups_of(session.pid()).is_empty() && pages(&desk.state).is_empty());
    }
}

#[test]
fn a_program_that_inherits_a_blocked_sigterm_has_it_until_the_second_one() {
    for who in who() {
        let desk = Desk::new(who, "blocked");
        let mut command = desk.workshop(&["run", "--", "sh", "-c", "echo it runs; exec sleep 1000"]);
        let masks = Masks { ignored: 0, blocked: mask(&[libc::SIGTERM]) };
        let mut session = Session::start(given(&mut command, masks));
        let pending = |session: &Session| {
            let sleeper = session.processes().into_iter().find(|process| process.name == "sleep");
            let status = sleeper.and_then(|p| fs::read_to_string(format!("/proc/{}/status", p.pid)).ok());
            status.is_some_and(|text| text.contains("ShdPnd:\t0000000000004000"))
        };
        wait_until("sleep", || session.processes().iter().any(|process| process.name == "sleep"));
        session.signal(Signal::SIGTERM);
        wait_until("the first, pending", || pending(&session));
        session.signal(Signal::SIGTERM);
        assert_eq!(session.end(), 128 + libc::SIGTERM, "{who:?}");
        session.gone();
    }
}

#[test]
fn an_alarm_that_was_set_before_us_comes() {
    let who = Who::User;
    if !have("perl", "perl") {
        return;
    }
    let desk = Desk::new(who, "alarm");
    let mut command = desk.terminal("perl");
    command.args(["-e", "alarm 1; exec @ARGV"]).arg(&common::place().program);
    command.args(["run", "--no-net", "--", "sleep", "1000"]).stdin(Stdio::null());
    let mut session = Session::start(&mut command);
    assert_eq!(session.end(), 128 + libc::SIGALRM);
    session.gone();
}
