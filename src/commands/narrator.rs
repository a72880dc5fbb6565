//! What a step tells as it happens: calls, checks, and that a signal was heard.

use std::io;

use crate::claims::finding::Finding;
use crate::cli::StepOptions;
use crate::course::lesson::Lesson;
use crate::course::progress::Progress;
use crate::course::{STEPS, Step};
use crate::fault::Fault;
use crate::kernel::told::{Actor, Call, Listener, Unheard};
use crate::lab::Lab;
use crate::recording::{Change, Watch};
use crate::render::Checked;

use super::Output;

/// Tells and counts what came of one claim about our own container or machine. A signal that asks us to end is heeded
/// after it.
pub fn tell_check(
    out: &mut Output,
    lab: &Lab,
    (step, name): (&'static Step, &str),
    lesson: &Lesson,
    finding: Option<&Finding>,
) -> Result<(), Fault> {
    let found = finding.map(|finding| out.words.finding(finding));
    let (claim, help) = (lesson.check_claim(name), lesson.check_help(name));
    let check = Checked { step: step.slug, name, claim, found: found.as_ref(), help, causes: None };
    out.check(&check)?;
    stop_if_asked(lab)
}

pub fn stop_if_asked(lab: &Lab) -> Result<(), Fault> {
    lab.signals.end_asked().map_or(Ok(()), |signal| Err(Fault::Interrupted(signal)))
}

/// The step is done, whether or not it can be written down.
pub fn note_progress(out: &mut Output, lab: &Lab, step: &Step) -> Result<(), Fault> {
    match Progress::read(&lab.folders.state).note(step.slug) {
        Ok(()) => Ok(()),
        Err(fault) => out.note(&out.words.fill("progress-not-noted", &[("problem", &fault.to_string())])),
    }
}

/// Tells the calls as they are made.
pub struct Narrator<'n> {
    pub out: &'n mut Output,
    pub step: &'static Step,
    lesson: &'n Lesson,
    options: &'n StepOptions,
    /// How many calls have been told.
    seq: u32,
    /// Sees what each call changes, if the run is recorded.
    watch: Option<Watch>,
    /// execve(2) was told before it was made, since the program may speak before we can.
    executed: bool,
    unheard: Unheard,
}

impl<'n> Narrator<'n> {
    pub fn new(
        out: &'n mut Output,
        step: &'static Step,
        lesson: &'n Lesson,
        options: &'n StepOptions,
    ) -> Narrator<'n> {
        let watch = options.record.as_ref().map(|_| Watch::default());
        Narrator { out, step, lesson, options, seq: 0, watch, executed: false, unheard: Unheard::default() }
    }

    /// Goes on where another narrator of the same container has stopped.
    pub fn after(self, told: Told) -> Narrator<'n> {
        Narrator { seq: told.seq, watch: told.watch, ..self }
    }

    /// What another one goes on from.
    pub fn so_far(self) -> Told {
        Told { seq: self.seq, watch: self.watch }
    }

    fn say(&mut self, call: &Call, effect: Option<&[Change]>) -> io::Result<()> {
        if call.step == self.step.slug {
            return self.out.show.call(self.seq, call, effect, self.lesson);
        }
        match STEPS.iter().find(|s| s.slug == call.step) {
            Some(step) => self.out.show.call(self.seq, call, effect, &Lesson::load(step, self.out.lang)),
            None => Ok(()),
        }
    }

    /// Whether calls of this step are told.
    fn tells(&self, step: &str) -> bool {
        self.options.verbose || step == self.step.slug
    }

    /// Whether the call starts a program that will write where we write.
    fn shares_output(&self, call: &Call) -> bool {
        let starts = call.name == "execve" && call.actor == Actor::Container;
        starts && !self.out.json && self.options.has_program()
    }
}

/// How far a narrator has come.
pub struct Told {
    seq: u32,
    watch: Option<Watch>,
}

impl Listener for Narrator<'_> {
    /// A recording has to know the first process, whoever makes it.
    fn wants(&self, step: &str) -> bool {
        self.watch.is_some() || self.tells(step)
    }

    fn about(&mut self, call: &Call) -> io::Result<()> {
        self.heard()?;
        if !self.tells(&call.step) {
            return Ok(());
        }
        if self.options.pause {
            self.out.show.about(call, self.lesson)?;
            super::menu::wait_for_enter()?;
        }
        if let Some(watch) = &mut self.watch {
            watch.before(call);
        }
        self.seq += 1;
        if self.shares_output(call) {
            self.executed = true;
            self.say(call, None)?;
        }
        Ok(())
    }

    fn told(&mut self, call: Call) {
        let is_told = self.tells(&call.step);
        let effect = self.watch.as_mut().and_then(|watch| watch.after(&call, is_told));
        let is_said = std::mem::take(&mut self.executed) && effect.is_none();
        if is_told && !is_said {
            let told = self.say(&call, effect.as_deref());
            self.unheard.note(told);
        }
    }

    fn heard(&mut self) -> io::Result<()> {
        self.unheard.heard()
    }
}
