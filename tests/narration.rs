//! Narration is true: every `call` event is a system call that the kernel really received, in that order,
//! from that actor, with those arguments and that result. strace(1) is the witness.

#![cfg(test)]

mod common;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use common::held::{Held, Told, complete, hold, same, told};
use common::steps;
use common::strace::{Seen, trace};
use common::{Who, events, has_machines, have, run, who, workshop};

/// Has the image made, once: strace would follow every byte of it.
fn warm(who: Who) {
    static WARM: [OnceLock<()>; 2] = [OnceLock::new(), OnceLock::new()];
    WARM[who as usize].get_or_init(|| {
        let ran = run(workshop(who).args(["step", "3", "--format", "json"]));
        assert_eq!(ran.status, 0, "step 3 as {who:?}: {}{}", ran.stdout, ran.stderr);
    });
}

/// A run of a step, and what strace saw of it; `None` without strace, or where this host gives an ordinary
/// user no limits: that is said then, and no call is told.
fn record(who: Who, step: &str, more: &[&str]) -> Option<(Vec<Told>, Vec<Seen>)> {
    if !have("strace", "strace") {
        return None;
    }
    warm(who);
    let (ran, seen) = trace(workshop(who).args(["step", step, "--format", "json"]).args(more));
    let told = told(&events(&ran.stdout));
    if ran.status == 3 && who == Who::User && steps::is(step, steps::of_limits()) {
        assert_eq!(told, []);
        return None;
    }
    assert_eq!(ran.status, 0, "step {step} as {who:?}: {}{}", ran.stdout, ran.stderr);
    Some((told, seen))
}

/// Holds a run against strace's log, both ways: what is told was seen, and what was seen is told.
fn prove(who: Who, step: &str, more: &[&str]) -> Option<(Vec<Told>, Vec<Seen>, Held)> {
    let (told, seen) = record(who, step, &[&["--verbose"], more].concat())?;
    let held = hold(&told, &seen).unwrap_or_else(|why| panic!("step {step} {more:?} as {who:?}: {why}"));
    let counted =
        complete(&held, &seen).unwrap_or_else(|why| panic!("step {step} {more:?} as {who:?}: {why}"));
    assert!(counted > 2, "step {step}: only {counted} calls make a container");
    Some((told, seen, held))
}

fn prove_for_all(step: &str) {
    for who in who() {
        let Some((told, ..)) = prove(who, step, &[]) else { continue };
        let told: Vec<_> = told.iter().map(|call| call.name.as_str()).collect();
        assert_eq!(told.iter().filter(|name| **name == "clone3").count(), 1, "{told:?}");
        assert_eq!(told.last(), Some(&"execve"), "{told:?}");
    }
}

/// Every third step of the container from one on.
fn prove_each_third(start: usize) {
    steps::parts().skip(start).step_by(3).for_each(|step| prove_for_all(step.slug));
}

// Each a third, to be run side by side.
#[test]
fn what_the_first_step_and_each_third_tell_is_what_the_kernel_received() {
    prove_each_third(0);
}

#[test]
fn what_the_second_step_and_each_third_tell_is_what_the_kernel_received() {
    prove_each_third(1);
}

#[test]
fn what_the_third_step_and_each_third_tell_is_what_the_kernel_received() {
    prove_each_third(2);
}

/// What comes after them are QEMU's own calls, and those of the guest's programs reach no kernel but the guest's.
#[test]
fn what_the_step_with_a_machine_tells_is_what_the_kernel_received() {
    let [step] = steps::machines().collect::<Vec<_>>()[..] else { panic!("one step boots a machine") };
    for who in who().into_iter().filter(|who| has_machines(*who)) {
        let Some((told, seen)) = record(who, step.slug, &[]) else { continue };
        let held = hold(&told, &seen).unwrap_or_else(|why| panic!("{} as {who:?}: {why}", step.slug));
        let names: Vec<_> = told.iter().map(|call| call.name.as_str()).collect();
        assert_eq!(names, ["memfd_create", "clone3", "execve"]);
        let qemu: i32 = told[1].result.parse().expect("a PID");
        let becoming = held.indices[2];
        assert_eq!((seen[becoming].pid, &held.container[0]), (qemu, &qemu));
        let calls_of_init = seen.iter().filter(|call| call.args.iter().any(|arg| arg == "\"/run/new\""));
        assert_eq!(calls_of_init.collect::<Vec<_>>(), Vec::<&Seen>::new(), "the guest's own calls were seen");
    }
}

#[test]
fn a_program_of_the_learners_is_told_as_truly() {
    for who in who() {
        for step in ["1", "3", "6"] {
            prove(who, step, &["--", "true"]);
        }
    }
}

#[test]
fn arguments_of_any_bytes_are_told_as_strace_shows_them() {
    let odd =
        ["", "a b", "\"quoted\\", "tab\there", "two\nlines\r", "\x01\x012\x7f8\x0b\x0c", "상자", "'{[(,)]}'"];
    prove(Who::User, "1", &[&["--", "true"], &odd[..]].concat());
    let long = "x".repeat(100_000);
    prove(Who::User, "1", &["--", "true", &long, &long]);
}

