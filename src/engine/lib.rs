//! The engine: a container, from what is wanted to undo.
//!
//! ```text
//!   Spec ──parts──▶ Plan ──walk──▶ Container
//!   what is         operations     prepare → clone → attach → enter → exec → wait → undo
//!   wanted          in order
//! ```
//!
//! [`spec`] says what is wanted, [`site`] where; [`parts`] turn that into [operations](op), which a [plan] holds in
//! order; [`walk`] carries it out with its [hands].

mod ending;
pub mod experiment;
pub mod extras;
pub mod gate;
mod guard;
pub mod hands;
pub mod ids;
mod init;
pub mod message;
pub mod network;
pub mod op;
mod own;
mod owned;
pub mod parts;
pub mod plan;
mod program;
mod relay;
pub mod sealed;
mod shown;
pub mod site;
pub mod spec;
pub mod state;
pub mod survey;
pub mod template;
mod terminal;
pub mod user;
mod walk;
mod why;
mod wire;

use std::os::fd::OwnedFd;
use std::time::Instant;

use nix::sched::CloneFlags;
use nix::unistd::Pid;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use guard::Guard;
use own::Known;
pub use own::{OwnFiles, OwnMounts, Proof, Root as OwnRoot};
pub use plan::Plan;
pub use program::{PATH, Process, Program, Stdio, Stop, find as find_program, null_device};
pub use site::Site;
pub use spec::Spec;
pub use terminal::{Terminal, Tty, terminal_name};
pub use walk::create;
pub use why::{explain as explain_refusal, lacks_libraries};

use fault::{Doing, Fault};
use kernel::cgroup::Group;
use kernel::child::pidfd_send_signal;
use kernel::process::Owner;
use kernel::told;
use kernel::undo::Undos;
use kernel::visit::{settle, visit};

/// How a container ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    Code(i32),
    Signal(i32),
}

impl Exit {
    /// As a shell gives it: 128 + n for a signal.
    pub fn status(self) -> i32 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal(signal) => 128 + signal,
        }
    }
}

/// A part of a container's start that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Milestone {
    /// What the host needs before there is a process.
    Prepared,
    /// clone3(2).
    Cloned,
    /// What the host does once there is a PID.
    Attached,
    /// What the first process does inside.
    Entered,
    /// execve(2).
    Executed,
}

/// What a container has on the host's side, for whoever looks at it from there.
#[derive(Clone, Debug)]
pub struct OnHost {
    /// Who made it, and its number among those: its things are named for both.
    pub owner: Owner,
    pub number: u32,
    pub groups: Vec<Group>,
    /// What its `/` is made of, if it is not the host's.
    pub root: Option<OwnRoot>,
    /// The directory that overlayfs writes to.
    pub upper: Option<std::path::PathBuf>,
    /// Its place in the network.
    pub endpoint: Option<network::Endpoint>,
}

impl OnHost {
    /// Of what is wanted, at a site.
    pub fn new(spec: &Spec, site: &Site) -> Result<OnHost, Fault> {
        let (root, upper) = match &spec.root {
            None => (None, None),
            Some(spec::Root::Directory(dir)) => (Some(OwnRoot::of_directory(dir)?), None),
            Some(spec::Root::Layers(_)) => (Some(OwnRoot::Overlay(site.upper())), Some(site.upper())),
        };
        let (owner, number) = (site.owner, site.number);
        Ok(OnHost { owner, number, groups: site.groups(), root, upper, endpoint: spec.network.clone() })
    }
}

/// A container that was made. Dropping it ends it and takes back what it changed on the host. Its life is in [`walk`].
pub struct Container {
    /// Its first process, as the host sees it.
    pub pid: Pid,
    pidfd: OwnedFd,
    /// What ends it if we are killed; posted before its program runs.
    guard: Option<Guard>,
    /// The namespaces that it does not share with the lab.
    namespaces: CloneFlags,
    pub on_host: OnHost,
    wire: Option<wire::Wire>,
    /// The last calls before the program: told before they are made, and not yet known to have worked.
    becoming: Vec<told::Call>,
    /// Whether the first process itself becomes the program.
    executes: bool,
    /// It outlives us, and is known by its state.
    let_go: bool,
    plan: Plan,
    /// For an end that needs explaining.
    aftermath: Option<program::Aftermath>,
    undo: Undos,
    exit: Option<Exit>,
    /// The first process is our init, which takes every signal.
    init: bool,
    /// Ours, if it was lent to the program.
    terminal: Option<Terminal>,
    stop: program::Stop,
    /// When each part of its start was over, in order.
    pub timeline: Vec<(Milestone, Instant)>,
}

impl Container {
    /// Looks around inside, in all of its namespaces.
    pub fn look<T: Serialize + DeserializeOwned>(&self, look: impl FnOnce() -> T) -> Result<T, Fault> {
        visit(&self.pidfd, self.namespaces, look)
    }

    /// Changes something inside, once it is proved there that it is the container's alone.
    pub fn change<P: Proof, T: Serialize + DeserializeOwned>(
        &self,
        change: impl FnOnce(&P) -> T,
    ) -> Result<T, Fault> {
        let known = Known::gather(self.on_host.root.clone())?;
        let changed: Result<T, String> = self.look(|| P::prove(&known).map(|proof| change(&proof)))?;
        changed.doing("prove that only the container is written to")
    }

    /// Leaves a process of ours working in its network, until it is ended by the caller.
    pub fn visitor(&self, work: impl FnOnce() -> i32) -> Result<Pid, Fault> {
        settle(&self.pidfd, CloneFlags::CLONE_NEWNET, work)
    }

    /// What is to be said of the program's end beyond its own words.
    pub fn explain(&mut self, exit: Exit) -> Option<Fault> {
        let (aftermath, command) = (self.aftermath.take()?, program::command(&self.plan)?);
        if exit == Exit::Code(127) { why::lacks_libraries_there(&aftermath, command) } else { None }
    }

    /// Sends a signal to the first process. Its PID can't have been given to another.
    pub fn signal(&self, signal: i32) -> Result<(), Fault> {
        pidfd_send_signal(&self.pidfd, signal).doing("signal the container")
    }
}
