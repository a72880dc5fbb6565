//! What all runs come to, figure by figure.

use serde::Serialize;

use super::host::Host;
use super::stats::Spread;
use super::subject::{Kind, Run};
use super::turns::Contestant;
use fault::Fault;

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
