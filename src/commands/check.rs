//! `workshop check N -- PROGRAM`: does a program build a container as step N asks?

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::adapt::Adapter;
use crate::claims::task::{Asked, Group, Task};
use crate::cli::CheckOptions;
use crate::course::command_line;
use crate::course::exercise::{self, Entry, Exercise};
use crate::course::{STEPS, Step};
use crate::engine::find_program;
use crate::fault::{Doing, Fault};
use crate::judge::{self, Defendant, Judged};
use crate::kernel::process::need_own_proc;
use crate::lab::Lab;
use crate::learner::Project;
use crate::learner::build::{self, Before, Made};
use crate::render::{Causes, Checked};

use super::attempt::attempt;
use super::{Output, enter_lab, exercise_named};

/// Judges the program as the step's, or as each step's in turn.
pub fn run(out: &mut Output, options: &CheckOptions) -> Result<i32, Fault> {
    // Our own program is found by it, among others.
    need_own_proc()?;
    let project = match (options.adapter, &options.program[..]) {
        (None, []) => Some(Project::here()?),
        _ => None,
    };
    let step = match (options.step.as_deref(), &project) {
        (Some("all"), _) => None,
        (Some(name), _) => Some(exercise_named(name, "exercise-unknown")?),
        (None, Some(project)) => Some(project.step()),
        (None, None) => return Err(Fault::usage("check-which-step", &[])),
    };
    let (argv, kept) = match (options.adapter, &project) {
        (Some(adapter), _) => adapted(adapter, &options.program)?,
        (None, Some(project)) => match built(out, project, options.built)? {
            Some(program) => defendant(&program)?,
            None => return Ok(1),
        },
        (None, None) => defendant(&options.program)?,
    };
    let scope = Scope { only: &options.only, adapter: options.adapter };
    let mut asked_of = exercise::all().filter(|entry| step.is_none_or(|step| entry.number <= step));
    if !asked_of.any(|entry| scope.has(entry)) {
        return Err(Fault::usage("only-nothing", &[("groups", &scope.names())]));
    }
    let lab = enter_lab(true)?;
    let grouped = match scope.asks_for_limits() {
        true => {
            limits_can_be_asked_for(out, &lab, step).map_err(|fault| fault.again(&again(options, step)))?
        }
        // What keeps a cell within bounds all the same.
        false => {
            STEPS.iter().find(|step| asks_for_limits(step)).is_some_and(|step| step.permitted(&lab).is_ok())
        }
    };
    let takes_bytes = options.adapter.is_none_or(Adapter::takes_bytes);
    let defendant = Defendant { argv, kept, grouped, takes_bytes };
    let held = judge_all(out, &lab, &defendant, &scope, step)?;
    // Whoever has built it takes note of what came of it, too; a part of a step is not a step.
    let mut recorded = held.into_iter().filter(|_| options.built.is_none() && options.only.is_empty());
    let recorded =
        project.map_or(Ok(()), |mut project| recorded.try_for_each(|step| project.note_done(step)));
    let status = out.done()?;
    // What this host can't do was told.
    let judged = out.tally.passed + out.tally.failed;
    recorded.map(|()| if judged == 0 { 3 } else { status })
}

/// Which parts of a container are judged, and by whom the program is spoken for.
struct Scope<'o> {
    /// Groups of claims; all, if none is named.
    only: &'o [Group],
    adapter: Option<Adapter>,
}

