//! `workshop run`: the finished container as a tool. The same walk as the steps', with nobody listening.

use std::ops::RangeInclusive;

use crate::cli::RunOptions;
use crate::course::{STEPS, Step, command_line, wanted};
use crate::engine::template::{Template, Wanted};
use crate::engine::{Process, Program, Spec, Terminal, Tty, terminal_name};
use crate::fault::Fault;
use crate::folders::Folders;
use crate::kernel::cgroup::{Controller, Limits};
use crate::kernel::told::Silence;

use super::{LIMITS, Output, bytes, enter_lab_for, files, find_step, plan};

/// Runs the program in a container with all parts, and passes on its status. Limits are set when they
/// are asked for, and only those.
pub fn run(out: &mut Output, options: RunOptions) -> Result<i32, Fault> {
    out.passes_status = true;
    let last = options.step.as_deref().map(find_step).transpose()?;
    last.map_or(Ok(()), Step::must_make_a_container)?;
    let limits = limits(&options)?;
    last.map_or(Ok(()), |last| nothing_of_later_steps(&options, last))?;
    let wanted = asked_for(&options, last, limits);
    contain(out, options, wanted, limits).map_err(|fault| with_a_way_on(fault, limits))
}

/// What the options ask for.
fn asked_for(options: &RunOptions, last: Option<&'static Step>, limits: Option<Limits>) -> Wanted {
    let asked_limits = limits.unwrap_or(LIMITS);
    let mut wanted = match last {
        Some(last) => wanted(last.with_all_below(), asked_limits),
        None => Wanted { users: options.userns, ..wanted(STEPS, asked_limits) },
    };
    wanted.spec.limits = wanted.spec.limits.filter(|_| limits.is_some());
    wanted.spec.network = wanted.spec.network.filter(|_| !options.no_net);
    wanted.spec.hostname.clone_from(&options.hostname);
    wanted
}

fn contain(
    out: &mut Output,
    options: RunOptions,
    wanted: Wanted,
    limits: Option<Limits>,
) -> Result<i32, Fault> {
    if options.plan {
        let plan = plan::draw(&Folders::find()?, wanted, options.rootfs.as_deref(), &options.program)?;
        return plan::print(out, &plan, false);
    }
    let lab = enter_lab_for(&limits.map(|limits| limits.controllers()).unwrap_or_default())?;
    let rootfs = options.rootfs.as_deref();
    let template = Template::new(&lab, wanted, || files(&lab.folders, rootfs))?;
    let terminal = terminal_name();
    let mut process = Process { init: options.init, ..Process::new(Program::Planned) };
    process.terminal = Terminal::lend(Tty::of(&options.program));
    process.passes_signals_on = true;
    process.stdio.stdout = out.program_stdout()?;
    let mut container = template
        .create(&Spec { terminal, ..template.with(options.program) }, process, &mut Silence)
        .map_err(|fault| fault.again(&command_line::own()))?;
    container.start(&mut Silence)?;
    let exit = container.wait(&lab.signals)?;
    if let Some(fault) = container.explain(exit) {
        out.fault(&fault);
    }
    container.end_with_the_lab()?;
    lab.leave();
    Ok(exit.status())
}

/// What is isolated by default is so or nothing runs. Where the host can't do it, the option is named that asks for
/// a container without.
fn with_a_way_on(fault: Fault, limits: Option<Limits>) -> Fault {
    let Fault::Unable { step: Some(step), with, .. } = &fault else { return fault };
    let way_on = Step::find(step).and_then(Step::part).and_then(|part| part.way_on);
    let Some(key) = way_on else { return fault };
    let lacking = with.iter().filter(|(name, _)| name.starts_with("controller")).map(|(_, names)| names);
    let lacking: Vec<&str> = lacking.flat_map(|names| names.split(", ")).collect();
    let asked = limits.map(|limits| limits.controllers()).unwrap_or_default();
    let of = |controller: &Controller| lacking.is_empty() || lacking.contains(&controller.name());
    let options: Vec<&str> = asked.iter().filter(|controller| of(controller)).map(option).collect();
    let (way, options) = (("way-on", key), ("options", &*options.join(", ")));
    fault.clone().and(&[way, options])
}

/// The option that asks for a limit.
fn option(controller: &Controller) -> &'static str {
    match controller {
        Controller::Memory => "--memory",
        Controller::Pids => "--pids",
        Controller::Cpu => "--cpus",
    }
}

/// Options that ask for what only a later step adds than the one that the container ends with.
fn nothing_of_later_steps(options: &RunOptions, last: &Step) -> Result<(), Fault> {
    let asked = [
        ("--rootfs", options.rootfs.is_some()),
        ("--memory", options.memory.is_some()),
        ("--pids", options.pids.is_some()),
        ("--cpus", options.cpus.is_some()),
        ("--net", options.net),
        ("--userns", options.userns),
    ];
    let mut asked = asked.into_iter().filter(|(_, asked)| *asked);
    let later = asked.find_map(|(option, _)| Step::with_option(option).filter(|step| step.is_after(last)));
    let Some(step) = later else { return Ok(()) };
    let option = step.part().map(|part| part.options.join(", ")).unwrap_or_default();
    let (last, number) = (last.number.to_string(), step.number.to_string());
    Err(Fault::usage("option-of-later-step", &[("option", &option), ("last", &last), ("step", &number)]))
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
    let memory_of = |v| bytes(v).filter(|n| MEMORY.contains(n)).ok_or_else(|| bad("bad-size", v));
    let pids_of = |v: &str| v.parse().ok().filter(|n| PIDS.contains(n)).ok_or_else(|| bad("bad-pids", v));
    let cpus_of = |v: &str| v.parse().ok().filter(|n| CPUS.contains(n)).ok_or_else(|| bad("bad-cpus", v));
    Ok(Some(Limits {
        memory: memory.as_deref().map(memory_of).transpose()?,
        pids: pids.as_deref().map(pids_of).transpose()?,
        cpus: cpus.as_deref().map(cpus_of).transpose()?,
    }))
}
