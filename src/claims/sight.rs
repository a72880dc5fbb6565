//! What can be seen of a container at one moment: from outside by its CMD's entries in /proc, from inside by a
//! visitor in its namespaces.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, readlinkat};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::stat::Mode;
use nix::sys::statfs::{FsType, PROC_SUPER_MAGIC, SYSFS_MAGIC, statfs};
use nix::sys::utsname::uname;
use nix::unistd::{AccessFlags, Pid, access, gethostname};
use serde::{Deserialize, Serialize};

use super::contents::NONCE;
use super::devices::broken_devices;
use super::groups;
use super::look::{Mark, Sought};
use super::users;
use fault::{Doing, Fault, errno_name};
use kernel::child::pidfd_open;
use kernel::mounts::{self, Mount};
use kernel::netlink::facts as net;
use kernel::root::open_root;
use kernel::visit::{visit, visit_by_way_of_the_top};
use kernel::{icmp, process};

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

/// Addresses in both halves of the Internet that are nobody's neighbours (RFC 5737, RFC 6598).
const FAR: [Ipv4Addr; 2] = [Ipv4Addr::new(100, 64, 0, 1), Ipv4Addr::new(192, 0, 2, 1)];

/// How many roots may lie upon each other.
const DEEP: usize = 8;

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
    /// Whether `/` has what tells DIR from all other directories.
    pub is_marked: bool,
    /// What DIR has, and `/` has not.
    pub missing: Vec<String>,
    /// What belongs to other users in `/` than in DIR.
    pub other_owners: Vec<String>,
    /// Whether files of DIR are in `/` as the same files.
    pub same_files: bool,
    /// The visitor's own PID namespace.
    pub pid_namespace: String,
    /// How many processes /proc lists, with the visitor.
    pub listed: usize,
    pub hostname: String,
    /// The kernel's release.
    pub kernel: String,
    /// Which process /proc takes the visitor for, and who it is in its PID namespace.
    pub proc_self: String,
    pub own_pid: u32,
    pub proc_is_procfs: bool,
    pub sys_is_sysfs: bool,
    /// What came of asking whether /sys may be written to (access(2)): the name of an error.
    pub sys_write: String,
    pub broken_devices: Vec<String>,
    /// Files of cgroups that could be written to.
    pub open_groups: Vec<String>,
    /// What came of opening the list of members for writing in each mount of them: names of errors.
    pub group_errors: Vec<String>,
    /// CMD's groups by the names that its cgroup namespace has for them (`/proc/PID/cgroup`, cgroups(7)).
    pub groups: String,
    pub network: Network,
}

/// The network as it is seen in one namespace.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Network {
    pub links: Vec<Link>,
    /// The default route's gateway, and the link that it leaves by.
    pub route: Option<(Option<Ipv4Addr>, String)>,
    /// What came of a ping of the gateway.
    pub ping: Ping,
    /// The address that a packet to each of [`FAR`] would have as its source; `None` if there is no way there.
    pub sources: Vec<Option<Ipv4Addr>>,
}

