//! What is claimed of a container at each step, and whether the evidence bears it out. Every claim is about kernel
//! state; words that a program prints convince nobody.

mod files;
mod limits;
mod network;
mod processes;

use std::collections::BTreeSet;

use super::ends::{Talked, Way};
use super::evidence::{Evidence, Looked};
use super::outside::Outside;
use super::traces::{self, Trace};
use super::trial::{Runs, Trial};
use crate::finding::{Finding, Seen};

/// Judges one claim; `None` where there is nothing to judge it by, since another claim failed.
type Test = fn(&Case) -> Option<Finding>;

/// A trial and what it brought to light.
pub struct Case<'c> {
    pub trial: &'c Trial<'c>,
    pub evidence: &'c Evidence,
}

/// One claim: the step that asks for it, its name, and how it is judged.
pub struct Claim {
    pub step: u32,
    pub name: &'static str,
    /// The run that it needs, besides the first.
    needs: Need,
    test: Test,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Look,
    Talk,
    /// Each end of CMD's own.
    End,
    Word,
    Name,
    /// Each end by a signal.
    Die,
    Orphan,
    Strain,
    Write,
}

const fn claim(step: u32, name: &'static str, needs: Need, test: Test) -> Claim {
    Claim { step, name, needs, test }
}

/// All claims, in the order in which they are told.
pub const CLAIMS: [Claim; 48] = [
    claim(0, "starts", Need::Look, processes::starts),
    claim(0, "arguments", Need::Word, processes::arguments),
    claim(0, "by-name", Need::Name, processes::by_name),
    claim(0, "streams", Need::Talk, processes::streams),
    claim(0, "exit-status", Need::End, processes::exit_status),
    claim(0, "death-status", Need::Die, processes::death_status),
    claim(0, "nothing-running", Need::Talk, processes::nothing_running),
    claim(1, "own-pids", Need::Look, |case| own_namespace(case, "pid")),
    claim(1, "pid-1", Need::Look, processes::pid_1),
    claim(1, "reaped", Need::Orphan, processes::reaped),
    claim(1, "sigterm", Need::Look, processes::sigterm),
    claim(2, "own-mounts", Need::Look, |case| own_namespace(case, "mnt")),
    claim(2, "private", Need::Look, files::private),
    claim(2, "own-proc", Need::Look, files::own_proc),
    claim(2, "outside-same", Need::Talk, files::outside_same),
    claim(3, "own-root", Need::Look, files::own_root),
    claim(3, "pivoted", Need::Look, files::pivoted),
    claim(3, "old-root-gone", Need::Look, files::old_root_gone),
    claim(3, "inside-cwd", Need::Look, files::inside_cwd),
    claim(3, "devices", Need::Look, files::devices),
    claim(3, "sys", Need::Look, files::sys),
    claim(3, "own-names", Need::Look, |case| own_namespace(case, "uts")),
    claim(3, "own-ipc", Need::Look, |case| own_namespace(case, "ipc")),
    claim(3, "names-same", Need::Talk, |case| unchanged(case, |o| &o.traces.names)),
    claim(3, "no-descriptors", Need::Look, files::no_descriptors),
    claim(4, "memory-limit", Need::Look, limits::memory_limit),
    claim(4, "pids-limit", Need::Look, limits::pids_limit),
    claim(4, "cpu-limit", Need::Look, limits::cpu_limit),
    claim(4, "limits-first", Need::Look, limits::limits_first),
    claim(4, "oom", Need::Strain, limits::oom),
    claim(4, "forks-refused", Need::Strain, limits::forks_refused),
    claim(4, "throttled", Need::Strain, limits::throttled),
    claim(4, "own-groups", Need::Look, limits::own_groups),
    claim(4, "locked", Need::Look, limits::locked),
    claim(4, "groups-gone", Need::Talk, limits::groups_gone),
    claim(5, "overlay-root", Need::Look, files::overlay_root),
    claim(5, "writable", Need::Write, files::writable),
    claim(5, "image-same", Need::Write, files::image_same),
    claim(5, "fresh", Need::Write, files::fresh),
    claim(5, "no-files", Need::Talk, files::no_files),
    claim(6, "own-network", Need::Look, |case| own_namespace(case, "net")),
    claim(6, "loopback", Need::Look, network::loopback),
    claim(6, "eth0", Need::Look, network::eth0),
    claim(6, "default-route", Need::Look, network::default_route),
    claim(6, "bridged", Need::Look, network::bridged),
    claim(6, "gateway", Need::Look, network::gateway),
    claim(6, "links-gone", Need::Talk, network::links_gone),
    claim(6, "network-same", Need::Talk, |case| unchanged(case, |o| &o.traces.network)),
];

