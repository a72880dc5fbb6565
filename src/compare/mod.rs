//! One program, run as a plain process, in a container and in a virtual machine: what each costs, measured here.
//!
//! All three run the same executable, our own as a [`probe`], from the same root filesystem. They take turns, so
//! that whatever else the machine does disturbs all alike.
//!
//! | file | idea |
//! |---|---|
//! | `subject` | a way to run a program, and what one run tells |
//! | `process`, `container` | the ways |
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

pub use container::Container;
pub use host::Host;
pub use memory::pss;
pub use process::Process;
pub use stats::Spread;
pub use subject::{Kind, Run, Subject};

use serde::Serialize;

use crate::fault::Fault;
use crate::kernel::signals::Signals;

/// Where our own executable lies in the image of all subjects.
pub const PROGRAM: &str = "/usr/local/bin/workshop";

/// A subject and what came of its runs.
pub struct Contestant<'s> {
    pub subject: Box<dyn Subject + 's>,
    /// How many runs count.
    pub wanted: usize,
    runs: Vec<Run>,
}

impl<'s> Contestant<'s> {
    pub fn new(subject: impl Subject + 's, wanted: usize) -> Contestant<'s> {
        Contestant { subject: Box::new(subject), wanted, runs: Vec::new() }
    }
}

/// Runs the subjects in turn, until each has had its runs. Before that each has one that doesn't count: it brings
/// the files into the page cache. `told` is called before each run.
pub fn take_turns(
    contestants: &mut [Contestant],
    signals: &Signals,
    mut told: impl FnMut(Kind),
) -> Result<(), Fault> {
    let rounds = contestants.iter().map(|c| c.wanted).max().unwrap_or(0);
    for round in 0..=rounds {
        for contestant in contestants.iter_mut().filter(|c| round <= c.wanted) {
            signals.end_asked().map_or(Ok(()), |signal| Err(Fault::Interrupted(signal)))?;
            told(contestant.subject.kind());
            let run = contestant.subject.run()?;
            if round > 0 {
                contestant.runs.push(run);
            }
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
        let (runs, disk) = (&contestant.runs, contestant.subject.disk());
        let last = runs.last()?;
        let spread =
            |figure: Figure| Some((figure, Spread::of(runs.iter().map(|run| figure.of(run, disk)))?));
        let stage = |(place, (name, _)): (usize, &(&'static str, _))| {
            let took =
                runs.iter().filter_map(|run| run.stages.get(place)).map(|(_, took)| took.as_secs_f64());
            Some((*name, Spread::of(took)?))
        };
        Some(Measured {
            kind: contestant.subject.kind(),
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
    pub fn of(host: Host, contestants: &[Contestant], absent: Vec<(Kind, String)>) -> Comparison {
        Comparison { host, subjects: contestants.iter().filter_map(Measured::of).collect(), absent }
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
