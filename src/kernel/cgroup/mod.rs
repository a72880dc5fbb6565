//! Control groups (cgroups(7)): which version a controller is on, where a new group may be made,
//! and how the files of the two versions are called.
//!
//! In v1 each controller has a tree of its own, in v2 all share one; on a hybrid host some are here
//! and some there. So everything is asked for each controller, never for "the host".

mod absent;
mod limits;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::{AccessFlags, access};

pub use limits::{CPU_PERIOD, Limits, Setting, Swap};

use super::process::caller;
use super::{mounts, systemd};
use fault::{Doing, Fault};

/// What a group can limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    Memory,
    Pids,
    Cpu,
}

impl Controller {
    pub const ALL: [Controller; 3] = [Controller::Memory, Controller::Pids, Controller::Cpu];

    /// The kernel's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Controller::Memory => "memory",
            Controller::Pids => "pids",
            Controller::Cpu => "cpu",
        }
    }
}

/// The two interfaces: `Documentation/admin-guide/cgroup-v1/` and `cgroup-v2.rst` in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    V1,
    V2,
}

impl Version {
    pub fn name(self) -> &'static str {
        match self {
            Version::V1 => "v1",
            Version::V2 => "v2",
        }
    }
}

/// A tree of groups, as this process can reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    pub version: Version,
    /// Every controller on it, comma-separated as in `/proc/self/cgroup` (v1 mounts want all of
    /// them); empty for v2.
    pub controllers: String,
    /// Where it is mounted.
    pub mount: PathBuf,
    /// The directory of the group that the caller is in.
    pub own: PathBuf,
}

impl Hierarchy {
    /// The group that is ours: where we have stepped aside, we are in a leaf that was made for that.
    fn home(&self) -> PathBuf {
        match self.own.parent() {
            Some(parent) if self.own.to_string_lossy().ends_with(LEAF) => parent.into(),
            _ => self.own.clone(),
        }
    }
}

/// The hierarchy that a controller is on, or `None` if the kernel or the host doesn't offer it.
pub fn hierarchy(controller: Controller) -> Option<Hierarchy> {
    hierarchy_of("self", controller)
}

/// As [`hierarchy`], with the group that process PID is in as `own`.
pub fn hierarchy_of(pid: &str, controller: Controller) -> Option<Hierarchy> {
    Tables::of(pid)?.hierarchy(controller)
}

/// The two tables that hierarchies are found by.
struct Tables {
    /// The groups that a process is in (`/proc/PID/cgroup`).
    membership: String,
    mounts: Vec<mounts::Mount>,
}

impl Tables {
    fn of(pid: &str) -> Option<Tables> {
        let membership = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        Some(Tables { membership, mounts: mounts::mine().ok()? })
    }

    fn hierarchy(&self, controller: Controller) -> Option<Hierarchy> {
        let v1 = v1_hierarchy(&self.membership, &self.mounts, controller.name());
        let v2 = || v2_hierarchy(&self.membership, &self.mounts);
        v1.or_else(|| v2().filter(|hierarchy| offers(&hierarchy.mount, controller)))
    }
}

/// Whether a v2 group may hand `controller` on (`cgroup.controllers`).
fn offers(group: &Path, controller: Controller) -> bool {
    words(&group.join("cgroup.controllers")).iter().any(|c| c == controller.name())
}

pub(super) fn v1_hierarchy(
    membership: &str,
    mounts: &[mounts::Mount],
    controller: &str,
) -> Option<Hierarchy> {
    let (controllers, path) = membership.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        controllers.split(',').any(|c| c == controller).then_some((controllers, path))
    })?;
    let mount =
        mounts.iter().rev().find(|m| m.fstype == "cgroup" && m.data.split(',').any(|o| o == controller))?;
    Some(Hierarchy {
        version: Version::V1,
        controllers: controllers.into(),
        mount: mount.target.clone().into(),
        own: own_group(mount, path),
    })
}

fn v2_hierarchy(membership: &str, mounts: &[mounts::Mount]) -> Option<Hierarchy> {
    let path = membership.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mount = mounts.iter().rev().find(|m| m.fstype == "cgroup2")?;
    Some(Hierarchy {
        version: Version::V2,
        controllers: String::new(),
        mount: mount.target.clone().into(),
        own: own_group(mount, path),
    })
}

