//! `workshop hint`: the next of a step's three hints, from a nudge to nearly all.

use crate::course::exercise::{self, Exercise};
use crate::fault::Fault;
use crate::learner::Project;
use crate::learner::project::HINTS;
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
    if shown >= HINTS {
        let words = none_left(out, step);
        return out.note(&words);
    }
    show(out, &exercise, shown)?;
    project.note_hints(step, shown + 1)?;
    let left = HINTS - shown - 1;
    match left {
        0 => out.note(&none_left(out, step)),
        _ => out.note(&out.words.fill("hint-left", &[("left", &left.to_string())])),
    }
}

fn show_again(out: &mut Output, project: &Project, step: u32) -> Result<i32, Fault> {
    let exercise = Exercise::load(step, out.lang);
    let shown = project.hints(step);
    (0..shown).try_for_each(|place| show(out, &exercise, place))?;
    if shown == 0 {
        out.note(out.words.say("hint-none-yet"))?;
    }
    if out.json { out.done() } else { Ok(0) }
}

fn show(out: &mut Output, exercise: &Exercise, place: usize) -> Result<(), Fault> {
    let hint = Hint { step: exercise.number, place, blocks: &exercise.hints[place] };
    out.show.learner(&Told::Hint(hint)).map_err(Fault::output)
}

/// Where to look when there are no more hints.
pub fn none_left(out: &Output, step: u32) -> String {
    let page = exercise::chapter(step);
    out.words.fill("hint-none-left", &[("step", &step.to_string()), ("page", &page)])
}
