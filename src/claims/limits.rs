//! Claims about groups and their limits (step 4).

use super::bounds::Limited;
use super::evidence::{Looked, Strained};
use super::finding::Seen;
use super::processes::ended;
use super::{Evidence, Finding, left_of, looked, own_namespace};
use engine::Exit;

/// Which of the limits.
type Which = fn(&Limited) -> Option<u64>;

const MEMORY: Which = |limits| limits.memory;
const PIDS: Which = |limits| limits.pids;
const CPUS: Which = |limits| limits.cpus;

pub fn memory_limit(evidence: &Evidence) -> Option<Finding> {
    in_force(evidence, MEMORY, |bytes| bytes.to_string())
}

pub fn pids_limit(evidence: &Evidence) -> Option<Finding> {
    in_force(evidence, PIDS, |tasks| tasks.to_string())
}

pub fn cpu_limit(evidence: &Evidence) -> Option<Finding> {
    in_force(evidence, CPUS, |hundredths| format!("{:.2}", hundredths as f64 / 100.0))
}

/// Whether a limit is as it was asked for, and stays so.
fn in_force(evidence: &Evidence, which: Which, number: fn(u64) -> String) -> Option<Finding> {
    let looked = looked(evidence)?;
    let words = |value: Option<u64>| value.map_or_else(|| Seen::words("none"), |n| Seen::fact(number(n)));
    let (wanted, last) = (which(&evidence.wanted), which(&looked.limits_last));
    let expected = words(wanted);
    Some(if is_lifted(looked, which, wanted) {
        let was_and_is = vec![("was", words(wanted)), ("is", words(last))];
        Finding::holds(false, expected, Seen::Words("lifted", was_and_is)).with_signs(["lifted"])
    } else {
        let later = which(&looked.limits_later);
        Finding::same(expected, words(later)).with_signs([if later.is_none() { "none" } else { "other" }])
    })
}

/// Whether a limit was there, and was taken away or changed while CMD ran.
fn is_lifted(looked: &Looked, which: Which, wanted: Option<u64>) -> bool {
    let was = [&looked.limits_first, &looked.limits_later].into_iter().any(|limits| which(limits) == wanted);
    was && which(&looked.limits_last) != wanted
}

pub fn limits_first(evidence: &Evidence) -> Option<Finding> {
    let looked = looked(evidence)?;
    let wanted = evidence.wanted;
    let is_late = |which: &Which| {
        let (first, later) = (which(&looked.limits_first), which(&looked.limits_later));
        first != later && !is_lifted(looked, *which, which(&wanted))
    };
    let limits = [("limit-memory", MEMORY), ("limit-pids", PIDS), ("limit-cpu", CPUS)];
    let late = limits.into_iter().filter(|(_, which)| is_late(which)).map(|(name, _)| Seen::words(name));
    let late: Vec<Seen> = late.chain(looked.unset_first.iter().map(Seen::fact)).collect();
    let held = late.is_empty();
    Some(Finding::holds(held, Seen::words("in-force-first"), Seen::of("later", "limits", Seen::List(late))))
}

/// What there is to say of a run against the limits in which one was not in force: it was taken away meanwhile, or all of
/// PROGRAM was ended.
fn not_in_force(evidence: &Evidence, strained: &Strained, which: Which, expected: &Seen) -> Option<Finding> {
    let looked = looked(evidence)?;
    let wanted = which(&evidence.wanted);
    if let Some(fate) = &strained.exceeded {
        return Some(Finding::holds(false, expected.clone(), fate.seen()));
    }
    let was = which(&looked.limits_first) == wanted || which(&looked.limits_later) == wanted;
    let lifted = was && which(&strained.limits) != wanted;
    lifted.then(|| {
        Finding::holds(false, expected.clone(), Seen::words("limit-taken-away")).with_signs(["no-limit"])
    })
}

