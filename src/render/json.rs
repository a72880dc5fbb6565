//! JSON Lines for programs: one object a line, each with its `event`.

use std::io::{self, Write};
use std::time::Instant;

use serde::Serialize;

use super::{Booted, Checked, Experimented, Fact, Failure, Renderer, Tally, learner};
use compare::{Comparison, Host, Measured, Spread, Unit};
use course::Step;
use course::exercise::{self, Exercise};
use course::lesson::Lesson;
use course::posture::Finding;
use engine::op::Op;
use kernel::told::{Actor, Call};
use recording::Change;

/// Prints a run as JSON Lines. What is only there to be read by people is left out.
pub struct Json<W: Write> {
    out: W,
    began: Instant,
}

/// What `workshop list` says of a step beyond its name.
#[derive(Serialize)]
struct Listed<'a> {
    adds: &'a str,
    done: bool,
    /// `container`, or `machine` for what stands beside it.
    builds: &'a str,
    /// The options of `run` that ask for it.
    options: &'a [&'a str],
    /// Whether a host may refuse it, so that others stand without it.
    can_be_missed: bool,
    /// Whether it has an exercise.
    exercise: bool,
}

/// An event as it is written. The field `event` comes first and has the name of the variant.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Event<'a> {
    /// The book can be read at this address.
    Served {
        url: &'a str,
    },
    Step {
        number: u32,
        slug: &'a str,
        title: &'a str,
        builds_on: Vec<&'a str>,
        /// What a listed step adds, and whether it is done.
        #[serde(flatten, skip_serializing_if = "Option::is_none")]
        listed: Option<Listed<'a>>,
    },
    Call {
        seq: u32,
        step: &'a str,
        actor: Actor,
        name: &'a str,
        args: &'a [String],
        result: &'a str,
        ok: bool,
        why: &'a str,
        /// Seconds since the start.
        t: f64,
        source: &'a str,
        /// What it has changed, of a recorded run.
        #[serde(skip_serializing_if = "Option::is_none")]
        effect: Option<&'a [Change]>,
        /// Its arguments in short, of a recorded run: who plays it has nothing else to make them of.
        #[serde(skip_serializing_if = "Option::is_none")]
        brief: Option<&'a str>,
    },
    Op {
        seq: u32,
        step: &'a str,
        side: &'a str,
        stage: &'a str,
        call: &'a str,
        args: &'a [String],
        why: &'a str,
        undo: Option<String>,
        /// Whether the call is told when it is made.
        told: bool,
    },
    Experiment {
        name: &'a str,
        step: &'a str,
        variant: &'a str,
        expected: &'a str,
        happened: &'a str,
        ok: bool,
    },
    Fact {
        name: &'a str,
        outside: &'a str,
        inside: &'a str,
    },
    Finding {
        area: &'a str,
        name: &'a str,
        value: &'a str,
        level: &'a str,
        source: &'a str,
        closes: &'a str,
        text: &'a str,
    },
    Check {
        step: &'a str,
        name: &'a str,
        passed: bool,
        expected: &'a str,
        actual: &'a str,
        help: &'a str,
        /// Why a judged program may have failed it, the likeliest cause first, and the place in the book.
        #[serde(skip_serializing_if = "Option::is_none")]
        causes: Option<&'a [&'a str]>,
        #[serde(skip_serializing_if = "Option::is_none")]
        page: Option<&'a str>,
    },
    Host {
        #[serde(flatten)]
        host: &'a Host,
    },
    Subject {
        subject: &'a str,
        kernel: &'a str,
        /// Processes that the program sees, and those of its own that the host sees.
        processes_inside: usize,
        processes_on_host: usize,
    },
    Measurement {
        subject: &'a str,
        /// A figure's name, or `stage` with the name of one.
        name: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        stage: Option<&'a str>,
        unit: Unit,
        #[serde(flatten)]
        spread: &'a Spread,
    },
    /// A virtual machine, and when each stage of its boot began and how long it took, in seconds.
    Boot(&'a Booted),
    Done {
        passed: u32,
        failed: u32,
        skipped: u32,
        seconds: f64,
    },
    Error {
        code: i32,
        message: &'a str,
        hint: String,
    },
}

