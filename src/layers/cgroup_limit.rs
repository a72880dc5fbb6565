//! Step 4: limits on memory, processes and CPU time.
//!
//! The group is made and its limits are set on the host, before the program exists, and the first
//! process is in the group before it does anything. Were it moved there later, what it had used and
//! forked by then would not count.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::mount::MsFlags;
use nix::sched::CloneFlags;

use super::{Host, Inside, Layer, Stage};
use crate::fault::{Doing, Fault};
use crate::kernel::caller::open_for_writing;
use crate::kernel::cgroup::{self, Controller, Group, Hierarchy, Limits, Place, Version};
use crate::kernel::lacks;
use crate::kernel::ledger::{self, GROUP_PREFIX, Undo};
use crate::kernel::process::Owner;
use crate::kernel::undo::Reversal;
use crate::lab::Lab;

/// What it may use.
pub struct CgroupLimit {
    limits: Limits,
    /// v2: the directory that clone3(2) takes.
    birthplace: Option<OwnedFd>,
    /// v1: the `tasks` file of each group, open for the child to write itself into.
    tasks: Vec<(OwnedFd, PathBuf)>,
    /// The hierarchies that it is limited in, for its view of them.
    hierarchies: Vec<Hierarchy>,
}

impl CgroupLimit {
    pub fn new(limits: Limits) -> CgroupLimit {
        CgroupLimit { limits, birthplace: None, tasks: Vec::new(), hierarchies: Vec::new() }
    }

    // ANCHOR: cgroup-limit-group
    fn make_group(&mut self, host: &mut Host, place: &Place) -> Result<(), Fault> {
        // Until the group is there, another workshop might end and take the controllers with it.
        let _held = cgroup::hold(&place.parent);
        if place.hierarchy.version == Version::V2 {
            enable_controllers(host, place)?;
        }
        // PIDs are the same in different PID namespaces that share this tree; start times hardly ever.
        let me = Owner::me().doing("read /proc/self/stat")?;
        let dir = place.parent.join(format!("{GROUP_PREFIX}{}-{}-{}", me.pid, me.started, host.number));
        make_recorded(host, &dir)?;
        for controller in &place.wanted {
            for setting in self.limits.settings(*controller, place.hierarchy.version) {
                let file = dir.join(setting.file);
                if !setting.optional || file.exists() {
                    write(host, setting.why, &file, &setting.value)?;
                }
            }
        }
        self.open_door(&place.hierarchy, &dir)?;
        self.hierarchies.push(place.hierarchy.clone());
        let (hierarchy, wanted) = (place.hierarchy.clone(), place.wanted.clone());
        host.made.groups.push(Group { hierarchy, wanted, dir });
        Ok(())
    }
    // ANCHOR_END: cgroup-limit-group

    // ANCHOR: cgroup-limit-clone
    /// What the child joins by. Writing a PID to `cgroup.procs` moves a whole thread group and waits
    /// for an RCU grace period, some 10 ms. v2 can put a process there at birth; in v1 a process that
    /// has one thread can move that thread, itself, through `tasks`, at once.
    fn open_door(&mut self, hierarchy: &Hierarchy, dir: &Path) -> Result<(), Fault> {
        match hierarchy.version {
            Version::V2 => {
                let door = fs::File::open(dir).doing(format!("open {}", dir.display()))?;
                self.birthplace = Some(door.into());
            }
            Version::V1 => {
                let path = dir.join("tasks");
                let door = open_for_writing(&path).doing(format!("open {}", path.display()))?;
                self.tasks.push((door, path));
            }
        }
        Ok(())
    }
    // ANCHOR_END: cgroup-limit-clone
}

impl Layer for CgroupLimit {
    fn slug(&self) -> &'static str {
        "cgroup-limit"
    }

    fn later_namespaces(&self) -> CloneFlags {
        CloneFlags::CLONE_NEWCGROUP
    }

    fn prepare(&mut self, host: &mut Host) -> Result<(), Fault> {
        cgroup::places(&self.limits.controllers())?.iter().try_for_each(|place| self.make_group(host, place))
    }

    fn birthplace(&self) -> Option<BorrowedFd<'_>> {
        self.birthplace.as_ref().map(|fd| fd.as_fd())
    }

    // ANCHOR: cgroup-limit-join
    fn enter(&self, stage: Stage, inside: &mut Inside) -> Result<(), Fault> {
        match stage {
            Stage::Group => {
                for (tasks, path) in &self.tasks {
                    // 0 stands for whoever writes it. A PID would be read in the PID namespace of
                    // the writer, where ours is 1.
                    inside.calls.write("join", tasks.as_fd(), path, "0")?;
                }
                // Only now: a cgroup namespace is rooted at the groups its maker is in
                // (cgroup_namespaces(7)).
                inside.calls.unshare("namespace", CloneFlags::CLONE_NEWCGROUP)
            }
            Stage::Mounts => self.mount_view(inside),
            _ => Ok(()),
        }
    }
    // ANCHOR_END: cgroup-limit-join
}

