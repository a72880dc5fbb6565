//! Claims about processes: CMD as it was asked for, its PID namespace, its end (steps 0 and 1).

use super::{Case, Finding, holds, is_apart, nothing, same};
use crate::container::Exit;
use crate::judge::evidence::GRACE;

pub(super) fn starts(case: &Case) -> Option<Finding> {
    // Each time: one that starts CMD only while it is looked at has the rest unjudged.
    let started = case.evidence.looked.is_some() && case.evidence.fate.is_empty();
    holds(started, "CMD is executed", &case.evidence.fate)
}

pub(super) fn arguments(case: &Case) -> Option<Finding> {
    let looked = case.looked()?;
    let words = |all: &[std::ffi::OsString]| format!("{:?}", all.get(3..).unwrap_or_default());
    same(words(&looked.asked), words(&looked.arguments))
}

pub(super) fn streams(case: &Case) -> Option<Finding> {
    let talked = case.talked()?;
    let of = |name: &str, n: usize, all: usize| format!("{name} {n} of {all} bytes");
    let (all, out, err) = (talked.input.len(), talked.stdout.len(), talked.stderr.len());
    let actual = format!("{}, standard error {err} bytes", of("standard output", out, all));
    holds(talked.apart(), "all of standard input on standard output, the rest on standard error", actual)
}

pub(super) fn exit_status(case: &Case) -> Option<Finding> {
    let talked = case.talked()?;
    let status = |code| format!("PROGRAM ended with status {code}");
    let expected = status(crate::judge::part::STATUS);
    let held = talked.exit == Some(Exit::Code(crate::judge::part::STATUS));
    holds(held, expected, &talked.fate)
}

pub(super) fn death_status(case: &Case) -> Option<Finding> {
    let orphaned = case.evidence.orphaned.as_ref()?;
    let killed = libc::SIGKILL;
    let held = matches!(orphaned.exit, Some(Exit::Signal(n)) if n == killed)
        || orphaned.exit == Some(Exit::Code(128 + killed));
    holds(held, "status 137, or killed by signal 9, as CMD was", &orphaned.fate)
}

pub(super) fn nothing_running(case: &Case) -> Option<Finding> {
    let talked = case.talked().filter(|talked| talked.exit.is_some())?;
    // PROGRAM has ended, and then what it left had to be ended.
    let Some(left) = &talked.left else { return holds(false, "nothing", &talked.fate) };
    let names: Vec<String> = left.processes.iter().map(|pid| format!("PID {pid}")).collect();
    nothing(&names)
}

pub(super) fn pid_1(case: &Case) -> Option<Finding> {
    let looked = case.looked().filter(|looked| is_apart(looked, "pid"))?;
    let otherwise = format!("CMD has the PIDs {}, and none of its ancestors is PID 1", looked.pids.join(" "));
    holds(looked.pid_1_above, "CMD or an ancestor of it is PID 1", otherwise)
}

pub(super) fn reaped(case: &Case) -> Option<Finding> {
    let zombies = case.evidence.orphaned.as_ref()?.zombies;
    holds(zombies == 0, "no zombie", format!("{zombies} zombie"))
}

pub(super) fn sigterm(case: &Case) -> Option<Finding> {
    let looked = case.looked()?;
    let running = format!("still running after {} s", GRACE.as_secs());
    holds(looked.terminated, "ended", if looked.fate.is_empty() { &running } else { &looked.fate })
}
