//! The v1 freezer (freezer-subsystem.rst). What is frozen in it is not even ended by SIGKILL until it is thawed; in v2
//! it is.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::cgroup::v1_hierarchy;
use super::mounts;

/// The directory of the group that a process is in, where there is such a hierarchy.
fn group_of(pid: &str) -> Option<PathBuf> {
    let membership = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    v1_hierarchy(&membership, &mounts::mine().ok()?, "freezer").map(|hierarchy| hierarchy.own)
}

/// All groups below the one that we are in.
pub fn groups() -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut open: Vec<PathBuf> = group_of("self").into_iter().collect();
    while let Some(dir) = open.pop() {
        let entries = fs::read_dir(&dir).into_iter().flatten().flatten();
        let below = entries.filter(|e| e.file_type().is_ok_and(|kind| kind.is_dir())).map(|e| e.path());
        let below: Vec<PathBuf> = below.collect();
        found.extend(below.iter().cloned());
        open.extend(below);
    }
    found
}

/// Lets a process go on that is in a group below ours, so that it can be ended. Returns the group.
pub fn thaw(pid: i32) -> Option<PathBuf> {
    let (ours, theirs) = (group_of("self")?, group_of(&pid.to_string())?);
    if theirs == ours || !theirs.starts_with(&ours) {
        return None;
    }
    let thaw = |dir: &Path| fs::write(dir.join("freezer.state"), "THAWED");
    // The group may be gone already.
    theirs.ancestors().take_while(|dir| *dir != ours).for_each(|dir| drop(thaw(dir)));
    Some(theirs)
}
