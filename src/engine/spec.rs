//! What is wanted of a container, before anybody asks how it is done. Each step of the course wants one thing more;
//! `run`'s options say the same.

use std::path::{Path, PathBuf};

use super::extras::Extras;
use super::ids::Ids;
use super::network::Endpoint;
use super::op::Command;
use super::site::Site;
use kernel::cgroup::Limits;

/// What is wanted. Nothing of it is there unless it is asked for.
#[derive(Clone, Debug, Default)]
pub struct Spec {
    /// The program to become; `None` for a function of ours.
    pub command: Option<Command>,
    /// The terminal on our standard input, which it is to know by a name of its own.
    pub terminal: Option<PathBuf>,
    /// A process tree of its own.
    pub processes: bool,
    /// It goes on without whoever made it.
    pub outlives_its_maker: bool,
    /// A mount table of its own, and the /proc that goes with the process tree.
    pub mounts: bool,
    /// Files of its own, with /dev, /sys, a host name and IPC.
    pub root: Option<Root>,
    /// The name in its own UTS namespace.
    pub hostname: String,
    /// What it may use.
    pub limits: Option<Limits>,
    /// A place on a network.
    pub network: Option<Endpoint>,
    /// Users of its own.
    pub ids: Option<Ids>,
    /// What options of `run` ask for besides.
    pub extras: Extras,
}

/// Where a container's files come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// A directory that becomes `/` as it is.
    Directory(PathBuf),
    /// An image's layers, lowest first, which stay as they are, under one that is written to.
    Layers(Vec<PathBuf>),
}

impl Spec {
    /// The directory that becomes `/`, or the caller's, as the first process names it.
    pub fn new_root(&self, site: &Site) -> PathBuf {
        if self.is_handed_in() { ".".into() } else { self.root_on_host(site) }
    }

    /// The same as it is called on the host.
    pub fn root_on_host(&self, site: &Site) -> PathBuf {
        match &self.root {
            None => Path::new("/").into(),
            Some(Root::Directory(dir)) => dir.clone(),
            Some(Root::Layers(_)) => site.merged(),
        }
    }

    /// Whether it gets the directory as an open mount, since it could not go there itself: its users are others than
    /// those of whoever makes it.
    pub fn is_handed_in(&self) -> bool {
        self.root.is_some() && self.ids.is_some_and(|ids| ids.are_others())
    }

    /// The same, at another place on its network.
    pub fn at(&self, number: u16) -> Spec {
        let network = self.network.clone().map(|network| Endpoint { number, ..network });
        Spec { network, ..self.clone() }
    }
}
