//! Limits, and the files of the two versions that they are written to.

use super::{Controller, Version};

/// What a group may use; as much as the group above where nothing is said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Bytes of memory; swap is not given on top, unless that is asked for.
    pub memory: Option<u64>,
    /// Memory and swap together.
    pub swap: Option<Swap>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// CPUs' worth of time: 0.5 is half of one.
    pub cpus: Option<f64>,
    /// Its share of the CPUs where others want them too, from 2 to 262144; a group that says nothing has 1024.
    pub shares: Option<u64>,
}

/// What a group may use of memory and swap together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Swap {
    /// So many bytes, not less than of memory alone.
    Bytes(u64),
    /// As much swap as there is.
    Unlimited,
}

impl Limits {
    /// No limit at all.
    pub const NONE: Limits = Limits { memory: None, swap: None, pids: None, cpus: None, shares: None };
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
        let shared = |controller| controller == Controller::Cpu && self.shares.is_some();
        let limited = |controller: &Controller| self.value(*controller).is_some() || shared(*controller);
        Controller::ALL.into_iter().filter(limited).collect()
    }

    /// The files of one controller and what to write to each, in order.
    pub fn settings(&self, controller: Controller, version: Version) -> Vec<Setting> {
        let mut settings = self.limits(controller, version);
        if let (Controller::Memory, Some(swap)) = (controller, self.swap) {
            settings.retain(|setting| !setting.optional);
            settings.push(swap.setting(self.memory.unwrap_or_default(), version));
        }
        if let (Controller::Cpu, Some(shares)) = (controller, self.shares) {
            let (file, value) = match version {
                Version::V1 => ("cpu.shares", shares),
                Version::V2 => ("cpu.weight", weight(shares)),
            };
            settings.push(Setting { why: "limit-shares", file, value: value.to_string(), optional: false });
        }
        settings
    }

    // ANCHOR: cgroup-limit-limit-memory
    /// Those that the step on limits sets.
    fn limits(&self, controller: Controller, version: Version) -> Vec<Setting> {
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

impl Swap {
    /// v1 limits memory and swap together, v2 swap alone. Unlike the step's own setting it is one that the kernel must have.
    fn setting(self, memory: u64, version: Version) -> Setting {
        let (file, value) = match (version, self) {
            (Version::V1, Swap::Bytes(bytes)) => ("memory.memsw.limit_in_bytes", bytes.to_string()),
            (Version::V1, Swap::Unlimited) => ("memory.memsw.limit_in_bytes", "-1".into()),
            (Version::V2, Swap::Bytes(bytes)) => {
                ("memory.swap.max", bytes.saturating_sub(memory).to_string())
            }
            (Version::V2, Swap::Unlimited) => ("memory.swap.max", "max".into()),
        };
        Setting { why: "limit-swap", file, value, optional: false }
    }
}

/// The weight of v2, 1 to 10000 and 100 by default, for shares of v1: 10 to the power of (l² + 125 l) / 612 - 7/34, where l
/// is their logarithm to base 2. It takes the smallest, the default and the largest of the one to those of the other
/// (ConvertCPUSharesToCgroupV2Value of runc since 1.4; older ones, by a straight line, gave 39 for the default).
fn weight(shares: u64) -> u64 {
    let l = log2(shares as f64);
    let exponent = (l * l + 125.0 * l) / 612.0 - 7.0 / 34.0;
    // What is a whole number but for the last digits is one.
    ((power_of_2(exponent * std::f64::consts::LOG2_10) - 1e-6).ceil() as u64).clamp(1, 10_000)
}

/// The binary logarithm of a number from 1 on, bit by bit: squaring doubles it. The C library's takes tables.
fn log2(number: f64) -> f64 {
    let (mut rest, mut log, mut bit) = (number, 0.0, 1.0);
    while rest >= 2.0 {
        (rest, log) = (rest / 2.0, log + 1.0);
    }
    for _ in 0..48 {
        (rest, bit) = (rest * rest, bit / 2.0);
        if rest >= 2.0 {
            (rest, log) = (rest / 2.0, log + bit);
        }
    }
    log
}

/// 2 to the power of a number from 0 on, bit by bit: the root of a power is half of it.
fn power_of_2(exponent: f64) -> f64 {
    let (mut rest, mut power, mut root, mut bit) = (exponent, 1.0, 2.0_f64, 1.0);
    while rest >= 1.0 {
        (rest, power) = (rest - 1.0, power * 2.0);
    }
    for _ in 0..48 {
        (root, bit) = (root.sqrt(), bit / 2.0);
        if rest >= bit {
            (rest, power) = (rest - bit, power * root);
        }
    }
    power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_cpu_is_half_a_period() {
        let limits = Limits { cpus: Some(0.5), ..Limits::NONE };
        assert_eq!(limits.controllers(), [Controller::Cpu]);
        assert_eq!(limits.settings(Controller::Pids, Version::V2).len(), 0);
        assert_eq!(limits.settings(Controller::Cpu, Version::V2)[0].value, "50000 100000");
        assert_eq!(limits.settings(Controller::Cpu, Version::V1)[1].value, "50000");
    }

    #[test]
    fn shares_become_weights_as_runc_has_them() {
        let known = [(2, 1), (1024, 100), (512, 59), (2048, 174), (262_144, 10_000), (128, 21), (4096, 303)];
        for (shares, weight) in known {
            let limits = Limits { shares: Some(shares), ..Limits::NONE };
            assert_eq!(limits.controllers(), [Controller::Cpu]);
            let of = |version| limits.settings(Controller::Cpu, version).remove(0);
            assert_eq!((of(Version::V1).file, of(Version::V1).value), ("cpu.shares", shares.to_string()));
            assert_eq!((of(Version::V2).file, of(Version::V2).value), ("cpu.weight", weight.to_string()));
        }
    }

    #[test]
    fn swap_is_counted_with_memory_in_v1_and_alone_in_v2() {
        let limits = Limits { memory: Some(64), swap: Some(Swap::Bytes(96)), ..Limits::NONE };
        let of = |limits: Limits, version| limits.settings(Controller::Memory, version).pop().unwrap().value;
        assert_eq!((of(limits, Version::V1), of(limits, Version::V2)), ("96".into(), "32".into()));
        let limits = Limits { swap: Some(Swap::Unlimited), ..limits };
        assert_eq!((of(limits, Version::V1), of(limits, Version::V2)), ("-1".into(), "max".into()));
    }
}
