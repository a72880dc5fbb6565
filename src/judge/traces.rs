//! What is not among the files of a host, and may be left there too: names, IPC objects, and settings of the network.
//! Each is told in words that change when it does.

use std::fs;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use serde::{Deserialize, Serialize};

use crate::kernel::netlink::facts as net;
use crate::kernel::xtables;

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

/// The names of a host, and its IPC objects.
pub fn names() -> Vec<String> {
    let mut names = Vec::new();
    for (kind, file) in [("host name", "hostname"), ("domain name", "domainname")] {
        let name = fs::read_to_string(Path::new("/proc/sys/kernel").join(file)).unwrap_or_default();
        names.push(format!("{kind} {}", name.trim()));
    }
    for (kind, file) in [("shared memory", "shm"), ("semaphores", "sem"), ("message queue", "msg")] {
        let table = fs::read_to_string(Path::new("/proc/sysvipc").join(file)).unwrap_or_default();
        // Key and ID come first, below a line that says so (proc_sysvipc(5)).
        let ids = table.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1));
        names.extend(ids.map(|id| format!("System V {kind} {id}")));
    }
    names
}

/// POSIX message queues, which are files of a filesystem that need not be mounted (mq_overview(7)). Changes the caller's
/// own mount namespace.
pub fn queues() -> Vec<String> {
    let none: Option<&str> = None;
    let mounted = unshare(CloneFlags::CLONE_NEWNS)
        .and_then(|()| mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none))
        .and_then(|()| mount(Some("mqueue"), "/proc", Some("mqueue"), MsFlags::empty(), none));
    if mounted.is_err() {
        return Vec::new();
    }
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.map(|entry| format!("POSIX message queue /{}", entry.file_name().display())).collect()
}

/// What a network has besides its links.
pub fn network() -> Vec<String> {
    let mut network = Vec::new();
    network.extend(net::every_address().unwrap_or_default());
    network.extend(net::every_route().unwrap_or_default());
    network.extend(net::every_rule().unwrap_or_default());
    network.extend(xtables::filled());
    SETTINGS.iter().for_each(|dir| settings(dir, &mut network));
    network
}

/// The settings in one directory of /proc/sys.
fn settings(dir: &str, told: &mut Vec<String>) {
    for entry in fs::read_dir(Path::new("/proc/sys").join(dir)).into_iter().flatten().flatten() {
        if let Ok(value) = fs::read_to_string(entry.path()) {
            let words: Vec<&str> = value.split_whitespace().collect();
            let name = entry.file_name().to_string_lossy().into_owned();
            told.push(format!("{}.{name} = {}", dir.replace('/', "."), words.join(" ")));
        }
    }
}

/// The traces of one host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traces {
    pub names: Vec<String>,
    pub network: Vec<String>,
}

impl Traces {
    /// Those of the namespaces that the caller, a short-lived visitor, is in.
    pub fn here() -> Traces {
        let mut traces = Traces { names: names(), network: network() };
        traces.names.extend(queues());
        traces
    }

    /// What is new in a list, and what is gone from it if nothing is new.
    pub fn differences(before: &[String], now: &[String]) -> Vec<String> {
        let new: Vec<String> = now.iter().filter(|word| !before.contains(word)).cloned().collect();
        let gone = before.iter().filter(|word| !now.contains(word)).map(|word| format!("no more {word}"));
        if new.is_empty() { gone.collect() } else { new }
    }
}