impl Claim {
    /// Judges it. Limits that could not be asked for are not judged either.
    pub fn judge(&self, case: &Case) -> Option<Finding> {
        let asked = self.step != 4 || case.trial.grouped;
        let first = self.name == "starts";
        let looked = case.evidence.looked.is_some();
        if asked && (first || looked) { (self.test)(case) } else { None }
    }
}

/// The runs that the claims of some steps need.
pub fn runs_for(claims: &[&Claim]) -> Runs {
    let needs = |need| claims.iter().any(|claim| claim.needs == need);
    Runs {
        talk: needs(Need::Talk) || needs(Need::End),
        ends: [
            (Way::Word, needs(Need::Word) || needs(Need::End)),
            (Way::Name, needs(Need::Name) || needs(Need::End)),
            (Way::Orphan, needs(Need::Orphan) || needs(Need::Die)),
            (Way::Die, needs(Need::Die)),
        ]
        .into_iter()
        .filter_map(|(way, needed)| needed.then_some(way))
        .collect(),
        strain: needs(Need::Strain),
        write: needs(Need::Write),
    }
}

impl<'c> Case<'c> {
    fn looked(&self) -> Option<&'c Looked> {
        self.evidence.looked.as_ref()
    }

    fn talked(&self) -> Option<&'c Talked> {
        self.evidence.talked.as_ref()
    }

    /// The state before, and what was left after an end of CMD's own; and the same for an end by SIGTERM.
    fn left(&self) -> Option<Vec<(&'c Outside, &'c Outside)>> {
        let talked = self.talked()?;
        let mut ends = vec![(&talked.before, talked.left.as_ref()?)];
        if let Some(looked) = self.looked() {
            ends.extend(looked.left.as_ref().map(|left| (&looked.before, left)));
        }
        Some(ends)
    }
}

fn own_namespace(case: &Case, kind: &str) -> Option<Finding> {
    let (_, outside, inside) = case.looked()?.namespaces.iter().find(|(name, ..)| *name == kind)?;
    let (expected, actual) = (Seen::found("not", [("what", outside)]), Seen::fact(inside));
    Some(Finding { held: outside != inside, expected, actual, signs: Vec::new() })
}

/// Whether CMD is in another namespace of a kind than the cell.
fn is_apart(looked: &Looked, kind: &str) -> bool {
    looked.is_apart(kind)
}

/// Whether nothing of a host's traces is otherwise after an end.
fn unchanged(case: &Case, list: fn(&Outside) -> &[Trace]) -> Option<Finding> {
    let mut changed: Vec<Seen> = Vec::new();
    for (before, left) in case.left()? {
        changed.extend(traces::differences(list(before), list(left)));
    }
    let mut seen = BTreeSet::new();
    changed.retain(|change| seen.insert(change.clone()));
    Some(Finding::nothing(changed))
}

/// What is new of a kind after an end.
fn left_of(case: &Case, list: fn(&Outside) -> &[String]) -> Option<Vec<Seen>> {
    let ends = case.left()?;
    let new = ends.iter().flat_map(|(before, left)| Outside::new_in(list(left), list(before)));
    let names: BTreeSet<&str> = new.collect();
    Some(names.into_iter().map(Seen::fact).collect())
}
