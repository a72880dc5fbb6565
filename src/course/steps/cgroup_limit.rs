//! Step 4: limits that are there first, and that really kill, refuse and throttle.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::{ForkResult, fork};

use crate::checks::{Fact, LabState, Memory, Report, Scene};
use crate::course::language::Phrase;
use crate::course::{Build, Part, Row, Step};
use crate::engine::parts;
use crate::engine::template::{EXPERIMENT, Experiment, Template};
use crate::engine::{Container, Exit, Process, Program, Spec, Stdio};
use crate::fault::Fault;
use crate::judge::claims::{Need, claim, limits};
use crate::judge::{Asked, Task};
use crate::kernel::cgroup::{Controller, Group, Limits, Setting};
use crate::kernel::child::guarded;
use crate::kernel::told::Silence;

pub const STEP: Step = Step {
    number: 4,
    slug: parts::cgroup_limit::SLUG,
    builds: Build::Part(Part {
        wants: |wanted, limits| wanted.spec.limits = Some(limits),
        facts,
        checks,
        after,
        row: Row { host: Phrase::new("memory, CPU", "메모리, CPU"), own: Phrase::new("limits", "한도") },
        owns: &["part-groups", "part-limits"],
        options: &["--memory", "--pids", "--cpus"],
        way_on: Some("run-without-limits"),
    }),
    permit: Some(parts::cgroup_limit::permitted),
    exercise: Some(Task {
        asks: Asked { limits: true, ..Asked::NOTHING },
        claims: &[
            claim("memory-limit", Need::Look, limits::memory_limit),
            claim("pids-limit", Need::Look, limits::pids_limit),
            claim("cpu-limit", Need::Look, limits::cpu_limit),
            claim("limits-first", Need::Look, limits::limits_first),
            claim("oom", Need::Strain, limits::oom),
            claim("forks-refused", Need::Strain, limits::forks_refused),
            claim("throttled", Need::Strain, limits::throttled),
            claim("own-groups", Need::Look, limits::own_groups),
            claim("locked", Need::Look, limits::locked),
            claim("groups-gone", Need::Talk, limits::groups_gone),
        ],
    }),
};

/// Size of the pieces in which the memory experiment takes what it can get, in bytes.
const PIECE: usize = 1 << 20;

/// The group of a container that a controller is limited in.
fn group(container: &Container, controller: Controller) -> Option<&Group> {
    container.on_host.groups.iter().find(|g| g.wanted.contains(&controller))
}

/// A group's path in its hierarchy, as `/proc/PID/cgroup` names it (cgroups(7)).
fn membership(pid: &str, group: &Group) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let controllers = &group.hierarchy.controllers;
    let line = text
        .lines()
        .find_map(|line| line.split_once(':')?.1.strip_prefix(controllers.as_str())?.strip_prefix(':'));
    line.unwrap_or("none").to_owned()
}

