//! Who is there, and whose child: one pass through /proc, in which each file is read once. A cell is looked at a hundred
//! times in a trial, on machines with hundreds of processes and on emulated ones.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use kernel::process;

/// Bytes that hold a process's status in one read(2), and more (proc_pid_status(5)).
const STATUS: usize = 4096;

/// Processes at one moment, by the PIDs that our /proc has for them.
pub struct Table(BTreeMap<i32, Place>);

/// A process's place among the others.
struct Place {
    parent: i32,
    /// In how many PID namespaces it has a PID.
    depth: usize,
}

impl Table {
    /// All that /proc shows now.
    pub fn read() -> Table {
        let mut text = Vec::with_capacity(STATUS);
        let places = process::pids(Path::new("/proc")).into_iter().filter_map(|pid| {
            text.clear();
            // One that has ended meanwhile is not there.
            File::open(format!("/proc/{pid}/status")).ok()?.read_to_end(&mut text).ok()?;
            Some((pid, Place::of(&text)?))
        });
        Table(places.collect())
    }

    /// All of them, in order.
    pub fn pids(&self) -> impl Iterator<Item = i32> {
        self.0.keys().copied()
    }

    /// Those whose parent it is.
    pub fn children(&self, parent: i32) -> impl Iterator<Item = i32> {
        self.0.iter().filter(move |(_, place)| place.parent == parent).map(|(pid, _)| *pid)
    }

    /// In how many PID namespaces a process has a PID: there, and in all those above.
    pub fn depth(&self, pid: i32) -> Option<usize> {
        self.0.get(&pid).map(|place| place.depth)
    }

    /// Whether a process is another one, or comes of it.
    pub fn descends(&self, pid: i32, ancestor: i32) -> bool {
        let line = std::iter::successors(Some(pid), |pid| self.0.get(pid).map(|place| place.parent));
        line.take(64).any(|pid| pid == ancestor)
    }
}

impl Place {
    /// Reads `PPid` and `NSpid`. A process's name, which is there too, may be any bytes.
    fn of(status: &[u8]) -> Option<Place> {
        let text = String::from_utf8_lossy(status);
        let value = |key: &str| {
            let rest = &text[text.find(key)? + key.len()..];
            Some(&rest[..rest.find('\n')?])
        };
        Some(Place {
            parent: value("\nPPid:\t")?.parse().ok()?,
            depth: value("\nNSpid:\t")?.split_whitespace().count(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_there() {
        let mut child = testing::command("sleep").arg("1000").spawn().unwrap();
        let (own, pid) = (std::process::id() as i32, child.id() as i32);
        let table = Table::read();
        let _ = child.kill().and_then(|()| child.wait());
        assert!(table.children(own).any(|child| child == pid));
        assert!(table.descends(pid, own) && !table.descends(own, pid));
        assert!(table.depth(pid) >= Some(1) && table.depth(pid) == table.depth(own));
        assert!(table.pids().any(|other| other == pid));
    }

    #[test]
    fn one_in_namespaces_of_its_own_is_deeper_whatever_it_is_called() {
        let status = b"Name:\t\xff\xc3(\nPPid:\t12\nNSpid:\t40\t7\t1\n";
        let place = Place::of(status).unwrap();
        assert_eq!((place.parent, place.depth), (12, 3));
        assert!(Place::of(b"Name:\tPPid:\n").is_none());
    }
}
