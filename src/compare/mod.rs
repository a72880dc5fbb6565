//! One program, run as a plain process, in a container and in a virtual machine: what each costs, measured here.
//!
//! All three run the same executable, our own as a [`probe`], from the same root filesystem. They take turns, so
//! that whatever else the machine does disturbs all alike.
//!
//! | file | idea |
//! |---|---|
//! | `subject` | a way to run a program, and what one run tells |
//! | `process`, `container`, `vm` | the ways |
//! | `probe` | the program |
//! | `listen`, `memory` | how the host hears and sees it |
//! | `stats` | many runs in three numbers |
//! | `host` | what it was measured on |

mod container;
mod host;
mod listen;
mod memory;
pub mod probe;
mod process;
mod stats;
mod subject;
mod vm;

pub use container::Container;
pub use host::Host;
pub use memory::pss;
pub use process::Process;
pub use stats::Spread;
pub use subject::Kind;
pub use vm::Vm;

use serde::Serialize;
use subject::{Run, Subject};

use crate::fault::Fault;
use crate::kernel::signals::Signals;

/// Where our own executable lies in the image of all subjects.
pub const PROGRAM: &str = "/bin/workshop";

/// A subject and what came of its runs.
pub struct Contestant<'s> {
    pub kind: Kind,
    /// Or why this host can't have it.
    subject: Result<Box<dyn Subject + 's>, Fault>,
    runs: Vec<Run>,
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

/// Something that is measured of each subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Time until the host has the program's first byte, which is the first thing that it does.
    First,
    /// Time until nothing is left of it, less the program's own work.
    Exit,
    /// Memory of all its processes on the host.
    Memory,
    /// What has to lie on a disk.
    Disk,
    SystemCall,
    PageFault,
    FileRead,
    CpuLoop,
}

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    Seconds,
    Bytes,
}

impl Figure {
    pub const ALL: [Figure; 8] = [
        Figure::First,
        Figure::Exit,
        Figure::Memory,
        Figure::Disk,
        Figure::SystemCall,
        Figure::PageFault,
        Figure::FileRead,
        Figure::CpuLoop,
    ];

    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Figure::First => "first-instruction",
            Figure::Exit => "exit",
            Figure::Memory => "memory",
            Figure::Disk => "disk",
            Figure::SystemCall => "system-call",
            Figure::PageFault => "page-fault",
            Figure::FileRead => "file-read",
            Figure::CpuLoop => "cpu-loop",
        }
    }

    pub fn unit(self) -> Unit {
        match self {
            Figure::Memory | Figure::Disk => Unit::Bytes,
            _ => Unit::Seconds,
        }
    }

    /// It in one run.
    fn of(self, run: &Run, disk: u64) -> f64 {
        match self {
            Figure::First => run.first.as_secs_f64(),
            Figure::Exit => run.exit.as_secs_f64(),
            Figure::Memory => run.seen.memory as f64,
            Figure::Disk => disk as f64,
            Figure::SystemCall => run.report.system_call,
            Figure::PageFault => run.report.page_fault,
            Figure::FileRead => run.report.file_read,
            Figure::CpuLoop => run.report.cpu_loop,
        }
    }
}

/// What all runs of a subject come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    pub kind: Kind,
    /// The release of the kernel that the program ran on.
    pub kernel: String,
    /// How many processes the program saw, itself included, and how many of its own the host saw. Of the last run.
    pub processes: (usize, usize),
    /// The stages of the start.
    pub stages: Vec<(&'static str, Spread)>,
    /// One for each of [`Figure::ALL`], in that order.
    pub figures: Vec<(Figure, Spread)>,
}

impl Measured {
    /// Sums up the runs; `None` if there were none.
    fn of(contestant: &Contestant) -> Option<Measured> {
        let (runs, disk) = (&contestant.runs, contestant.subject.as_ref().ok()?.disk());
        let last = runs.last()?;
        let spread =
            |figure: Figure| Some((figure, Spread::of(runs.iter().map(|run| figure.of(run, disk)))?));
        let stage = |(place, (name, _)): (usize, &(&'static str, _))| {
            let took =
                runs.iter().filter_map(|run| run.stages.get(place)).map(|(_, took)| took.as_secs_f64());
            Some((*name, Spread::of(took)?))
        };
        Some(Measured {
            kind: contestant.kind,
            kernel: last.report.kernel.clone(),
            processes: (last.report.processes, last.seen.processes),
            stages: last.stages.iter().enumerate().filter_map(stage).collect(),
            figures: Figure::ALL.into_iter().filter_map(spread).collect(),
        })
    }

    /// One of its figures.
    pub fn figure(&self, wanted: Figure) -> Option<&Spread> {
        self.figures.iter().find(|(figure, _)| *figure == wanted).map(|(_, spread)| spread)
    }
}

/// All that was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    pub host: Host,
    pub subjects: Vec<Measured>,
    /// What could not be measured, and why not, in words.
    pub absent: Vec<(Kind, String)>,
}

impl Comparison {
    /// Sums up what came of the runs. `say` puts a fault into words.
    pub fn of(mut host: Host, contestants: &[Contestant], say: impl Fn(&Fault) -> String) -> Comparison {
        let present = contestants.iter().filter_map(|c| c.subject.as_ref().ok());
        host.accelerator = present.into_iter().find_map(|subject| subject.accelerator());
        let absent = contestants.iter().filter_map(|c| Some((c.kind, say(c.fault()?))));
        let absent = absent.collect();
        Comparison { host, subjects: contestants.iter().filter_map(Measured::of).collect(), absent }
    }

    /// What was to be compared, measured or not.
    pub fn kinds(&self) -> Vec<Kind> {
        let wanted =
            |kind: &Kind| self.subject(*kind).is_some() || self.absent.iter().any(|(k, _)| k == kind);
        Kind::ALL.into_iter().filter(wanted).collect()
    }

    pub fn subject(&self, kind: Kind) -> Option<&Measured> {
        self.subjects.iter().find(|measured| measured.kind == kind)
    }

    /// How many times the process's figure that of another subject is.
    pub fn times_process(&self, kind: Kind, figure: Figure) -> Option<f64> {
        let of = |kind| Some(self.subject(kind)?.figure(figure)?.median);
        of(Kind::Process).filter(|process| *process > 0.0).and_then(|process| Some(of(kind)? / process))
    }
}
