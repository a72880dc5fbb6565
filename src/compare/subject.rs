//! What is compared: three ways to run one program.

use std::time::{Duration, Instant};

use super::memory::Seen;
use super::probe::Report;
use crate::fault::Fault;

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
    pub fn stop(self, heard: Heard, seen: Seen) -> Run {
        let own = heard.reported.saturating_duration_since(heard.first);
        Run {
            stages: self.stages,
            first: heard.first.saturating_duration_since(self.began),
            exit: self.began.elapsed().saturating_sub(own),
            seen,
            report: heard.report,
        }
    }
}

/// What the host hears of a probe, and when.
#[derive(Clone, Debug)]
pub struct Heard {
    /// When its first byte came.
    pub first: Instant,
    /// When its report was there.
    pub reported: Instant,
    pub report: Report,
}
