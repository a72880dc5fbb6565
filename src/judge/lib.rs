//! The judge: does a program, anybody's, in any language, build a container as a step asks?
//!
//! ```text
//!   trial ── makes ──▶ cell (a throw-away host)          what PROGRAM is asked, and where
//!                        └─ PROGRAM ── starts ──▶ CMD     CMD is ours, in a part
//!   run ──── follows ────▶ both, by ptrace(2)             bounded in time, processes, memory, output
//!   look, ends ── fill ──▶ evidence                       kernel state, never words
//!   claims ── judge ──▶ findings
//! ```

mod cell;
mod ends;
mod exec;
mod ground;
mod look;
mod news;
mod outside;
pub mod part;
mod reason;
mod refusals;
mod run;
mod table;
mod tracer;
mod trial;

use std::ffi::OsString;
use std::path::PathBuf;

use trial::{Runs, Trial};

use claims::Claim;
use claims::finding::Finding;
use claims::task::{Asked, Task};
use fault::Fault;
use lab::Lab;

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

/// Judges a program by the command line of the last of these steps, which are given with their numbers, on their
/// claims from step FIRST on.
pub fn judge(
    lab: &Lab,
    defendant: &Defendant,
    tasks: &[(u32, Task)],
    first: u32,
) -> Result<Vec<Judged>, Fault> {
    let claims: Vec<(u32, &Task, &Claim)> = tasks
        .iter()
        .flat_map(|(step, task)| task.claims().map(move |claim| (*step, task, claim)))
        .filter(|(step, _, claim)| *step >= first || claim.is_the_first())
        .collect();
    let asked = tasks.iter().fold(Asked::NOTHING, |asked, (_, task)| asked.and(task.asks));
    let trial = Trial::new(lab, defendant.clone(), asked)?;
    let needed: Vec<&Claim> = claims.iter().map(|(.., claim)| *claim).collect();
    let evidence = trial.hold(Runs::for_all(&needed))?;
    let judged = claims.into_iter().map(|(step, task, claim)| {
        // Limits that could not be asked for are not judged either.
        let was_asked = trial.grouped || !task.asks.limits;
        let finding = if was_asked { claim.judge(&evidence) } else { None };
        let refused = evidence.refused.clone().filter(|_| claim.is_the_first());
        Judged { step, name: claim.name, finding, refused }
    });
    // That it starts at all is told where it is asked for, and where it is not so.
    let told = |j: &Judged| j.step >= first || j.finding.as_ref().is_some_and(|f| !f.held);
    Ok(judged.filter(told).collect())
}