impl Scope<'_> {
    fn has(&self, entry: Entry) -> bool {
        self.only.is_empty() || self.only.contains(&entry.group())
    }

    fn asks_for_limits(&self) -> bool {
        self.only.is_empty() || self.only.contains(&Group::Limits)
    }

    fn names(&self) -> String {
        self.only.iter().map(|group| group.name()).collect::<Vec<_>>().join(", ")
    }

    /// Why a runtime can't be asked for this, if it can't.
    fn refusal(&self, asked: Asked, grouped: bool) -> Option<Fault> {
        let asked = Asked { limits: asked.limits && grouped, ..asked };
        self.adapter.and_then(|adapter| adapter.obstacle().or_else(|| adapter.refuses_any(asked)))
    }

    /// What a program is asked for and judged by as a step's. Of a part that is not judged nothing is asked, but for files:
    /// a container without any of its own is hardly one. That it starts is always judged.
    fn tasks(&self, step: u32, grouped: bool) -> Vec<(u32, Task)> {
        let task = |entry: Entry| {
            let refused = self.refusal(entry.task.asks, grouped).is_some();
            match (self.has(entry), entry.group()) {
                _ if self.only.is_empty() || entry.number == exercise::START => Some(entry.task),
                (true, _) if !refused => Some(entry.task),
                (false, Group::Files) if !refused => Some(Task { claims: &[], ..entry.task }),
                _ => None,
            }
        };
        exercise::up_to(step).filter_map(|entry| Some((entry.number, task(entry)?))).collect()
    }
}

/// What is to be typed to have the same program judged as the same step.
fn again(options: &CheckOptions, step: Option<u32>) -> String {
    match (&options.built, step) {
        (Some(_), Some(step)) => format!("workshop check {step}"),
        _ => command_line::own(),
    }
}

/// Whether groups can be made. Where they can't, the step that is about them is not judged, and others are without.
fn limits_can_be_asked_for(out: &mut Output, lab: &Lab, step: Option<u32>) -> Result<bool, Fault> {
    let Some(limits) = STEPS.iter().find(|step| asks_for_limits(step)) else { return Ok(false) };
    match limits.permitted(lab) {
        Ok(()) => Ok(true),
        Err(fault) if step == Some(limits.number) => Err(fault),
        Err(fault) => {
            let reason = out.words.failure(&fault).map(|failure| failure.message).unwrap_or_default();
            if step.is_none_or(|step| exercise::asked(step).limits) {
                let with = [("step", &*limits.number.to_string()), ("reason", &reason)];
                out.note(&out.words.fill("not-judged", &with))?;
            }
            Ok(false)
        }
    }
}

fn asks_for_limits(step: &Step) -> bool {
    step.exercise.is_some_and(|asks| asks.limits)
}

/// The steps whose container a program is to make as an exercise asks.
fn steps_of(exercise: u32) -> impl Iterator<Item = &'static Step> {
    Step::numbered(exercise).into_iter().flat_map(Step::with_all_below)
}

/// Whether this host may give what a program is to be asked for.
fn can_be_asked_for(lab: &Lab, step: u32, tasks: &[(u32, Task)]) -> Result<(), Fault> {
    let steps = steps_of(step).filter(|of| is_asked(tasks, of) && !asks_for_limits(of));
    steps.into_iter().try_for_each(|of| of.permitted(lab))
}

fn is_asked(tasks: &[(u32, Task)], step: &Step) -> bool {
    tasks.iter().any(|(number, _)| *number == step.number)
}

/// Whether this host gives what a program was asked for. Nobody is failed for what our own container of the same
/// steps doesn't get here either.
fn host_gives_it(lab: &Lab, step: u32, tasks: &[(u32, Task)], grouped: bool) -> Result<(), Fault> {
    attempt(lab, steps_of(step).filter(|of| is_asked(tasks, of) && (grouped || !asks_for_limits(of))))
}

