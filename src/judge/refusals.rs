//! How often a cell's own bounds have held those in it.

use super::cell::{Cell, LEAF};
use kernel::cgroup::{Controller, Group, Version, counter};

/// How often the kernel has held PROGRAM, and what it has put into no group of its own, to the cell's bounds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Refusals {
    /// Killed, since the cell, or all of the host, had no more memory.
    pub kills: u64,
    /// Refused a process.
    pub forks: u64,
}

impl Refusals {
    /// From Linux 6.11 on (v2) a refused process is counted where the limit is, before that where the fork was.
    pub fn of(cell: &Cell) -> Refusals {
        let top = cell.groups().iter().find(|group| group.wanted.contains(&Controller::Pids));
        let at_limit = top.and_then(|top| counter(&top.dir.join("pids.events.local"), "max"));
        let at_fork = || first_group(cell, Controller::Pids)?.forks_refused();
        let kills = first_group(cell, Controller::Memory).and_then(|group| group.oom_kills());
        Refusals { kills: kills.unwrap_or(0), forks: at_limit.or_else(at_fork).unwrap_or(0) }
    }
}

/// The group that PROGRAM was started in.
fn first_group(cell: &Cell, controller: Controller) -> Option<Group> {
    let mut group = cell.groups().iter().find(|group| group.wanted.contains(&controller))?.clone();
    if group.hierarchy.version == Version::V2 {
        group.dir.push(LEAF);
    }
    Some(group)
}
