//! Everything is told twice: to whoever looks on, and to the file of a recording.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use super::{Booted, Checked, Comparison, Experimented, Fact, Failure, Json, Renderer, Tally, learner};
use course::Step;
use course::exercise::Exercise;
use course::lesson::Lesson;
use course::posture::Finding;
use engine::op::Op;
use fault::Fault;
use kernel::told::Call;
use recording::Change;

/// A renderer, and a recording of the same.
pub struct Both {
    shown: Box<dyn Renderer>,
    kept: Json<Box<dyn Write>>,
    path: PathBuf,
    /// The call that was shown before it was made, and is kept when it is known what it has changed.
    early: Option<u32>,
}

impl Both {
    pub fn new(shown: Box<dyn Renderer>, file: File, path: PathBuf) -> Both {
        Both { shown, kept: Json::new(Box::new(file)), path, early: None }
    }

    /// What came of writing to the file. It is not standard output that is full, or gone.
    fn kept(&self, written: io::Result<()>) -> io::Result<()> {
        let doing = || format!("write {}", self.path.display());
        written.map_err(|error| io::Error::other(Fault::broken(doing(), error)))
    }

    /// Tells it to both.
    fn tell(&mut self, tell: impl Fn(&mut dyn Renderer) -> io::Result<()>) -> io::Result<()> {
        tell(self.shown.as_mut())?;
        let written = tell(&mut self.kept);
        self.kept(written)
    }
}

impl Renderer for Both {
    fn step(&mut self, step: &Step, lesson: &Lesson, builds_on: &[&Step]) -> io::Result<()> {
        self.tell(|to| to.step(step, lesson, builds_on))
    }

    fn listed(&mut self, step: &Step, lesson: &Lesson, done: bool) -> io::Result<()> {
        self.tell(|to| to.listed(step, lesson, done))
    }

    fn runnable(&mut self, step: &Step, failure: Option<&Failure>) -> io::Result<()> {
        self.tell(|to| to.runnable(step, failure))
    }

    fn about(&mut self, call: &Call, lesson: &Lesson) -> io::Result<()> {
        self.tell(|to| to.about(call, lesson))
    }

    fn call(&mut self, seq: u32, call: &Call, effect: Option<&[Change]>, lesson: &Lesson) -> io::Result<()> {
        if self.early.take() != Some(seq) {
            self.shown.call(seq, call, effect, lesson)?;
        }
        if effect.is_none() {
            self.early = Some(seq);
            return Ok(());
        }
        let written = self.kept.call(seq, call, effect, lesson);
        self.kept(written)
    }

    fn op(&mut self, seq: u32, op: &Op, lesson: &Lesson) -> io::Result<()> {
        self.tell(|to| to.op(seq, op, lesson))
    }

    fn experimented(&mut self, told: &Experimented) -> io::Result<()> {
        self.tell(|to| to.experimented(told))
    }

    fn facts(&mut self, facts: &[Fact], lesson: &Lesson) -> io::Result<()> {
        self.tell(|to| to.facts(facts, lesson))
    }

    fn check(&mut self, check: &Checked) -> io::Result<()> {
        self.tell(|to| to.check(check))
    }

    fn exercise(&mut self, exercise: &Exercise) -> io::Result<()> {
        self.tell(|to| to.exercise(exercise))
    }

    fn closing(&mut self, step: &Step, lesson: &Lesson, next: Option<&Step>) -> io::Result<()> {
        self.tell(|to| to.closing(step, lesson, next))
    }

    fn table(&mut self, title: &str, head: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
        self.tell(|to| to.table(title, head, rows))
    }

    fn learner(&mut self, told: &learner::Told) -> io::Result<()> {
        self.tell(|to| to.learner(told))
    }

    fn measured(&mut self, comparison: &Comparison) -> io::Result<()> {
        self.tell(|to| to.measured(comparison))
    }

    fn served(&mut self, address: &str, words: &str) -> io::Result<()> {
        self.tell(|to| to.served(address, words))
    }

    fn finding(&mut self, finding: &Finding, words: &str) -> io::Result<()> {
        self.tell(|to| to.finding(finding, words))
    }

    fn note(&mut self, text: &str) -> io::Result<()> {
        self.tell(|to| to.note(text))
    }

    fn booted(&mut self, machine: &Booted, how: &str) -> io::Result<()> {
        self.tell(|to| to.booted(machine, how))
    }

    fn done(&mut self, tally: &Tally) -> io::Result<()> {
        self.tell(|to| to.done(tally))
    }

    /// A file that can't be written to may be what is told.
    fn failure(&mut self, failure: &Failure) -> io::Result<()> {
        let _ = self.kept.failure(failure);
        self.shown.failure(failure)
    }
}
