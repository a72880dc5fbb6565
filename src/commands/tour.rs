//! `workshop tour`: every step in order, no questions asked.

use crate::cli::{StepOptions, TourOptions};
use crate::course::STEPS;
use crate::course::lesson::Lesson;
use crate::fault::Fault;

use super::{Output, enter_lab, step};

/// Runs all steps in one lab. A step that this host can't do is left out, and that is said.
pub fn run(out: &mut Output, options: &TourOptions) -> Result<i32, Fault> {
    let lab = enter_lab()?;
    let words = out.words;
    out.note(words.say(if lab.rootless { "lab-rootless" } else { "lab-root" }))?;
    let options =
        StepOptions { rootfs: options.rootfs.clone(), verbose: options.verbose, ..StepOptions::default() };
    for current in &STEPS {
        let lesson = Lesson::load(current, out.lang);
        out.show.step(current, &lesson, &current.builds_on()).map_err(Fault::output)?;
        match step::tell(out, &lab, current, &lesson, &options) {
            Ok(_) => out.show.closing(current, &lesson, current.next()).map_err(Fault::output)?,
            Err(fault @ Fault::Unable { .. }) => {
                out.fault(&fault);
                out.tally.skipped += 1;
                let number = current.number.to_string();
                out.note(&words.fill("skipped", &[("number", &number), ("slug", current.slug)]))?;
            }
            Err(fault) => return Err(fault),
        }
    }
    out.done()
}
