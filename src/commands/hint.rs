//! `workshop hint`: the next of a step's three hints, from a nudge to nearly all.

use crate::course::exercise::{self, Exercise};
use crate::fault::Fault;
use crate::learner::Project;
use crate::render::learner::{Hint, Told};

use super::{Output, find_exercise};

/// Shows the next hint and remembers that, or shows those so far once more.
pub fn run(out: &mut Output, step: Option<&str>, again: bool) -> Result<i32, Fault> {
    let mut project = Project::here()?;
    let step = find_exercise(step, project.step())?;
    if again {
        return show_again(out, &project, step);
    }
    next(out, &mut project, step)?;
    if out.json { out.done() } else { Ok(0) }
}

/// Shows the next hint, or says that there are no more.
fn next(out: &mut Output, project: &mut Project, step: u32) -> Result<(), Fault> {
    let shown = project.hints(step);
    let exercise = Exercise::load(step, out.lang);
    let Some(blocks) = exercise.hints.get(shown) else {
        let words = none_left(out, step);
        return out.note(&words);
    };
    show(out, Hint { step, place: shown, blocks })?;
    project.note_hints(step, shown + 1)?;
    match exercise.hints.len() - shown - 1 {
        0 => out.note(&none_left(out, step)),
        left => out.note(&out.words.fill("hint-left", &[("left", &left.to_string())])),
    }
}

fn show_again(out: &mut Output, project: &Project, step: u32) -> Result<i32, Fault> {
    let exercise = Exercise::load(step, out.lang);
    let shown = project.hints(step);
    let mut hints = exercise.hints.iter().enumerate().take(shown);
    hints.try_for_each(|(place, blocks)| show(out, Hint { step, place, blocks }))?;
    if shown == 0 {
        out.note(out.words.say("hint-none-yet"))?;
    }
    if out.json { out.done() } else { Ok(0) }
}

fn show(out: &mut Output, hint: Hint) -> Result<(), Fault> {
    out.show.learner(&Told::Hint(hint)).map_err(Fault::output)
}

/// Where to look when there are no more hints.
pub fn none_left(out: &Output, step: u32) -> String {
    let page = exercise::chapter(step);
    out.words.fill("hint-none-left", &[("step", &step.to_string()), ("page", &page)])
}
