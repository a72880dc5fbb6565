//! Claims about processes: CMD as it was asked for, its PID namespace, its end (steps 0 and 1).

use std::ffi::OsString;

use super::{Case, Finding, is_apart};
use crate::engine::Exit;
use crate::finding::Seen;
use crate::judge::ends::{Died, Spoilt, Talked};
use crate::judge::evidence::GRACE;
use crate::judge::fate::{ended_with, some_words};
use crate::judge::part::{self, ASIDE, STATUS};

pub fn starts(case: &Case) -> Option<Finding> {
    let expected = Seen::words("cmd-executed");
    // Each time: one that starts CMD only while it is looked at has the rest unjudged.
    Some(match &case.evidence.fate {
        None => Finding::holds(true, expected.clone(), expected),
        Some(fate) => Finding::holds(false, expected, fate.seen()).with_signs(fate.signs()),
    })
}

pub fn arguments(case: &Case) -> Option<Finding> {
    let looked = case.looked()?;
    let worded = case.evidence.worded.as_ref()?;
    let Some(given) = &worded.given else {
        return Some(Finding::holds(false, some_words(&worded.asked, 4), worded.fate.seen()));
    };
    let pairs = [(&looked.asked, &looked.arguments), (&worded.asked, given)];
    // Its own name is PROGRAM's to choose (execve(2)).
    let differ =
        |(asked, given): &(&Vec<OsString>, &Vec<OsString>)| asked[1..] != *given.get(1..).unwrap_or_default();
    let Some((asked, given)) = pairs.into_iter().find(differ) else {
        let each = Seen::words("each-word");
        return Some(Finding::same(each.clone(), each));
    };
    let same = asked.iter().zip(given).skip(1).take_while(|(asked, given)| asked == given).count();
    let (expected, actual) = (some_words(asked, same + 1), some_words(given, same + 1));
    Some(Finding::holds(false, expected, actual).with_signs([what_became_of(asked, given)]))
}

/// What happened to words on their way, as a sign.
fn what_became_of(asked: &[OsString], given: &[OsString]) -> &'static str {
    let is_ascii = |word: &OsString| word.as_encoded_bytes().is_ascii();
    let mut rest = asked.iter().skip(1);
    let only_taken = given.iter().skip(1).all(|word| rest.any(|asked| asked == word));
    let changed = || asked.iter().zip(given).skip(1).filter(|(asked, given)| asked != given);
    match asked.len() == given.len() {
        true if changed().all(|(asked, _)| !is_ascii(asked)) => "text",
        false if only_taken => "taken",
        _ => "split",
    }
}

pub fn by_name(case: &Case) -> Option<Finding> {
    let named = case.evidence.named.as_ref()?;
    Some(Finding::holds(named.given.is_some(), Seen::words("found-in-path"), named.fate.seen()))
}

pub fn streams(case: &Case) -> Option<Finding> {
    let talked = case.talked()?;
    let expected = Seen::words("as-written");
    let Some(spoilt) = talked.spoilt() else { return Some(Finding::same(expected.clone(), expected)) };
    if talked.fate.is_excess() {
        return Some(Finding::holds(false, expected, talked.fate.seen()));
    }
    let key = match spoilt {
        Spoilt::HeldBack => "held-back",
        Spoilt::Mixed => "mixed",
        Spoilt::MoreOutput => "more-output",
        Spoilt::MoreErrors => "more-errors",
        Spoilt::Incomplete => "incomplete",
    };
    let sizes = [talked.stdout.len(), talked.input.len(), talked.stderr.len(), ASIDE.len()];
    let names = ["out", "all-out", "err", "all-err"];
    let with = names.into_iter().zip(sizes.map(Seen::fact)).collect();
    Some(Finding::holds(false, expected, Seen::Words(key, with)).with_signs([key]))
}