/// The name of a group's directory, `workshop-4711-1`.
fn name(group: &Group) -> String {
    group.dir.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What was written to a group's files for one controller.
fn settings(template: &Template, controller: Controller, group: &Group) -> Vec<Setting> {
    template
        .spec
        .limits
        .map(|limits| limits.settings(controller, group.hierarchy.version))
        .unwrap_or_default()
}

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

pub fn checks(scene: &Scene, report: &mut Report) -> Result<(), Fault> {
    let groups = &scene.container.on_host.groups;
    let pid = scene.pid();
    let placed: Vec<_> = groups.iter().filter(|g| membership(&pid, g).ends_with(&name(g))).collect();
    report.equal(
        "placed",
        format!("{} of {}", groups.len(), groups.len()),
        format!("{} of {}", placed.len(), groups.len()),
    )?;

    limits_first(scene.template, report)?;
    memory(scene.template, report)?;
    pids(scene.template, report)?;
    cpu(scene.template, report)?;

    let seen = scene.container.look(|| groups.iter().map(|g| membership("1", g)).collect::<Vec<_>>())?;
    let own = seen.iter().all(|path| path == "/");
    report.tell("own-view", own, "/", if own { "/".into() } else { seen.join(", ") })?;
    let only = groups.len() == 1;
    let opened = scene.container.look(|| {
        let files = groups.iter().map(|g| inside_dir(g, only).join("cgroup.procs"));
        files
            .map(|file| match File::options().write(true).open(file) {
                Ok(_) => "writable".to_owned(),
                Err(e) => nix::errno::Errno::from_raw(e.raw_os_error().unwrap_or(0)).to_string(),
            })
            .collect::<std::collections::BTreeSet<_>>()
    })?;
    let expected = nix::errno::Errno::EROFS.to_string();
    report.equal("read-only", expected, opened.into_iter().collect::<Vec<_>>().join(", "))
}

/// A container that is not started yet: its first process is one execve(2) away from the program, so
/// what holds for it now held before the program's first instruction.
fn limits_first(template: &Template, report: &mut Report) -> Result<(), Fault> {
    let process = Process::new(Program::Call(Box::new(|| 0)));
    let container = template.create(&template.spec.at(EXPERIMENT), process, &mut Silence)?;
    let pid = container.pid.to_string();
    let mut late = Vec::new();
    for group in &container.on_host.groups {
        if !membership(&pid, group).ends_with(&name(group)) {
            late.push("membership".to_owned());
        }
        for setting in group.wanted.iter().flat_map(|controller| settings(template, *controller, group)) {
            let file = group.dir.join(setting.file);
            let value = fs::read_to_string(&file).unwrap_or_default();
            if value.trim() != setting.value && (file.exists() || !setting.optional) {
                late.push(format!("{} {}", setting.file, value.trim()));
            }
        }
    }
    report.tell(
        "limits-first",
        late.is_empty(),
        "all set before execve",
        if late.is_empty() { "all set before execve".into() } else { late.join(", ") },
    )
}

/// Takes memory until it is killed.
fn memory(template: &Template, report: &mut Report) -> Result<(), Fault> {
    let pieces = 4 * template.spec.limits.and_then(|limits| limits.memory).unwrap_or(0) as usize / PIECE + 1;
    let taken: Experiment<()> = template.experiment(false, || {
        let mut held = Vec::new();
        for _ in 0..pieces {
            // Written to, since memory that is only asked for costs nothing.
            held.push(vec![1u8; PIECE]);
        }
        std::hint::black_box(&held);
    })?;
    let kills = group(&taken.container, Controller::Memory).and_then(Group::oom_kills).unwrap_or(0);
    let killed = taken.exit == Some(Exit::Signal(Signal::SIGKILL as i32));
    let how = if killed { "killed" } else { "not killed" };
    report.tell("oom", killed && kills > 0, "killed, oom_kill 1", format!("{how}, oom_kill {kills}"))
}

/// Forks until it may not.
fn pids(template: &Template, report: &mut Report) -> Result<(), Fault> {
    let limit = template.spec.limits.and_then(|limits| limits.pids).unwrap_or(0);
    let forks = template.experiment(false, || {
        let mut made = 0;
        while made < limit + 8 {
            // SAFETY: one thread.
            match unsafe { fork() } {
                Ok(ForkResult::Child) => guarded(|| {
                    std::thread::sleep(Duration::from_secs(60));
                    0
                }),
                Ok(ForkResult::Parent { .. }) => made += 1,
                Err(errno) => return (made, format!("{errno:?}")),
            }
        }
        (made, "no error".into())
    })?;
    let refused = group(&forks.container, Controller::Pids).and_then(Group::forks_refused).unwrap_or(0);
    let (made, errno) = forks.seen.unwrap_or((0, "no report".into()));
    let passed = errno == "EAGAIN" && made + 1 == limit && refused > 0;
    report.tell(
        "pids",
        passed,
        format!("{} processes, then EAGAIN", limit),
        format!("{} processes, then {errno}", made + 1),
    )
}

/// A small fraction of one CPU, which a loop gets to even on a host where many others want the CPU too.
const SCARCE: f64 = 0.02;

/// Computes without end, until the kernel has counted. CPU time is shared out among groups before it is among
/// processes, so on a busy host the step's own limit might never be reached: this container gets less.
fn cpu(template: &Template, report: &mut Report) -> Result<(), Fault> {
    let spin = || loop {
        std::hint::spin_loop();
    };
    let limits = template.spec.limits.map(|limits| Limits { cpus: Some(SCARCE), ..limits });
    let spec = Spec { limits, ..template.spec.at(EXPERIMENT) };
    let stdio = Stdio::quiet()?.0;
    let process = Process { stdio, ..Process::new(Program::Call(Box::new(spin))) };
    let mut container = template.create(&spec, process, &mut Silence)?;
    container.start(&mut Silence)?;
    let group = group(&container, Controller::Cpu);
    let throttled = || group.and_then(Group::throttled).unwrap_or(0) > 0;
    let until = Instant::now() + Duration::from_secs(10);
    while !throttled() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(10));
    }
    let words = |yes| if yes { "throttled at least once" } else { "never throttled" };
    report.equal("cpu", words(true), words(throttled()))
}

/// The groups that were there while it ran.
pub fn after(memory: &Memory, _: &LabState, report: &mut Report) -> Result<(), Fault> {
    report.equal("group-gone", 0, memory.groups.iter().filter(|dir| dir.exists()).count())
}
