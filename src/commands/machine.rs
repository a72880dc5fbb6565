//! A step that builds a virtual machine: it is booted, told, shown beside the container, and checked.

use std::time::{Duration, Instant};

use crate::claims::evidence::Evidence;
use crate::claims::machine::STATUS;
use crate::cli::{StepOptions, VmOptions};
use crate::course::lesson::Lesson;
use crate::course::steps::boot_vm::{Boot, in_session};
use crate::course::{Step, VirtualMachine, wanted};
use crate::engine::Exit;
use crate::engine::template::{FIRST, Template};
use crate::fault::Fault;
use crate::kernel::breakable::Stream;
use crate::lab::Lab;
use crate::vm::wire::Job;
use crate::vm::{Machine, Session, Streams};

use super::narrator::{Narrator, note_progress, stop_if_asked, tell_check};
use super::step::{Ground, shell};
use super::vm::{Parts, job};
use super::{LIMITS, Output, files};

/// Builds, tells, shows and checks it. Returns how the learner's program ended, if there was one.
pub fn tell(
    out: &mut Output,
    lab: &Lab,
    (step, built): (&'static Step, &VirtualMachine),
    lesson: &Lesson,
    ground: &Ground,
    options: &StepOptions,
) -> Result<Option<Exit>, Fault> {
    let failed = out.tally.failed;
    let mut narrator = Narrator::new(out, step, lesson, options);
    let container = start_container(&mut narrator, lab, ground, options)?;
    let asked = VmOptions { rootfs: options.rootfs.clone(), ..VmOptions::default() };
    let parts = Parts::find(&asked, &lab.folders, step.slug, &mut narrator)?;
    let mut machine = Machine::boot(parts.plan(&asked)?, None, &lab.signals, &mut narrator)?;
    stop_if_asked(lab)?;
    let exit = first_program(&mut machine, lab)?;

    let mut boot = Boot { machine: &mut machine, kernel: &parts.kernel, layers: &parts.layers, exit };
    out.show.facts(&(built.facts)(&mut boot)?, lesson).map_err(Fault::output)?;
    stages(out, lesson, boot.machine, container)?;
    let looked = Some((built.look)(&mut boot)?);
    let mut evidence = Evidence { exact: true, machine: looked, ..Evidence::default() };
    for claim in step.own_claims().filter(|claim| !claim.needs.is_of_the_end()) {
        tell_check(out, lab, (step, claim.name), lesson, claim.judge(&evidence).as_ref())?;
    }

    let exit =
        if options.has_program() { Some(program(out, lab, step, &mut machine, options)?) } else { None };
    let qemu = machine.pid;
    machine.end();
    // After a program's own output only what went wrong is worth a word.
    out.only_failures = options.has_program() && !options.shell;
    evidence.machine.iter_mut().for_each(|machine| machine.left = Some(in_session(qemu)));
    evidence.host = Some(lab.compare_host()?);
    for claim in step.own_claims().filter(|claim| claim.needs.is_of_the_end()) {
        tell_check(out, lab, (step, claim.name), lesson, claim.judge(&evidence).as_ref())?;
    }
    if out.tally.failed == failed {
        note_progress(out, lab, step)?;
    }
    Ok(exit)
}

/// How long the container of the steps before takes from nothing to its program, to compare with.
fn start_container(
    narrator: &mut Narrator,
    lab: &Lab,
    ground: &Ground,
    options: &StepOptions,
) -> Result<Duration, Fault> {
    let wanted = wanted(ground.steps.iter().copied(), LIMITS);
    let template = Template::new(lab, wanted, || files(&lab.folders, options.rootfs.as_deref()))?;
    let start = Instant::now();
    let (mut container, _held) = template.resident(FIRST, narrator)?;
    let took = start.elapsed();
    container.end().map(|()| took)
}

/// The end of the boot chain: a program that does nothing but end.
fn first_program(machine: &mut Machine, lab: &Lab) -> Result<Exit, Fault> {
    let argv = ["sh", "-c", &format!("exit {STATUS}")].map(Into::into).into();
    let job = Job { argv, environment: Default::default(), terminal: None, user: None };
    Session::new(machine, &lab.signals, Streams::none()?).run(job).map_err(|fault| match fault {
        Fault::Program { .. } => Fault::unable("rootfs-no-shell", &[]),
        fault => fault,
    })
}

/// The learner's program or shell.
fn program(
    out: &mut Output,
    lab: &Lab,
    step: &Step,
    machine: &mut Machine,
    options: &StepOptions,
) -> Result<Exit, Fault> {
    if options.shell {
        out.note(out.words.say("shell-welcome-vm"))?;
    }
    let program = if options.shell { shell(step) } else { options.program.clone() };
    let mut streams = Streams::ours()?;
    if out.json {
        // JSON has standard output to itself.
        streams.out = Box::new(Stream::errors());
    }
    let job = job(&VmOptions { program, ..VmOptions::default() }, out.json);
    Session::new(machine, &lab.signals, streams).run(job)
}

/// The boot chain with its time stamps, and the container's one stage below it.
fn stages(out: &mut Output, lesson: &Lesson, machine: &Machine, container: Duration) -> Result<(), Fault> {
    let words = out.words;
    let booted = machine.booted();
    let ms = |seconds: f64| format!("{:.0} ms", seconds * 1e3);
    let mut rows: Vec<Vec<String>> = booted
        .stages
        .iter()
        .map(|stage| vec![words.value(stage.name).into(), ms(stage.at), ms(stage.seconds)])
        .collect();
    rows.push(vec![words.say("boot-container").into(), ms(0.0), ms(container.as_secs_f64())]);
    let head = [words.say("boot-stage"), words.say("boot-at"), words.say("boot-takes")];
    let title = lesson.heading("boot").unwrap_or_default();
    out.show.table(title, &head, &rows).map_err(Fault::output)?;
    let how = if booted.accelerator == "KVM" { "boot-kvm" } else { "boot-tcg" };
    // People have seen it in the table; a recording and JSON have it from here.
    out.show.booted(&booted, "").map_err(Fault::output)?;
    out.note(words.say(how))
}
