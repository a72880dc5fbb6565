//! `workshop run`: the finished container as a tool. The same walk as the steps', with nobody listening.

mod explain;
mod program;
mod volumes;

use std::ops::RangeInclusive;
use std::path::PathBuf;

use crate::cli::RunOptions;
use crate::course::{STEPS, Step, command_line, wanted};
use crate::engine::template::{Files, Template, Wanted};
use crate::engine::{Process, Program, Spec, Terminal, Tty, terminal_name};
use crate::fault::Fault;
use crate::folders::Folders;
use crate::kernel::cgroup::{Controller, Limits, Swap};
use crate::kernel::told::Silence;
use crate::lab::names;

use super::{LIMITS, Output, bytes, directory, enter_lab_for, files, find_step, plan};

/// Runs the program in a container with all parts, and passes on its status. Limits are set when they
/// are asked for, and only those.
pub fn run(out: &mut Output, options: RunOptions) -> Result<i32, Fault> {
    out.passes_status = true;
    let last = options.step.as_deref().map(find_step).transpose()?;
    last.map_or(Ok(()), Step::must_make_a_container)?;
    let limits = limits(&options)?;
    last.map_or(Ok(()), |last| nothing_of_later_steps(&options, last))?;
    let mut wanted = asked_for(&options, last, limits);
    wanted.spec.hostname = program::host_name(&options.hostname)?;
    wanted.spec.extras = program::extras(&options)?;
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
    wanted.spec.network = wanted.spec.network.filter(|_| !options.has_no_network());
    wanted
}

fn contain(
    out: &mut Output,
    options: RunOptions,
    wanted: Wanted,
    limits: Option<Limits>,
) -> Result<i32, Fault> {
    let stop = program::stop(&options)?;
    let layers = options.rootfs.as_deref().map(volumes::layers).transpose()?;
    let from = |folders: &Folders| image(folders, layers.as_deref());
    if options.explain {
        layers.as_deref().map(|dirs| image(&Folders::find()?, Some(dirs))).transpose()?;
        return explain::print(out, &wanted);
    }
    if options.plan {
        let folders = Folders::find()?;
        let plan = plan::draw(&folders, wanted, || from(&folders), &options.program)?;
        return plan::print(out, &plan, false);
    }
    let named = options.name.as_deref().map(|name| names::take(&Folders::find()?, name)).transpose()?;
    let controllers = limits.map(|limits| limits.controllers()).unwrap_or_default();
    let lab = enter_lab_for(&controllers, options.has_hosts_network())?;
    let template = Template::new(&lab, wanted, || from(&lab.folders))?;
    let terminal = terminal_name();
    let mut process = Process { init: options.init, ..Process::new(Program::Planned) };
    process.terminal = Terminal::lend(Tty::of(&options.program));
    process.passes_signals_on = true;
    process.stop = stop;
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
    drop(named);
    lab.leave();
    Ok(exit.status())
}

/// The container's files.
fn image(folders: &Folders, layers: Option<&[PathBuf]>) -> Result<Files, Fault> {
    match layers {
        None => files(folders, None),
        Some([dir]) => files(folders, Some(dir)),
        Some(dirs) => {
            dirs.iter().map(|dir| directory(folders, dir)).collect::<Result<_, _>>().map(Files::Layered)
        }
    }
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
        Controller::Cpu => "--cpus or --cpu-shares",
    }
}

/// Options that ask for what only a later step adds than the one that the container ends with.
fn nothing_of_later_steps(options: &RunOptions, last: &Step) -> Result<(), Fault> {
    let asked = [
        ("--rootfs", options.rootfs.is_some()),
        ("--memory", options.memory.is_some()),
        ("--pids", options.pids.is_some()),
        ("--cpus", options.cpus.is_some() || options.cpu_shares.is_some()),
        ("--net", options.asks_for_network()),
        ("--userns", options.userns),
    ];
    let mut asked = asked.into_iter().filter(|(_, asked)| *asked);
    let later = asked.find_map(|(option, _)| Step::with_option(option).filter(|step| step.is_after(last)));
    let Some(step) = later else { return own_files_for(options, last) };
    let option = step.part().map(|part| part.options.join(", ")).unwrap_or_default();
    let (last, number) = (last.number.to_string(), step.number.to_string());
    Err(Fault::usage("option-of-later-step", &[("option", &option), ("last", &last), ("step", &number)]))
}

/// Options that are about files of the container's own, and would be about the host's without any.
fn own_files_for(options: &RunOptions, last: &Step) -> Result<(), Fault> {
    let asked = [
        ("--user", options.user.is_some()),
        ("--workdir", options.workdir.is_some()),
        ("--volume", !options.volume.is_empty()),
        ("--mount", !options.mount.is_empty()),
        ("--tmpfs", !options.tmpfs.is_empty()),
        ("--read-only", options.read_only),
    ];
    let asked = asked.into_iter().find(|(_, asked)| *asked);
    let step = Step::that_wants(|wanted| wanted.root).filter(|step| step.is_after(last));
    let (Some((option, _)), Some(step)) = (asked, step) else { return Ok(()) };
    let (last, number) = (last.number.to_string(), step.number.to_string());
    Err(Fault::usage("option-of-later-step", &[("option", option), ("last", &last), ("step", &number)]))
}

/// Bytes that can be asked for: below a mebibyte not even a small program starts.
const MEMORY: RangeInclusive<u64> = 1 << 20..=1 << 50;
/// Processes: the kernel has no more PIDs than that (`PID_MAX_LIMIT`).
const PIDS: RangeInclusive<u64> = 1..=1 << 22;
/// CPUs: from the kernel's smallest slice, 1 ms in 100, to more than any machine has.
const CPUS: RangeInclusive<f64> = 0.01..=8192.0;

/// Shares of the CPUs, as cgroup v1 has them.
const SHARES: RangeInclusive<u64> = 2..=262_144;

fn limits(options: &RunOptions) -> Result<Option<Limits>, Fault> {
    let bad = |key: &'static str, value: &str| Fault::usage(key, &[("value", value)]);
    let memory_of = |v: &str| bytes(v).filter(|n| MEMORY.contains(n)).ok_or_else(|| bad("bad-size", v));
    let number = |v: &str| v.parse().ok().filter(|_| !v.starts_with('+'));
    let pids_of = |v: &str| number(v).filter(|n| PIDS.contains(n)).ok_or_else(|| bad("bad-pids", v));
    let cpus_of = |v: &str| v.parse().ok().filter(|n| CPUS.contains(n)).ok_or_else(|| bad("bad-cpus", v));
    let shares_of = |v: &str| number(v).filter(|n| SHARES.contains(n)).ok_or_else(|| bad("bad-shares", v));
    let memory = options.memory.as_deref().map(memory_of).transpose()?;
    let swap_of = |v: &str| match memory {
        Some(_) if v == "-1" => Ok(Swap::Unlimited),
        Some(memory) => {
            let total = bytes(v).filter(|total| (memory..=*MEMORY.end()).contains(total));
            total.map(Swap::Bytes).ok_or_else(|| bad("bad-memory-swap", v))
        }
        None => Err(bad("bad-memory-swap", v)),
    };
    let limits = Limits {
        memory,
        swap: options.memory_swap.as_deref().map(swap_of).transpose()?,
        pids: options.pids.as_deref().filter(|v| *v != "-1").map(pids_of).transpose()?,
        cpus: options.cpus.as_deref().map(cpus_of).transpose()?,
        shares: options.cpu_shares.as_deref().map(shares_of).transpose()?,
    };
    Ok(Some(limits).filter(|limits| *limits != Limits::NONE))
}
