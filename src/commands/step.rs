//! `workshop step N`: the container of steps 1..N is built, what step N adds is told call by call,
//! shown from both sides, and checked.

use std::ffi::OsString;
use std::os::fd::OwnedFd;

use crate::checks::{ASPECTS, Aspect, Inquiry, Scene, lab_now};
use crate::cli::StepOptions;
use crate::course::lesson::Lesson;
use crate::course::{Build, Part, Step, wanted};
use crate::engine::template::{FIRST, Template};
use crate::engine::{Container, Exit, Process, Program, Spec, Terminal, Tty, terminal_name};
use crate::fault::Fault;
use crate::lab::Lab;

use super::narrator::{Narrator, note_progress, stop_if_asked, tell_check};
use super::{LIMITS, Output, enter_lab, files, machine};

/// Runs one step in a lab of its own.
pub fn run(out: &mut Output, step: &'static Step, options: &StepOptions) -> Result<i32, Fault> {
    if options.shell && !out.terminal {
        return Err(Fault::usage("shell-needs-terminal", &[("step", &step.number.to_string())]));
    }
    if options.pause && !out.terminal {
        return Err(Fault::usage("pause-needs-terminal", &[]));
    }
    out.record(step, options.record.as_deref())?;
    out.passes_status = !options.program.is_empty();
    let limited = step.with_all_below().any(Step::can_be_missed);
    let lab = enter_lab(limited)?;
    let lesson = Lesson::load(step, out.lang);
    let ground = ground(&lab, step)?;
    if let Some(dir) = &options.rootfs {
        super::directory(&lab.folders, dir)?;
    }
    begin(out, step, &lesson, &ground)?;
    let asks = super::menu::can_ask(out) && options.program.is_empty();
    let guess = if asks { super::menu::predict(out, &lesson)? } else { None };
    let exit = tell(out, &lab, step, &lesson, &ground, options)?;
    if let Some(guess) = guess {
        super::menu::settle(out, &lesson, guess)?;
    }
    match exit {
        // The program's own words come last, and so does its status.
        Some(exit) if !options.shell || matches!(exit, Exit::Signal(_)) => {
            if out.json {
                out.done()?;
            }
            Ok(exit.status())
        }
        _ => {
            out.show.closing(step, &lesson, step.next()).map_err(Fault::output)?;
            out.done()
        }
    }
}

/// Builds, tells, shows and checks one step. Returns how the learner's program ended, if there was one.
pub fn tell(
    out: &mut Output,
    lab: &Lab,
    step: &'static Step,
    lesson: &Lesson,
    ground: &Ground,
    options: &StepOptions,
) -> Result<Option<Exit>, Fault> {
    match &step.builds {
        Build::Part(part) => tell_part(out, lab, (step, part), lesson, ground, options),
        Build::Machine(machine) => machine::tell(out, lab, (step, machine), lesson, ground, options),
    }
}

