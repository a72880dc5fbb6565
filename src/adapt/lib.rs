//! Adapters: other container runtimes, made to obey the contract. Each takes `run [OPTIONS] CMD [ARGS…]` and
//! says the same in its runtime's own command line, so that the judge, which knows nothing of them, can judge
//! those too.
//!
//! ```text
//! workshop adapt runc /usr/sbin/runc run --rootfs DIR CMD
//!   └─ runc --root … run --bundle …        a config.json, and what a container manager does around it
//!       └─ CMD
//! ```

mod bundle;
mod bwrap;
mod child;
mod crun;
mod network;
mod podman;
mod runc;
mod scratch;
mod unshare;
mod workshop;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use claims::task::Asked;
use engine::find_program;
use fault::Fault;
use kernel::cgroup::{Controller, Version, hierarchy, words};
use kernel::mounts;

/// The runtimes that are spoken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Adapter {
    Runc,
    Crun,
    Bwrap,
    Unshare,
    Podman,
    Workshop,
}

/// What the contract's command line asks for.
#[derive(Clone, Debug)]
pub struct Order {
    pub files: Files,
    /// In bytes.
    pub memory: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// CPUs' worth of time: 0.5 is half of one.
    pub cpus: Option<f64>,
    /// A network of its own, with a way out.
    pub net: bool,
    /// Users of its own.
    pub users: bool,
    pub argv: Vec<OsString>,
}

/// Where the container's files are to come from.
#[derive(Clone, Debug)]
pub enum Files {
    /// It keeps those of whoever asks.
    Callers,
    /// The directory itself is its root.
    Directory(PathBuf),
    /// The directory lies below a layer that takes its writes.
    Image(PathBuf),
}

impl Files {
    /// Whether it gets files of its own.
    pub fn are_own(&self) -> bool {
        !matches!(self, Files::Callers)
    }
}

impl Order {
    /// What of a container it asks for.
    fn asked(&self) -> Asked {
        Asked {
            root: self.files.are_own(),
            layers: matches!(self.files, Files::Image(_)),
            limits: self.limits_anything(),
            network: self.net,
            users: self.users,
        }
    }

    fn limits_anything(&self) -> bool {
        self.memory.is_some() || self.pids.is_some() || self.cpus.is_some()
    }
}

/// Parts of a container that a runtime may have no option for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Limits,
    Overlay,
    Network,
    Users,
}

impl Adapter {
    /// The runtime's own name, which its program has too.
    pub fn name(self) -> &'static str {
        match self {
            Adapter::Runc => "runc",
            Adapter::Crun => "crun",
            Adapter::Bwrap => "bwrap",
            Adapter::Unshare => "unshare",
            Adapter::Podman => "podman",
            Adapter::Workshop => "workshop",
        }
    }

    /// The package that it comes in, on most distributions.
    fn package(self) -> &'static str {
        match self {
            Adapter::Bwrap => "bubblewrap",
            Adapter::Unshare => "util-linux",
            other => other.name(),
        }
    }

    /// Where its program is: the first in PATH, and ourselves for our own.
    pub fn find(self) -> Result<PathBuf, Fault> {
        if self == Adapter::Workshop {
            return Ok(PathBuf::from("/proc/self/exe").canonicalize().unwrap_or_default());
        }
        let missing =
            || Fault::unable("adapter-missing", &[("name", self.name()), ("package", self.package())]);
        let mut path = OsString::from("PATH=");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let found = find_program(self.name().as_ref(), &[path]).ok();
        found.and_then(|path| std::path::absolute(path).ok()).ok_or_else(missing)
    }

    /// Why it can't run on this host, if it can't: not all of them know every kind of control groups.
    pub fn obstacle(self) -> Option<Fault> {
        let on_v1 = hierarchy(Controller::Memory).is_some_and(|h| h.version == Version::V1);
        match self {
            Adapter::Crun if on_v1 && v2_has_controllers() => Some(Fault::unable("adapter-crun-hybrid", &[])),
            Adapter::Podman if on_v1 => Some(Fault::unable("adapter-podman-v1", &[])),
            _ => None,
        }
    }

    /// Whether it takes arguments that are not UTF-8. Some write them to a file in JSON, which has no words for such
    /// (RFC 8259).
    pub fn takes_bytes(self) -> bool {
        !matches!(self, Adapter::Runc | Adapter::Crun | Adapter::Podman)
    }

    /// Why it can't be asked for this, if it can't.
    pub fn refuses_any(self, asked: Asked) -> Option<Fault> {
        let parts = [
            (Part::Limits, asked.limits),
            (Part::Overlay, asked.layers),
            (Part::Network, asked.network),
            (Part::Users, asked.users),
        ];
        parts.into_iter().filter(|(_, asked)| *asked).find_map(|(part, _)| self.refuses(part))
    }

    fn refuses(self, part: Part) -> Option<Fault> {
        let key = match (self, part) {
            (Adapter::Bwrap | Adapter::Unshare, Part::Limits) => "adapter-no-limits",
            (Adapter::Bwrap | Adapter::Unshare, Part::Overlay) => "adapter-no-overlay",
            (Adapter::Bwrap | Adapter::Unshare, Part::Network) => "adapter-no-network",
            // Each has its own way to files that others own, or none.
            (other, Part::Users) if other != Adapter::Workshop => "adapter-no-users",
            _ => return None,
        };
        Some(Fault::unable(key, &[("name", self.name())]))
    }

    /// Runs the order's command in a container of the runtime's. Returns the status that the runtime ends with.
    pub fn run(self, program: &Path, order: &Order) -> Result<i32, Fault> {
        if let Some(fault) = self.obstacle() {
            return Err(fault);
        }
        if let Some(fault) = self.refuses_any(order.asked()) {
            return Err(fault);
        }
        match self {
            Adapter::Runc => runc::run(program, order),
            Adapter::Crun => crun::run(program, order),
            Adapter::Bwrap => bwrap::run(program, order),
            Adapter::Unshare => unshare::run(program, order),
            Adapter::Podman => podman::run(program, order),
            Adapter::Workshop => workshop::run(program, order),
        }
    }
}

/// Whether controllers are on cgroup v2, wherever it is mounted.
fn v2_has_controllers() -> bool {
    let table = mounts::mine().unwrap_or_default();
    let tops = table.iter().filter(|mount| mount.fstype == "cgroup2");
    tops.into_iter().any(|top| !words(&Path::new(&top.target).join("cgroup.controllers")).is_empty())
}
