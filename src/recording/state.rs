//! What the kernel says of both sides of a container's wall at one moment: one entry for each thing that a call may change.
//! Everything is read from outside, so that the container's first process makes no call for it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::sched::CloneFlags;
use nix::sys::utsname::uname;
use nix::unistd::Pid;
use serde::Serialize;

use kernel::child::pidfd_open;
use kernel::mounts::{self, Mount};
use kernel::netlink::facts;
use kernel::process;
use kernel::told::Actor;
use kernel::visit::visit;

/// What kind of thing it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// By its PID outside; what is said of it are its PIDs, outermost first (`NSpid`).
    Process,
    /// What it runs.
    Program,
    /// By its kind (namespaces(7)).
    Namespace,
    /// Membership in a group, by the controllers of the hierarchy (cgroups(7)).
    Group,
    /// A line of its status (proc_pid_status(5)).
    Privilege,
    /// Its root and its working directory, by device and inode number.
    Directory,
    /// The host name.
    Name,
    /// By where it is mounted.
    Mount,
    Link,
    Address,
    Route,
    Rule,
    /// Of nftables.
    Table,
    /// A file that is written to, a directory that is made.
    File,
    /// Of whoever makes the call.
    Descriptor,
}

/// One thing: whether it is the container's, and which it is. Of several with one name, as mounts upon each other, each
/// has its place.
type Thing = (bool, Kind, String, usize);

/// One moment.
#[derive(Default)]
pub struct State {
    things: BTreeMap<Thing, String>,
}

/// What a call has changed.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    kind: Kind,
    /// On which side of the wall.
    side: Actor,
    name: String,
    /// What it was; `null` if it was not there.
    old: Option<String>,
    /// What it is; `null` if it is not there any more.
    new: Option<String>,
}

/// What a visitor sees in the container's UTS and network namespaces.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Visited {
    hostname: String,
    links: Vec<(String, String)>,
    addresses: Vec<String>,
    routes: Vec<String>,
}

/// Namespaces by the names of /proc/PID/ns.
const NAMESPACES: [&str; 7] = ["user", "mnt", "pid", "net", "uts", "ipc", "cgroup"];
/// Who it is, what execve(2) may give, and what is not to be had any more.
const PRIVILEGES: [&str; 6] = ["Uid", "Gid", "Groups", "CapEff", "NoNewPrivs", "Seccomp"];
/// How much of a file's text is told, in characters.
const TEXT: usize = 200;

impl State {
    /// The host's side: the lab.
    pub fn add_host(&mut self) {
        let side = Actor::Host;
        self.add_mounts(side, &mounts::mine().unwrap_or_default());
        self.add_network(side, &links(), facts::every_address(), facts::every_route());
        self.add_each(side, Kind::Rule, facts::every_rule().unwrap_or_default());
        // A kernel without nf_tables has none.
        self.add_each(side, Kind::Table, facts::nft_tables().unwrap_or_default());
    }

    /// The container's side: its first process. Whoever is about to make that one stands for it, as what it will be a
    /// copy of.
    pub fn add_container(&mut self, child: Option<Pid>) {
        let pid = child.map_or_else(|| "self".into(), |pid| pid.to_string());
        let status = |line: &str| process::status(Path::new("/proc"), &pid, line);
        let Some(pids) = status("NSpid") else { return };
        let side = Actor::Container;
        if child.is_some() {
            self.add(side, Kind::Process, &pid, pids);
            self.add_program(child);
        }
        for kind in NAMESPACES {
            self.add(side, Kind::Namespace, kind, process::namespace(&pid, kind));
        }
        for line in PRIVILEGES {
            self.add(side, Kind::Privilege, line, status(line).unwrap_or_default());
        }
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        for (controllers, path) in groups.lines().filter_map(|line| line.split_once(':')?.1.split_once(':')) {
            self.add(side, Kind::Group, controllers, path.into());
        }
        for (name, link) in [("root", "root/."), ("cwd", "cwd/.")] {
            let found = fs::metadata(format!("/proc/{pid}/{link}"));
            let identity = found.map(|m| format!("device {}, inode {}", m.dev(), m.ino()));
            self.add(side, Kind::Directory, name, identity.unwrap_or_default());
        }
        let table = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
        self.add_mounts(side, &mounts::parse(&table));
        let visited = child.map_or_else(|| Some(Visited::here()), Visited::of).unwrap_or_default();
        self.add(side, Kind::Name, "hostname", visited.hostname);
        self.add_network(side, &visited.links, Ok::<_, ()>(visited.addresses), Ok::<_, ()>(visited.routes));
    }

