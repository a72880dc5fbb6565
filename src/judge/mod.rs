//! The judge: does a program, anybody's, in any language, build a container as a step asks?
//!
//! ```text
//!   trial ── makes ──▶ cell (a throw-away host)          what PROGRAM is asked, and where
//!                        └─ PROGRAM ── starts ──▶ CMD     CMD is ours, in a part
//!   run ──── follows ────▶ both, by ptrace(2)             bounded in time, processes, memory, output
//!   sight, bounds, outside ── look ──▶ evidence           kernel state, never words
//!   claims ── judge ──▶ findings
//! ```

mod bounds;
mod cell;
mod claims;
mod contents;
mod ends;
mod evidence;
mod exec;
mod fate;
mod foreign;
mod ground;
mod groups;
mod news;
mod outside;
pub mod part;
mod reason;
mod run;
mod sight;
mod tracer;
mod traces;
mod trial;

use std::ffi::OsString;
use std::path::PathBuf;

use claims::{CLAIMS, Case, Claim};
use trial::Trial;

use crate::fault::Fault;
use crate::finding::Finding;
use crate::lab::Lab;

/// A program that is to be judged.
#[derive(Clone, Debug)]
pub struct Defendant {
    /// The program, with its own first arguments: `python3 box.py`.
    pub argv: Vec<OsString>,
    /// Files and directories that it must find even where cells have fresh, empty places.
    pub kept: Vec<PathBuf>,
    /// Whether groups can be made here, so that limits can be asked for.
    pub grouped: bool,
    /// Whether it can be handed words that are not UTF-8.
    pub takes_bytes: bool,
}

/// One claim, judged. `None` where there was nothing to judge by.
pub struct Judged {
    pub step: u32,
    pub name: &'static str,
    pub finding: Option<Finding>,
    /// That PROGRAM could not start at all, which is the cause then.
    pub refused: Option<Fault>,
}

/// The names of what is claimed at a step.
pub fn names(step: u32) -> impl Iterator<Item = &'static str> {
    CLAIMS.iter().filter(move |claim| claim.step == step).map(|claim| claim.name)
}

/// Judges a program by the command line of STEP, on the claims of the steps from FIRST to STEP.
pub fn judge(lab: &Lab, defendant: &Defendant, first: u32, step: u32) -> Result<Vec<Judged>, Fault> {
    let claims: Vec<&Claim> =
        CLAIMS.iter().filter(|c| (first..=step).contains(&c.step) || c.name == "starts").collect();
    let trial = Trial::new(lab, defendant.clone(), step)?;
    let evidence = trial.hold(claims::runs_for(&claims))?;
    let case = Case { trial: &trial, evidence: &evidence };
    let refused = |claim: &Claim| evidence.refused.clone().filter(|_| claim.name == "starts");
    let judged = claims.iter().map(|claim| {
        let (finding, refused) = (claim.judge(&case), refused(claim));
        Judged { step: claim.step, name: claim.name, finding, refused }
    });
    // That it starts at all is told where it is asked for, and where it is not so.
    let told = |j: &Judged| j.step >= first || j.finding.as_ref().is_some_and(|f| !f.held);
    Ok(judged.filter(told).collect())
}
