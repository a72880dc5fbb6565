//! Control groups as they are inside: what can be written to, and where the namespace begins.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use nix::unistd::Pid;

use super::surroundings::Surroundings;
use fault::errno_name;
use kernel::cgroup::{Controller, hierarchy_of};
use kernel::mounts::{self, Mount};

/// How deep below a mount of groups is looked, and at how many files.
const DEEP: usize = 3;
const MANY: usize = 4096;

/// Files of groups that open for writing: of all that is mounted of them, be it one file.
pub fn open(table: &[Mount]) -> Vec<String> {
    let writes = |m: &&Mount| {
        m.fstype.starts_with("cgroup")
            && [&m.options, &m.data].iter().all(|o| o.split(',').any(|o| o == "rw"))
    };
    let mut files = Vec::new();
    for mount in table.iter().filter(writes) {
        below(&mounts::unescape(&mount.target), DEEP, &mut files);
    }
    // None of them is read or written by being opened.
    files.retain(|file| File::options().write(true).open(file).is_ok());
    files.iter().map(|file| file.display().to_string()).collect()
}

/// What came of opening the list of members for writing in each mount of groups: names of errors, each once.
pub fn errors(table: &[Mount]) -> Vec<String> {
    let mounts = table.iter().filter(|m| m.fstype.starts_with("cgroup"));
    let open = |m: &Mount| {
        let file = mounts::unescape(&m.target).join("cgroup.procs");
        File::options().write(true).open(file).err().and_then(|e| e.raw_os_error())
    };
    let names = mounts.map(|m| open(m).map_or_else(String::new, |errno| errno_name(&errno)));
    names.collect::<BTreeSet<_>>().into_iter().collect()
}

fn below(path: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    if !path.is_dir() {
        files.push(path.into());
    } else if depth > 0 {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            if files.len() < MANY {
                below(&entry.path(), depth - 1, files);
            }
        }
    }
}

/// Where CMD's cgroup namespace begins although that is above its group, for the controllers that it has a group for.
/// INSIDE is its `/proc/PID/cgroup` as that namespace shows it.
pub fn rooted_above(cmd: Pid, around: &impl Surroundings, inside: &str) -> Vec<String> {
    let controllers = [Controller::Memory, Controller::Pids, Controller::Cpu];
    let mut above: Vec<String> = controllers
        .into_iter()
        .filter_map(|controller| root_above(cmd, around, inside, controller))
        .collect();
    above.dedup();
    above
}

fn root_above(cmd: Pid, around: &impl Surroundings, inside: &str, controller: Controller) -> Option<String> {
    let top = &around.top(controller)?.dir;
    let own = hierarchy_of(&cmd.to_string(), controller)?.own;
    let name = own.strip_prefix(top).ok().filter(|name| !around.is_outside(name))?;
    let seen = path_of(inside, controller)?;
    // What is left of the group's whole name once that which the namespace shows is taken away.
    let kept = name.components().count().checked_sub(seen.components().count());
    let root: Option<PathBuf> = kept.map(|kept| name.components().take(kept).collect());
    let is_root = root.is_some_and(|root| root.join(seen) == name && !around.is_outside(&root));
    (!is_root).then(|| format!("/{}", seen.display()))
}

/// The path of a controller's line, without its slash: v1 names its controllers, v2 none.
fn path_of(groups: &str, controller: Controller) -> Option<&Path> {
    let lines = || groups.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
    let named = lines().find(|(names, _)| names.split(',').any(|name| name == controller.name()));
    let (_, path) = named.or_else(|| lines().find(|(names, _)| names.is_empty()))?;
    Some(Path::new(path.strip_prefix('/').unwrap_or(path)))
}
