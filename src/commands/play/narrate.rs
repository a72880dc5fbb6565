//! A recording told as the step was when it ran.

use std::io::{self, Write};

use crate::course::Step;
use crate::course::lesson::Lesson;
use crate::course::words::Words;
use crate::fault::Fault;
use crate::recording::{Event, Made, Recording, Stage};
use crate::render::{Checked, Fact, Failure, Found, Renderer, Tally};

use super::Played;

/// The events as they stand in the file.
pub fn lines(recording: &Recording, mut out: impl Write) -> Result<i32, Fault> {
    recording.lines.iter().try_for_each(|line| writeln!(out, "{line}")).map_err(Fault::output)?;
    Ok(0)
}

/// Tells all events to a renderer, and after each calls `after` with when it was, in seconds since the start. What has no
/// time of its own was when the last call was. Returns 0, however the run ended: it is another's.
pub fn tell(
    played: &Played,
    show: &mut dyn Renderer,
    mut after: impl FnMut(&mut dyn Renderer, f64) -> io::Result<()>,
) -> Result<i32, Fault> {
    let lesson = Lesson::load(played.step, played.lang);
    let mut teller = Teller { step: played.step, lesson: &lesson, words: Words::of(played.lang), now: 0.0 };
    let mut events = played.recording.events.iter().peekable();
    let mut facts = Vec::new();
    while let Some(event) = events.next() {
        if let Event::Fact { name, outside, inside } = event {
            facts.push(Fact::new(name, outside, inside));
            // They stand in one table.
            if matches!(events.peek(), Some(Event::Fact { .. })) {
                continue;
            }
            show.facts(&std::mem::take(&mut facts), &lesson).map_err(Fault::output)?;
            teller.files(show).map_err(Fault::output)?;
        } else {
            teller.event(event, show).map_err(Fault::output)?;
        }
        after(show, teller.now).map_err(Fault::output)?;
    }
    Ok(0)
}

struct Teller<'r> {
    step: &'static Step,
    lesson: &'r Lesson,
    words: &'static Words,
    /// Seconds since the start.
    now: f64,
}

impl Teller<'_> {
    fn event(&mut self, event: &Event, show: &mut dyn Renderer) -> io::Result<()> {
        let (step, lesson) = (self.step, self.lesson);
        match event {
            Event::Step { builds_on } => {
                let builds_on: Vec<_> = builds_on.iter().filter_map(|slug| Step::find(slug)).collect();
                show.step(step, lesson, &builds_on)
            }
            Event::Call(Made { seq, at, call, .. }) => {
                self.now = *at;
                show.call(*seq, call, Some(&[]), lesson)
            }
            Event::Fact { .. } => Ok(()),
            Event::Check { name, passed, expected, actual, help } => {
                let found = Found { held: *passed, expected: expected.clone(), actual: actual.clone() };
                let claim = lesson.check_claim(name);
                show.check(&Checked { step: step.slug, name, claim, found: Some(&found), help, causes: None })
            }
            Event::Boot { accelerator, stages } => self.boot(accelerator, stages, show),
            Event::Done { passed, failed, skipped, seconds } => {
                self.now = self.now.max(*seconds);
                show.closing(step, lesson, step.next())?;
                show.done(&Tally { passed: *passed, failed: *failed, skipped: *skipped, seconds: *seconds })
            }
            Event::Error { code, message, hint } => {
                let (message, hint) = (message.clone(), hint.clone());
                show.failure(&Failure { code: *code, message, quote: Vec::new(), cause: String::new(), hint })
            }
        }
    }

    /// The table that a lesson has of files, which stands behind the facts.
    fn files(&self, show: &mut dyn Renderer) -> io::Result<()> {
        let Some(table) = self.lesson.table("files") else { return Ok(()) };
        let head: Vec<&str> = table.head.iter().map(String::as_str).collect();
        show.table(self.lesson.heading("files").unwrap_or(""), &head, &table.rows)
    }

    fn boot(&self, accelerator: &str, stages: &[Stage], show: &mut dyn Renderer) -> io::Result<()> {
        let ms = |seconds: f64| format!("{:.0} ms", seconds * 1e3);
        let row = |stage: &Stage| vec![self.words.value(&stage.name).into(), ms(stage.at), ms(stage.seconds)];
        let rows: Vec<_> = stages.iter().map(row).collect();
        let head = ["boot-stage", "boot-at", "boot-takes"].map(|key| self.words.say(key));
        show.table(self.lesson.heading("boot").unwrap_or_default(), &head, &rows)?;
        show.note(self.words.say(if accelerator == "KVM" { "boot-kvm" } else { "boot-tcg" }))
    }
}
