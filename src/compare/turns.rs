//! The subjects take turns.

use super::subject::{Kind, Run, Subject};
use fault::Fault;
use kernel::signals::Signals;

/// A subject and what came of its runs.
pub struct Contestant<'s> {
    pub kind: Kind,
    /// Or why this host can't have it.
    pub(super) subject: Result<Box<dyn Subject + 's>, Fault>,
    /// What came of the runs that count.
    pub(super) runs: Vec<Run>,
}

impl<'s> Contestant<'s> {
    pub fn new(subject: impl Subject + 's) -> Contestant<'s> {
        Contestant { kind: subject.kind(), subject: Ok(Box::new(subject)), runs: Vec::new() }
    }

    /// One that this host can't have.
    pub fn absent(kind: Kind, why: Fault) -> Contestant<'s> {
        Contestant { kind, subject: Err(why), runs: Vec::new() }
    }

    /// Why this host can't have it.
    pub fn fault(&self) -> Option<&Fault> {
        self.subject.as_ref().err()
    }

    /// How many runs it has, the first included, which doesn't count.
    fn rounds(&self, plan: &Runs) -> usize {
        match (&self.subject, plan) {
            (Err(_), _) => 0,
            (Ok(_), Runs::Exactly(runs)) => runs + 1,
            (Ok(subject), Runs::Usually(usual)) => subject.worthwhile(*usual) + 1,
        }
    }

    /// One run. A virtual machine that doesn't come up the first time is one that this host can't have.
    fn run(&mut self, first: bool) -> Result<(), Fault> {
        let Ok(subject) = &mut self.subject else { return Ok(()) };
        match subject.run() {
            Ok(_) if first => Ok(()),
            Ok(run) => {
                self.runs.push(run);
                Ok(())
            }
            Err(fault @ Fault::Unable { .. }) if first && self.kind == Kind::Vm => {
                self.subject = Err(fault);
                Ok(())
            }
            Err(fault) => Err(fault),
        }
    }
}

/// How often each subject is run.
pub enum Runs {
    /// So often, whatever time it takes.
    Exactly(usize),
    /// So often, or less where a run takes long.
    Usually(usize),
}

/// Runs the subjects in turn, until each has had its runs. Before that each has one that doesn't count: it brings
/// the files into the page cache. `told` is called before each run with the number of all runs.
pub fn take_turns(
    contestants: &mut [Contestant],
    plan: &Runs,
    signals: &Signals,
    mut told: impl FnMut(Kind, usize),
) -> Result<(), Fault> {
    let most = |contestants: &[Contestant]| contestants.iter().map(|c| c.rounds(plan)).max().unwrap_or(0);
    for round in 0..most(contestants) {
        for place in 0..contestants.len() {
            let all = contestants.iter().map(|c| c.rounds(plan)).sum();
            let Some(contestant) = contestants.get_mut(place).filter(|c| round < c.rounds(plan)) else {
                continue;
            };
            signals.end_asked().map_or(Ok(()), |signal| Err(Fault::Interrupted(signal)))?;
            told(contestant.kind, all);
            contestant.run(round == 0)?;
        }
    }
    Ok(())
}
