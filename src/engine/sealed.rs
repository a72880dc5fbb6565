//! The sealed lab: for plans that lack something on purpose.
//!
//! A lab is a mount and a network namespace (and a user namespace). That is enough for a whole container, but a plan
//! without its UTS namespace would rename the real host from there, and one without its group would let a fork bomb loose.
//! In a sealed lab whoever stands for the host has *all* namespaces of its own, sees no file that it could write to but
//! its own, and is in a group with limits. So it is itself a container, made by the same walk.

use nix::mount::{MsFlags, mount};
use nix::sched::CloneFlags;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::op::{Call, Ops};
use super::plan::Stage;
use super::template::{Experiment, report};
use super::{OnHost, Plan, Process, Program, Site, Spec, Stdio, create};
use fault::{Doing, Fault};
use kernel::attributes::{make_read_only, make_writable};
use kernel::cgroup::{Group, Limits};
use kernel::told::Silence;
use lab::Lab;

/// What all that is in it may use together.
const BOUNDS: Limits = Limits { memory: Some(1 << 30), pids: Some(1024), cpus: Some(8192.0), ..Limits::NONE };

/// Where the one who stands for the host is on cgroup v2, so that groups can be made beside it.
const LEAF: &str = "host";

/// Runs `part` in a sealed lab, and returns what it returned.
///
/// # Errors
/// A [`Fault::Unable`] where no group with limits can be made, as for an ordinary user on cgroup v1: what can't be
/// sealed is not tried.
pub fn within<T: Serialize + DeserializeOwned>(
    lab: &Lab,
    part: impl FnOnce(&Lab) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let spec = Spec { processes: true, limits: Some(BOUNDS), ..Spec::default() };
    let site = Site::in_lab(lab, &spec)?;
    let groups = site.groups();
    let run = || Lab::within(lab).and_then(|inner| part(&inner));
    let (reported, run) = report(run)?;
    let prepare = Box::new(move || seal(lab, &groups));
    let process =
        Process { stdio: Stdio::quiet()?.0, ..Process::new(Program::Prepared(prepare, Box::new(run))) };
    let container = create(plan(&spec, &site)?, process, OnHost::new(&spec, &site)?, lab, &mut Silence)?;
    let came_of_it: Experiment<Result<T, Fault>> = reported.by(container)?;
    let ended = || Fault::broken("work in a sealed lab", format!("it ended: {:?}", came_of_it.exit));
    came_of_it.seen.ok_or_else(ended)?
}

/// A container with all namespaces and a group, and otherwise the caller's files.
fn plan(spec: &Spec, site: &Site) -> Result<Plan, Fault> {
    let mut plan = Plan::new(spec, site)?;
    plan.ops.retain(|op| op.stage != Stage::Mounts);
    let mut ops = Ops::of("sealed-lab");
    for kind in [
        CloneFlags::CLONE_NEWNS,
        CloneFlags::CLONE_NEWNET,
        CloneFlags::CLONE_NEWUTS,
        CloneFlags::CLONE_NEWIPC,
    ] {
        ops.add(Stage::Clone, "clone", Call::Namespace(kind));
    }
    plan.ops.extend(ops.list());
    plan.sort();
    Ok(plan)
}

/// As its first process: nothing can be written to but what is its own, and the process tree and groups are its own.
/// What is mounted travels, as systemd leaves a host.
fn seal(lab: &Lab, groups: &[Group]) -> Result<(), Fault> {
    let none: Option<&str> = None;
    groups.iter().try_for_each(|group| group.hand_on_below(LEAF))?;
    make_read_only("/".as_ref(), true).doing("make the sealed lab's mounts read-only")?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, none).doing("mount the sealed lab's /proc")?;
    for Group { dir, hierarchy, .. } in groups {
        let top = &hierarchy.mount;
        let bound = mount(Some(dir), top, none, MsFlags::MS_BIND | MsFlags::MS_REC, none);
        bound.and_then(|()| make_writable(top)).doing(format!(
            "bind {} to {}",
            dir.display(),
            top.display()
        ))?;
    }
    make_writable(&lab.dir).doing("make the lab's own filesystem writable")?;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SHARED, none).doing("make mounts travel")
}