/// What is known of the cause where the kernel did not hold CMD to a limit.
fn sign(evidence: &Evidence, which: Which) -> Option<&'static str> {
    let in_force = which(&looked(evidence)?.limits_later) == which(&evidence.wanted);
    Some(if in_force { "limited" } else { "no-limit" })
}

pub fn oom(evidence: &Evidence) -> Option<Finding> {
    let strained = evidence.strained.as_ref()?;
    let expected = Seen::words("killed-and-counted");
    if let Some(finding) = not_in_force(evidence, strained, MEMORY, &expected) {
        return Some(finding);
    }
    let counted = strained.counted.oom_kills;
    let killed = counted > 0;
    if let Some(exit) = strained.hog.filter(|exit| killed && *exit != Exit::Signal(libc::SIGKILL)) {
        let otherwise = Seen::Words("counted-and-not-killed", vec![("end", ended(exit))]);
        return Some(Finding::holds(false, expected, otherwise));
    }
    Some(match &looked(evidence)?.swap {
        Some(swap) if killed => {
            let file = Seen::fact(format!("{} = {}", swap.file, swap.value));
            let otherwise = Seen::of("killed-for-want-of-swap", "file", file);
            Finding::holds(false, expected, otherwise).with_signs(["swap"])
        }
        _ => Finding::holds(killed, expected, Seen::words("not-killed")).with_signs(sign(evidence, MEMORY)),
    })
}

pub fn forks_refused(evidence: &Evidence) -> Option<Finding> {
    let strained = evidence.strained.as_ref()?;
    let most = evidence.wanted.pids.unwrap_or(0);
    let expected = Seen::found("then-eagain", [("most", &most)]);
    if let Some(finding) = not_in_force(evidence, strained, PIDS, &expected) {
        return Some(finding);
    }
    let counted = strained.counted;
    // How far our own program came, and why no further.
    if let Some((made, errno)) =
        strained.forks.as_ref().filter(|(made, errno)| *made != most || errno != "EAGAIN")
    {
        let otherwise = Seen::found("then-error", [("most", made), ("errno", errno)]);
        return Some(Finding::holds(false, expected, otherwise));
    }
    let held = counted.forks_refused > 0 && counted.processes <= most;
    let otherwise = Seen::found("no-fork-refused", [("processes", &counted.processes)]);
    Some(Finding::holds(held, expected, otherwise).with_signs(sign(evidence, PIDS)))
}

pub fn throttled(evidence: &Evidence) -> Option<Finding> {
    let strained = evidence.strained.as_ref()?;
    let expected = Seen::words("throttled");
    if let Some(finding) = not_in_force(evidence, strained, CPUS, &expected) {
        return Some(finding);
    }
    let held = strained.counted.throttled > 0;
    Some(Finding::holds(held, expected, Seen::words("never-throttled")).with_signs(sign(evidence, CPUS)))
}

pub fn own_groups(evidence: &Evidence) -> Option<Finding> {
    let finding = own_namespace(evidence, "cgroup")?;
    let above = &looked(evidence)?.rooted_above;
    if !finding.held {
        return Some(finding.with_signs(["outside"]));
    }
    let group = |path: Seen| Seen::of("group-is", "path", path);
    let root = group(Seen::fact("/"));
    Some(Finding::holds(above.is_empty(), root, group(Seen::facts(above))).with_signs(["above"]))
}

pub fn locked(evidence: &Evidence) -> Option<Finding> {
    let view = &looked(evidence)?.view;
    let open = Seen::facts(&view.open_groups);
    let held = open == Seen::List(Vec::new());
    // Ours shows its groups, and what keeps them from being written to is that the mount is read-only.
    if evidence.exact && held {
        return Some(Finding::same(Seen::facts(["EROFS"]), Seen::facts(&view.group_errors)));
    }
    Some(Finding::holds(held, Seen::words("nothing-to-write"), open))
}

pub fn groups_gone(evidence: &Evidence) -> Option<Finding> {
    Some(Finding::nothing(left_of(evidence, |o| &o.groups)?))
}
