//! `workshop run`: the finished container as a tool. The same walk as the steps', with nobody listening.

use std::ops::RangeInclusive;

use crate::cli::RunOptions;
use crate::container::recipe::{FIRST_SEAT, Recipe};
use crate::container::{Tty, create};
use crate::course::{STEPS, command_line, layers};
use crate::fault::Fault;
use crate::kernel::cgroup::Limits;
use crate::kernel::told::Silence;

use super::{LIMITS, Output, bytes, enter_lab, files};

/// Runs the program in a container with all layers, and passes on its status. Limits are set when they
/// are asked for; the limits not named are then as good as none.
pub fn run(out: &mut Output, options: RunOptions) -> Result<i32, Fault> {
    out.passes_status = true;
    let limits = limits(&options)?;
    nothing_of_later_steps(&options, limits.is_some())?;
    let leave_out = |slug: &str| {
        (slug == "cgroup-limit" && limits.is_none()) || (slug == "veth-bridge" && options.no_net)
    };
    let last = options.step.unwrap_or(u32::MAX);
    let layers = layers(STEPS.iter().filter(|step| step.number <= last && !leave_out(step.slug)));
    let lab = enter_lab(limits.is_some())?;
    let rootfs = options.rootfs.as_deref();
    let mut recipe = Recipe::new(&lab, layers, limits.unwrap_or(LIMITS), || files(&lab.folders, rootfs))?;
    recipe.ingredients.hostname = options.hostname;
    let tty = Tty::of(&options.program);
    let mut plan = recipe.plan(recipe.exec(options.program), FIRST_SEAT);
    plan.init = options.init;
    plan.passes_signals_on = true;
    plan.stdio.stdout = out.program_stdout()?;
    plan.tty = tty;
    let mut container =
        create(plan, &lab, &mut Silence).map_err(|fault| fault.again(&command_line::own()))?;
    container.start(&mut Silence)?;
    let exit = container.wait(&lab.signals)?;
    if let Some(fault) = container.explain(exit) {
        out.fault(&fault);
    }
    container.end()?;
    lab.leave();
    Ok(exit.status())
}

/// Options that ask for what only a later step adds than the one that the container ends with.
fn nothing_of_later_steps(options: &RunOptions, limited: bool) -> Result<(), Fault> {
    let Some(last) = options.step else { return Ok(()) };
    let asked = [
        ("--rootfs", "pivot-root", options.rootfs.is_some()),
        ("--memory, --pids, --cpus", "cgroup-limit", limited),
        ("--net", "veth-bridge", options.net),
    ];
    for (option, slug, asked) in asked {
        let later = STEPS.iter().find(|step| step.slug == slug && step.number > last);
        if let (true, Some(step)) = (asked, later) {
            let (last, number) = (last.to_string(), step.number.to_string());
            return Err(Fault::usage(
                "option-of-later-step",
                &[("option", option), ("last", &last), ("step", &number)],
            ));
        }
    }
    Ok(())
}

/// Bytes that can be asked for: below a mebibyte not even a small program starts.
const MEMORY: RangeInclusive<u64> = 1 << 20..=1 << 50;
/// Processes: the kernel has no more PIDs than that (`PID_MAX_LIMIT`).
const PIDS: RangeInclusive<u64> = 1..=1 << 22;
/// CPUs: from the kernel's smallest slice, 1 ms in 100, to more than any machine has.
const CPUS: RangeInclusive<f64> = 0.01..=8192.0;

fn limits(options: &RunOptions) -> Result<Option<Limits>, Fault> {
    let (memory, pids, cpus) = (&options.memory, &options.pids, &options.cpus);
    if memory.is_none() && pids.is_none() && cpus.is_none() {
        return Ok(None);
    }
    let bad = |key: &'static str, value: &str| Fault::usage(key, &[("value", value)]);
    let all = std::thread::available_parallelism().map_or(1.0, |n| n.get() as f64);
    let memory_of = |v| bytes(v).filter(|n| MEMORY.contains(n)).ok_or_else(|| bad("bad-size", v));
    let pids_of = |v: &str| v.parse().ok().filter(|n| PIDS.contains(n)).ok_or_else(|| bad("bad-pids", v));
    let cpus_of = |v: &str| v.parse().ok().filter(|n| CPUS.contains(n)).ok_or_else(|| bad("bad-cpus", v));
    Ok(Some(Limits {
        memory: memory.as_deref().map_or(Ok(*MEMORY.end()), memory_of)?,
        pids: pids.as_deref().map_or(Ok(*PIDS.end()), pids_of)?,
        cpus: cpus.as_deref().map_or(Ok(all), cpus_of)?,
    }))
}
