//! Containers of ours that strain against their limits (step 4).

use std::fs;
use std::time::{Duration, Instant};

use nix::unistd::{ForkResult, fork};

use super::scene::{Around, group, membership, settings};
use claims::bounds::{Counters, Limited};
use claims::evidence::Strained;
use engine::template::{EXPERIMENT, Experiment, Template};
use engine::{Exit, Process, Program, Spec, Stdio};
use fault::Fault;
use kernel::cgroup::{Controller, Group, Limits};
use kernel::child::guarded;
use kernel::told::Silence;

/// Size of the pieces in which the memory experiment takes what it can get, in bytes.
const PIECE: usize = 1 << 20;

/// The name of a group's directory, `workshop-4711-1`.
fn name(group: &Group) -> String {
    group.dir.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The limits, and what else was not set yet, of a container that is not started yet: its first process is one execve(2) away from the program, so
/// what holds for it now held before the program's first instruction.
pub fn first(template: &Template) -> Result<(Limited, Vec<String>), Fault> {
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
    Ok((Limited::of(container.pid, &Around::of(&container)), late))
}

/// Lets three containers strain, each against one limit.
pub fn strained(template: &Template, wanted: Limited) -> Result<Strained, Fault> {
    let (hog, oom_kills) = memory(template)?;
    let (forks, forks_refused) = pids(template)?;
    let counted = Counters { oom_kills, forks_refused, throttled: cpu(template)?, processes: forks.0 };
    Ok(Strained { counted, limits: wanted, exceeded: None, hog, forks: Some(forks) })
}

/// Takes memory until it is killed: how it ended, and how often the group has counted that.
fn memory(template: &Template) -> Result<(Option<Exit>, u64), Fault> {
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
    Ok((taken.exit, kills))
}

/// Forks until it may not: how many processes there were then, the error, and how often the group has counted it.
fn pids(template: &Template) -> Result<((u64, String), u64), Fault> {
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
    Ok(((made + 1, errno), refused))
}

/// A small fraction of one CPU, which a loop gets to even on a host where many others want the CPU too.
const SCARCE: f64 = 0.02;

/// Computes without end, until the kernel has counted. CPU time is shared out among groups before it is among
/// processes, so on a busy host the step's own limit might never be reached: this container gets less.
fn cpu(template: &Template) -> Result<u64, Fault> {
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
    let throttled = || group.and_then(Group::throttled).unwrap_or(0);
    let until = Instant::now() + Duration::from_secs(10);
    while throttled() == 0 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(throttled())
}