#[test]
fn under_an_init_the_program_is_a_child_of_the_first_process() {
    for who in who() {
        let Some((told, seen, held)) = prove(who, "2", &["--init", "--", "true"]) else { continue };
        let execve = held.indices[told.len() - 1];
        assert_ne!(seen[execve].pid, held.container[0], "init itself has become the program");
    }
}

#[test]
fn without_verbose_only_the_steps_own_calls_are_told() {
    let Some((told, seen)) = record(Who::User, "5", &[]) else { return };
    assert!(told.iter().all(|call| call.step == "overlay"), "{told:#?}");
    // The process that speaks is known by the mount that nobody else makes.
    let overlay = |call: &&Seen| call.name == "mount" && call.args[0] == "\"overlay\"";
    // A child has tried beforehand whether there is one to be had.
    let overlay =
        seen.iter().filter(overlay).find(|call| !call.args[1].contains("/trial-")).expect("a mount");
    for call in &told {
        let pid = if call.actor == "host" { seen[0].pid } else { overlay.pid };
        let made = seen.iter().filter(|other| other.pid == pid && other.name == call.name);
        assert!(made.clone().any(|other| same(call, other, &mut BTreeMap::new()).is_ok()), "{call:#?}");
    }
}

/// Every way in which an event can be untrue, but for a link's name, which strace can't know.
fn lies(told: &[Told], at: usize) -> Vec<Vec<Told>> {
    let call = &told[at];
    let lie = |change: &dyn Fn(&mut Told)| {
        let mut changed = told.to_vec();
        change(&mut changed[at]);
        changed
    };
    let other = if call.actor == "host" { "container" } else { "host" };
    let mut lies = vec![
        lie(&|call| call.name += "2"),
        lie(&|call| call.actor = other.into()),
        lie(&|call| call.result += "1"),
        lie(&|call| call.result = "-1 EPERM (Operation not permitted)".into()),
        lie(&|call| call.ok = false),
        lie(&|call| drop(call.args.pop())),
    ];
    for arg in 0..call.args.len() {
        lies.push(lie(&|call| call.args[arg] += "0"));
        lies.push(lie(&|call| call.args[arg] = "NULL0".into()));
    }
    lies
}

#[test]
fn a_lie_about_any_call_is_noticed() {
    let Some((told, seen, _)) = prove(Who::User, "6", &[]) else { return };
    for at in 0..told.len() {
        for lie in lies(&told, at) {
            assert!(hold(&lie, &seen).is_err(), "not noticed: {:#?}", lie[at]);
        }
    }
}

#[test]
fn calls_told_in_another_order_are_noticed() {
    let Some((told, seen, _)) = prove(Who::User, "6", &[]) else { return };
    for at in 1..told.len() {
        let mut swapped = told.clone();
        swapped.swap(at - 1, at);
        assert!(hold(&swapped, &seen).is_err(), "not noticed: {:#?} before {:#?}", told[at], told[at - 1]);
    }
}

#[test]
fn a_call_told_twice_or_not_at_all_is_noticed() {
    let Some((told, seen, _)) = prove(Who::User, "6", &[]) else { return };
    for at in 0..told.len() {
        let mut twice = told.clone();
        twice.insert(at, told[at].clone());
        assert!(hold(&twice, &seen).is_err(), "not noticed: a second {:#?}", told[at]);
        // Three directories of the lab's own are told and need not be.
        if told[at].name == "mkdir" || (&*told[at].name, &*told[at].actor) == ("socket", "host") {
            continue;
        }
        let mut less = told.clone();
        less.remove(at);
        let noticed = hold(&less, &seen).and_then(|held| complete(&held, &seen));
        assert!(noticed.is_err(), "not noticed: the lack of {:#?}", told[at]);
    }
}

#[test]
fn another_byte_in_a_request_to_the_network_is_noticed() {
    let Some((told, seen, held)) = prove(Who::User, "6", &[]) else { return };
    let requests = told.iter().zip(&held.indices).filter(|(call, _)| call.name == "sendto");
    let mut tried = 0;
    for (call, at) in requests {
        let words = &call.args[1];
        for (place, c) in words.char_indices().filter(|(_, c)| c.is_ascii_digit()) {
            if words[..place]
                .rsplit("if_nametoindex(")
                .next()
                .is_some_and(|name| name.len() < 10 && !name.contains(')'))
            {
                continue;
            }
            let mut lie = call.clone();
            let digit = if c == '9' { "8" } else { "9" };
            lie.args[1].replace_range(place..place + 1, digit);
            let noticed = same(&lie, &seen[*at], &mut BTreeMap::new());
            assert!(noticed.is_err(), "not noticed: {}", lie.args[1]);
            tried += 1;
        }
    }
    assert!(tried > 300, "only {tried} digits were tried");
}
