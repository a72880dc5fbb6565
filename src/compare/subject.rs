//! What is compared: three ways to run one program.

use std::time::{Duration, Instant};

use super::listen::Heard;
use super::memory::Seen;
use super::probe::Report;
use fault::Fault;

/// A way to run a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// fork(2) and execve(2), and nothing else.
    Process,
    /// The container of all steps.
    Container,
    /// A virtual machine with a kernel of its own.
    Vm,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::Process, Kind::Container, Kind::Vm];

    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Process => "process",
            Kind::Container => "container",
            Kind::Vm => "vm",
        }
    }
}

/// Something that can run a probe, as often as it is asked to.
pub trait Subject {
    fn kind(&self) -> Kind;

    /// Bytes that have to lie on a disk for it to run.
    fn disk(&self) -> u64;

    /// How many runs are worth their time, where `usual` are of one that takes no time to speak of.
    fn worthwhile(&self, usual: usize) -> usize {
        usual
    }

    /// What runs the instructions, where that isn't simply the processor.
    fn accelerator(&self) -> Option<&'static str> {
        None
    }

    /// Runs a probe from beginning to end. Nothing is left of it afterwards, whether it went well or not.
    fn run(&mut self) -> Result<Run, Fault>;
}

/// A stage of a start: its name in JSON, and how long it took.
pub type Stage = (&'static str, Duration);

/// One run of a probe.
#[derive(Clone, Debug)]
pub struct Run {
    /// The stages of its start in order. They add up to `first`.
    pub stages: Vec<Stage>,
    /// From the beginning until the host has the probe's first byte in hand.
    pub first: Duration,
    /// From the beginning until nothing of it is left, without the time that the probe rested and measured.
    pub exit: Duration,
    /// What the host saw of it while the probe rested.
    pub seen: Seen,
    pub report: Report,
}

/// Time between milestones.
pub struct Stopwatch {
    began: Instant,
    last: Instant,
    stages: Vec<Stage>,
}

impl Stopwatch {
    pub fn start() -> Stopwatch {
        let began = Instant::now();
        Stopwatch { began, last: began, stages: Vec::new() }
    }

    /// The stage `name` was over at that time.
    pub fn over_at(&mut self, name: &'static str, time: Instant) {
        self.stages.push((name, time.saturating_duration_since(self.last)));
        self.last = time;
    }

    /// What came of a run whose stages are all told, and of which nothing is left now.
    pub fn stop(self, heard: Heard) -> Run {
        let own = heard.reported.saturating_duration_since(heard.first);
        Run {
            stages: self.stages,
            first: heard.first.saturating_duration_since(self.began),
            exit: self.began.elapsed().saturating_sub(own),
            seen: heard.seen,
            report: heard.report,
        }
    }
}
