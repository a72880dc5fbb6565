//! Claims about processes: CMD as it was asked for, its PID namespace, its end (steps 0 and 1).

use std::ffi::OsString;

use super::{Case, Finding, holds, is_apart, nothing};
use crate::engine::Exit;
use crate::judge::ends::Died;
use crate::judge::evidence::GRACE;
use crate::judge::part::{self, ASIDE, STATUS};

pub fn starts(case: &Case) -> Option<Finding> {
    // Each time: one that starts CMD only while it is looked at has the rest unjudged.
    let started = case.evidence.looked.is_some() && case.evidence.fate.is_empty();
    holds(started, "CMD is executed", &case.evidence.fate)
}

/// How many words are shown of those that CMD should have got and those that it did, from where they differ.
const SHOWN: usize = 3;

pub fn arguments(case: &Case) -> Option<Finding> {
    let looked = case.looked()?;
    let worded = case.evidence.worded.as_ref()?;
    let words = |all: &[OsString], from: usize| {
        format!("{:?}", all.iter().skip(from).take(SHOWN).collect::<Vec<_>>())
    };
    let Some(given) = &worded.given else { return holds(false, words(&worded.asked, 4), &worded.fate) };
    let pairs = [(&looked.asked, &looked.arguments), (&worded.asked, given)];
    // Its own name is PROGRAM's to choose (execve(2)).
    let differ =
        |(asked, given): &(&Vec<OsString>, &Vec<OsString>)| asked[1..] != *given.get(1..).unwrap_or_default();
    let Some((asked, given)) = pairs.into_iter().find(differ) else {
        return holds(true, "each word as it was given", "");
    };
    let same = asked.iter().zip(given).skip(1).take_while(|(asked, given)| asked == given).count();
    holds(false, words(asked, same + 1), words(given, same + 1))
}

pub fn by_name(case: &Case) -> Option<Finding> {
    let named = case.evidence.named.as_ref()?;
    holds(named.given.is_some(), "CMD is found in PATH", &named.fate)
}

pub fn streams(case: &Case) -> Option<Finding> {
    let talked = case.talked()?;
    let spoilt = talked.spoilt();
    let (all, out, err) = (talked.input.len(), talked.stdout.len(), talked.stderr.len());
    let sizes =
        format!("standard output {out} of {all} bytes, standard error {err} of {} bytes", ASIDE.len());
    let actual = format!("{}: {sizes}", spoilt.unwrap_or_default());
    holds(spoilt.is_none(), "what CMD writes and nothing else, as soon as it is written", actual)
}

pub fn exit_status(case: &Case) -> Option<Finding> {
    let talked = case.talked()?;
    let more = [&case.evidence.worded, &case.evidence.named].into_iter().flatten();
    // One that was not started has no status.
    let more = more.filter(|ended| ended.given.is_some());
    let mut ends = vec![(STATUS, talked.exit, &talked.fate)];
    ends.extend(more.map(|ended| (ended.status, ended.exit, &ended.fate)));
    let status = |code| format!("PROGRAM ended with status {code}");
    match ends.iter().find(|(status, exit, _)| *exit != Some(Exit::Code(*status))) {
        Some((code, _, fate)) => holds(false, status(*code), fate),
        None => holds(true, status(STATUS), ""),
    }
}

pub fn death_status(case: &Case) -> Option<Finding> {
    let orphaned = case.evidence.orphaned.as_ref()?;
    let deaths = [Some(orphaned), case.evidence.died.as_ref()].into_iter().flatten();
    let deaths: Vec<_> = deaths.filter_map(|died| Some((died, died.signal?))).collect();
    let expected = |n: i32| format!("status {}, or killed by signal {n}, as CMD was", 128 + n);
    let lost =
        |(died, n): &&(&Died, i32)| ![Some(Exit::Signal(*n)), Some(Exit::Code(128 + n))].contains(&died.exit);
    match (deaths.iter().find(lost), deaths.first()) {
        (Some((died, n)), _) => holds(false, expected(*n), &died.fate),
        (None, Some((_, n))) => holds(true, expected(*n), ""),
        // It went on although it was killed.
        (None, None) => holds(false, expected(libc::SIGKILL), &orphaned.fate),
    }
}

pub fn nothing_running(case: &Case) -> Option<Finding> {
    let talked = case.talked().filter(|talked| talked.exit.is_some())?;
    if talked.outlived || case.looked().is_some_and(|looked| looked.outlived) {
        return holds(false, "nothing", "CMD");
    }
    // PROGRAM has ended, and then what it left had to be ended.
    if talked.left.is_none() {
        return holds(false, "nothing", &talked.fate);
    }
    let names: Vec<String> = talked.running.iter().map(|pid| format!("PID {pid}")).collect();
    nothing(&names)
}

pub fn pid_1(case: &Case) -> Option<Finding> {
    let looked = case.looked().filter(|looked| is_apart(looked, "pid"))?;
    let otherwise = format!("CMD has the PIDs {}, and none of its ancestors is PID 1", looked.pids.join(" "));
    holds(looked.pid_1_above, "CMD or an ancestor of it is PID 1", otherwise)
}

pub fn reaped(case: &Case) -> Option<Finding> {
    case.evidence.orphaned.as_ref()?;
    let zombies = case.evidence.zombies;
    holds(zombies == 0, "no zombie", format!("{zombies} of {} that have ended", part::ORPHANS))
}

pub fn sigterm(case: &Case) -> Option<Finding> {
    let looked = case.looked()?;
    let running = format!("still running after {} s", GRACE.as_secs());
    holds(looked.terminated, "ended", if looked.fate.is_empty() { &running } else { &looked.fate })
}
