//! Step 2: a mount table and a /proc of its own, and nothing of it on the host's side.

use std::path::Path;

use crate::checks::{Fact, LabState, Memory, Report, Scene};
use crate::course::language::Phrase;
use crate::course::{Build, Part, Row, Step};
use crate::engine::OwnMounts;
use crate::engine::parts;
use crate::engine::template::SECOND;
use crate::fault::{Doing, Fault};
use crate::judge::claims::{Need, claim, files, own_namespace};
use crate::judge::{Asked, Task};
use crate::kernel::told::Silence;
use crate::kernel::{mounts, process};

pub const STEP: Step = Step {
    number: 2,
    slug: parts::mount_proc::SLUG,
    builds: Build::Part(Part {
        wants: |wanted, _| wanted.spec.mounts = true,
        facts,
        checks,
        after,
        row: Row { host: Phrase::new("mounts", "마운트"), own: Phrase::new("/proc", "/proc") },
        owns: &["part-mounts"],
        options: &[],
        way_on: Some("run-without-mounts"),
    }),
    permit: None,
    exercise: Some(Task {
        asks: Asked::NOTHING,
        claims: &[
            claim("own-mounts", Need::Look, |case| own_namespace(case, "mnt")),
            claim("private", Need::Look, files::private),
            claim("own-proc", Need::Look, files::own_proc),
            claim("outside-same", Need::Talk, files::outside_same),
        ],
    }),
};

const PROC: &str = "/proc";

/// What a visitor sees of /proc and the mount table.
fn survey() -> (Vec<i32>, String, String, usize, Vec<String>) {
    let table = mounts::mine().unwrap_or_default();
    let proc = mounts::at(&table, PROC).map_or("none".into(), |m| m.device.clone());
    let first = std::fs::read_to_string("/proc/1/comm").unwrap_or_default().trim().to_owned();
    let shared =
        table.iter().filter(|m| m.propagation.contains("shared")).map(|m| m.target.clone()).collect();
    (process::pids(Path::new(PROC)), proc, first, table.len(), shared)
}

/// How mounts travel, as mount_namespaces(7) calls it. The lab itself is private, so the host's
/// own word for it comes from before the lab.
fn propagation(line: Option<&String>) -> &'static str {
    match line {
        Some(line) if line.contains(" shared:") => "shared",
        Some(line) if line.contains(" master:") => "slave",
        _ => "private",
    }
}

pub fn facts(scene: &Scene) -> Result<Vec<Fact>, Fault> {
    let (pids, proc, first, count, _) = survey();
    let (pids_in, proc_in, first_in, count_in, shared_in) = scene.container.look(survey)?;
    let (outside, inside) = scene.namespaces("mnt");
    let (host, _) = scene.lab.compare_host()?;
    let root = host.mounts.iter().find(|line| line.split(' ').nth(4) == Some("/"));
    let inner = if shared_in.is_empty() { "private" } else { "shared" };
    Ok(vec![
        Fact::new("processes", pids.len(), pids_in.len()),
        Fact::new("first", first, first_in),
        Fact::new("proc", proc, proc_in),
        Fact::new("namespace", outside, inside),
        Fact::new("mounts", count, count_in),
        Fact::new("propagation", propagation(root), inner),
    ])
}

pub fn checks(scene: &Scene, report: &mut Report) -> Result<(), Fault> {
    let (_, proc, ..) = survey();
    let (pids, proc_in, _, _, shared) = scene.container.look(survey)?;
    report.tell("own-proc", proc != proc_in, format!("not device {proc}"), format!("device {proc_in}"))?;

    // PID 1, and the visitor that counts.
    let expected = "2 (PID 1 and who looks)";
    let actual = if pids.len() == 2 { expected.into() } else { pids.len().to_string() };
    report.equal("only-own", expected, actual)?;
    report.equal("private", "0 shared", format!("{} shared", shared.len()))?;

    let outside = || mounts::mine().map(|table| table.len()).doing("read the lab's mount table");
    let before = outside()?;
    // In a container of its own: the learner's program would find the mount.
    let (other, _held) = scene.template.resident(SECOND, &mut Silence)?;
    let made = other.change(|own: &OwnMounts| {
        let _ = own.mount_tmpfs("visit", Path::new("/tmp"));
        mounts::mine().unwrap_or_default().iter().filter(|m| m.source == "visit").count()
    })?;
    let expected = format!("1 inside, {before} outside as before");
    report.equal("mount-stays", expected, format!("{made} inside, {} outside as before", outside()?))
}

/// The lab's mount table before the container, while it ran, and now.
pub fn after(memory: &Memory, now: &LabState, report: &mut Report) -> Result<(), Fault> {
    let steady = memory.before.mounts == memory.during.mounts && memory.before.mounts == now.mounts;
    let counts = |states: [&LabState; 3]| states.map(|s| s.mounts.len().to_string()).join(", ");
    let before = &memory.before;
    report.tell("host-table", steady, counts([before; 3]), counts([before, &memory.during, now]))
}
