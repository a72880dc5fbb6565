//! `workshop tour`: every step in order, no questions asked.

use crate::cli::{StepOptions, TourOptions};
use crate::course::lesson::Lesson;
use crate::course::{STEPS, Step};
use crate::fault::Fault;

use super::{Output, enter_lab, step};

/// Runs all steps in one lab. A step that this host can't do is left out, and that is said.
pub fn run(out: &mut Output, options: &TourOptions) -> Result<i32, Fault> {
    let lab = enter_lab(true)?;
    let words = out.words;
    out.note(words.say(if lab.rootless { "lab-rootless" } else { "lab-root" }))?;
    let options =
        StepOptions { rootfs: options.rootfs.clone(), verbose: options.verbose, ..StepOptions::default() };
    for current in STEPS {
        let lesson = Lesson::load(current, out.lang);
        let ground = match step::ground(&lab, current) {
            Ok(ground) => ground,
            Err(fault) => {
                out.show.step(current, &lesson, &current.builds_on()).map_err(Fault::output)?;
                leave_out(out, current, &fault)?;
                continue;
            }
        };
        step::begin(out, current, &lesson, &ground)?;
        match step::tell(out, &lab, current, &lesson, &ground, &options) {
            Ok(_) => out.show.closing(current, &lesson, current.next()).map_err(Fault::output)?,
            Err(fault @ Fault::Unable { .. }) => leave_out(out, current, &fault)?,
            Err(fault) => return Err(fault),
        }
    }
    out.done()
}

/// Says that this host can't do a step, and why, and goes on.
fn leave_out(out: &mut Output, step: &Step, fault: &Fault) -> Result<(), Fault> {
    out.fault(fault);
    out.tally.skipped += 1;
    out.note(&out.words.fill("skipped", &[("number", &step.number.to_string()), ("slug", step.slug)]))
}