/// Judges one step, by its own and all earlier claims, or each step by its own command line on its own claims.
/// Returns the steps whose claims all held.
fn judge_all(
    out: &mut Output,
    lab: &Lab,
    defendant: &Defendant,
    scope: &Scope,
    step: Option<u32>,
) -> Result<Vec<u32>, Fault> {
    let grouped = defendant.grouped;
    if let Some(step) = step {
        let whole = scope.refusal(exercise::asked(step), grouped).filter(|_| scope.only.is_empty());
        if let Some(fault) = whole.or_else(|| scope.adapter.and_then(Adapter::obstacle)) {
            return Err(fault);
        }
        // A part that it can't be asked for doesn't stop the others.
        for entry in exercise::up_to(step).filter(|entry| scope.has(*entry)) {
            if let Some(fault) = scope.refusal(entry.task.asks, grouped) {
                leave_out(out, entry.number, &fault)?;
            }
        }
        let tasks = scope.tasks(step, grouped);
        let judged = |(number, task): &(u32, Task)| {
            !task.claims.is_empty() && exercise::from(*number).next().is_some_and(|entry| scope.has(entry))
        };
        return match tasks.iter().find(|task| judged(task)).map(|(number, _)| *number) {
            Some(first) => judge_as(out, lab, defendant, &tasks, first, step),
            None => Ok(Vec::new()),
        };
    }
    let mut held = Vec::new();
    for step in exercise::all().filter(|entry| scope.has(*entry)).map(|entry| entry.number) {
        let tasks = scope.tasks(step, grouped);
        let asked = match scope.only {
            [] => exercise::asked(step),
            _ => exercise::from(step).next().map_or(Asked::NOTHING, |entry| entry.task.asks),
        };
        match scope.refusal(asked, grouped) {
            Some(fault) => leave_out(out, step, &fault)?,
            None => match judge_as(out, lab, defendant, &tasks, step, step) {
                Ok(steps) => held.extend(steps),
                Err(fault @ Fault::Unable { .. }) => leave_out(out, step, &fault)?,
                Err(fault) => return Err(fault),
            },
        }
    }
    Ok(held)
}

/// The program that is built in a learner's folder, or was built there a moment ago. `None` if it could not be built,
/// which has been told then.
fn built(
    out: &mut Output,
    project: &Project,
    before: Option<Before>,
) -> Result<Option<Vec<OsString>>, Fault> {
    std::env::set_current_dir(&project.dir).doing(format!("go to {}", project.dir.display()))?;
    let before = match before {
        Some(before) => before,
        None => {
            let before = Before::of(project);
            if !build(out, project)? {
                return Ok(None);
            }
            before
        }
    };
    match build::made(project, before) {
        Ok(Made { program, elsewhere }) => {
            if let Some(path) = elsewhere {
                let path = path.display().to_string();
                let words = out.words.fill("check-built-elsewhere", &[("path", &path)]);
                out.note(&words)?;
            }
            Ok(Some(program))
        }
        Err(fault) => {
            out.fault(&fault);
            Ok(None)
        }
    }
}

/// Builds a learner's program. What the compiler says goes where it would go without us, except that JSON has standard
/// output to itself.
fn build(out: &mut Output, project: &Project) -> Result<bool, Fault> {
    let Some(mut command) = build::command(project) else { return Ok(true) };
    if let Some(errors) = out.program_stdout()? {
        command.stdout(errors);
    }
    let status = command.status().map_err(|e| build::not_started(project, &e))?;
    if !status.success() {
        out.fault(&Fault::usage("build-failed", &[("command", &build::typed(project))]));
    }
    Ok(status.success())
}

/// A runtime with a command line of its own, spoken for by ourselves.
fn adapted(adapter: Adapter, program: &[OsString]) -> Result<(Vec<OsString>, Vec<PathBuf>), Fault> {
    let own = Adapter::Workshop.find()?;
    let (argv, mut kept) = match program {
        [] => defendant(&[adapter.find()?.into_os_string()])?,
        given => defendant(given)?,
    };
    kept.push(own.clone());
    let before = [own.into_os_string(), "adapt".into(), adapter.name().into()];
    Ok((before.into_iter().chain(argv).collect(), kept))
}

/// Says why a step is not judged, and counts its claims as left out.
fn leave_out(out: &mut Output, step: u32, fault: &Fault) -> Result<(), Fault> {
    out.show.exercise(&Exercise::load(step, out.lang)).map_err(Fault::output)?;
    out.fault(fault);
    let claims = exercise::from(step).next().map_or(0, |entry| entry.task.claims().count());
    out.tally.skipped += claims as u32;
    Ok(())
}

