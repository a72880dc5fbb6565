//! The guard beside each container: `kill -9` of the workshop ends a program that the kernel would spare, whatever
//! becomes of the guard itself.

#![cfg(test)]

mod common;

use std::fs;
use std::path::Path;

use common::watch::{Desk, Session, groups_of, pages, wait_until};
use common::{Who, have, who};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Programs that the kernel no longer kills when the workshop ends (prctl(2), `PR_SET_PDEATHSIG`): one has become
/// another user, which only root's can, and one has said so.
fn unbound(who: Who) -> Vec<Vec<&'static str>> {
    let mut all = vec![vec!["setpriv", "--pdeathsig", "clear", "sleep", "1000"]];
    if who == Who::Root {
        all.push(vec!["setpriv", "--reuid", "65534", "--clear-groups", "sleep", "1000"]);
    }
    all
}

/// The options that a container of such a program may be made with.
const MAKINGS: [&[&str]; 4] =
    [&["run", "--no-net", "--"], &["run", "--init", "--"], &["step", "1", "--"], &["step", "5", "--"]];

/// A container in which such a program runs.
fn unbound_session(desk: &Desk, args: &[&str], program: &[&str]) -> Session {
    let session = Session::start(&mut desk.workshop(&[args, program].concat()));
    wait_until("the program", || session.processes().iter().any(|p| p.name == "sleep"));
    session
}

#[test]
fn a_program_that_withdrew_its_wish_dies_with_the_workshop_all_the_same() {
    if !have("setpriv", "util-linux") {
        return;
    }
    for who in who() {
        let desk = Desk::new(who, "unbound");
        for (args, program) in
            MAKINGS.iter().flat_map(|args| unbound(who).into_iter().map(move |p| (args, p)))
        {
            let mut session = unbound_session(&desk, args, &program);
            session.signal(Signal::SIGKILL);
            assert_eq!(session.end(), 137);
            // Without any further command.
            session.gone();
            desk.must(&["clean"]);
            assert!(groups_of(session.pid()).is_empty() && pages(&desk.state).is_empty());
        }
    }
}

/// The one guard of a session with one container, when it is another than the one before.
fn guard(session: &Session, before: i32) -> i32 {
    let mut found = before;
    wait_until("a guard", || {
        let guards = session.guards();
        assert!(guards.len() <= 1, "{guards:?}");
        found = guards.first().map_or(before, |guard| guard.pid);
        found != before
    });
    found
}

#[test]
fn a_guard_that_was_killed_is_replaced() {
    if !have("setpriv", "util-linux") {
        return;
    }
    for who in who() {
        let desk = Desk::new(who, "replaced");
        for (args, program) in MAKINGS.iter().zip(unbound(who).iter().cycle()) {
            let mut session = unbound_session(&desk, args, program);
            let mut last = guard(&session, 0);
            for _ in 0..3 {
                kill(Pid::from_raw(last), Signal::SIGKILL).expect("kill the guard");
                let next = guard(&session, last);
                assert!(!Path::new(&format!("/proc/{last}")).exists(), "the old one is waited for");
                last = next;
            }
            session.signal(Signal::SIGKILL);
            assert_eq!(session.end(), 137);
            session.gone();
            desk.must(&["clean"]);
            assert!(groups_of(session.pid()).is_empty() && pages(&desk.state).is_empty());
        }
    }
}

#[test]
fn a_guard_holds_nothing_and_heeds_no_signal() {
    for who in who() {
        let desk = Desk::new(who, "holds");
        for args in [&["run"][..], &["run", "--init"], &["step", "1"], &["step", "6"]] {
            let mut session = desk.held(args);
            let pid = guard(&session, 0);
            let held = fs::read_dir(format!("/proc/{pid}/fd")).expect("its descriptors").flatten();
            let held: Vec<_> = held.filter_map(|entry| fs::read_link(entry.path()).ok()).collect();
            assert!(
                held.len() == 2 && held.iter().all(|to| to.to_string_lossy().contains("pidfd")),
                "{args:?}: {held:?}"
            );
            let Some(process) = session.guards().into_iter().next() else { panic!("no guard: {args:?}") };
            assert_eq!(process.session, pid, "a session of its own, and no terminal");
            for signal in Signal::iterator().filter(|s| ![Signal::SIGKILL, Signal::SIGSTOP].contains(s)) {
                kill(Pid::from_raw(pid), signal).expect("send a signal");
            }
            assert_eq!(guard(&session, 0), pid, "{args:?}");
            drop(session.child.stdin.take());
            assert_eq!(session.end(), 0);
            session.gone();
        }
    }
}

#[test]
fn what_survives_the_workshop_and_its_guard_is_ended_by_the_next_run() {
    if !have("setpriv", "util-linux") {
        return;
    }
    for who in who() {
        let desk = Desk::new(who, "both");
        for program in unbound(who) {
            let mut session = unbound_session(&desk, MAKINGS[0], &program);
            // Stopped, so that it does not post another.
            session.signal(Signal::SIGSTOP);
            kill(Pid::from_raw(guard(&session, 0)), Signal::SIGKILL).expect("kill the guard");
            session.signal(Signal::SIGKILL);
            assert_eq!(session.end(), 137);
            assert!(session.processes().iter().any(|p| p.name == "sleep"), "{program:?} is bound after all");
            let told = desk.must(&["clean", "--dry-run"]);
            assert!(told.contains("PID"), "{told}");
            desk.must(&["step", "1"]);
            session.gone();
            assert!(pages(&desk.state).is_empty());
        }
    }
}
