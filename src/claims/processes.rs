//! Claims about processes: CMD as it was asked for, its PID namespace, its end (steps 0 and 1).

use std::ffi::OsString;

use super::evidence::{Died, GRACE, Spoilt, Talked};
use super::fate::{ended_with, some_words};
use super::finding::Seen;
use super::{Evidence, Finding, is_apart, looked, own_namespace};
use engine::Exit;

pub fn starts(evidence: &Evidence) -> Option<Finding> {
    let expected = Seen::words("cmd-executed");
    // Each time: one that starts CMD only while it is looked at has the rest unjudged.
    Some(match &evidence.fate {
        None => Finding::holds(true, expected.clone(), expected),
        Some(fate) => Finding::holds(false, expected, fate.seen()).with_signs(fate.signs()),
    })
}

pub fn arguments(evidence: &Evidence) -> Option<Finding> {
    let looked = looked(evidence)?;
    let worded = evidence.worded.as_ref()?;
    let Some(given) = &worded.given else {
        return Some(Finding::holds(false, some_words(&worded.asked, 4), worded.fate.seen()));
    };
    let pairs = [(&looked.asked, &looked.arguments), (&worded.asked, given)];
    // Its own name is PROGRAM's to choose (execve(2)).
    let differ =
        |(asked, given): &(&Vec<OsString>, &Vec<OsString>)| asked.iter().skip(1).ne(given.iter().skip(1));
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

pub fn by_name(evidence: &Evidence) -> Option<Finding> {
    let named = evidence.named.as_ref()?;
    Some(Finding::holds(named.given.is_some(), Seen::words("found-in-path"), named.fate.seen()))
}

pub fn streams(evidence: &Evidence) -> Option<Finding> {
    let talked = evidence.talked.as_ref()?;
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
    let sizes = [talked.stdout.len(), talked.input.len(), talked.stderr.len(), talked.aside.len()];
    let names = ["out", "all-out", "err", "all-err"];
    let with = names.into_iter().zip(sizes.map(Seen::fact)).collect();
    Some(Finding::holds(false, expected, Seen::Words(key, with)).with_signs([key]))
}

pub fn exit_status(evidence: &Evidence) -> Option<Finding> {
    let talked = evidence.talked.as_ref()?;
    let more = [&evidence.worded, &evidence.named].into_iter().flatten();
    // One that was not started has no status.
    let more = more.filter(|ended| ended.given.is_some());
    let mut ends = vec![(talked.status, talked.exit, &talked.fate)];
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
        None => Finding::same(ended_with(talked.status), ended_with(talked.status)),
    })
}

