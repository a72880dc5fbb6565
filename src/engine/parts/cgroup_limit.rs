//! Step 4: limits on memory, processes and CPU time.
//!
//! The group is made and its limits are set on the host, before the program exists, and the first
//! process is in the group before it does anything. Were it moved there later, what it had used and
//! forked by then would not count.

use std::path::{Path, PathBuf};

use nix::mount::MsFlags;
use nix::sched::CloneFlags;

use crate::op::{Call, File, Op, Ops};
use crate::plan::Stage;
use crate::site::Site;
use crate::spec::Spec;
use fault::Fault;
use kernel::cgroup::{self, Controller, Group, Hierarchy, Limits, Place, Version};
use kernel::lacks;
use kernel::undo::{GROUP_PREFIX, Reversal, Undo};
use lab::Lab;

/// The step's slug.
pub const SLUG: &str = "cgroup-limit";

/// What it may use.
pub fn operations(spec: &Spec, site: &Site) -> Result<Vec<Op>, Fault> {
    let mut ops = Ops::of(SLUG);
    let Some(limits) = &spec.limits else { return Ok(ops.list()) };
    for place in &site.places {
        make_group(&mut ops, limits, place, site);
        let group = site.group(place);
        match place.hierarchy.version {
            Version::V1 => join_v1(&mut ops, &group),
            Version::V2 => join_v2(&mut ops, &group),
        }
    }
    // ANCHOR: cgroup-limit-namespace
    // Only now: a cgroup namespace is rooted at the groups its maker is in (cgroup_namespaces(7)).
    ops.add(Stage::Group, "namespace", Call::Unshare(CloneFlags::CLONE_NEWCGROUP));
    // ANCHOR_END: cgroup-limit-namespace
    mount_view(&mut ops, &site.groups(), spec.new_root(site).join("sys/fs/cgroup"));
    Ok(ops.list())
}

// ANCHOR: cgroup-limit-group
fn make_group(ops: &mut Ops, limits: &Limits, place: &Place, site: &Site) {
    if place.hierarchy.version == Version::V2 {
        // Until the group is there, another workshop might end and take the controllers with it.
        ops.make_room(Stage::Prepare, "subtree", Call::Hold(place.parent.clone()));
        enable_controllers(ops, place, site);
    }
    let dir = site.group(place);
    make_recorded(ops, dir.clone());
    for controller in &place.wanted {
        for setting in limits.settings(*controller, place.hierarchy.version) {
            let file = dir.join(setting.file);
            let to = if setting.optional { File::IfThere(file) } else { File::At(file) };
            let write = Call::Write { to, text: setting.value };
            match setting.why {
                // The course has no word on it.
                "limit-shares" => ops.add_of(super::extras::SLUG, Stage::Prepare, setting.why, write),
                why => ops.add(Stage::Prepare, why, write),
            }
        }
    }
    if place.hierarchy.version == Version::V2 {
        ops.make_room(Stage::Prepare, "subtree", Call::Release(place.parent.clone()));
    }
}
// ANCHOR_END: cgroup-limit-group

// ANCHOR: cgroup-limit-join
/// v1: writing a PID to `cgroup.procs` moves a whole thread group and waits for an RCU grace period, some 10 ms. A
/// process that has one thread can move that thread, itself, through `tasks`, at once.
fn join_v1(ops: &mut Ops, group: &Path) {
    let tasks = group.join("tasks");
    ops.make_room(Stage::Prepare, "join", Call::Open { path: tasks.clone(), directory: false });
    // 0 stands for whoever writes it. A PID would be read in the PID namespace of the writer, where ours is 1.
    ops.add(Stage::Group, "join", Call::Write { to: File::Opened(tasks), text: "0".into() });
}
// ANCHOR_END: cgroup-limit-join

// ANCHOR: cgroup-limit-clone
/// v2 can put a process into its group at birth.
fn join_v2(ops: &mut Ops, group: &Path) {
    ops.make_room(Stage::Prepare, "clone", Call::Open { path: group.into(), directory: true });
    ops.add(Stage::Clone, "clone", Call::BornIn(group.into()));
}
// ANCHOR_END: cgroup-limit-clone

