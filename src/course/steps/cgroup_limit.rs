//! Step 4: limits that are there first, and that really kill, refuse and throttle.

use std::fs::{self, File};
use std::path::Path;

use crate::language::Phrase;
use crate::{Build, Part, Row, Step};
use checks::{Fact, Scene, group, membership, settings};
use claims::task::Asked;
use claims::{Need, claim, limits};
use engine::parts;
use fault::Fault;
use kernel::cgroup::{Controller, Group};

pub const STEP: Step = Step {
    number: 4,
    slug: parts::cgroup_limit::SLUG,
    builds: Build::Part(Part {
        wants: |wanted, limits| wanted.spec.limits = Some(limits),
        facts,
        row: Row { host: Phrase::new("memory, CPU", "메모리, CPU"), own: Phrase::new("limits", "한도") },
        owns: &["part-groups", "part-limits"],
        options: &["--memory", "--pids", "--cpus"],
        way_on: Some("run-without-limits"),
    }),
    permit: Some(parts::cgroup_limit::permitted),
    claims: &[
        claim("memory-limit", Need::Look, limits::memory_limit),
        claim("pids-limit", Need::Look, limits::pids_limit),
        claim("cpu-limit", Need::Look, limits::cpu_limit),
        claim("limits-first", Need::Early, limits::limits_first),
        claim("oom", Need::Strain, limits::oom),
        claim("forks-refused", Need::Strain, limits::forks_refused),
        claim("throttled", Need::Strain, limits::throttled),
        claim("own-groups", Need::Look, limits::own_groups),
        claim("locked", Need::Look, limits::locked),
        claim("groups-gone", Need::Left, limits::groups_gone),
    ],
    exercise: Some(Asked { limits: true, ..Asked::NOTHING }),
};

/// A limit as its own file gives it: file name and first line.
fn limit(scene: &Scene, controller: Controller, dir: &Path) -> String {
    let Some(group) = group(scene.container, controller) else { return "none".into() };
    let settings = settings(scene.template, controller, group);
    // The last file is the one that holds the figure; the swap limit is only there for some.
    let Some(setting) = settings.iter().rev().find(|s| !s.optional) else { return "none".into() };
    let value = fs::read_to_string(dir.join(setting.file)).unwrap_or_else(|e| format!("({})", e.kind()));
    format!("{} {}", setting.file, value.trim())
}

/// Where the container sees its own group of a hierarchy.
fn inside_dir(group: &Group, only: bool) -> std::path::PathBuf {
    let top = Path::new("/sys/fs/cgroup");
    match (only, group.hierarchy.controllers.as_str()) {
        (true, "") => top.into(),
        (_, "") => top.join("unified"),
        (_, controllers) => top.join(controllers),
    }
}

pub fn facts(scene: &Scene) -> Result<Vec<Fact>, Fault> {
    let groups = &scene.container.on_host.groups;
    let only = groups.len() == 1;
    let versions = Controller::ALL.map(|c| {
        let version = group(scene.container, c).map_or("none", |g| g.hierarchy.version.name());
        format!("{} {version}", c.name())
    });
    let mut facts = vec![Fact::new("version", versions.join(", "), versions.join(", "))];
    if let Some(group) = groups.first() {
        let inside = scene.container.look(|| membership("1", group))?;
        facts.push(Fact::new("group", membership(&scene.pid(), group), inside));
    }
    for controller in Controller::ALL {
        let Some(group) = group(scene.container, controller) else { continue };
        let outside = limit(scene, controller, &group.dir);
        let inside = scene.container.look(|| limit(scene, controller, &inside_dir(group, only)))?;
        facts.push(Fact::new(controller.name(), outside, inside));
    }
    if let Some(group) = group(scene.container, Controller::Pids) {
        let can = |dir: &Path| {
            if File::options().write(true).open(dir.join("pids.max")).is_ok() { "yes" } else { "no" }
        };
        let inside = scene.container.look(|| can(&inside_dir(group, only)).to_owned())?;
        facts.push(Fact::new("writable", can(&group.dir), inside));
    }
    Ok(facts)
}
