//! What is claimed of a container at each step, and whether the evidence bears it out. Every claim is about kernel
//! state; words that a program prints convince nobody.

pub mod files;
pub mod limits;
pub mod network;
pub mod processes;

use std::collections::BTreeSet;

use super::ends::{Talked, Way};
use super::evidence::{Evidence, Looked};
use super::outside::Outside;
use super::traces::{self, Trace};
use super::trial::{Runs, Trial};
use crate::finding::{Finding, Seen};

/// Judges one claim; `None` where there is nothing to judge it by, since another claim failed.
pub type Test = fn(&Case) -> Option<Finding>;

/// A trial and what it brought to light.
pub struct Case<'c> {
    pub trial: &'c Trial<'c>,
    pub evidence: &'c Evidence,
}

/// One claim: its name, and how it is judged.
pub struct Claim {
    pub name: &'static str,
    /// The run that it needs, besides the first.
    needs: Need,
    test: Test,
}

/// The runs that bring a claim's evidence to light.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Need {
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

/// A claim of this name, for a step's list.
pub const fn claim(name: &'static str, needs: Need, test: Test) -> Claim {
    Claim { name, needs, test }
}

impl Claim {
    /// Whether it is that the program starts at all, which all others take for granted.
    pub fn is_the_first(&self) -> bool {
        self.name == "starts"
    }

    /// Judges it.
    pub fn judge(&self, case: &Case) -> Option<Finding> {
        let looked = case.evidence.looked.is_some();
        if self.is_the_first() || looked { (self.test)(case) } else { None }
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

/// Whether CMD has a namespace of this kind of its own.
pub fn own_namespace(case: &Case, kind: &str) -> Option<Finding> {
    let (_, outside, inside) = case.looked()?.namespaces.iter().find(|(name, ..)| *name == kind)?;
    let (expected, actual) = (Seen::found("not", [("what", outside)]), Seen::fact(inside));
    Some(Finding { held: outside != inside, expected, actual, signs: Vec::new() })
}

/// Whether CMD is in another namespace of a kind than the cell.
fn is_apart(looked: &Looked, kind: &str) -> bool {
    looked.is_apart(kind)
}

/// Whether nothing of a host's traces is otherwise after an end.
pub fn unchanged(case: &Case, list: fn(&Outside) -> &[Trace]) -> Option<Finding> {
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
