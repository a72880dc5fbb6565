//! What is claimed of a container at each step, and whether the evidence bears it out. Every claim is about kernel
//! state; words that a program prints convince nobody.
//!
//! ```text
//!   course/steps   each step lists its claims, once
//!                        │ which runs do they need?
//!          ┌─────────────┴──────────────┐
//!          ▼                            ▼
//!   checks: our own container,    judge: PROGRAM's, traced,
//!   in the lab                    in a cell
//!          └──────── fill ──────┬───────┘
//!                               ▼
//!                           Evidence ── Claim::judge ──▶ Finding ── words ──▶ one `check` event
//! ```
//!
//! Either looks by PID ([`look`]) from what the container stands in ([`surroundings`]), and makes the runs that the claims
//! need in its own way. A claim has one name, one test, and one text: `{#check-NAME}` of the step's lesson. What may have
//! gone wrong in a builder's program is in the exercise.

pub mod bounds;
pub mod contents;
mod devices;
pub mod evidence;
pub mod fate;
pub mod files;
pub mod finding;
pub mod foreign;
mod groups;
pub mod host;
pub mod limits;
pub mod look;
pub mod machine;
pub mod network;
pub mod outside;
pub mod processes;
pub mod sight;
pub mod started;
pub mod surroundings;
pub mod task;
pub mod traces;
pub mod users;

use std::collections::BTreeSet;

use evidence::{Evidence, Looked};
use finding::{Finding, Seen};
use outside::Outside;
use traces::Trace;

/// Judges one claim; `None` where there is nothing to judge it by, since another claim failed.
pub type Test = fn(&Evidence) -> Option<Finding>;

/// One claim: its name, and how it is judged.
pub struct Claim {
    pub name: &'static str,
    /// The run that it needs.
    pub needs: Need,
    /// Of whose containers it is claimed.
    of: Whose,
    test: Test,
}

/// The runs that bring a claim's evidence to light.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A look at a container.
    Look,
    /// And at what was so before its program's first instruction.
    Early,
    /// And at one whose program has started.
    Started,
    /// Whoever made it is asked to end.
    Terminate,
    /// What is left outside when it has ended.
    Left,
    Orphan,
    Strain,
    Write,
    // A PROGRAM's CMD …
    /// … has something to say, and ends.
    Talk,
    /// … ends with each of several statuses.
    End,
    Word,
    Name,
    /// … is ended by each of several signals.
    Die,
    // Our own container has something prepared for it …
    /// … a namespace in its namespace, orphans that nobody waits for, a child that would outlive its PID 1.
    Kernel,
    /// … a mount that a visitor makes.
    Mount,
    /// … a way out of chroot(2).
    Escape,
    /// … a message queue that a visitor makes.
    Queue,
    /// … another one beside it on its network, and a third network.
    Neighbours,
    /// A virtual machine, and the same when it has ended.
    Machine,
    MachineLeft,
    /// The real host, before the lab and now.
    Host,
}

impl Need {
    /// Whether it is known only when the container has ended.
    pub fn is_of_the_end(self) -> bool {
        matches!(self, Need::Left | Need::MachineLeft | Need::Host)
    }
}

/// Of whose containers something is claimed; why not of the others'.
#[derive(Clone, Copy)]
enum Whose {
    All,
    Ours(&'static str),
    Programs(&'static str),
}

/// A claim of this name, for a step's list.
pub const fn claim(name: &'static str, needs: Need, test: Test) -> Claim {
    Claim { name, needs, of: Whose::All, test }
}

/// What the kernel does for any container: it is shown, and no builder could have it otherwise.
pub const KERNELS: &str = "it is the kernel's doing, whoever makes the container";
/// What the exercise does not ask for.
pub const NOT_ASKED: &str = "the exercise leaves it open";

/// Every step's last claim: the real host is as it was before the lab.
pub const HOST_SAME: Claim = claim("host-same", Need::Host, host::host_same)
    .ours("a judged program runs in a cell, and what it changes there is judged claim by claim");

impl Claim {
    /// The same of our own containers only, and why nobody else's is judged by it.
    pub const fn ours(self, why: &'static str) -> Claim {
        Claim { of: Whose::Ours(why), ..self }
    }

    /// The same of a PROGRAM's containers only, and why ours is not judged by it.
    pub const fn programs(self, why: &'static str) -> Claim {
        Claim { of: Whose::Programs(why), ..self }
    }

    /// Whether our own containers are judged by it.
    pub fn is_of_ours(&self) -> bool {
        !matches!(self.of, Whose::Programs(_))
    }

    /// Whether those of a PROGRAM are.
    pub fn is_of_programs(&self) -> bool {
        !matches!(self.of, Whose::Ours(_))
    }

    /// Why only one side is judged by it, if that is so.
    pub fn why_one_sided(&self) -> Option<&'static str> {
        match self.of {
            Whose::All => None,
            Whose::Ours(why) | Whose::Programs(why) => Some(why),
        }
    }

    /// Whether it is that the program starts at all, which all others take for granted.
    pub fn is_the_first(&self) -> bool {
        self.name == "starts"
    }

    /// Judges it.
    pub fn judge(&self, evidence: &Evidence) -> Option<Finding> {
        let is_there = evidence.looked.is_some() || evidence.exact;
        if self.is_the_first() || is_there { (self.test)(evidence) } else { None }
    }
}

fn looked(evidence: &Evidence) -> Option<&Looked> {
    evidence.looked.as_ref()
}

/// Whether CMD has a namespace of this kind of its own.
pub fn own_namespace(evidence: &Evidence, kind: &str) -> Option<Finding> {
    let (_, outside, inside) = looked(evidence)?.namespaces.iter().find(|(name, ..)| *name == kind)?;
    let (expected, actual) = (Seen::found("not", [("what", outside)]), Seen::fact(inside));
    Some(Finding { held: outside != inside, expected, actual, signs: Vec::new() })
}

/// Whether CMD is in another namespace of a kind than the outside.
fn is_apart(looked: &Looked, kind: &str) -> bool {
    looked.is_apart(kind)
}

/// Whether nothing of a host's traces is otherwise after an end.
pub fn unchanged(evidence: &Evidence, list: fn(&Outside) -> &[Trace]) -> Option<Finding> {
    let mut changed: Vec<Seen> = Vec::new();
    for (before, left) in evidence.left()? {
        changed.extend(traces::differences(list(before), list(left)));
    }
    let mut seen = BTreeSet::new();
    changed.retain(|change| seen.insert(change.clone()));
    Some(Finding::nothing(changed))
}

/// What is new of a kind after an end.
fn left_of(evidence: &Evidence, list: fn(&Outside) -> &[String]) -> Option<Vec<Seen>> {
    let ends = evidence.left()?;
    let new = ends.iter().flat_map(|(before, left)| Outside::new_in(list(left), list(before)));
    let names: BTreeSet<&str> = new.collect();
    Some(names.into_iter().map(Seen::fact).collect())
}
