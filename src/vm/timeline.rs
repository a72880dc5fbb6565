//! The boot chain: when each stage of a machine's start was reached.

use std::time::{Duration, Instant};

use serde::Serialize;

/// What a machine goes through, in order. Each ends where the next begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// QEMU starts and makes the machine.
    Hypervisor,
    /// The firmware runs and hands over to the kernel, which lies in memory already.
    Firmware,
    /// The kernel's own loader unpacks it.
    Unpacking,
    /// The kernel finds the hardware and unpacks the initramfs.
    Kernel,
    /// Init mounts what programs expect and loads drivers.
    Init,
    /// The program runs.
    Program,
    /// The machine is switched off and QEMU ends.
    Ending,
}

impl Stage {
    /// Key of its name in the words.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Hypervisor => "hypervisor",
            Stage::Firmware => "firmware",
            Stage::Unpacking => "unpacking",
            Stage::Kernel => "kernel",
            Stage::Init => "init",
            Stage::Program => "program",
            Stage::Ending => "ending",
        }
    }
}

/// When each stage began, by the host's clock (CLOCK_MONOTONIC).
#[derive(Clone, Debug)]
pub struct Timeline {
    start: Instant,
    /// In the order in which they began; the end is where the last one stops.
    began: Vec<(Stage, Duration)>,
    end: Option<Duration>,
}

impl Timeline {
    /// A machine was started then.
    pub fn since(start: Instant) -> Timeline {
        Timeline { start, began: vec![(Stage::Hypervisor, Duration::ZERO)], end: None }
    }

    /// A stage begins now, unless it has begun already.
    pub fn begin(&mut self, stage: Stage) {
        self.begin_at(stage, self.start.elapsed());
    }

    /// Init runs now, and its kernel has counted `uptime` since it began to.
    pub fn init(&mut self, uptime: Duration) {
        let now = self.start.elapsed();
        self.begin_at(Stage::Kernel, now.saturating_sub(uptime));
        self.begin_at(Stage::Init, now);
    }

    fn begin_at(&mut self, stage: Stage, at: Duration) {
        // A stage that can't be seen from outside (a firmware without a debug port) is a part of the one before.
        if self.at(stage).is_none() {
            let at = self.began.last().map_or(at, |(_, before)| at.max(*before));
            self.began.push((stage, at));
        }
    }

    /// All is over.
    pub fn end(&mut self) {
        self.end.get_or_insert(self.start.elapsed());
    }

    /// When a stage began, from the start of QEMU on.
    pub fn at(&self, stage: Stage) -> Option<Duration> {
        self.began.iter().find(|(began, _)| *began == stage).map(|(_, at)| *at)
    }

    /// Each stage with its beginning and how long it took, as far as the next one has begun.
    pub fn stages(&self) -> Vec<(Stage, Duration, Duration)> {
        let ends = self.began.iter().skip(1).map(|(_, at)| *at).chain(self.end);
        self.began.iter().zip(ends).map(|((stage, at), end)| (*stage, *at, end.saturating_sub(*at))).collect()
    }

    /// The stage that was reached last.
    pub fn latest(&self) -> Stage {
        self.began.last().map_or(Stage::Hypervisor, |(stage, _)| *stage)
    }

    /// How long ago the start was.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}

/// A machine that has booted, for whoever tells of it.
#[derive(Clone, Debug, Serialize)]
pub struct Booted {
    /// The release of its kernel.
    pub kernel: String,
    /// `KVM` or `TCG`.
    pub accelerator: &'static str,
    /// MiB.
    pub memory: u64,
    pub stages: Vec<Reached>,
}

/// A stage, when it began and how long it took, in seconds.
#[derive(Clone, Debug, Serialize)]
pub struct Reached {
    pub name: &'static str,
    pub at: f64,
    pub seconds: f64,
}

impl Timeline {
    /// The stages in seconds.
    pub fn reached(&self) -> Vec<Reached> {
        let stages = self.stages().into_iter();
        stages
            .map(|(stage, at, took)| Reached {
                name: stage.name(),
                at: at.as_secs_f64(),
                seconds: took.as_secs_f64(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_follow_each_other_without_gaps() {
        let mut timeline = Timeline::since(Instant::now());
        timeline.begin(Stage::Firmware);
        timeline.begin(Stage::Unpacking);
        std::thread::sleep(Duration::from_millis(5));
        timeline.init(Duration::from_millis(2));
        timeline.begin(Stage::Firmware);
        timeline.end();
        let stages = timeline.stages();
        let names: Vec<_> = stages.iter().map(|(stage, ..)| stage.name()).collect();
        assert_eq!(names, ["hypervisor", "firmware", "unpacking", "kernel", "init"]);
        for pair in stages.windows(2) {
            assert_eq!(pair[0].1 + pair[0].2, pair[1].1);
        }
        assert!(stages[3].2 >= Duration::from_millis(2));
    }
}