impl<W: Write> Json<W> {
    pub fn new(out: W) -> Json<W> {
        Json { out, began: Instant::now() }
    }

    /// Seconds since it was made, which is when the program starts; to the microsecond.
    fn since_start(&self) -> f64 {
        (self.began.elapsed().as_secs_f64() * 1e6).round() / 1e6
    }

    fn write(&mut self, event: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, event)?;
        self.out.write_all(b"\n")?;
        // Whoever reads along wants the event when it happens.
        self.out.flush()
    }
}

impl<'a> Listed<'a> {
    fn of(step: &Step, lesson: &'a Lesson, done: bool) -> Listed<'a> {
        let builds = if step.part().is_some() { "container" } else { "machine" };
        let options = step.part().map_or(&[][..], |part| part.options);
        let (can_be_missed, exercise) = (step.can_be_missed(), step.exercise.is_some());
        Listed { adds: lesson.adds(), done, builds, options, can_be_missed, exercise }
    }
}

impl<W: Write> Json<W> {
    fn write_step(
        &mut self,
        step: &Step,
        lesson: &Lesson,
        builds_on: &[&Step],
        listed: Option<Listed>,
    ) -> io::Result<()> {
        let builds_on = builds_on.iter().map(|step| step.slug).collect();
        let (number, slug, title) = (step.number, step.slug, lesson.title());
        self.write(&Event::Step { number, slug, title, builds_on, listed })
    }
}

impl<W: Write> Json<W> {
    fn write_measured(&mut self, measured: &Measured) -> io::Result<()> {
        let subject = measured.kind.name();
        let (processes_inside, processes_on_host) = measured.processes;
        self.write(&Event::Subject {
            subject,
            kernel: &measured.kernel,
            processes_inside,
            processes_on_host,
        })?;
        for (stage, spread) in &measured.stages {
            let (name, unit) = ("stage", Unit::Seconds);
            self.write(&Event::Measurement { subject, name, stage: Some(stage), unit, spread })?;
        }
        measured.figures.iter().try_for_each(|(figure, spread)| {
            let (name, unit) = (figure.name(), figure.unit());
            self.write(&Event::Measurement { subject, name, stage: None, unit, spread })
        })
    }
}

impl<W: Write> Renderer for Json<W> {
    fn step(&mut self, step: &Step, lesson: &Lesson, builds_on: &[&Step]) -> io::Result<()> {
        self.write_step(step, lesson, builds_on, None)
    }

    fn listed(&mut self, step: &Step, lesson: &Lesson, done: bool) -> io::Result<()> {
        self.write_step(step, lesson, &step.builds_on(), Some(Listed::of(step, lesson, done)))
    }

    fn runnable(&mut self, step: &Step, failure: Option<&Failure>) -> io::Result<()> {
        let help = failure.map(hint).unwrap_or_default();
        self.write(&Event::Check {
            step: step.slug,
            name: "host-can",
            passed: failure.is_none(),
            expected: "yes",
            actual: if failure.is_none() { "yes" } else { "no" },
            help: &help,
            causes: None,
            page: None,
        })
    }

    fn about(&mut self, _: &Call, _: &Lesson) -> io::Result<()> {
        Ok(())
    }

    fn call(&mut self, seq: u32, call: &Call, effect: Option<&[Change]>, lesson: &Lesson) -> io::Result<()> {
        self.write(&Event::Call {
            seq,
            step: &call.step,
            actor: call.actor,
            name: &call.name,
            args: &call.args,
            result: &call.result,
            ok: call.ok,
            why: lesson.why(&call.why),
            t: self.since_start(),
            source: &call.source,
            effect,
            brief: effect.and(call.brief.as_deref()),
        })
    }