/// Judges by one step's command line the claims from those of step FIRST on. Returns the steps whose claims held, or
/// none if one did not.
fn judge_as(
    out: &mut Output,
    lab: &Lab,
    defendant: &Defendant,
    tasks: &[(u32, Task)],
    first: u32,
    step: u32,
) -> Result<Vec<u32>, Fault> {
    can_be_asked_for(lab, step, tasks)?;
    let failed = out.tally.failed;
    let judged = judge::judge(lab, defendant, tasks, first)?;
    if judged.iter().any(|judged| judged.finding.as_ref().is_some_and(|finding| !finding.held)) {
        host_gives_it(lab, step, tasks, defendant.grouped)?;
    }
    let numbers: Vec<u32> =
        tasks.iter().map(|(number, _)| *number).filter(|number| *number >= first).collect();
    for number in numbers.iter().copied() {
        // That it does not start at all is a claim of step 0, whose causes then stand in for the others.
        let told_here = |judged: &&Judged| judged.step == number || (number == first && judged.step < first);
        if judged.iter().any(|judged| told_here(&judged)) {
            out.show.exercise(&Exercise::load(number, out.lang)).map_err(Fault::output)?;
        }
        for Judged { step, name, finding, refused } in judged.iter().filter(told_here) {
            let signs = finding.as_ref().map_or(&[][..], |finding| &finding.signs);
            let mut found = finding.as_ref().map(|finding| out.words.finding(finding));
            let mut of_step = Exercise::load(*step, out.lang).with_signs(name, signs);
            // The one cause that is known, in place of those that are likely.
            if let Some(known) = refused.as_ref().and_then(|fault| out.words.failure(fault)) {
                found.iter_mut().for_each(|found| found.actual.clone_from(&known.message));
                of_step = of_step.with_causes(name, vec![format!("{} {}", known.cause, known.hint)]);
            }
            let causes = of_step.causes(name);
            out.check(&Checked {
                step: exercise::slug(*step),
                name,
                claim: of_step.claim(name),
                found: found.as_ref(),
                help: causes.first().copied().unwrap_or_default(),
                causes: Some(Causes { page: exercise::page(*step, name), likely: causes }),
            })?;
        }
    }
    // A claim that could not be judged, since limits can't be asked for here, has not held.
    let unjudged = |step| judged.iter().any(|judged| judged.step == step && judged.finding.is_none());
    let all_held = out.tally.failed == failed;
    Ok(numbers.into_iter().filter(|step| all_held && !unjudged(*step)).collect())
}

/// The program as the cell starts it, and the files that it can't do without: itself, and what its first arguments
/// name (`python3 /tmp/box.py`).
fn defendant(program: &[OsString]) -> Result<(Vec<OsString>, Vec<PathBuf>), Fault> {
    let missing = |name: &OsStr| Fault::usage("judged-not-found", &[("program", &name.to_string_lossy())]);
    let Some((name, arguments)) = program.split_first() else { return Err(missing(OsStr::new(""))) };
    let environment: Vec<OsString> = std::env::var_os("PATH")
        .map(|path| {
            let mut pair = OsString::from("PATH=");
            pair.push(path);
            pair
        })
        .into_iter()
        .collect();
    let path = find_program(name, &environment).map_err(|fault| match fault {
        // In PATH is only what may not be run.
        Fault::Program { status: 126, key, with } => Fault::Usage { key, with },
        _ => missing(name),
    })?;
    // Not where a link leads to: some programs are what they are called. What can't be run, as a link that leads nowhere
    // can't, is explained where it is tried.
    let path = std::path::absolute(path).ok().filter(|path| path.symlink_metadata().is_ok());
    let path = path.ok_or_else(|| missing(name))?;
    let mut kept: Vec<PathBuf> =
        arguments.iter().filter_map(|word| Path::new(word).canonicalize().ok()).collect();
    kept.extend(path.canonicalize().ok());
    kept.extend(Some(path.clone()).filter(|path| path.exists()));
    // What lies beside it may belong to it.
    kept.extend(path.parent().map(Path::to_path_buf));
    let argv = std::iter::once(path.into_os_string()).chain(arguments.iter().cloned()).collect();
    Ok((argv, kept))
}