pub fn death_status(evidence: &Evidence) -> Option<Finding> {
    let orphaned = evidence.orphaned.as_ref()?;
    let deaths = [Some(orphaned), evidence.died.as_ref()].into_iter().flatten();
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

pub fn nothing_running(evidence: &Evidence) -> Option<Finding> {
    let talked = evidence.talked.as_ref().filter(|talked| talked.exit.is_some())?;
    let otherwise = |actual| Finding::holds(false, Seen::words("nothing"), actual);
    if talked.outlived || looked(evidence).is_some_and(|looked| looked.outlived) {
        return Some(otherwise(Seen::fact("CMD")).with_signs(["cmd"]));
    }
    // PROGRAM has ended, and then what it left had to be ended.
    if talked.left.is_none() {
        return Some(otherwise(talked.fate.seen()).with_signs(["others"]));
    }
    Some(Finding::nothing(left_running(evidence, talked)).with_signs(["others"]))
}

/// Who was still there after an end of CMD's own or, if nobody was, after SIGTERM.
fn left_running(evidence: &Evidence, talked: &Talked) -> Vec<Seen> {
    let after_sigterm = looked(evidence).map_or(&[][..], |looked| &looked.running);
    let running = if talked.running.is_empty() { after_sigterm } else { &talked.running };
    running.iter().map(|pid| Seen::fact(format!("PID {pid}"))).collect()
}

pub fn pid_1(evidence: &Evidence) -> Option<Finding> {
    let looked = looked(evidence).filter(|looked| is_apart(looked, "pid"))?;
    let otherwise = Seen::found("no-pid-1-above", [("pids", &looked.pids.join(" "))]);
    Some(Finding::holds(looked.pid_1_above, Seen::words("pid-1-above"), otherwise))
}

/// That it has a PID namespace, and that whoever goes there by the PID that the host knows finds the same one.
pub fn own_pids(evidence: &Evidence) -> Option<Finding> {
    let finding = own_namespace(evidence, "pid")?;
    let (own, visited) = (looked(evidence)?.own("pid")?, &looked(evidence)?.view.pid_namespace);
    if finding.held && own != visited {
        return Some(Finding::holds(false, Seen::fact(own), Seen::fact(visited)));
    }
    Some(finding)
}

pub fn nested(evidence: &Evidence) -> Option<Finding> {
    let line = evidence.nested.as_ref()?;
    let pids = line.split(' ').count();
    Some(Finding::holds(pids == 3, Seen::found("has-pids", [("pids", &3)]), Seen::fact(line)))
}

pub fn orphans(evidence: &Evidence) -> Option<Finding> {
    let orphans = evidence.unreaped.as_ref()?;
    let parent = orphans.parent.as_deref().unwrap_or_default();
    let become_of = |parent: &str, zombies: usize| {
        let key = if zombies > 0 { "orphan-and-zombie" } else { "orphan-and-gone" };
        Seen::found(key, [("parent", &parent)])
    };
    Some(Finding::same(become_of("1", 1), become_of(parent, orphans.zombies)))
}

pub fn reaped(evidence: &Evidence) -> Option<Finding> {
    let orphans = evidence.orphans.as_ref()?;
    let expected = Seen::words("no-zombie");
    if let Some(fate) = &orphans.exceeded {
        return Some(Finding::holds(false, expected, fate.seen()));
    }
    if let Some(other) = orphans.parent.as_deref().filter(|parent| *parent != "1") {
        return Some(Finding::holds(false, expected, Seen::found("orphan-of", [("parent", &other)])));
    }
    let otherwise = Seen::found("zombies", [("zombies", &orphans.zombies), ("ended", &orphans.ended)]);
    Some(Finding::holds(orphans.zombies == 0, expected, otherwise))
}

pub fn sigterm(evidence: &Evidence) -> Option<Finding> {
    let asked = evidence.terminated.as_ref()?;
    let running = || Seen::found("still-running", [("seconds", &GRACE.as_secs())]);
    if let Some((exit, taken)) = asked.taken.filter(|(exit, taken)| asked.ended && exit != taken) {
        return Some(Finding::holds(false, ended(taken), ended(exit)));
    }
    let otherwise = asked.exceeded.as_ref().map_or_else(running, |fate| fate.seen());
    let sign = if asked.deserted { "deserted" } else { "goes-on" };
    Some(Finding::holds(asked.ended, Seen::words("ended"), otherwise).with_signs([sign]))
}

pub fn end_of_pid_1(evidence: &Evidence) -> Option<Finding> {
    Some(Finding::holds(evidence.ended_with_pid_1?, Seen::words("ended"), Seen::words("lived-on")))
}

/// How a program of ours ended.
pub fn ended(exit: Exit) -> Seen {
    match exit {
        Exit::Code(code) => Seen::found("exit", [("status", &code)]),
        Exit::Signal(signal) => Seen::found("signal", [("signal", &signal)]),
    }
}

/// The host name of the container, in a UTS namespace of its own.
pub fn own_names(evidence: &Evidence) -> Option<Finding> {
    let finding = own_namespace(evidence, "uts")?;
    let looked = looked(evidence)?;
    Some(match &looked.named {
        Some(wanted) if finding.held => Finding::same(Seen::fact(wanted), Seen::fact(&looked.view.hostname)),
        _ => finding,
    })
}

pub fn own_ipc(evidence: &Evidence) -> Option<Finding> {
    let finding = own_namespace(evidence, "ipc")?;
    if let Some(queue) = evidence.queue.as_ref().filter(|_| finding.held) {
        let key = if queue.made { "queue-seen-outside" } else { "no-queue" };
        let held = queue.made && !queue.seen_outside;
        return Some(Finding::holds(held, Seen::words("queue-stays"), Seen::words(key)));
    }
    Some(finding)
}

pub fn same_kernel(evidence: &Evidence) -> Option<Finding> {
    let looked = looked(evidence)?;
    Some(Finding::same(Seen::fact(&looked.kernel), Seen::fact(&looked.view.kernel)))
}
