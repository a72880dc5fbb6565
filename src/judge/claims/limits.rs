//! Claims about groups and their limits (step 4).

use super::{Case, Finding, holds, left_of, nothing, own_namespace, same, some_of};

fn number(value: Option<u64>) -> String {
    value.map_or("none".into(), |n| n.to_string())
}

pub fn memory_limit(case: &Case) -> Option<Finding> {
    same(number(case.trial.wanted().memory), number(case.looked()?.limits_later.memory))
}

pub fn pids_limit(case: &Case) -> Option<Finding> {
    same(number(case.trial.wanted().pids), number(case.looked()?.limits_later.pids))
}

pub fn cpu_limit(case: &Case) -> Option<Finding> {
    let words = |value: Option<u64>| value.map_or("none".into(), |n| format!("{:.2}", n as f64 / 100.0));
    same(words(case.trial.wanted().cpus), words(case.looked()?.limits_later.cpus))
}

pub fn limits_first(case: &Case) -> Option<Finding> {
    let looked = case.looked()?;
    let (first, later) = (looked.limits_first, looked.limits_later);
    let late: Vec<&str> = [
        ("memory", first.memory == later.memory),
        ("pids", first.pids == later.pids),
        ("cpu", first.cpus == later.cpus),
    ]
    .into_iter()
    .filter(|(_, same)| !same)
    .map(|(name, _)| name)
    .collect();
    holds(late.is_empty(), "in force before CMD's first instruction", format!("later: {}", late.join(", ")))
}

pub fn oom(case: &Case) -> Option<Finding> {
    let counted = case.evidence.strained?.oom_kills;
    let expected = "killed by the kernel, and counted";
    match &case.looked()?.swap {
        Some(swap) if counted > 0 => {
            holds(false, expected, format!("killed, but only for want of swap: {swap}"))
        }
        _ => holds(counted > 0, expected, "not killed in this group"),
    }
}

pub fn forks_refused(case: &Case) -> Option<Finding> {
    let strained = case.evidence.strained?;
    let most = case.trial.wanted().pids.unwrap_or(0);
    let held = strained.forks_refused > 0 && strained.processes <= most;
    let otherwise = format!("{} processes, and no fork refused in this group", strained.processes);
    holds(held, format!("at most {most} processes, then EAGAIN"), otherwise)
}

pub fn throttled(case: &Case) -> Option<Finding> {
    holds(case.evidence.strained?.throttled > 0, "throttled at least once", "never throttled")
}

pub fn own_groups(case: &Case) -> Option<Finding> {
    let finding = own_namespace(case, "cgroup")?;
    let above: Vec<&str> = case.looked()?.rooted_above.iter().map(String::as_str).collect();
    if !finding.held || above.is_empty() {
        return Some(finding);
    }
    holds(false, "CMD's group is /", format!("CMD's group is {}", some_of(&above)))
}

pub fn locked(case: &Case) -> Option<Finding> {
    let open: Vec<&str> = case.looked()?.view.open_groups.iter().map(String::as_str).collect();
    holds(open.is_empty(), "nothing that opens for writing", some_of(&open))
}

pub fn groups_gone(case: &Case) -> Option<Finding> {
    nothing(&left_of(case, |o| &o.groups)?)
}
