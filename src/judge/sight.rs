//! What can be seen of a container at one moment: from outside by its CMD's entries in /proc, from inside by a
//! visitor in its namespaces.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{OFlag, openat};
use nix::sched::CloneFlags;
use nix::sys::stat::Mode;
use nix::sys::statfs::{FsType, PROC_SUPER_MAGIC, SYSFS_MAGIC, statfs};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::part::{self, NONCE};
use crate::checks::pivot_root::broken_devices;
use crate::fault::{Doing, Fault};
use crate::kernel::mounts::{self, Mount};
use crate::kernel::netlink::facts as net;
use crate::kernel::root::open_root;
use crate::kernel::visit::{visit, visit_by_way_of_the_top};
use crate::kernel::{icmp, pidfd, process};

/// The kinds of namespaces(7), by the names of /proc/PID/ns and of setns(2).
const KINDS: [(&str, CloneFlags); 7] = [
    ("user", CloneFlags::CLONE_NEWUSER),
    ("mnt", CloneFlags::CLONE_NEWNS),
    ("pid", CloneFlags::CLONE_NEWPID),
    ("net", CloneFlags::CLONE_NEWNET),
    ("uts", CloneFlags::CLONE_NEWUTS),
    ("ipc", CloneFlags::CLONE_NEWIPC),
    ("cgroup", CloneFlags::CLONE_NEWCGROUP),
];

/// How long a gateway may take to answer.
const PING: Duration = Duration::from_secs(3);

/// A file, whatever it is called: device and inode number.
pub type Identity = (u64, u64);

/// A container that is looked at.
pub struct Subject {
    pub pid: Pid,
    pidfd: OwnedFd,
    /// CMD's root directory.
    root: OwnedFd,
    /// The lab's /proc, which knows every process.
    proc: OwnedFd,
    namespaces: CloneFlags,
}

/// What a visitor sees.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct View {
    /// The root of the mount namespace, which is not everybody's root: chroot(2) gives a process another.
    pub top: Option<Identity>,
    /// The whole mount table of the namespace.
    pub mounts: String,
    /// The judge's mark in the root filesystem.
    pub nonce: String,
    /// Which process /proc takes the visitor for, and who it is in its PID namespace.
    pub proc_self: String,
    pub own_pid: u32,
    pub proc_is_procfs: bool,
    pub sys_is_sysfs: bool,
    pub broken_devices: Vec<String>,
    /// Files of cgroups that could be written to.
    pub open_groups: Vec<String>,
    pub network: Network,
}

/// The network as it is seen in one namespace.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Network {
    pub links: Vec<Link>,
    /// The default route's gateway, and the link that it leaves by.
    pub route: Option<(Option<Ipv4Addr>, String)>,
    /// What came of a ping of the gateway; empty if there is none.
    pub ping: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Link {
    pub index: u32,
    pub name: String,
    pub up: bool,
    pub kind: String,
    pub master: Option<u32>,
    pub peer: Option<u32>,
    pub addresses: Vec<String>,
}

impl Subject {
    /// Gets hold of a process's root and namespaces.
    pub fn of(pid: Pid) -> Result<Subject, Fault> {
        let namespaces = |(kind, flag): &(&str, CloneFlags)| {
            let other = process::namespace(&pid.to_string(), kind) != process::namespace("self", kind);
            other.then_some(*flag)
        };
        let open = |path: String| File::open(&path).map(OwnedFd::from).doing(format!("open {path}"));
        let pidfd = pidfd::open(pid).doing("pidfd_open")?;
        Ok(Subject {
            pid,
            root: open_root(&pidfd).doing(format!("open /proc/{pid}/root"))?,
            pidfd,
            proc: open("/proc".into())?,
            namespaces: KINDS.iter().filter_map(namespaces).collect(),
        })
    }

    /// Looks around in the container's namespaces, with CMD's root for `/`.
    pub fn look<T: Serialize + serde::de::DeserializeOwned>(
        &self,
        look: impl FnOnce() -> T,
    ) -> Result<T, Fault> {
        visit(&self.pidfd, self.namespaces, look)
    }

    /// All that a visitor can see.
    pub fn view(&self, with_network: bool) -> Result<View, Fault> {
        let from_top = || (identity(Path::new("/")), self.mount_table());
        visit_by_way_of_the_top(&self.pidfd, self.namespaces, from_top, |(top, mounts)| {
            let own = |path: &str, magic: FsType| statfs(path).is_ok_and(|fs| fs.filesystem_type() == magic);
            View {
                top,
                open_groups: open_groups(),
                nonce: fs::read_to_string(Path::new("/").join(NONCE)).unwrap_or_default(),
                proc_self: fs::read_link("/proc/self").unwrap_or_default().display().to_string(),
                own_pid: std::process::id(),
                proc_is_procfs: own("/proc", PROC_SUPER_MAGIC),
                sys_is_sysfs: own("/sys", SYSFS_MAGIC),
                broken_devices: broken_devices(),
                network: if with_network { network(true) } else { Network::default() },
                mounts,
            }
        })
    }