    /// What the first process runs: the words that it was given.
    pub fn add_program(&mut self, child: Option<Pid>) {
        let words = child.map(process::arguments).unwrap_or_default();
        let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        if !words.is_empty() {
            self.add(Actor::Container, Kind::Program, "argv", words.join(" "));
        }
    }

    /// A file that a call names: what is in it, or that it is a directory.
    pub fn add_file(&mut self, side: Actor, path: &Path) {
        let text = match fs::metadata(path) {
            Ok(found) if found.is_dir() => "directory".into(),
            Ok(_) => fs::read_to_string(path).unwrap_or_default().trim().chars().take(TEXT).collect(),
            Err(_) => return,
        };
        self.add(side, Kind::File, &path.display().to_string(), text);
    }

    /// A descriptor of whoever makes the call.
    pub fn add_descriptor(&mut self, side: Actor, pid: Option<Pid>, number: &str) {
        let pid = pid.map_or_else(|| "self".into(), |pid| pid.to_string());
        if let Ok(target) = fs::read_link(format!("/proc/{pid}/fd/{number}")) {
            self.add(side, Kind::Descriptor, number, target.display().to_string());
        }
    }

    /// Whether there is a container's first process in it.
    fn has_container(&self) -> bool {
        self.things.keys().any(|(inside, ..)| *inside)
    }

    /// What is otherwise in a later state.
    pub fn changes(&self, later: &State) -> Vec<Change> {
        let both = self.has_container() && later.has_container();
        let is_told = |(inside, ..): &&Thing| !inside || both;
        let mut things: Vec<&Thing> = self.things.keys().chain(later.things.keys()).filter(is_told).collect();
        things.sort();
        things.dedup();
        let change = |thing: &Thing| {
            let (old, new) = (self.things.get(thing).cloned(), later.things.get(thing).cloned());
            let (inside, kind, name, _) = thing.clone();
            let side = if inside { Actor::Container } else { Actor::Host };
            (old != new).then_some(Change { kind, side, name, old, new })
        };
        things.into_iter().filter_map(change).collect()
    }

    fn add(&mut self, side: Actor, kind: Kind, name: &str, value: String) {
        let inside = side == Actor::Container;
        let place = (0..).find(|place| !self.things.contains_key(&(inside, kind, name.into(), *place)));
        self.things.insert((inside, kind, name.into(), place.unwrap_or_default()), value);
    }

    /// Things of which there is nothing to say but that they are there.
    fn add_each(&mut self, side: Actor, kind: Kind, all: Vec<String>) {
        for one in all {
            self.add(side, kind, &one, one.clone());
        }
    }

    fn add_mounts(&mut self, side: Actor, table: &[Mount]) {
        for mount in table {
            let Mount { fstype, source, root, options, propagation, data, .. } = mount;
            let propagation = if propagation.is_empty() { "private" } else { propagation };
            let value = format!("{fstype} {source} {root} ({options}; {data}) {propagation}");
            self.add(side, Kind::Mount, &mount.target, value);
        }
    }

    fn add_network<A, R>(
        &mut self,
        side: Actor,
        links: &[(String, String)],
        addresses: Result<Vec<String>, A>,
        routes: Result<Vec<String>, R>,
    ) {
        for (name, value) in links {
            self.add(side, Kind::Link, name, value.clone());
        }
        self.add_each(side, Kind::Address, addresses.unwrap_or_default());
        self.add_each(side, Kind::Route, routes.unwrap_or_default());
    }
}

impl Visited {
    fn here() -> Visited {
        Visited {
            hostname: uname()
                .map(|names| names.nodename().to_string_lossy().into_owned())
                .unwrap_or_default(),
            links: links(),
            addresses: facts::every_address().unwrap_or_default(),
            routes: facts::every_route().unwrap_or_default(),
        }
    }

    fn of(pid: Pid) -> Option<Visited> {
        let pidfd = pidfd_open(pid).ok()?;
        visit(&pidfd, CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWNET, Visited::here).ok()
    }
}

/// The links here, by name: kind, whether it is up, and what it is plugged into.
fn links() -> Vec<(String, String)> {
    let links = facts::links().unwrap_or_default();
    let name = |index| links.iter().find(|link| link.index == index).map(|link| link.name.clone());
    let told = |link: &facts::Link| {
        let kind = link.kind.as_deref().unwrap_or("device");
        let up = if link.up { "up" } else { "down" };
        let port = link.master.and_then(name).map(|bridge| format!(", port of {bridge}")).unwrap_or_default();
        (link.name.clone(), format!("{kind}, {up}{port}"))
    };
    links.iter().map(told).collect()
}
