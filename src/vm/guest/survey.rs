//! What the guest's init can say about the guest.

use std::fs;
use std::path::Path;

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use kernel::process;

/// Answers to questions that the host can be asked too.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Survey {
    /// The kernel's release (uname(2)).
    pub kernel: String,
    /// A random number that a kernel draws when it boots (`/proc/sys/kernel/random/boot_id`).
    pub boot_id: String,
    /// The name of PID 1.
    pub first: String,
    /// The file that it executes, where the caller may know, and the PID of its parent.
    pub first_program: String,
    pub first_parent: String,
    /// How many processes there are.
    pub processes: usize,
    /// `pid:[…]` of PID 1.
    pub pid_namespace: String,
    /// All memory that the kernel has, in kB (`MemTotal` of proc_meminfo(5)).
    pub memory_kb: u64,
    /// How much of it caches files, in kB (`Cached`).
    pub cached_kb: u64,
    /// The processor's name for itself.
    pub processor: String,
    /// Whether the processor says that it runs under a hypervisor (the flag in /proc/cpuinfo).
    pub hypervisor: bool,
    /// Seconds since the kernel began to count.
    pub uptime: f64,
}

impl Survey {
    /// Of the kernel that answers the caller's system calls.
    pub fn make() -> Survey {
        let text = |file: &str| fs::read_to_string(file).unwrap_or_default().trim().to_owned();
        let (memory, processor) = (text("/proc/meminfo"), text("/proc/cpuinfo"));
        let kilobytes = |name: &str| {
            let line = memory.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
        };
        Survey {
            kernel: text("/proc/sys/kernel/osrelease"),
            boot_id: text("/proc/sys/kernel/random/boot_id"),
            first: text("/proc/1/comm"),
            first_program: fs::read_link("/proc/1/exe")
                .map_or_else(|e| e.to_string(), |exe| exe.display().to_string()),
            first_parent: process::status(Path::new("/proc"), "1", "PPid").unwrap_or_default(),
            processes: process::pids(Path::new("/proc")).len(),
            pid_namespace: process::namespace("1", "pid"),
            memory_kb: kilobytes("MemTotal"),
            cached_kb: kilobytes("Cached"),
            processor: processor
                .lines()
                .find_map(|line| Some(line.strip_prefix("model name")?.split_once(':')?.1.trim().to_owned()))
                .unwrap_or_default(),
            hypervisor: processor
                .lines()
                .find(|line| line.starts_with("flags"))
                .is_some_and(|line| line.split_whitespace().any(|flag| flag == "hypervisor")),
            uptime: uptime(),
        }
    }
}

/// Seconds since the kernel began to count: CLOCK_BOOTTIME (clock_gettime(2)).
pub fn uptime() -> f64 {
    clock_gettime(ClockId::CLOCK_BOOTTIME)
        .map_or(0.0, |time| time.tv_sec() as f64 + time.tv_nsec() as f64 / 1e9)
}