/// What came of a ping.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ping {
    Answers,
    /// Nothing, or nobody was asked.
    #[default]
    Silent,
    /// The name of an error number.
    Refused(String),
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
        let pidfd = pidfd_open(pid).doing("pidfd_open")?;
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
    pub fn view(&self, sought: &Sought) -> Result<View, Fault> {
        let from_top = || (identity(Path::new("/")), self.read_proc("self/mountinfo"));
        visit_by_way_of_the_top(&self.pidfd, self.namespaces, from_top, |(top, mounts)| {
            let own = |path: &str, magic: FsType| statfs(path).is_ok_and(|fs| fs.filesystem_type() == magic);
            let of_cmd = |what: &str| self.read_proc(&format!("{}/{what}", self.pid));
            let table = mounts::parse(&of_cmd("mountinfo"));
            View {
                top,
                open_groups: groups::open(&table),
                group_errors: groups::errors(&table),
                groups: of_cmd("cgroup"),
                is_marked: is_marked(sought.mark),
                missing: sought.contents.missing(),
                other_owners: users::other_owners(sought.contents),
                same_files: sought.contents.are_here(),
                pid_namespace: self.own_namespace("pid"),
                listed: process::pids(Path::new("/proc")).len(),
                hostname: gethostname().unwrap_or_default().to_string_lossy().into_owned(),
                kernel: kernel(),
                proc_self: fs::read_link("/proc/self").unwrap_or_default().display().to_string(),
                own_pid: std::process::id(),
                proc_is_procfs: own("/proc", PROC_SUPER_MAGIC),
                sys_is_sysfs: own("/sys", SYSFS_MAGIC) && Path::new("/sys/kernel").is_dir(),
                sys_write: access("/sys", AccessFlags::W_OK).err().map(errno).unwrap_or_default(),
                broken_devices: broken_devices(),
                network: if sought.network { network(true) } else { Network::default() },
                mounts,
            }
        })
    }

    /// A namespace of the visitor that asks, by the lab's /proc.
    fn own_namespace(&self, kind: &str) -> String {
        let link = readlinkat(&self.proc, format!("self/ns/{kind}").as_str());
        link.unwrap_or_default().to_string_lossy().into_owned()
    }

    /// A file of the lab's /proc, as it is for the visitor: the container may have none.
    fn read_proc(&self, name: &str) -> String {
        let mut text = Vec::new();
        let file = openat(self.proc.as_fd(), name, OFlag::O_RDONLY, Mode::empty());
        if let Ok(file) = file {
            let _ = File::from(file).read_to_end(&mut text);
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    /// What lies below the root of the mount namespace.
    pub fn roots_below(&self) -> Result<Vec<Identity>, Fault> {
        visit(&self.pidfd, self.namespaces, || roots_below(self.proc.as_fd()))
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
        process::arguments(self.pid)
    }

    /// Descriptors above standard error, each with what it leads to: those that its program has, or would get.
    pub fn descriptors(&self) -> Vec<String> {
        let dir = PathBuf::from(format!("/proc/{}/fd", self.pid));
        let entries = fs::read_dir(&dir).into_iter().flatten().flatten();
        let mut open: Vec<(i32, String)> = entries
            .filter_map(|entry| {
                let number = entry.file_name().to_str()?.parse().ok().filter(|n| *n > 2)?;
                let target = fs::read_link(entry.path()).unwrap_or_default();
                Some((number, format!("{number} ({})", target.display())))
            })
            .filter(|(number, _)| self.is_passed_on(*number))
            .collect();
        open.sort();
        open.into_iter().map(|(_, words)| words).collect()
    }

    /// Whether a descriptor survives execve(2): it has no `O_CLOEXEC`, by proc_pid_fdinfo(5). One that is closed before
    /// we can look is a loader's, at work on a library.
    fn is_passed_on(&self, number: i32) -> bool {
        let text = match fs::read_to_string(format!("/proc/{}/fdinfo/{number}", self.pid)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return false,
            read => read.unwrap_or_default(),
        };
        let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = flags.and_then(|flags| i32::from_str_radix(flags.trim(), 8).ok());
        flags.is_none_or(|flags| flags & libc::O_CLOEXEC == 0)
    }

    /// The inode that CMD's namespace of a kind is known by.
    pub fn namespace(&self, kind: &str) -> String {
        process::namespace(&self.pid.to_string(), kind)
    }

    /// A line of CMD's status (proc_pid_status(5)).
    pub fn status(&self, line: &str) -> String {
        process::status(Path::new("/proc"), &self.pid.to_string(), line).unwrap_or_default()
    }

    /// The PIDs that CMD has, outermost first.
    pub fn pids(&self) -> Vec<String> {
        self.status("NSpid").split(' ').map(String::from).collect()
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

fn errno(errno: Errno) -> String {
    errno_name(&(errno as i32))
}

/// The release of the kernel that answers.
pub fn kernel() -> String {
    uname().map(|names| names.release().to_string_lossy().into_owned()).unwrap_or_default()
}

fn is_marked(mark: Option<Mark>) -> bool {
    match mark {
        None => false,
        Some(Mark::Text(text)) => fs::read_to_string(Path::new("/").join(NONCE)).unwrap_or_default() == text,
        Some(Mark::NotInIt(file)) => !file.exists(),
    }
}

/// What lies below the root of a mount namespace: a mount that was moved onto `/` covers the old root, which no mount
/// table shows then. In a copy of the namespace, which the caller moves into, the upper ones are taken away, until that
/// is refused.
pub fn roots_below(proc: BorrowedFd) -> Vec<Identity> {
    let mut roots = Vec::new();
    let none: Option<&str> = None;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    let copied = unshare(CloneFlags::CLONE_NEWNS).and_then(|()| mount(none, "/", none, private, none));
    let namespace = openat(proc, "self/ns/mnt", OFlag::O_RDONLY, Mode::empty());
    let (Ok(()), Ok(namespace)) = (copied, namespace) else { return roots };
    let uncover = || {
        umount2("/", MntFlags::MNT_DETACH)?;
        setns(&namespace, CloneFlags::CLONE_NEWNS)
    };
    while roots.len() < DEEP && uncover().is_ok() {
        roots.extend(identity(Path::new("/")));
    }
    roots
}

pub fn identity(path: &Path) -> Option<Identity> {
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
        Ok(_) => Ping::Answers,
        Err(e) => e.raw_os_error().map_or(Ping::Silent, |errno| Ping::Refused(errno_name(&errno))),
    });
    let sources = FAR.iter().filter(|_| try_it).map(|far| source(*far)).collect();
    Network {
        sources,
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

/// The address that a packet to FAR would have as its source. Nothing is sent: a socket for datagrams that is connected
/// asks for the way only (ip(7)).
fn source(far: Ipv4Addr) -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((far, 9)).ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(source) => Some(source),
        IpAddr::V6(_) => None,
    }
}
