//! What a run tells, as text for people or as JSON Lines for programs.
//!
//! A renderer is handed values and prints them at once. It decides nothing and asks nothing: the same run in
//! another format, language or width tells the same story.

mod both;
mod calls;
mod closing;
pub mod failure;
pub mod json;
mod junit;
pub mod learner;
pub mod measured;
mod picture;
pub mod prose;
pub mod style;
mod table;
pub mod text;
pub mod verdict;
pub mod words;
pub mod wrap;

#[cfg(test)]
mod fixture;

use std::io;

pub use checks::Fact;
use compare::Comparison;
use course::Step;
use course::exercise::Exercise;
use course::lesson::Lesson;
use course::posture::Finding;
pub use course::words::{Failure, Found};
use engine::experiment::{Experiment, Variant};
use engine::op::Op;
use kernel::told::Call;
use recording::Change;
pub use vm::Booted;

pub use both::Both;
pub use json::Json;
pub use junit::Junit;
pub use style::{Style, When};
pub use text::Text;

/// What came of all checks of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    pub passed: u32,
    pub failed: u32,
    pub skipped: u32,
    /// Wall-clock time of the run, in seconds.
    pub seconds: f64,
}

/// A claim that was judged, about a container of ours or of a learner's own program.
pub struct Checked<'a> {
    /// Slug of the step that claims it.
    pub step: &'a str,
    pub name: &'a str,
    /// What is claimed, in words.
    pub claim: &'a str,
    /// `None` where there was nothing to judge it by.
    pub found: Option<&'a Found>,
    /// What to do or to look at if it did not hold.
    pub help: &'a str,
    /// Of a learner's program.
    pub causes: Option<Causes<'a>>,
}

/// Why a learner's program may have failed a check.
pub struct Causes<'a> {
    /// The likeliest first.
    pub likely: Vec<&'a str>,
    /// The place in the book that explains it.
    pub page: String,
}

/// What came of one container of an experiment.
pub struct Experimented<'a> {
    pub experiment: &'a Experiment,
    pub variant: Variant,
    pub expected: &'a str,
    pub happened: &'a str,
    pub ok: bool,
}

/// Prints what happens, as it happens. Errors are those of writing; a closed pipe is one of them.
pub trait Renderer {
    /// A step begins.
    fn step(&mut self, step: &Step, lesson: &Lesson, builds_on: &[&Step]) -> io::Result<()>;
    /// A step in the list of all. People see it in a table instead.
    fn listed(&mut self, step: &Step, lesson: &Lesson, done: bool) -> io::Result<()>;
    /// Whether this host can run a step, or what keeps it from that. People see it in a table instead.
    fn runnable(&mut self, step: &Step, failure: Option<&Failure>) -> io::Result<()>;
    /// A call is about to be made and waits for the reader. Prints the invitation to go on, but does not wait.
    fn about(&mut self, call: &Call, lesson: &Lesson) -> io::Result<()>;
    /// A call was made, the `seq`th of the run; what it has changed, if that was looked for. `lesson` is that of the
    /// call's step.
    fn call(&mut self, seq: u32, call: &Call, effect: Option<&[Change]>, lesson: &Lesson) -> io::Result<()>;
    /// An operation of a plan, the `seq`th. `lesson` is that of its step.
    fn op(&mut self, seq: u32, op: &Op, lesson: &Lesson) -> io::Result<()>;
    /// One container of an experiment. People see both in a table instead.
    fn experimented(&mut self, told: &Experimented) -> io::Result<()>;
    /// The step's facts, all at once.
    fn facts(&mut self, facts: &[Fact], lesson: &Lesson) -> io::Result<()>;
    /// One check.
    fn check(&mut self, check: &Checked) -> io::Result<()>;
    /// An exercise begins: a program is judged as this step's.
    fn exercise(&mut self, exercise: &Exercise) -> io::Result<()>;
    /// A step ends: where the container stands now, and how to go on from here.
    fn closing(&mut self, step: &Step, lesson: &Lesson, next: Option<&Step>) -> io::Result<()>;
    /// A table with a title. Title and head may be empty.
    fn table(&mut self, title: &str, head: &[&str], rows: &[Vec<String>]) -> io::Result<()>;
    /// Something about the learner's own runtime.
    fn learner(&mut self, told: &learner::Told) -> io::Result<()>;
    /// What was measured of process, container and virtual machine.
    fn measured(&mut self, comparison: &Comparison) -> io::Result<()>;
    /// The book is served at this address: `words` say so to people.
    fn served(&mut self, address: &str, words: &str) -> io::Result<()>;
    /// How far something is isolated: `words` say it.
    fn finding(&mut self, finding: &Finding, words: &str) -> io::Result<()>;
    /// A remark.
    fn note(&mut self, text: &str) -> io::Result<()>;
    /// A virtual machine has booted: `words` says so to people, if there are any.
    fn booted(&mut self, machine: &Booted, words: &str) -> io::Result<()>;
    /// The run ends.
    fn done(&mut self, tally: &Tally) -> io::Result<()>;
    /// The run ends early.
    fn failure(&mut self, failure: &Failure) -> io::Result<()>;
}
