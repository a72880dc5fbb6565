//! What is not among the files of a host, and may be left there too: names, IPC objects, and settings of the network.
//! Each is told by something that changes when it does.

use std::fs;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use serde::{Deserialize, Serialize};

use super::finding::Seen;
use kernel::netlink::facts as net;
use kernel::xtables;

/// Directories of settings of the network namespace as a whole (sysctl(8)); each link that comes or goes has more.
const SETTINGS: [&str; 8] = [
    "net/ipv4",
    "net/ipv4/conf/all",
    "net/ipv4/conf/default",
    "net/ipv4/conf/lo",
    "net/ipv6/conf/all",
    "net/ipv6/conf/default",
    "net/ipv6/conf/lo",
    "net/bridge",
];

/// One thing that can be left behind: the words that say what it is, and itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    kind: Kind,
    is: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    HostName,
    DomainName,
    SharedMemory,
    Semaphores,
    MessageQueue,
    PosixQueue,
    Address,
    Route,
    Rule,
    /// One of the older iptables(8), with how many entries it has.
    Table,
    Setting,
}

impl Kind {
    fn trace(self, is: impl Into<String>) -> Trace {
        Trace { kind: self, is: is.into() }
    }
}

impl Trace {
    fn seen(&self) -> Seen {
        let is: [(&str, &dyn std::fmt::Display); 1] = [("is", &self.is)];
        match self.kind {
            Kind::HostName => Seen::found("host-name", is),
            Kind::DomainName => Seen::found("domain-name", is),
            Kind::SharedMemory => Seen::found("shared-memory", is),
            Kind::Semaphores => Seen::found("semaphores", is),
            Kind::MessageQueue => Seen::found("message-queue", is),
            Kind::PosixQueue => Seen::found("posix-queue", is),
            Kind::Address => Seen::found("address", is),
            Kind::Route => Seen::found("route", is),
            Kind::Rule => Seen::found("rule", is),
            Kind::Table => Seen::found("iptables-table", is),
            Kind::Setting => Seen::fact(&self.is),
        }
    }
}

/// What is new in a list, and what is gone from it if nothing is new.
pub fn differences(before: &[Trace], now: &[Trace]) -> Vec<Seen> {
    let new: Vec<Seen> = now.iter().filter(|trace| !before.contains(trace)).map(Trace::seen).collect();
    let gone = before.iter().filter(|trace| !now.contains(trace));
    if new.is_empty() { gone.map(|trace| Seen::of("no-more", "what", trace.seen())).collect() } else { new }
}

/// The names of a host, and its IPC objects.
pub fn names() -> Vec<Trace> {
    let mut names = host_names();
    let tables = [(Kind::SharedMemory, "shm"), (Kind::Semaphores, "sem"), (Kind::MessageQueue, "msg")];
    for (kind, file) in tables {
        let table = fs::read_to_string(Path::new("/proc/sysvipc").join(file)).unwrap_or_default();
        // Key and ID come first, below a line that says so (proc_sysvipc(5)).
        let ids = table.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1));
        names.extend(ids.map(|id| kind.trace(id)));
    }
    names
}

/// Those of a UTS namespace.
fn host_names() -> Vec<Trace> {
    let mut names = Vec::new();
    for (kind, file) in [(Kind::HostName, "hostname"), (Kind::DomainName, "domainname")] {
        let name = fs::read_to_string(Path::new("/proc/sys/kernel").join(file)).unwrap_or_default();
        names.push(kind.trace(name.trim()));
    }
    names
}

/// POSIX message queues, which are files of a filesystem that need not be mounted (mq_overview(7)). Changes the caller's
/// own mount namespace.
pub fn queues() -> Vec<Trace> {
    let none: Option<&str> = None;
    let mounted = unshare(CloneFlags::CLONE_NEWNS)
        .and_then(|()| mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none))
        .and_then(|()| mount(Some("mqueue"), "/proc", Some("mqueue"), MsFlags::empty(), none));
    if mounted.is_err() {
        return Vec::new();
    }
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.map(|entry| Kind::PosixQueue.trace(format!("/{}", entry.file_name().display()))).collect()
}

/// What a network has besides its links.
pub fn network() -> Vec<Trace> {
    let mut network = Vec::new();
    let mut add = |kind: Kind, all: Vec<String>| network.extend(all.into_iter().map(|one| kind.trace(one)));
    add(Kind::Address, net::every_address().unwrap_or_default());
    add(Kind::Route, net::every_route().unwrap_or_default());
    add(Kind::Rule, net::every_rule().unwrap_or_default());
    add(
        Kind::Table,
        xtables::filled().into_iter().map(|(name, entries)| format!("{name} ({entries})")).collect(),
    );
    SETTINGS.iter().for_each(|dir| settings(dir, &mut network));
    network
}

/// The settings in one directory of /proc/sys.
fn settings(dir: &str, told: &mut Vec<Trace>) {
    for entry in fs::read_dir(Path::new("/proc/sys").join(dir)).into_iter().flatten().flatten() {
        if let Ok(value) = fs::read_to_string(entry.path()) {
            let words: Vec<&str> = value.split_whitespace().collect();
            let name = entry.file_name().to_string_lossy().into_owned();
            let setting = format!("{}.{name} = {}", dir.replace('/', "."), words.join(" "));
            told.push(Kind::Setting.trace(setting));
        }
    }
}

/// The traces of one host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traces {
    pub names: Vec<Trace>,
    pub network: Vec<Trace>,
}

impl Traces {
    /// Those of the namespaces that the caller, a short-lived visitor, is in.
    pub fn here() -> Traces {
        let mut traces = Traces { names: names(), network: network() };
        traces.names.extend(queues());
        traces
    }

    /// The same where the IPC namespace is everybody's, and others make and remove objects in it all the time.
    pub fn among_others() -> Traces {
        Traces { names: host_names(), network: network() }
    }
}
