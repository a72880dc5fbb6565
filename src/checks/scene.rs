//! What a step's checks look at: the running container, the lab around it, and how both were before.

use std::path::PathBuf;

use crate::engine::Container;
use crate::engine::template::Template;
use crate::fault::{Doing, Fault};
use crate::kernel::mounts;
use crate::kernel::netlink::facts;
use crate::kernel::process;
use crate::lab::Lab;

/// One step's container, held still.
pub struct Scene<'s> {
    pub lab: &'s Lab,
    /// How to make more of it.
    pub template: &'s Template<'s>,
    pub container: &'s Container,
    /// The lab before the container was made.
    pub before: &'s LabState,
}

/// What is remembered of a scene when its container has gone.
pub struct Memory {
    pub before: LabState,
    pub during: LabState,
    pub groups: Vec<PathBuf>,
}

/// What could have changed in the lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabState {
    /// Lines of mountinfo.
    pub mounts: Vec<String>,
    pub links: Vec<String>,
    pub routes: usize,
    pub tables: Vec<String>,
    /// net.ipv4.ip_forward.
    pub forward: String,
}

impl LabState {
    pub fn read() -> Result<LabState, Fault> {
        let mounts = mounts::table().doing("read the lab's mount table")?;
        let links = facts::links().doing("list the lab's links")?;
        let forward = std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap_or_default();
        Ok(LabState {
            mounts: mounts.lines().map(String::from).collect(),
            links: links.into_iter().map(|link| link.name).collect(),
            routes: facts::routes().doing("list the lab's routes")?.len(),
            // A kernel without nf_tables has no tables.
            tables: facts::nft_tables().unwrap_or_default(),
            forward: forward.trim().into(),
        })
    }

    /// The network's part of it in words.
    pub fn network(&self) -> String {
        let (links, tables) = (self.links.join(" "), self.tables.len());
        format!("links: {links}; routes: {}; tables: {tables}; ip_forward: {}", self.routes, self.forward)
    }
}

impl<'s> Scene<'s> {
    /// What later checks must know of it.
    pub fn remember(&self) -> Result<Memory, Fault> {
        Ok(Memory {
            before: self.before.clone(),
            during: LabState::read()?,
            groups: self.container.on_host.groups.iter().map(|g| g.dir.clone()).collect(),
        })
    }

    /// The first process's PID as the lab sees it, as text.
    pub fn pid(&self) -> String {
        self.container.pid.to_string()
    }

    /// The inode of one of the lab's namespaces, and of the container's.
    pub fn namespaces(&self, kind: &str) -> (String, String) {
        (process::namespace("self", kind), process::namespace(&self.pid(), kind))
    }
}
