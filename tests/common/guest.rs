//! A virtual machine for tests: kernel 6.1 or whatever WORKSHOP_KERNEL names, and cgroup v2 alone.

use std::path::{Path, PathBuf};

use super::{Ran, Who, path_of, run, skip, workshop};

/// The kernel to boot.
pub fn kernel() -> PathBuf {
    std::env::var_os("WORKSHOP_KERNEL").map(PathBuf::from).unwrap_or_default()
}

/// QEMU, if it is installed.
pub fn qemu() -> Option<PathBuf> {
    path_of("qemu-system-x86_64")
}

/// Begins and ends what one piece of a script said; nothing that is run there says that.
const MARK: &str = "@@@";

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

    /// Boots one and runs pieces of a shell script in it, one after the other: booting takes longer than most. Gives
    /// what each has said, on both streams, and its status.
    pub fn script(&self, pieces: &[(String, String)]) -> Vec<(String, String, i32)> {
        let mut script = String::from("export LANG=C.UTF-8\n");
        for (name, code) in pieces {
            script += &format!("echo '{MARK} {name}'\n({code}) 2>&1\necho \"{MARK} $?\"\n");
        }
        let ran = self.run(&["sh", "-c", &script]);
        assert_eq!(ran.status, 0, "{}\n{}", ran.stdout, ran.stderr);
        let said: Vec<&str> = ran.stdout.split(MARK).skip(1).collect();
        assert_eq!(said.len(), 2 * pieces.len(), "{}\n{}", ran.stdout, ran.stderr);
        let pairs = said.chunks(2).map(|pair| {
            let (name, text) = pair[0].split_once('\n').expect("a line");
            (name.trim().to_owned(), text.to_owned(), pair[1].trim().parse().expect("a status"))
        });
        pairs.collect()
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