/// A group's directory. Where only a part of the tree is mounted (in a container), paths are
/// relative to that part; a group outside it can't be reached, and the part's top stands for it.
fn own_group(mount: &mounts::Mount, path: &str) -> PathBuf {
    let below = path.strip_prefix(mount.root.trim_end_matches('/')).unwrap_or("");
    let (top, below) = (PathBuf::from(&mount.target), below.trim_start_matches('/'));
    let dir = top.join(below);
    if below.is_empty() || below.contains("..") || !dir.is_dir() { top } else { dir }
}

/// The words of a one-line file; none if it can't be read.
pub fn words(file: &Path) -> Vec<String> {
    fs::read_to_string(file).unwrap_or_default().split_whitespace().map(String::from).collect()
}

/// A counter in a file of `key value` lines, such as `oom_kill` in `memory.events`.
pub fn counter(file: &Path, key: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// Where the next group can be made, for one hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub hierarchy: Hierarchy,
    /// The controllers that we want from it.
    pub wanted: Vec<Controller>,
    /// The group to make ours in.
    pub parent: PathBuf,
    /// v2: we are the parent's only process and must move into a leaf before that.
    pub step_aside: bool,
}

/// How the name of the group ends that we step aside into.
pub const LEAF: &str = "-self";

/// A place for each hierarchy that the wanted controllers are on: one in v2, up to three in v1.
pub fn places(wanted: &[Controller]) -> Result<Vec<Place>, Fault> {
    let mut found: Vec<Place> = Vec::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    let tables = Tables::of("self");
    for &controller in wanted {
        let Some(hierarchy) = tables.as_ref().and_then(|tables| tables.hierarchy(controller)) else {
            return Err(absent::why(controller));
        };
        match found.iter_mut().find(|p| p.hierarchy == hierarchy) {
            Some(place) => place.wanted.push(controller),
            None => found.push(Place {
                parent: hierarchy.own.clone(),
                hierarchy,
                wanted: vec![controller],
                step_aside: false,
            }),
        }
    }
    for place in &mut found {
        match place.hierarchy.version {
            Version::V1 => place.settle_v1()?,
            Version::V2 => place.settle_v2()?,
        }
    }
    Ok(found)
}

impl Place {
    /// v1: a child of the group that we are in, so that limits on us hold for it too.
    fn settle_v1(&mut self) -> Result<(), Fault> {
        let dir = self.parent.to_string_lossy().into_owned();
        if writable(&self.parent) {
            return Ok(());
        }
        if read_only(&self.parent) {
            return Err(Fault::unable("cgroup-read-only", &[("path", &dir)]));
        }
        let controller = self.wanted.first().map_or("", |controller| controller.name());
        Err(Fault::unable("cgroup-v1-needs-root", &[("path", &dir), ("controller", controller)]))
    }

    /// v2: the nearest group upwards that may have children with these controllers.
    fn settle_v2(&mut self) -> Result<(), Fault> {
        let mut dir = self.hierarchy.home();
        let path = self.hierarchy.own.to_string_lossy().into_owned();
        let key = if read_only(&dir) { "cgroup-read-only" } else { systemd::no_group() };
        // What stands in the way in the topmost group that we may write to is what can be mended.
        let mut fault = Fault::unable(key, &[("path", &path), ("uid", &caller().to_string())]);
        while writable(&dir) && writable(&dir.join("cgroup.subtree_control")) {
            match self.try_parent(&dir) {
                Ok(()) => return Ok(()),
                Err(obstacle) => fault = obstacle,
            }
            if dir == self.hierarchy.mount {
                break;
            }
            dir.pop();
        }
        Err(fault)
    }

    /// A group that holds processes may not hand controllers on (the no-internal-process constraint of
    /// cgroup-v2.rst), unless it is the root, or the process is us alone and can step aside.
    fn try_parent(&mut self, dir: &Path) -> Result<(), Fault> {
        let path = dir.to_string_lossy();
        self.takes_children(dir)?;
        let lacks: Vec<_> = self.wanted.iter().filter(|c| !offers(dir, **c)).map(|c| c.name()).collect();
        if !lacks.is_empty() {
            let with = [("path", &*path), ("controllers", &lacks.join(", "))];
            return Err(Fault::unable("cgroup-v2-not-handed-on", &with));
        }
        let handed_on = self.not_handed_on(dir).is_empty();
        let members = words(&dir.join("cgroup.procs"));
        // Only the real root has no cgroup.type; it alone may have both processes and children.
        let kind = words(&dir.join("cgroup.type"));
        let root = kind.is_empty();
        let alone = members == [std::process::id().to_string()];
        if !handed_on && !members.is_empty() && !root && !alone {
            return Err(Fault::unable("cgroup-v2-crowded", &[("path", &path)]));
        }
        self.step_aside = alone && !root && !handed_on;
        self.parent = dir.into();
        Ok(())
    }

