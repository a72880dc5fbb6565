//! A virtual machine for tests: kernel 6.1 or whatever WORKSHOP_KERNEL names, and cgroup v2 alone.

use std::path::{Path, PathBuf};

use super::{Ran, Who, run, skip, workshop};

/// The kernel to boot.
pub fn kernel() -> PathBuf {
    std::env::var_os("WORKSHOP_KERNEL").map(PathBuf::from).unwrap_or_default()
}

/// QEMU, if it is installed.
pub fn qemu() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join("qemu-system-x86_64")).find(|file| file.is_file())
}

/// How tests start machines.
pub struct Guest {
    who: Who,
    options: Vec<String>,
}

impl Guest {
    /// Whether a machine can be started here; skips aloud if not.
    pub fn possible() -> bool {
        if cfg!(not(target_arch = "x86_64")) {
            skip("virtual machines are for x86-64 hosts", "Run the tests on one");
            return false;
        }
        if qemu().is_none() {
            skip("qemu-system-x86_64 is missing", "Install qemu-system-x86");
            return false;
        }
        if !Path::new(&kernel()).is_file() {
            let how = "bash .ci/run fetch_kernel, then set WORKSHOP_KERNEL to what bash .ci/run kernel_image prints";
            skip("WORKSHOP_KERNEL names no kernel", how);
            return false;
        }
        true
    }

    /// Machines that `who` starts on the host.
    pub fn new(who: Who) -> Guest {
        Guest { who, options: Vec::new() }
    }

    /// With more options of `workshop vm`.
    pub fn with(mut self, options: &[&str]) -> Guest {
        self.options.extend(options.iter().map(|option| option.to_string()));
        self
    }

    /// Boots one, runs the program in it, and gives what came of it.
    pub fn run(&self, program: &[&str]) -> Ran {
        let mut command = workshop(self.who);
        command
            .args(["vm", "--accel", "tcg", "--lang", "en", "--memory", "768M"])
            .env("WORKSHOP_KERNEL", kernel());
        run(command.args(&self.options).arg("--").args(program))
    }
}
