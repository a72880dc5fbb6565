//! `workshop solution`: a program that does a step, whole or as what changes from the step before.

use crate::cli::{SolutionOptions, Tongue};
use crate::course::exercise;
use crate::fault::Fault;
use crate::learner::{Language, Project, solution};
use crate::render::learner::{Solution, Told};

use super::{Output, find_exercise, menu};

/// Shows it; asks first if the step isn't done in the project here.
pub fn run(out: &mut Output, options: &SolutionOptions) -> Result<i32, Fault> {
    let project = Project::find()?;
    let current = project.as_ref().map(Project::step);
    let step = match (&options.step, current) {
        (None, None) => return Err(Fault::usage("no-project", &[])),
        (name, current) => find_exercise(name.as_deref(), current.unwrap_or(exercise::last()))?,
    };
    let asks = project.as_ref().is_some_and(|project| !project.is_done(step));
    if asks && !options.yes && !may(out, step)? {
        return Ok(0);
    }
    let language = Tongue::program(&options.lang).unwrap_or_else(|| in_language(project.as_ref()));
    show(out, step, language, options.diff)?;
    if out.json { out.done() } else { Ok(0) }
}

/// The project's language if there is a solution in it, else Rust.
pub fn in_language(project: Option<&Project>) -> Language {
    project.map(|project| project.language).filter(|own| *own == Language::Sh).unwrap_or(Language::Rust)
}

/// Asks, where somebody can be asked.
fn may(out: &mut Output, step: u32) -> Result<bool, Fault> {
    let step = step.to_string();
    if !menu::can_ask(out) {
        return Err(Fault::usage("solution-needs-yes", &[("step", &step)]));
    }
    let question = out.words.fill("solution-ask", &[("step", &step)]);
    out.note(&question)?;
    menu::confirm(out.words.say("sure"))
}

/// Prints it and nothing else, so that it can go into a file or to patch(1).
pub fn show(out: &mut Output, step: u32, language: Language, diff: bool) -> Result<(), Fault> {
    let text =
        if diff { solution::diff(step, language)? } else { solution::text(step, language)?.to_owned() };
    let told = Told::Solution(Solution { step, language, diff, text: &text });
    out.show.learner(&told).map_err(Fault::output)
}