impl CgroupLimit {
    // ANCHOR: cgroup-limit-view-dir
    /// /sys/fs/cgroup as the container sees it: its own groups, read-only, so that it can read its
    /// limits and not lift them.
    fn mount_view(&self, inside: &mut Inside) -> Result<(), Fault> {
        let top = inside.root.join("sys/fs/cgroup");
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        let sealed = flags | MsFlags::MS_RDONLY;
        if let [only] = &self.hierarchies[..]
            && only.version == Version::V2
        {
            return inside.calls.mount(
                "view",
                Some(Path::new("cgroup2")),
                &top,
                Some("cgroup2"),
                sealed,
                None,
            );
        }
        let tmpfs = Some(Path::new("tmpfs"));
        inside.calls.mount("view-dir", tmpfs, &top, Some("tmpfs"), flags, Some("mode=755,size=64k"))?;
        for hierarchy in &self.hierarchies {
            let (name, fstype, data) = match hierarchy.version {
                Version::V1 => {
                    (hierarchy.controllers.as_str(), "cgroup", Some(hierarchy.controllers.as_str()))
                }
                Version::V2 => ("unified", "cgroup2", None),
            };
            let dir = top.join(name);
            fs::create_dir(&dir).doing(format!("make {}", dir.display()))?;
            inside.calls.mount("view", Some(Path::new(fstype)), &dir, Some(fstype), sealed, data)?;
        }
        let seal = MsFlags::MS_REMOUNT | sealed;
        // The kernel looks at neither source nor type then (mount(2), "Remounting an existing mount").
        inside.calls.mount("view-dir", None, &top, None, seal, None)
    }
    // ANCHOR_END: cgroup-limit-view-dir
}

/// Whether a group with all three limits may be made, and a view of it.
pub fn permitted(_: &Lab) -> Result<(), Fault> {
    cgroup::places(&Controller::ALL)?;
    lacks::namespaces(CloneFlags::CLONE_NEWCGROUP, CloneFlags::empty()).map_or(Ok(()), Err)
}

// ANCHOR: cgroup-limit-subtree
/// v2: a group's controllers are those that its parent hands on (`cgroup.subtree_control`).
fn enable_controllers(host: &mut Host, place: &Place) -> Result<(), Fault> {
    let control = place.parent.join("cgroup.subtree_control");
    let missing: Vec<_> =
        place.not_handed_on(&place.parent).iter().map(|controller| controller.name().to_owned()).collect();
    if missing.is_empty() {
        // If another container of ours enabled them, whichever ends last disables them.
        return match ledger::to_disable(&host.lab.folders.ledger(), &control) {
            Some(disable) => host.undo.before(Reversal::Outside(disable)),
            None => Ok(()),
        };
    }
    if place.step_aside {
        step_aside(host, &place.parent)?;
    }
    let text = missing.iter().map(|name| format!("+{name}")).collect::<Vec<_>>().join(" ");
    host.undo.before(Reversal::Outside(Undo::Disable { path: control.clone(), controllers: missing }))?;
    write(host, "subtree", &control, &text)
}
// ANCHOR_END: cgroup-limit-subtree

// ANCHOR: cgroup-limit-aside
/// v2: we are the only process of a group that was delegated to us. It can't have both processes and
/// controlled children, so we go into a child of it that holds nothing else.
fn step_aside(host: &mut Host, parent: &Path) -> Result<(), Fault> {
    let leaf = parent.join(format!("{GROUP_PREFIX}{}{}", std::process::id(), cgroup::LEAF));
    make_recorded(host, &leaf)?;
    host.undo.before(Reversal::MoveBack { group: parent.into() })?;
    write(host, "aside", &leaf.join("cgroup.procs"), "0")
}
// ANCHOR_END: cgroup-limit-aside

/// Makes a group that is in the ledger before it is there, and is not if it was refused.
fn make_recorded(host: &mut Host, dir: &Path) -> Result<(), Fault> {
    host.undo.before(Reversal::Outside(Undo::RemoveGroup { path: dir.into() }))?;
    let made = host.calls.mkdir("group", dir, 0o755);
    if made.is_err() {
        // A page that can't be written to names what isn't there, and that is found out.
        let _ = host.undo.retract();
    }
    made
}

fn write(host: &mut Host, why: &str, file: &Path, text: &str) -> Result<(), Fault> {
    let fd = open_for_writing(file).doing(format!("open {}", file.display()))?;
    host.calls.write(why, fd.as_fd(), file, text)
}