// ANCHOR: cgroup-limit-subtree
/// v2: a group's controllers are those that its parent hands on (`cgroup.subtree_control`).
fn enable_controllers(ops: &mut Ops, place: &Place, site: &Site) {
    if place.step_aside {
        step_aside(ops, &place.parent, site);
    }
    let control = place.parent.join("cgroup.subtree_control");
    let controllers: Vec<String> = place.wanted.iter().map(|c| c.name().to_owned()).collect();
    // Those that it does not hand on yet. If another container of ours enabled them, whichever ends last disables them.
    let undo = Undo::Disable { path: control.clone(), controllers: controllers.clone() };
    let hand_on = Call::HandOn { control, controllers };
    ops.add_with_undo(Stage::Prepare, "subtree", hand_on, Reversal::Outside(undo));
}
// ANCHOR_END: cgroup-limit-subtree

// ANCHOR: cgroup-limit-aside
/// v2: we are the only process of a group that was delegated to us. It can't have both processes and
/// controlled children, so we go into a child of it that holds nothing else.
fn step_aside(ops: &mut Ops, parent: &Path, site: &Site) {
    let leaf = parent.join(format!("{GROUP_PREFIX}{}{}", site.owner.pid, cgroup::LEAF));
    make_recorded(ops, leaf.clone());
    let procs = Call::Write { to: File::At(leaf.join("cgroup.procs")), text: "0".into() };
    ops.add_with_undo(Stage::Prepare, "aside", procs, Reversal::MoveBack { group: parent.into() });
}
// ANCHOR_END: cgroup-limit-aside

/// Makes a group that is in the ledger before it is there.
fn make_recorded(ops: &mut Ops, dir: PathBuf) {
    let undo = Reversal::Outside(Undo::RemoveGroup { path: dir.clone() });
    ops.add_with_undo(Stage::Prepare, "group", Call::MakeDirectory(dir), undo);
}

// ANCHOR: cgroup-limit-view-dir
/// /sys/fs/cgroup as the container sees it: its own groups, read-only, so that it can read its
/// limits and not lift them.
fn mount_view(ops: &mut Ops, groups: &[Group], top: PathBuf) {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let sealed = flags | MsFlags::MS_RDONLY;
    let view = |fstype: &'static str, target: PathBuf, data: Option<String>| Call::Mount {
        source: Some(fstype.into()),
        target,
        fstype: Some(fstype),
        flags: sealed,
        data,
    };
    if let [Group { hierarchy: Hierarchy { version: Version::V2, .. }, .. }] = groups {
        return ops.add(Stage::Mounts, "view", view("cgroup2", top, None));
    }
    let tmpfs = Call::Mount {
        source: Some("tmpfs".into()),
        target: top.clone(),
        fstype: Some("tmpfs"),
        flags,
        data: Some("mode=755,size=64k".into()),
    };
    ops.add(Stage::Mounts, "view-dir", tmpfs);
    for Group { hierarchy, .. } in groups {
        let controllers = hierarchy.controllers.clone();
        let (name, fstype, data) = match hierarchy.version {
            Version::V1 => (controllers.as_str(), "cgroup", Some(controllers.clone())),
            Version::V2 => ("unified", "cgroup2", None),
        };
        let dir = top.join(name);
        ops.make_room(Stage::Mounts, "view", Call::MakeDirectory(dir.clone()));
        ops.add(Stage::Mounts, "view", view(fstype, dir, data));
    }
    // The kernel looks at neither source nor type then (mount(2), "Remounting an existing mount").
    let flags = MsFlags::MS_REMOUNT | sealed;
    let seal = Call::Mount { source: None, target: top, fstype: None, flags, data: None };
    ops.add(Stage::Mounts, "view-dir", seal);
}
// ANCHOR_END: cgroup-limit-view-dir

/// Whether a group with all three limits may be made, and a view of it.
pub fn permitted(_: &Lab) -> Result<(), Fault> {
    cgroup::places(&Controller::ALL)?;
    lacks::namespaces(CloneFlags::CLONE_NEWCGROUP, CloneFlags::empty()).map_or(Ok(()), Err)
}