    fn op(&mut self, seq: u32, op: &Op, lesson: &Lesson) -> io::Result<()> {
        self.write(&Event::Op {
            seq,
            step: op.step,
            side: op.stage.side().name(),
            stage: op.stage.name(),
            call: op.call.name(),
            args: &op.call.args(),
            why: lesson.why(op.why),
            undo: op.undo.as_ref().map(|undo| undo.what(|path| path.display().to_string())),
            told: op.told,
        })
    }

    fn experimented(&mut self, told: &Experimented) -> io::Result<()> {
        self.write(&Event::Experiment {
            name: told.experiment.name,
            step: told.experiment.step,
            variant: told.variant.name(),
            expected: told.expected,
            happened: told.happened,
            ok: told.ok,
        })
    }

    fn facts(&mut self, facts: &[Fact], _: &Lesson) -> io::Result<()> {
        facts.iter().try_for_each(|fact| {
            self.write(&Event::Fact { name: &fact.key, outside: &fact.outside, inside: &fact.inside })
        })
    }

    /// What could not be judged is no check that was made: `done` counts it.
    fn check(&mut self, check: &Checked) -> io::Result<()> {
        let Some(found) = check.found else { return Ok(()) };
        self.write(&Event::Check {
            step: check.step,
            name: check.name,
            passed: found.held,
            expected: &found.expected,
            actual: &found.actual,
            help: check.help,
            causes: check.causes.as_ref().map(|causes| causes.likely.as_slice()),
            page: check.causes.as_ref().map(|causes| causes.page.as_str()),
        })
    }

    fn exercise(&mut self, exercise: &Exercise) -> io::Result<()> {
        let number = exercise.number;
        let builds_on = exercise::before(number).map(|entry| entry.slug).collect();
        let (slug, title) = (exercise::slug(number), exercise.title.as_str());
        self.write(&Event::Step { number, slug, title, builds_on, listed: None })
    }

    fn closing(&mut self, _: &Step, _: &Lesson, _: Option<&Step>) -> io::Result<()> {
        Ok(())
    }

    fn table(&mut self, _: &str, _: &[&str], _: &[Vec<String>]) -> io::Result<()> {
        Ok(())
    }

    fn learner(&mut self, told: &learner::Told) -> io::Result<()> {
        learner::events(told).iter().try_for_each(|event| self.write(event))
    }

    fn measured(&mut self, comparison: &Comparison) -> io::Result<()> {
        self.write(&Event::Host { host: &comparison.host })?;
        comparison.subjects.iter().try_for_each(|measured| self.write_measured(measured))
    }

    fn served(&mut self, address: &str, _: &str) -> io::Result<()> {
        self.write(&Event::Served { url: address })
    }

    fn finding(&mut self, finding: &Finding, words: &str) -> io::Result<()> {
        let Finding { area, name, level, value, source, closes, .. } = finding;
        self.write(&Event::Finding { area, name, value, level: level.name(), source, closes, text: words })
    }

    fn note(&mut self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn booted(&mut self, machine: &Booted, _: &str) -> io::Result<()> {
        self.write(&Event::Boot(machine))
    }

    fn done(&mut self, tally: &Tally) -> io::Result<()> {
        let Tally { passed, failed, skipped, seconds } = *tally;
        self.write(&Event::Done { passed, failed, skipped, seconds })
    }

    fn failure(&mut self, failure: &Failure) -> io::Result<()> {
        let message = [std::slice::from_ref(&failure.message), &failure.quote[..]].concat().join("\n");
        self.write(&Event::Error { code: failure.code, message: &message, hint: hint(failure) })
    }
}

/// What usually causes a failure, and what to do.
fn hint(failure: &Failure) -> String {
    [failure.cause.as_str(), failure.hint.as_str()].join(" ").trim().to_string()
}
