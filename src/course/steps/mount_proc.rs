//! Step 2: a mount table and a /proc of its own, and nothing of it on the host's side.

use std::path::Path;

use crate::language::Phrase;
use crate::{Build, Part, Row, Step};
use checks::{Fact, Scene};
use claims::task::Asked;
use claims::{Need, claim, files, own_namespace};
use engine::parts;
use fault::Fault;
use kernel::{mounts, process};

pub const STEP: Step = Step {
    number: 2,
    slug: parts::mount_proc::SLUG,
    builds: Build::Part(Part {
        wants: |wanted, _| wanted.spec.mounts = true,
        facts,
        row: Row { host: Phrase::new("mounts", "마운트"), own: Phrase::new("/proc", "/proc") },
        owns: &["part-mounts"],
        options: &[],
        way_on: Some("run-without-mounts"),
    }),
    permit: None,
    claims: &[
        claim("own-mounts", Need::Look, |evidence| own_namespace(evidence, "mnt")),
        claim("private", Need::Look, files::private),
        claim("own-proc", Need::Look, files::own_proc),
        claim("mount-stays", Need::Mount, files::mount_stays)
            .ours("nobody mounts in a container of PROGRAM's; its peer groups tell where a mount would go"),
        claim("outside-same", Need::Left, files::outside_same),
    ],
    exercise: Some(Asked::NOTHING),
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