    /// The mount table of the namespace that the visitor is in, by the lab's /proc: the container may have none.
    fn mount_table(&self) -> String {
        let mut text = Vec::new();
        let table = openat(self.proc.as_fd(), "self/mountinfo", OFlag::O_RDONLY, Mode::empty());
        if let Ok(table) = table {
            let _ = File::from(table).read_to_end(&mut text);
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    /// CMD's root directory, as CMD sees it and as we do.
    pub fn root_identity(&self) -> Option<Identity> {
        let stat = nix::sys::stat::fstat(&self.root).ok()?;
        Some((stat.st_dev, stat.st_ino))
    }

    /// Where CMD's working directory ends if one goes up from it and up again.
    pub fn top_of_cwd(&self) -> Option<Identity> {
        let up = "../".repeat(64);
        identity(Path::new(&format!("/proc/{}/cwd/{up}", self.pid)))
    }

    /// What CMD was given.
    pub fn arguments(&self) -> Vec<OsString> {
        part::arguments(self.pid)
    }

    /// Descriptors above standard error, each with what it leads to.
    pub fn descriptors(&self) -> Vec<String> {
        let dir = PathBuf::from(format!("/proc/{}/fd", self.pid));
        let entries = fs::read_dir(&dir).into_iter().flatten().flatten();
        let mut open: Vec<(i32, String)> = entries
            .filter_map(|entry| {
                let number = entry.file_name().to_str()?.parse().ok().filter(|n| *n > 2)?;
                let target = fs::read_link(entry.path()).unwrap_or_default();
                Some((number, format!("{number} ({})", target.display())))
            })
            .collect();
        open.sort();
        open.into_iter().map(|(_, words)| words).collect()
    }

    /// The inode that CMD's namespace of a kind is known by.
    pub fn namespace(&self, kind: &str) -> String {
        process::namespace(&self.pid.to_string(), kind)
    }

    /// The PIDs that CMD has, outermost first (`NSpid`).
    pub fn pids(&self) -> Vec<String> {
        let line = process::status(Path::new("/proc"), &self.pid.to_string(), "NSpid").unwrap_or_default();
        line.split(' ').map(String::from).collect()
    }

    /// Whether CMD, or a process that it descends from, is PID 1 of CMD's PID namespace; who else is not.
    pub fn has_pid_1_above(&self) -> bool {
        let namespace = self.namespace("pid");
        let mut pid = self.pid.as_raw();
        for _ in 0..64 {
            let name = pid.to_string();
            if process::namespace(&name, "pid") != namespace {
                return false;
            }
            let status = |line: &str| process::status(Path::new("/proc"), &name, line).unwrap_or_default();
            if status("NSpid").split(' ').next_back() == Some("1") {
                return true;
            }
            pid = status("PPid").parse().unwrap_or(0);
        }
        false
    }

    /// The mount table, parsed.
    pub fn parse(view: &View) -> Vec<Mount> {
        mounts::parse(&view.mounts)
    }
}

fn identity(path: &Path) -> Option<Identity> {
    fs::metadata(path).ok().map(|m| (m.dev(), m.ino()))
}

/// The network of the namespace that we are in.
pub fn network(try_it: bool) -> Network {
    let links = net::links().unwrap_or_default();
    let addresses = net::addresses().unwrap_or_default();
    let of = |index| addresses.iter().filter(move |a| a.index == index).map(|a| a.cidr.to_string()).collect();
    let name = |index: Option<u32>| {
        links.iter().find(|l| Some(l.index) == index).map(|l| l.name.clone()).unwrap_or_default()
    };
    let default = net::default_route().ok().flatten();
    let gateway = default.as_ref().and_then(|route| route.gateway).filter(|_| try_it);
    let ping = gateway.map(|gateway| match icmp::ping(gateway, PING) {
        Ok(_) => "answers".to_owned(),
        Err(e) => e.to_string(),
    });
    Network {
        route: default.map(|route| (route.gateway, name(route.index))),
        ping: ping.unwrap_or_default(),
        links: links
            .iter()
            .map(|l| Link {
                index: l.index,
                name: l.name.clone(),
                up: l.up,
                kind: l.kind.clone().unwrap_or_default(),
                master: l.master,
                peer: l.peer,
                addresses: of(l.index),
            })
            .collect(),
    }
}

/// Files by which a group's members or limits could be changed, that open for writing here.
fn open_groups() -> Vec<String> {
    let files =
        ["cgroup.procs", "memory.max", "memory.limit_in_bytes", "pids.max", "cpu.max", "cpu.cfs_quota_us"];
    // By what is mounted where, in the mount table of our own /proc if there is one, or in the usual place.
    let mut tops: Vec<String> = vec!["/sys/fs/cgroup".into()];
    let entries = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
    tops.extend(entries.filter(|e| e.path().is_dir()).map(|e| e.path().display().to_string()));
    let mounted = mounts::mine().unwrap_or_default();
    tops.extend(mounted.iter().filter(|m| m.fstype.starts_with("cgroup")).map(|m| m.target.clone()));
    tops.sort();
    tops.dedup();
    let each = tops.iter().flat_map(|top| files.iter().map(move |file| format!("{top}/{file}")));
    each.filter(|path| File::options().write(true).open(path).is_ok()).collect()
}
