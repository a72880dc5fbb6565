//! What a step's facts and claims are about: the running container, and the lab around it, which is its host.

use std::fs;
use std::path::PathBuf;

use nix::unistd::{Pid, getpid};
use serde::Serialize;
use serde::de::DeserializeOwned;

use claims::outside::Outside;
use claims::sight::{self, Identity, Subject};
use claims::surroundings::Surroundings;
use claims::traces::Traces;
use engine::Container;
use engine::template::{Files, Template};
use fault::{Doing, Fault};
use image::tree_digest;
use kernel::cgroup::{Controller, Group, Setting};
use kernel::mounts;
use kernel::netlink::facts;
use kernel::process;
use lab::Lab;

/// One step's container, held still.
pub struct Scene<'s> {
    pub lab: &'s Lab,
    /// How to make more of it.
    pub template: &'s Template<'s>,
    pub container: &'s Container,
    /// The lab before the container was made.
    pub before: &'s Outside,
}

impl Scene<'_> {
    /// The first process's PID as the lab sees it, as text.
    pub fn pid(&self) -> String {
        self.container.pid.to_string()
    }

    /// The inode of one of the lab's namespaces, and of the container's.
    pub fn namespaces(&self, kind: &str) -> (String, String) {
        (process::namespace("self", kind), process::namespace(&self.pid(), kind))
    }

    /// The directories that its root filesystem is made of, the lowest first.
    pub fn layers(&self) -> Vec<PathBuf> {
        self.template.files.as_ref().map(Files::layers).unwrap_or_default()
    }

    /// One text for all that is in them.
    pub fn digest(&self) -> Result<String, Fault> {
        let layers = self.layers();
        let each = layers.iter().map(|dir| tree_digest(dir).doing(format!("read {}", dir.display())));
        Ok(each.collect::<Result<Vec<_>, _>>()?.join(" "))
    }
}

/// The lab as it is now; of the groups with these directories those that are there.
pub fn lab_now(groups: &[PathBuf]) -> Result<Outside, Fault> {
    let mounts = mounts::table().doing("read the lab's mount table")?;
    let links = facts::links().doing("list the lab's links")?;
    Ok(Outside {
        mounts: mounts.lines().map(String::from).collect(),
        links: links.into_iter().map(|link| link.name).collect(),
        // A kernel without nf_tables has no tables.
        tables: facts::nft_tables().unwrap_or_default(),
        groups: groups.iter().filter(|dir| dir.exists()).map(|dir| dir.display().to_string()).collect(),
        traces: Traces::among_others(),
        ..Outside::default()
    })
}

/// The lab as the host of one container.
pub struct Around {
    /// Those that the container's own lie in.
    groups: Vec<Group>,
}

impl Around {
    pub fn of(container: &Container) -> Around {
        let above = |group: &Group| {
            let dir = group.dir.parent().map_or_else(|| group.dir.clone(), PathBuf::from);
            Group { dir, ..group.clone() }
        };
        Around { groups: container.on_host.groups.iter().map(above).collect() }
    }
}

impl Surroundings for Around {
    fn pid(&self) -> Pid {
        getpid()
    }

    fn groups(&self) -> &[Group] {
        &self.groups
    }

    fn leaf(&self) -> Option<&str> {
        None
    }

    fn processes(&self) -> Vec<i32> {
        process::pids("/proc".as_ref())
    }

    /// We are there.
    fn look<T: Serialize + DeserializeOwned>(&self, look: impl FnOnce() -> T) -> Result<T, Fault> {
        Ok(look())
    }

    fn roots_below(&self) -> Result<Vec<Identity>, Fault> {
        Subject::of(getpid())?.roots_below()
    }

    fn network(&self, _: Pid) -> Result<sight::Network, Fault> {
        Ok(sight::network(false))
    }
}

/// The group of a container that a controller is limited in.
pub fn group(container: &Container, controller: Controller) -> Option<&Group> {
    container.on_host.groups.iter().find(|g| g.wanted.contains(&controller))
}

/// A group's path in its hierarchy, as `/proc/PID/cgroup` names it (cgroups(7)).
pub fn membership(pid: &str, group: &Group) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let controllers = &group.hierarchy.controllers;
    let line = text
        .lines()
        .find_map(|line| line.split_once(':')?.1.strip_prefix(controllers.as_str())?.strip_prefix(':'));
    line.unwrap_or("none").to_owned()
}

/// What was written to a group's files for one controller.
pub fn settings(template: &Template, controller: Controller, group: &Group) -> Vec<Setting> {
    template
        .spec
        .limits
        .map(|limits| limits.settings(controller, group.hierarchy.version))
        .unwrap_or_default()
}
