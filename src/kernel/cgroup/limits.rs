//! Limits, and the files of the two versions that they are written to.

use super::{Controller, Version};

/// What a group may use; as much as the group above where nothing is said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Bytes of memory; swap is not given on top.
    pub memory: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// CPUs' worth of time: 0.5 is half of one.
    pub cpus: Option<f64>,
}

impl Limits {
    /// No limit at all.
    pub const NONE: Limits = Limits { memory: None, pids: None, cpus: None };
}

/// The period that CPU time is dealt out in, in microseconds: the kernel's default.
pub const CPU_PERIOD: u64 = 100_000;

/// One limit: the lesson's key for it, the file, and what is written.
pub struct Setting {
    pub why: &'static str,
    pub file: &'static str,
    pub value: String,
    /// Whether a kernel may lack the file (swap accounting is optional).
    pub optional: bool,
}

impl Limits {
    /// The limit on one controller, as its file takes it.
    fn value(&self, controller: Controller) -> Option<String> {
        let quota = |cpus: f64| (cpus * CPU_PERIOD as f64).round().max(1000.0) as u64;
        match controller {
            Controller::Memory => self.memory.map(|bytes| bytes.to_string()),
            Controller::Pids => self.pids.map(|most| most.to_string()),
            Controller::Cpu => self.cpus.map(|cpus| quota(cpus).to_string()),
        }
    }

    /// The controllers that it takes.
    pub fn controllers(&self) -> Vec<Controller> {
        Controller::ALL.into_iter().filter(|controller| self.value(*controller).is_some()).collect()
    }

    // ANCHOR: cgroup-limit-limit-memory
    /// The files of one controller and what to write to each, in order.
    pub fn settings(&self, controller: Controller, version: Version) -> Vec<Setting> {
        let Some(value) = self.value(controller) else { return Vec::new() };
        let set = |why, file, value: &str| Setting { why, file, value: value.into(), optional: false };
        let may = |why, file, value: &str| Setting { why, file, value: value.into(), optional: true };
        match (controller, version) {
            (Controller::Memory, Version::V1) => vec![
                set("limit-memory", "memory.limit_in_bytes", &value),
                // Memory and swap together: the same figure leaves no swap.
                may("limit-swap", "memory.memsw.limit_in_bytes", &value),
            ],
            (Controller::Memory, Version::V2) => {
                vec![set("limit-memory", "memory.max", &value), may("limit-swap", "memory.swap.max", "0")]
            }
            (Controller::Pids, _) => vec![set("limit-pids", "pids.max", &value)],
            (Controller::Cpu, Version::V1) => vec![
                set("limit-period", "cpu.cfs_period_us", &CPU_PERIOD.to_string()),
                set("limit-cpu", "cpu.cfs_quota_us", &value),
            ],
            (Controller::Cpu, Version::V2) => {
                vec![set("limit-cpu", "cpu.max", &format!("{value} {CPU_PERIOD}"))]
            }
        }
    }
    // ANCHOR_END: cgroup-limit-limit-memory
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_cpu_is_half_a_period() {
        let limits = Limits { memory: None, pids: None, cpus: Some(0.5) };
        assert_eq!(limits.controllers(), [Controller::Cpu]);
        assert_eq!(limits.settings(Controller::Pids, Version::V2).len(), 0);
        assert_eq!(limits.settings(Controller::Cpu, Version::V2)[0].value, "50000 100000");
        assert_eq!(limits.settings(Controller::Cpu, Version::V1)[1].value, "50000");
    }
}