pub fn exit_status(case: &Case) -> Option<Finding> {
    let talked = case.talked()?;
    let more = [&case.evidence.worded, &case.evidence.named].into_iter().flatten();
    // One that was not started has no status.
    let more = more.filter(|ended| ended.given.is_some());
    let mut ends = vec![(STATUS, talked.exit, &talked.fate)];
    ends.extend(more.map(|ended| (ended.status, ended.exit, &ended.fate)));
    Some(match ends.iter().find(|(status, exit, _)| *exit != Some(Exit::Code(*status))) {
        Some((status, exit, fate)) => {
            let signs = match exit {
                Some(Exit::Code(0)) => Some("zero"),
                Some(Exit::Code(1)) => Some("one"),
                _ => None,
            };
            Finding::holds(false, ended_with(*status), fate.seen()).with_signs(signs)
        }
        None => Finding::same(ended_with(STATUS), ended_with(STATUS)),
    })
}

pub fn death_status(case: &Case) -> Option<Finding> {
    let orphaned = case.evidence.orphaned.as_ref()?;
    let deaths = [Some(orphaned), case.evidence.died.as_ref()].into_iter().flatten();
    let deaths: Vec<_> = deaths.filter_map(|died| Some((died, died.signal?))).collect();
    let expected = |n: i32| Seen::found("died-as-cmd", [("status", &(128 + n)), ("signal", &n)]);
    let lost =
        |(died, n): &&(&Died, i32)| ![Some(Exit::Signal(*n)), Some(Exit::Code(128 + n))].contains(&died.exit);
    Some(match (deaths.iter().find(lost), deaths.first()) {
        (Some((died, n)), _) => Finding::holds(false, expected(*n), died.fate.seen()),
        (None, Some((_, n))) => Finding::same(expected(*n), expected(*n)),
        // It went on although it was killed.
        (None, None) => Finding::holds(false, expected(libc::SIGKILL), orphaned.fate.seen()),
    })
}

pub fn nothing_running(case: &Case) -> Option<Finding> {
    let talked = case.talked().filter(|talked| talked.exit.is_some())?;
    let otherwise = |actual| Finding::holds(false, Seen::words("nothing"), actual);
    if talked.outlived || case.looked().is_some_and(|looked| looked.outlived) {
        return Some(otherwise(Seen::fact("CMD")).with_signs(["cmd"]));
    }
    // PROGRAM has ended, and then what it left had to be ended.
    if talked.left.is_none() {
        return Some(otherwise(talked.fate.seen()).with_signs(["others"]));
    }
    Some(Finding::nothing(left_running(case, talked)).with_signs(["others"]))
}

/// Who was still there after an end of CMD's own or, if nobody was, after SIGTERM.
fn left_running(case: &Case, talked: &Talked) -> Vec<Seen> {
    let after_sigterm = case.looked().map_or(&[][..], |looked| &looked.running);
    let running = if talked.running.is_empty() { after_sigterm } else { &talked.running };
    running.iter().map(|pid| Seen::fact(format!("PID {pid}"))).collect()
}

pub fn pid_1(case: &Case) -> Option<Finding> {
    let looked = case.looked().filter(|looked| is_apart(looked, "pid"))?;
    let otherwise = Seen::found("no-pid-1-above", [("pids", &looked.pids.join(" "))]);
    Some(Finding::holds(looked.pid_1_above, Seen::words("pid-1-above"), otherwise))
}

pub fn reaped(case: &Case) -> Option<Finding> {
    let orphaned = case.evidence.orphaned.as_ref()?;
    let expected = Seen::words("no-zombie");
    if orphaned.fate.is_excess() {
        return Some(Finding::holds(false, expected, orphaned.fate.seen()));
    }
    let zombies = case.evidence.zombies;
    let otherwise = Seen::found("zombies", [("zombies", &zombies), ("ended", &part::ORPHANS)]);
    Some(Finding::holds(zombies == 0, expected, otherwise))
}

pub fn sigterm(case: &Case) -> Option<Finding> {
    let looked = case.looked()?;
    let running = || Seen::found("still-running", [("seconds", &GRACE.as_secs())]);
    let otherwise = looked.exceeded.as_ref().map_or_else(running, |fate| fate.seen());
    let sign = if looked.deserted { "deserted" } else { "goes-on" };
    Some(Finding::holds(looked.terminated, Seen::words("ended"), otherwise).with_signs([sign]))
}
