//! What a comparison was measured on.

use std::fs;

use nix::sys::utsname::uname;
use serde::Serialize;

/// The machine, and what it gave the subjects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Host {
    /// The processor's model as the kernel names it, or at least its architecture.
    pub cpu: String,
    /// Processors that we may use.
    pub cores: usize,
    /// The kernel's release.
    pub kernel: String,
    /// Whether the container has limits, which an ordinary user often can't set.
    pub limits: bool,
    /// What runs a virtual machine's instructions: `KVM`, the processor itself, or `TCG`, QEMU's software
    /// emulation. `None` without a virtual machine.
    pub accelerator: Option<&'static str>,
    /// Memory of the workshop itself in bytes, which watches all subjects and is counted in none.
    #[serde(rename = "workshop_memory")]
    pub workshop: u64,
}

impl Host {
    /// What can be read off: processor and kernel.
    pub fn here() -> Host {
        let uname = uname().ok();
        let text = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
        let machine = text(uname.as_ref().map(|u| u.machine()));
        let cpu = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| model(&text));
        Host {
            cpu: cpu.unwrap_or(machine),
            cores: std::thread::available_parallelism().map_or(1, |n| n.get()),
            kernel: text(uname.as_ref().map(|u| u.release())),
            ..Host::default()
        }
    }
}

/// The model in /proc/cpuinfo, which x86 calls `model name` and some others `Model` or `cpu`.
fn model(cpuinfo: &str) -> Option<String> {
    let value = |name: &str| {
        let line = cpuinfo.lines().find(|line| line.split(':').next().is_some_and(|l| l.trim() == name))?;
        Some(line.split_once(':')?.1.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    ["model name", "Model", "cpu"].into_iter().find_map(value).filter(|model| !model.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_read_and_its_spaces_are_evened() {
        let text = "processor\t: 0\nmodel\t\t: 85\nmodel name\t: Some(R)   CPU @ 2GHz\n";
        assert_eq!(model(text).as_deref(), Some("Some(R) CPU @ 2GHz"));
        assert_eq!(model("processor\t: 0\nBogoMIPS\t: 50\n"), None);
    }
}
