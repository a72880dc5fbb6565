//! Step 7 with a program of the learner's, and what is left of a machine however its owner ends.

#![cfg(test)]

mod common;

use std::fs;

use common::watch::{Desk, Session, in_session, wait_until};
use common::{Who, has_machines, run, who, workshop};
use nix::sys::signal::Signal;

fn able() -> impl Iterator<Item = Who> {
    who().into_iter().filter(|who| has_machines(*who))
}

/// The QEMU that this workshop has started.
fn qemu_of(workshop: i32) -> Option<i32> {
    let parent = format!("PPid:\t{workshop}");
    let pids = fs::read_dir("/proc").expect("list /proc").flatten();
    let mut pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.find(|pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.starts_with("Name:\tqemu-") && status.lines().any(|line| line == parent)
    })
}

#[test]
fn a_program_in_the_machine_has_both_its_streams_and_its_status() {
    for who in able() {
        let script = "grep . /proc/sys/kernel/random/boot_id; echo wrong >&2; exit 7";
        let ran = run(workshop(who).args(["step", "7", "--", "sh", "-c", script]));
        assert_eq!((ran.status, ran.stderr.as_str()), (7, "wrong\n"), "{}", ran.stdout);
        let said = ran.stdout.lines().last().unwrap_or_default();
        let host = fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("a boot ID");
        assert!(said.len() == host.trim().len() && said != host.trim(), "{said} is not another kernel's");
    }
}

#[test]
fn however_the_workshop_ends_no_machine_is_left() {
    for who in able() {
        let desk = Desk::new(who, "machine");
        for signal in [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            let mut session = desk.held(&["step", "7"]);
            let qemu = qemu_of(session.pid()).expect("QEMU");
            session.signal(signal);
            assert_eq!(session.end(), 128 + signal as i32, "{who:?} {signal}");
            wait_until("the end of QEMU", || in_session(qemu).is_empty());
            session.gone();
        }
    }
}

#[test]
fn a_machine_that_boots_ends_with_the_workshop_too() {
    for who in able() {
        let desk = Desk::new(who, "boots");
        for signal in [Signal::SIGKILL, Signal::SIGTERM] {
            let mut session = Session::start(&mut desk.workshop(&["step", "7"]));
            wait_until("QEMU", || qemu_of(session.pid()).is_some());
            let qemu = qemu_of(session.pid()).expect("QEMU");
            session.signal(signal);
            assert_eq!(session.end(), 128 + signal as i32, "{who:?} {signal}");
            wait_until("the end of QEMU", || in_session(qemu).is_empty());
        }
    }
}

#[test]
fn under_kvm_a_machine_boots_where_doctor_says_that_it_does() {
    for who in able() {
        let told = run(workshop(who).args(["doctor", "--lang", "en"])).stdout;
        let works = told.lines().any(|line| line.trim_start().starts_with("KVM") && line.ends_with(" works"));
        let ran = run(workshop(who).args(["vm", "--lang", "en", "--", "true"]));
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        assert_eq!(ran.stderr.contains("KVM"), works, "{told}{}", ran.stderr);
    }
}

#[test]
fn a_kernel_that_is_named_wrongly_is_wrong_usage() {
    let ran = run(workshop(Who::User).args(["step", "7"]).env("WORKSHOP_KERNEL", "/etc/passwd"));
    // Without QEMU that is what is said first.
    if has_machines(Who::User) {
        assert_eq!(ran.status, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains("/etc/passwd is text, so it is no kernel"), "{}", ran.stderr);
    }
}
