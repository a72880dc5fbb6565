//! Signals to the workshop: they end it with 128 + n and everything undone, or reach the program.

#![cfg(test)]

mod common;

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::time::Instant;

use common::watch::{AT_ONCE, Desk, Session, groups_of, pages, wait_until};
use common::who;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{SigHandler, Signal, signal};

const ENDING: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];

#[test]
fn a_signal_in_the_middle_of_a_step_ends_it_with_128_plus_n_and_all_undone() {
    for who in who() {
        let desk = Desk::new(who, "middle");
        for (args, signal) in [["step", "3"], ["step", "5"], ["step", "6"]].iter().zip(ENDING) {
            let mut command = desk.workshop(args);
            let mut session = Session::start(command.args(["--format", "json"]).stdout(Stdio::piped()));
            let mut output = BufReader::new(session.child.stdout.take().expect("a pipe"));
            // A pipe of one page: the step can't be over before the rest of what it says is read.
            fcntl(output.get_ref(), FcntlArg::F_SETPIPE_SZ(4096)).expect("make the pipe small");
            let mut first = String::new();
            while !first.contains("\"call\"") {
                assert!(
                    output.read_line(&mut first).expect("read") > 0,
                    "{args:?}: no call was told: {first}"
                );
            }
            session.signal(signal);
            let mut rest = String::new();
            output.read_to_string(&mut rest).expect("read the rest");
            assert_eq!(session.end(), 128 + signal as i32, "{who:?} {args:?} {signal}");
            assert!(!rest.contains("\"done\""), "it was not done");
            session.gone();
            assert!(groups_of(session.pid()).is_empty() && pages(&desk.state).is_empty());
        }
        desk.must(&["step", "6"]);
    }
}

#[test]
fn a_signal_in_the_middle_of_limits_takes_the_groups_back() {
    for who in who() {
        if !common::has_limits(who) {
            continue;
        }
        let desk = Desk::new(who, "limits");
        for signal in ENDING {
            let mut session = Session::start(&mut desk.workshop(&["step", "4"]));
            wait_until("groups", || !groups_of(session.pid()).is_empty());
            session.signal(signal);
            assert_eq!(session.end(), 128 + signal as i32, "{signal}");
            session.gone();
            assert!(groups_of(session.pid()).is_empty() && pages(&desk.state).is_empty(), "{signal}");
        }
    }
}

#[test]
fn sigterm_ends_a_program_without_a_handler_at_once() {
    for who in who() {
        let desk = Desk::new(who, "sleep");
        for args in [&["step", "1"][..], &["step", "1", "--init"], &["run"], &["run", "--init"]] {
            for signal in ENDING {
                let mut command = desk.workshop(args);
                let mut session = Session::start(command.args(["--", "sleep", "1000"]));
                wait_until("sleep", || session.processes().iter().any(|p| p.name == "sleep"));
                let begun = Instant::now();
                session.signal(signal);
                assert_eq!(session.end(), 128 + signal as i32, "{who:?} {args:?} {signal}");
                assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
                session.gone();
            }
        }
    }
}

#[test]
fn a_program_with_a_handler_gets_the_signal() {
    for who in who() {
        let desk = Desk::new(who, "trap");
        for args in [&["step", "1"][..], &["step", "6", "--init"], &["run"], &["run", "--init"]] {
            for (name, signal) in
                [("TERM", Signal::SIGTERM), ("INT", Signal::SIGINT), ("USR1", Signal::SIGUSR1)]
            {
                let script = format!("trap 'exit 7' {name}; echo it runs; while :; do sleep 0.02; done");
                let mut session = desk.script(args, &script);
                session.signal(signal);
                assert_eq!(session.end(), 7, "{who:?} {args:?} {signal}");
                session.gone();
            }
        }
    }
}

#[test]
fn a_second_sigterm_ends_a_program_that_stays() {
    for who in who() {
        let desk = Desk::new(who, "stays");
        let mut session =
            desk.script(&["run"], "trap 'echo it stays' TERM; echo it runs; while :; do sleep 0.02; done");
        session.signal(Signal::SIGTERM);
        let mut lines = BufReader::new(session.child.stdout.take().expect("a pipe")).lines();
        assert_eq!(lines.next().expect("a line").expect("text"), "it stays");
        session.signal(Signal::SIGTERM);
        assert_eq!(session.end(), 143);
        session.gone();
    }
}

#[test]
fn the_end_of_the_program_ends_what_it_left_running() {
    for who in who() {
        let desk = Desk::new(who, "left");
        for args in [&["run"][..], &["run", "--init"], &["step", "1"]] {
            let mut session = desk.script(args, "(sleep 1000 &); sleep 1000 & echo it runs; exit 5");
            assert_eq!(session.end(), 5, "{who:?} {args:?}");
            session.gone();
        }
    }
}

#[test]
fn nohup_is_heeded() {
    for who in who() {
        let desk = Desk::new(who, "nohup");
        let mut command = desk.workshop(&["run", "--", "sh", "-c", "echo it runs; read _; exit 0"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        // SAFETY: signal(2) may be called between fork and exec, and SIG_IGN is no handler of ours.
        let ignore = || unsafe { signal(Signal::SIGHUP, SigHandler::SigIgn) }.map(drop).map_err(Into::into);
        // SAFETY: as above.
        let mut session = Session::start(unsafe { command.pre_exec(ignore) });
        let mut lines = BufReader::new(session.child.stdout.take().expect("a pipe")).lines();
        assert_eq!(lines.next().expect("a line").expect("text"), "it runs");
        session.signal(Signal::SIGHUP);
        drop(session.child.stdin.take());
        assert_eq!(session.end(), 0, "SIGHUP was to be ignored");
    }
}
