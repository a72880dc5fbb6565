//! `workshop reset`: starts a step of the learner's own runtime again.

use crate::fault::Fault;
use crate::learner::{Project, snapshot};

use super::{Output, find_exercise, menu};

/// Forgets that the step and those after it were done and what hints were shown, and turns to it. With `source` the
/// source is put back as well.
pub fn run(out: &mut Output, step: Option<&str>, source: bool, yes: bool) -> Result<i32, Fault> {
    let mut project = Project::here()?;
    let step = find_exercise(step, project.step())?;
    if !yes && !may(out, step, source)? {
        return Ok(0);
    }
    let told = start_again(out, &mut project, step, source)?;
    told.iter().try_for_each(|words| out.note(words))?;
    if out.json { out.done() } else { Ok(0) }
}

/// Asks, where somebody can be asked.
fn may(out: &mut Output, step: u32, source: bool) -> Result<bool, Fault> {
    let step = step.to_string();
    if !menu::can_ask(out) {
        return Err(Fault::usage("reset-needs-yes", &[("step", &step)]));
    }
    let key = if source { "reset-ask-source" } else { "reset-ask" };
    let question = out.words.fill(key, &[("step", &step)]);
    out.note(&question)?;
    menu::confirm(out.words.say("sure"))
}

/// Does it. Returns what is to be said of it: under which names the source as it was can be found.
pub fn start_again(
    out: &Output,
    project: &mut Project,
    step: u32,
    source: bool,
) -> Result<Vec<String>, Fault> {
    let kept = if source { snapshot::restore(project, step)? } else { Vec::new() };
    project.start_again(step)?;
    let words = out.words;
    let number = step.to_string();
    let mut told = vec![words.fill("reset-done", &[("step", &number)])];
    told.extend(kept.iter().map(|file| words.fill("reset-kept", &[("path", &file.display().to_string())])));
    if !source {
        told.push(words.fill("reset-not-source", &[("step", &number)]));
    }
    Ok(told)
}
