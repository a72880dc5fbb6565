//! `workshop list`: the steps, and which of them are done.

use crate::course::STEPS;
use crate::course::lesson::Lesson;
use crate::course::progress::Progress;
use crate::fault::Fault;
use crate::folders::Folders;

use super::Output;

/// Prints the table of steps; in JSON, one `step` event each.
pub fn run(out: &mut Output) -> Result<i32, Fault> {
    let progress = Progress::read(&Folders::find()?.state);
    let mut rows = Vec::new();
    for step in STEPS {
        let lesson = Lesson::beginning(step, out.lang);
        let is_done = progress.is_done(step.slug);
        out.show.listed(step, &lesson, is_done).map_err(Fault::output)?;
        let done = if is_done { out.words.say("menu-done") } else { "" };
        rows.push(vec![step.number.to_string(), step.slug.into(), lesson.adds().into(), done.into()]);
    }
    let words = out.words;
    let head = ["list-number", "list-slug", "list-adds", "list-done"].map(|key| words.say(key));
    out.show.table(words.say("list-title"), &head, &rows).map_err(Fault::output)?;
    out.note(words.say("list-hint"))?;
    Ok(0)
}