fn tell_part(
    out: &mut Output,
    lab: &Lab,
    (step, part): (&'static Step, &Part),
    lesson: &Lesson,
    ground: &Ground,
    options: &StepOptions,
) -> Result<Option<Exit>, Fault> {
    let failed = out.tally.failed;
    let wanted = wanted(ground.steps.iter().copied().chain([step]), LIMITS);
    let template = Template::new(lab, wanted, || files(&lab.folders, options.rootfs.as_deref()))?;
    // Only now: the learner's own root filesystem is lent to the container by a mount of the lab's.
    let before = lab_now(&[])?;
    let mut narrator = Narrator::new(out, step, lesson, options);
    let (mut container, _held) = build(&template, options, &mut narrator)?;
    let told = narrator.so_far();
    stop_if_asked(lab)?;

    let scene = Scene { lab, template: &template, container: &container, before: &before };
    out.show.facts(&(part.facts)(&scene)?, lesson).map_err(Fault::output)?;
    if let Some(table) = lesson.table("files") {
        let head: Vec<&str> = table.head.iter().map(String::as_str).collect();
        out.show.table(lesson.heading("files").unwrap_or(""), &head, &table.rows).map_err(Fault::output)?;
    }
    let mut inquiry = Inquiry::begin(&scene)?;
    for claim in step.own_claims().filter(|claim| !claim.needs.is_of_the_end()) {
        let finding = inquiry.judge(claim, &scene)?;
        tell_check(out, lab, (step, claim.name), lesson, finding.as_ref())?;
    }
    if let Some(title) = lesson.heading("whole") {
        whole(out, title, &scene)?;
    }

    let mut exit = None;
    if options.has_program() {
        if options.shell {
            out.note(out.words.say("shell-welcome"))?;
        }
        let mut narrator = Narrator::new(out, step, lesson, options).after(told);
        container.start(&mut narrator)?;
        let ended = container.wait(&lab.signals)?;
        if let Some(fault) = container.explain(ended) {
            out.fault(&fault);
        }
        exit = Some(ended);
    }
    container.end()?;
    drop(container);
    // After a program's own output only what went wrong is worth a word.
    out.only_failures = options.has_program() && !options.shell;
    for claim in step.own_claims().filter(|claim| claim.needs.is_of_the_end()) {
        let finding = inquiry.judge_end(claim, lab)?;
        tell_check(out, lab, (step, claim.name), lesson, finding.as_ref())?;
    }
    if out.tally.failed == failed {
        note_progress(out, lab, step)?;
    }
    Ok(exit)
}

/// What a step can stand on, on this host.
pub struct Ground {
    /// The steps before it whose parts can be built.
    pub steps: Vec<&'static Step>,
    /// Those that this host refuses, and why.
    without: Vec<(&'static Step, Fault)>,
}

/// All steps before this one, but for those that this host refuses. Where it refuses the step itself, that is
/// its fault.
pub fn ground(lab: &Lab, step: &Step) -> Result<Ground, Fault> {
    step.permitted(lab)?;
    let mut ground = Ground { steps: Vec::new(), without: Vec::new() };
    for below in step.builds_on() {
        match below.permitted(lab) {
            Ok(()) => ground.steps.push(below),
            Err(fault) => ground.without.push((below, fault)),
        }
    }
    Ok(ground)
}

/// The step's heading, and what had to be left out.
pub fn begin(out: &mut Output, step: &'static Step, lesson: &Lesson, ground: &Ground) -> Result<(), Fault> {
    out.show.step(step, lesson, &ground.steps).map_err(Fault::output)?;
    for (missing, fault) in &ground.without {
        out.left_out(missing, fault)?;
    }
    Ok(())
}

/// The container: with a program that just waits, or with the learner's, held back one execve(2)
/// before its start so that there is something to look at.
fn build(
    template: &Template,
    options: &StepOptions,
    narrator: &mut Narrator,
) -> Result<(Container, Option<OwnedFd>), Fault> {
    let program = if options.shell { shell(narrator.step) } else { options.program.clone() };
    if program.is_empty() {
        let (container, held) = template.resident(FIRST, narrator)?;
        return Ok((container, Some(held)));
    }
    let tty = if options.shell { Tty::OwnJob } else { Tty::of(&program) };
    let mut process = Process { init: options.init, ..Process::new(Program::Planned) };
    process.terminal = Terminal::lend(tty);
    process.passes_signals_on = true;
    process.stdio.stdout = narrator.out.program_stdout()?;
    let terminal = terminal_name();
    let spec = Spec { terminal, ..template.with(program) };
    Ok((template.create(&spec, process, narrator)?, None))
}

/// A shell for a person: bash where there is one, since it has line editing, without the startup files of a
/// host that the first steps still see. The prompt says how far the container has come.
pub fn shell(step: &Step) -> Vec<OsString> {
    let start = format!(
        "PS1='(step {}) # '; export PS1; \
         if command -v bash >/dev/null; then exec bash --norc -i; else exec sh -i; fi",
        step.number
    );
    ["sh", "-c", &start].map(OsString::from).into()
}

/// The last word of a step whose lesson has a heading for it: the whole container, aspect by aspect.
fn whole(out: &mut Output, title: &str, scene: &Scene) -> Result<(), Fault> {
    let words = out.words;
    let row = |aspect: &Aspect| {
        let own = aspect.is_own(scene);
        let whose = if own { words.say("whole-own") } else { words.say("whole-shared") };
        let step = Step::that_owns(aspect.key).filter(|_| own);
        let number = step.map(|step| step.number.to_string()).unwrap_or_default();
        vec![words.say(aspect.key).into(), whose.into(), number]
    };
    let rows: Vec<Vec<String>> = ASPECTS.iter().map(row).collect();
    let head = [words.say("whole-part"), words.say("whole-whose"), words.say("whole-step")];
    out.show.table(title, &head, &rows).map_err(Fault::output)
}