    /// v2: whether a group may have one more below it that holds processes: in a threaded subtree a group holds
    /// threads, and some controllers don't work on these; and a group above may bound how many there are, or how deep.
    fn takes_children(&self, dir: &Path) -> Result<(), Fault> {
        let path = dir.to_string_lossy();
        let kind = words(&dir.join("cgroup.type")).join(" ");
        if !matches!(kind.as_str(), "" | "domain") {
            return Err(Fault::unable("cgroup-v2-threaded", &[("path", &path), ("kind", &kind)]));
        }
        for (depth, above) in
            dir.ancestors().take_while(|dir| dir.starts_with(&self.hierarchy.mount)).enumerate()
        {
            let most = |file: &str| words(&above.join(file)).first()?.parse::<u64>().ok();
            let now = counter(&above.join("cgroup.stat"), "nr_descendants").unwrap_or(0);
            // Where we step aside there is a leaf beside the new one.
            let full = most("cgroup.max.descendants").is_some_and(|most| most < now + 2);
            if full || most("cgroup.max.depth").is_some_and(|most| most <= depth as u64) {
                return Err(Fault::unable("cgroup-v2-full", &[("path", &above.to_string_lossy())]));
            }
        }
        Ok(())
    }

    /// v2: whether it lies further up than the group that we are in, where groups are others' to manage.
    pub fn is_above_us(&self) -> bool {
        self.hierarchy.version == Version::V2 && self.parent != self.hierarchy.home()
    }

    /// v2: controllers that `dir` could hand on to its children and does not (`cgroup.subtree_control`).
    pub fn not_handed_on(&self, dir: &Path) -> Vec<Controller> {
        let enabled = words(&dir.join("cgroup.subtree_control"));
        self.wanted.iter().copied().filter(|c| !enabled.iter().any(|e| e == c.name())).collect()
    }
}

/// Holds a group's directory (flock(2)), while it matters that no other workshop changes what the group hands
/// on. One that stands still (`--pause`) is waited for no longer than 2 seconds.
pub fn hold(group: &Path) -> Option<Flock<fs::File>> {
    let until = Instant::now() + Duration::from_secs(2);
    let mut dir = fs::File::open(group).ok()?;
    loop {
        dir = match Flock::lock(dir, FlockArg::LockExclusiveNonblock) {
            Ok(held) => return Some(held),
            Err((dir, Errno::EWOULDBLOCK)) if Instant::now() < until => dir,
            Err(_) => return None,
        };
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn writable(path: &Path) -> bool {
    access(path, AccessFlags::W_OK).is_ok()
}

fn read_only(path: &Path) -> bool {
    access(path, AccessFlags::W_OK) == Err(Errno::EROFS)
}

/// A group that exists, in one hierarchy.
#[derive(Clone, Debug)]
pub struct Group {
    pub hierarchy: Hierarchy,
    pub wanted: Vec<Controller>,
    pub dir: PathBuf,
}

impl Group {
    /// Moves us, who are in the group, into `leaf` below it, so that it may hand its controllers on (v2, the
    /// no-internal-process constraint of cgroup-v2.rst). In v1 nothing stands in the way.
    pub fn hand_on_below(&self, leaf: &str) -> Result<(), Fault> {
        if self.hierarchy.version == Version::V1 {
            return Ok(());
        }
        let leaf = self.dir.join(leaf);
        fs::create_dir(&leaf).doing(format!("make {}", leaf.display()))?;
        fs::write(leaf.join("cgroup.procs"), "0").doing(format!("move into {}", leaf.display()))?;
        let names: Vec<String> = self.wanted.iter().map(|c| format!("+{}", c.name())).collect();
        fs::write(self.dir.join("cgroup.subtree_control"), names.join(" ")).doing("hand controllers on")
    }

    /// How often the kernel killed for lack of memory in this group.
    pub fn oom_kills(&self) -> Option<u64> {
        let file = match self.hierarchy.version {
            Version::V1 => "memory.oom_control",
            Version::V2 => "memory.events",
        };
        counter(&self.dir.join(file), "oom_kill")
    }

    /// How often a fork(2) was refused for `pids.max`.
    pub fn forks_refused(&self) -> Option<u64> {
        counter(&self.dir.join("pids.events"), "max")
    }

    /// In how many periods the group had used up its CPU time and was made to wait.
    pub fn throttled(&self) -> Option<u64> {
        counter(&self.dir.join("cpu.stat"), "nr_throttled")
    }
}

#[cfg(test)]
mod tests;
