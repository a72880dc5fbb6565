//! Step 1: a process tree of its own. It is PID 1 of a namespace, with all that PID 1 must do.

use std::fs;
use std::path::Path;

use crate::language::Phrase;
use crate::{Build, Part, Row, Step};
use checks::{Fact, Scene};
use claims::task::Asked;
use claims::{KERNELS, Need, claim, processes};
use engine::parts;
use fault::Fault;
use kernel::process;

pub const STEP: Step = Step {
    number: 1,
    slug: parts::unshare_pid::SLUG,
    builds: Build::Part(Part {
        wants: |wanted, _| wanted.spec.processes = true,
        facts,
        row: Row { host: Phrase::new("processes", "프로세스"), own: Phrase::new("PIDs", "PID") },
        owns: &["part-processes"],
        options: &[],
        way_on: None,
    }),
    permit: None,
    claims: &[
        claim("own-pids", Need::Look, processes::own_pids),
        claim("pid-1", Need::Look, processes::pid_1),
        claim("nested", Need::Kernel, processes::nested).ours(KERNELS),
        claim("orphans", Need::Kernel, processes::orphans).ours(KERNELS),
        claim("reaped", Need::Orphan, processes::reaped),
        claim("sigterm", Need::Terminate, processes::sigterm),
        claim("end-of-1", Need::Kernel, processes::end_of_pid_1).ours(KERNELS),
    ],
    exercise: Some(Asked::NOTHING),
};

const PROC: &str = "/proc";

pub fn facts(scene: &Scene) -> Result<Vec<Fact>, Fault> {
    let pid = scene.pid();
    let (outside, inside) = scene.namespaces("pid");
    let nspid = process::status(Path::new(PROC), &pid, "NSpid").unwrap_or_default();
    let own = nspid.split(' ').next_back().unwrap_or_default().to_owned();
    let listed = process::pids(Path::new(PROC)).len();
    let seen = scene.container.look(others)?;
    let by_pid = scene.container.look(|| process::namespace("self", "pid"))?;
    Ok(vec![
        Fact::new("pid", &pid, &own),
        Fact::new("nspid", nspid.split(' ').next().unwrap_or_default(), &nspid),
        Fact::new("namespace", outside, &inside),
        Fact::new("by-pid", inside, by_pid),
        Fact::new("processes", listed, seen),
    ])
}

/// How many processes a visitor sees besides itself and the one of ours that brought it, by the host's /proc.
fn others() -> usize {
    let me = fs::read_link("/proc/self").ok().and_then(|link| link.to_str()?.parse::<i32>().ok());
    let parent = process::status(Path::new(PROC), "self", "PPid").and_then(|pid| pid.parse().ok());
    process::pids(Path::new(PROC)).into_iter().filter(|pid| Some(*pid) != me && Some(*pid) != parent).count()
}
