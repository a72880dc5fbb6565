//! Limits as they are in force for a process, and what the kernel has counted at them (cgroups(7)).

use std::fs;
use std::path::{Path, PathBuf};

use nix::unistd::Pid;

use super::surroundings::Surroundings;
use kernel::cgroup::{Controller, Group, Hierarchy, Version, hierarchy_of, words};
use kernel::process;

/// The smallest limits in force between the outside's group and a process; `None` where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limited {
    /// Bytes.
    pub memory: Option<u64>,
    pub pids: Option<u64>,
    /// Hundredths of a CPU.
    pub cpus: Option<u64>,
}

impl Limited {
    pub fn of(pid: Pid, around: &impl Surroundings) -> Limited {
        let least = |controller, value: fn(&Path, Version) -> Option<u64>| {
            let (hierarchy, groups) = line(pid, around, controller)?;
            groups.iter().filter_map(|dir| value(dir, hierarchy.version)).min()
        };
        Limited {
            memory: least(Controller::Memory, memory),
            pids: least(Controller::Pids, |dir, _| number(&dir.join("pids.max"))),
            cpus: least(Controller::Cpu, cpus),
        }
    }

    /// The same of one that still runs, for whom they are in force: the groups of one that has ended may be gone.
    pub fn of_living(pid: Pid, around: &impl Surroundings) -> Option<Limited> {
        let limits = Limited::of(pid, around);
        let state = process::status(Path::new("/proc"), &pid.to_string(), "State")?;
        (!state.starts_with(['Z', 'X'])).then_some(limits)
    }
}

/// How often the kernel has killed, refused and held back.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counters {
    pub oom_kills: u64,
    pub forks_refused: u64,
    pub throttled: u64,
    /// The most processes that were there at a time.
    pub processes: u64,
}

impl Counters {
    pub fn of(pid: Pid, around: &impl Surroundings) -> Counters {
        let most = |controller, count: fn(&Group) -> Option<u64>| {
            let Some((hierarchy, groups)) = line(pid, around, controller) else { return 0 };
            let group = |dir: &PathBuf| Group {
                hierarchy: hierarchy.clone(),
                wanted: vec![controller],
                dir: dir.clone(),
            };
            groups.iter().filter_map(|dir| count(&group(dir))).max().unwrap_or(0)
        };
        let members = line(pid, around, Controller::Pids)
            .and_then(|(_, groups)| number(&groups.first()?.join("pids.current")))
            .unwrap_or(0);
        Counters {
            oom_kills: most(Controller::Memory, Group::oom_kills),
            forks_refused: most(Controller::Pids, Group::forks_refused),
            throttled: most(Controller::Cpu, Group::throttled),
            processes: members,
        }
    }

    pub fn max(self, other: Counters) -> Counters {
        Counters {
            oom_kills: self.oom_kills.max(other.oom_kills),
            forks_refused: self.forks_refused.max(other.forks_refused),
            throttled: self.throttled.max(other.throttled),
            processes: self.processes.max(other.processes),
        }
    }

    pub fn all_counted(&self) -> bool {
        self.oom_kills > 0 && self.forks_refused > 0 && self.throttled > 0
    }
}

/// A file that lets a group swap, and what it says.
pub struct Swap {
    pub file: &'static str,
    pub value: String,
}

/// What gives a process more memory than its limit, as swap: `None` if it can have none (cgroup-v2.rst; memory.rst of
/// v1, where memory and swap are limited together or the group is kept from swapping).
pub fn way_around(pid: Pid, around: &impl Surroundings) -> Option<Swap> {
    let (hierarchy, groups) = line(pid, around, Controller::Memory)?;
    let limit = groups.iter().filter_map(|dir| memory(dir, hierarchy.version)).min()?;
    let (file, closed): (_, &dyn Fn(&Path) -> bool) = match hierarchy.version {
        Version::V2 => ("memory.swap.max", &|dir| number(&dir.join("memory.swap.max")) == Some(0)),
        Version::V1 => ("memory.memsw.limit_in_bytes", &|dir| {
            number(&dir.join("memory.memsw.limit_in_bytes")).is_some_and(|both| both <= limit)
                || number(&dir.join("memory.swappiness")) == Some(0)
        }),
    };
    let counted = groups.iter().find(|dir| dir.join(file).exists())?;
    let value = words(&counted.join(file)).join(" ");
    (!groups.iter().any(|dir| closed(dir))).then_some(Swap { file, value })
}

/// The groups that a process is in for a controller, from its own upwards, without the outside's.
fn line(pid: Pid, around: &impl Surroundings, controller: Controller) -> Option<(Hierarchy, Vec<PathBuf>)> {
    let top = around.top(controller)?;
    let hierarchy = hierarchy_of(&pid.to_string(), controller)?;
    let own = hierarchy.own.clone();
    let inside = own.ancestors().take_while(|dir| *dir != top.dir).map(Path::to_path_buf);
    let groups = if own.starts_with(&top.dir) { inside.collect() } else { Vec::new() };
    Some((hierarchy, groups))
}

fn number(file: &Path) -> Option<u64> {
    words(file).first()?.parse().ok()
}

fn memory(dir: &Path, version: Version) -> Option<u64> {
    match version {
        Version::V2 => number(&dir.join("memory.max")),
        // No limit is the largest number of pages that fits.
        Version::V1 => number(&dir.join("memory.limit_in_bytes")).filter(|bytes| *bytes < 1 << 60),
    }
}

/// Hundredths of a CPU: quota by period.
fn cpus(dir: &Path, version: Version) -> Option<u64> {
    let (quota, period) = match version {
        Version::V2 => {
            let words = words(&dir.join("cpu.max"));
            (words.first()?.parse::<u64>().ok()?, words.get(1)?.parse::<u64>().ok()?)
        }
        Version::V1 => (
            fs::read_to_string(dir.join("cpu.cfs_quota_us")).ok()?.trim().parse::<u64>().ok()?,
            number(&dir.join("cpu.cfs_period_us"))?,
        ),
    };
    Some((quota * 100 + period / 2) / period.max(1))
}
