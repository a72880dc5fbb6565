//! A cell as the outside of a container: what has been left behind in it.

use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::cell::{Cell, LEAF};
use claims::foreign::OPEN;
use claims::outside::Outside;
use claims::surroundings::Surroundings;
use claims::traces::Traces;
use fault::{Doing, Fault};
use kernel::netlink::facts as net;

/// How many names of each kind are kept: enough to say what is wrong.
const NAMES: usize = 64;

/// What tools keep for themselves there, whatever they are used for: mount(8) its table of user options, iptables(8)
/// its lock, ip(8) the place of named network namespaces.
const OF_TOOLS: [&str; 3] = ["/run/mount", "/run/xtables.lock", "/run/netns"];

#[derive(Serialize, Deserialize)]
struct Seen {
    traces: Traces,
    links: Vec<String>,
    tables: Vec<String>,
    files: Vec<String>,
}

impl Cell {
    /// What is in it.
    pub fn state(&self) -> Result<Outside, Fault> {
        let path = format!("/proc/{}/mountinfo", self.container.pid);
        let mounts = fs::read(&path).doing(format!("read {path}"))?;
        let seen = self.container.look(|| look(self))?;
        let mut groups = Vec::new();
        for group in self.container.on_host.groups.iter() {
            below(&group.dir, Path::new(""), &mut groups);
        }
        groups.retain(|name| name != LEAF);
        groups.sort();
        groups.dedup();
        Ok(Outside {
            mounts: String::from_utf8_lossy(&mounts).lines().map(String::from).collect(),
            links: seen.links,
            tables: seen.tables,
            files: seen.files,
            groups,
            processes: Surroundings::processes(self),
            traces: seen.traces,
        })
    }
}

fn look(cell: &Cell) -> Seen {
    let mut files = Vec::new();
    for place in OPEN {
        let kept: Vec<&PathBuf> = cell.ground.kept_in(place).collect();
        list(Path::new(place), &kept, &mut files);
    }
    Seen {
        links: net::links().unwrap_or_default().into_iter().map(|link| link.name).collect(),
        tables: net::nft_tables().unwrap_or_default(),
        files,
        traces: Traces::here(),
    }
}

/// Names below DIR, without what was there for the cell's own sake.
fn list(dir: &Path, kept: &[&PathBuf], files: &mut Vec<String>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let of_tools = OF_TOOLS.iter().any(|tool| path == Path::new(tool)) && !has_entries(&path);
        if files.len() >= NAMES || of_tools || kept.iter().any(|kept| path == **kept) {
            continue;
        }
        let on_the_way = kept.iter().any(|kept| kept.starts_with(&path));
        if !on_the_way {
            files.push(path.display().to_string());
        } else {
            list(&path, kept, files);
        }
    }
}

/// Whether something is in a directory besides mount(8)'s table, empty, and its lock.
fn has_entries(dir: &Path) -> bool {
    let is_empty = |entry: &DirEntry| entry.metadata().is_ok_and(|m| m.is_file() && m.len() == 0);
    let of_mount = |entry: &DirEntry| ["utab", "utab.lock"].iter().any(|name| entry.file_name() == *name);
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| !of_mount(&entry) || !is_empty(&entry))
}

/// Directories of groups below TOP.
fn below(top: &Path, name: &Path, groups: &mut Vec<String>) {
    for entry in fs::read_dir(top.join(name)).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) && groups.len() < NAMES {
            let name = name.join(entry.file_name());
            groups.push(name.display().to_string());
            below(top, &name, groups);
        }
    }
}
