//! `workshop progress`: which steps of the learner's own runtime are done.

use crate::course::exercise::{self, Exercise};
use crate::fault::Fault;
use crate::learner::Project;
use crate::render::learner::{Standing, Told};

use super::Output;

/// Shows all steps; in JSON, one `step` event each.
pub fn run(out: &mut Output) -> Result<i32, Fault> {
    let project = Project::here()?;
    let standings = standings(out, &project);
    let told = Told::Progress { language: project.language, standings: &standings };
    out.show.learner(&told).map_err(Fault::output)?;
    Ok(0)
}

/// How each step stands.
pub fn standings(out: &Output, project: &Project) -> Vec<Standing> {
    let standing = |number| Standing {
        number,
        title: Exercise::load(number, out.lang).title,
        done: project.is_done(number),
        left_out: project.is_left_out(number),
        current: project.step() == number,
        hints: project.hints(number),
    };
    exercise::all().map(|entry| standing(entry.number)).collect()
}
