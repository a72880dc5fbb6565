//! A recording that is read back: whoever plays it gets its events, and nothing in them that would steer a terminal.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::Deserialize;

use super::VERSION;
use fault::Fault;
use kernel::told::{Actor, Call};

/// Bytes of a recording that are read. The longest of ours has a hundredth of them.
const LARGEST: u64 = 16 << 20;

/// A recorded run.
pub struct Recording {
    /// The step's slug.
    pub step: String,
    /// The code of the language that it was told in.
    pub lang: String,
    pub events: Vec<Event>,
    /// The events as they stand in the file.
    pub lines: Vec<String>,
}

/// What happened, in the order in which it did.
pub enum Event {
    Step { builds_on: Vec<String> },
    Call(Made),
    Fact { name: String, outside: String, inside: String },
    Check { name: String, passed: bool, expected: String, actual: String, help: String },
    Boot { accelerator: String, stages: Vec<Stage> },
    Done { passed: u32, failed: u32, skipped: u32, seconds: f64 },
    Error { code: i32, message: String, hint: String },
}

/// A call that was made, and what it has changed.
pub struct Made {
    pub seq: u32,
    /// Seconds since the start.
    pub at: f64,
    pub call: Call,
    pub effect: Vec<Effect>,
}

/// One change, as the file has it: another program's recording may know more kinds of things than we do.
#[derive(Clone, Debug, Deserialize)]
pub struct Effect {
    pub kind: String,
    pub side: Actor,
    pub name: String,
    pub old: Option<String>,
    pub new: Option<String>,
}

/// A stage of a machine's boot, in seconds.
#[derive(Debug, Deserialize)]
pub struct Stage {
    pub name: String,
    pub at: f64,
    pub seconds: f64,
}

/// A line, whatever it tells: the header and each event have some of these.
#[derive(Deserialize)]
#[serde(default)]
struct Line {
    format: String,
    version: u64,
    program: String,
    lang: String,
    event: String,
    builds_on: Vec<String>,
    seq: u32,
    step: String,
    actor: Actor,
    name: String,
    args: Vec<String>,
    result: String,
    ok: bool,
    why: String,
    t: f64,
    source: String,
    brief: Option<String>,
    effect: Vec<Effect>,
    outside: String,
    inside: String,
    /// Of a check whether it held, of the end how many did.
    passed: serde_json::Value,
    expected: String,
    actual: String,
    help: String,
    accelerator: String,
    stages: Vec<Stage>,
    failed: u32,
    skipped: u32,
    seconds: f64,
    code: i32,
    message: String,
    hint: String,
}

impl Default for Line {
    fn default() -> Line {
        let [format, program, lang, event, step, name, result, why, source] = Default::default();
        let [outside, inside, expected, actual, help, accelerator, message, hint] = Default::default();
        let (builds_on, args, effect, stages) = Default::default();
        let (version, seq, t, seconds, failed, skipped, code) = Default::default();
        let (actor, ok, brief, passed) = (Actor::Host, false, None, serde_json::Value::Null);
        Line {
            format,
            version,
            program,
            lang,
            event,
            builds_on,
            seq,
            step,
            actor,
            name,
            args,
            result,
            ok,
            why,
            t,
            source,
            brief,
            effect,
            outside,
            inside,
            passed,
            expected,
            actual,
            help,
            accelerator,
            stages,
            failed,
            skipped,
            seconds,
            code,
            message,
            hint,
        }
    }
}

impl Recording {
    /// Reads a file that `--record` has written, by this version of the workshop or an older one.
    ///
    /// # Errors
    ///
    /// If it can't be read, is no recording, is one of a newer format, or is damaged.
    pub fn read(path: &Path) -> Result<Recording, Fault> {
        let named = path.display().to_string();
        let wrong = |key: &'static str, more: &[(&str, &str)]| {
            Fault::usage(key, &[&[("path", &*named)], more].concat())
        };
        let text = text(path).map_err(|e| wrong("play-unreadable", &[("problem", &e.to_string())]))?;
        let mut lines = text.lines().enumerate();
        let header = lines.next().and_then(|(_, line)| serde_json::from_str::<Line>(line).ok());
        let header = header.filter(|line| line.format == "workshop-recording");
        let header = header.ok_or_else(|| wrong("play-no-recording", &[]))?;
        if header.version > u64::from(VERSION) {
            let (version, program) = (header.version.to_string(), clean(&header.program));
            let known = VERSION.to_string();
            let with = [("version", &*version), ("program", &*program), ("known", &*known)];
            return Err(wrong("play-newer", &with));
        }
        let (step, lang) = (clean(&header.step), header.lang);
        let mut recording = Recording { step, lang, events: Vec::new(), lines: Vec::new() };
        for (number, line) in lines {
            let damaged = |e: serde_json::Error| {
                let (number, problem) = ((number + 1).to_string(), e.to_string());
                wrong("play-damaged", &[("line", &*number), ("problem", &*problem)])
            };
            recording.events.extend(event(serde_json::from_str(line).map_err(damaged)?));
            recording.lines.push(line.to_owned());
        }
        Ok(recording)
    }

    /// Its calls.
    pub fn calls(&self) -> impl Iterator<Item = &Made> {
        self.events.iter().filter_map(|event| if let Event::Call(made) = event { Some(made) } else { None })
    }
}

fn text(path: &Path) -> io::Result<String> {
    let mut text = Vec::new();
    File::open(path)?.take(LARGEST).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// What a line tells. None for what only a newer program tells, and older ones pass over.
fn event(line: Line) -> Option<Event> {
    Some(match line.event.as_str() {
        "step" => Event::Step { builds_on: line.builds_on },
        "call" => Event::Call(made(line)),
        "fact" => Event::Fact {
            name: clean(&line.name),
            outside: clean(&line.outside),
            inside: clean(&line.inside),
        },
        "check" => Event::Check {
            passed: line.passed.as_bool().unwrap_or_default(),
            name: clean(&line.name),
            expected: clean(&line.expected),
            actual: clean(&line.actual),
            help: clean(&line.help),
        },
        "boot" => Event::Boot { accelerator: line.accelerator, stages: line.stages },
        "done" => Event::Done {
            passed: line.passed.as_u64().and_then(|count| count.try_into().ok()).unwrap_or_default(),
            failed: line.failed,
            skipped: line.skipped,
            seconds: line.seconds,
        },
        "error" => Event::Error { code: line.code, message: clean(&line.message), hint: clean(&line.hint) },
        _ => return None,
    })
}

fn made(line: Line) -> Made {
    let effect = line.effect.into_iter().map(|effect| Effect {
        kind: clean(&effect.kind),
        side: effect.side,
        name: clean(&effect.name),
        old: effect.old.as_deref().map(clean),
        new: effect.new.as_deref().map(clean),
    });
    let call = Call {
        step: clean(&line.step),
        actor: line.actor,
        name: clean(&line.name),
        args: line.args.iter().map(|arg| clean(arg)).collect(),
        result: clean(&line.result),
        ok: line.ok,
        // The sentence itself: no lesson has a key like that.
        why: clean(&line.why),
        source: clean(&line.source),
        brief: line.brief.as_deref().map(clean),
    };
    Made { seq: line.seq, at: line.t, call, effect: effect.collect() }
}

/// The text without what would steer a terminal: a file may come from anybody.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}
