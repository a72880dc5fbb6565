//! Text for people.

use std::io::{self, Write};

use super::calls::Layout;
use super::prose;
use super::style::{Role, Style};
use super::table::{self, Cell};
use super::words::Words;
use super::wrap::{pad_left, width};
use super::{
    Booted, Checked, Experimented, Fact, Failure, Renderer, Tally, closing, failure, learner, measured,
    verdict,
};
use compare::Comparison;
use course::exercise::Exercise;
use course::lesson::Lesson;
use course::posture::Finding;
use course::{STEPS, Step};
use engine::op::Op;
use kernel::breakable::Stream;
use kernel::strace;
use kernel::told::{Actor, Call};
use recording::Change;

/// Prints a run as text. A failure goes to stderr, all else to `out`.
pub struct Text<W: Write> {
    out: W,
    style: Style,
    /// The style of stderr, which may go elsewhere.
    errors: Style,
    /// What was printed last: between two of a kind there is no blank line.
    last: Option<Part>,
    /// Slug of the step whose calls are being told.
    step: String,
    /// Numbers of the steps whose layers it has.
    built: Vec<u32>,
    /// Whether there is a virtual machine beside it.
    machine: bool,
    /// Who made the last call.
    actor: Option<Actor>,
    /// Step and key of the last sentence that said why.
    why: (String, String),
    /// The call that was shown when it was about to be made, and has no result yet.
    shown: Option<Call>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Step,
    Calls,
    Facts,
    Checks,
    Closing,
    Table,
    Note,
    Done,
}

impl<W: Write> Text<W> {
    pub fn new(out: W, style: Style) -> Text<W> {
        Text {
            out,
            style,
            errors: style,
            last: None,
            step: String::new(),
            built: Vec::new(),
            machine: false,
            actor: None,
            why: Default::default(),
            shown: None,
        }
    }

    /// Prints failures in a style of their own, that of stderr.
    pub fn with_errors(mut self, errors: Style) -> Text<W> {
        self.errors = errors;
        self
    }

    /// Begins a part of the output, with a blank line before it where something else was printed.
    fn begin(&mut self, part: Part) -> io::Result<()> {
        let apart = self.last.is_some_and(|last| last != part) || self.last == Some(Part::Table);
        self.last = Some(part);
        if part != Part::Calls {
            self.actor = None;
        }
        if apart { writeln!(self.out) } else { Ok(()) }
    }

    fn lines(&mut self, lines: &[String]) -> io::Result<()> {
        lines.iter().try_for_each(|line| writeln!(self.out, "{}", line.trim_end()))?;
        self.out.flush()
    }

    fn words(&self) -> &'static Words {
        Words::of(self.style.lang)
    }

    /// Begins a call: names its step where it is another than before. Says whether the actor is another too, and
    /// is still to be named.
    fn begin_call(&mut self, call: &Call) -> io::Result<bool> {
        let style = self.style;
        let layout = Layout { style: &style };
        self.begin(Part::Calls)?;
        let first = self.actor.is_none();
        let mut named = self.actor.replace(call.actor) != Some(call.actor);
        let mut lines = Vec::new();
        if named && !first {
            lines.push(String::new());
        }
        if named {
            lines.extend(layout.heading(call.actor));
        }
        let before = std::mem::replace(&mut self.step, call.step.clone());
        if before != call.step && !before.is_empty() {
            let remark = match Step::find(&call.step) {
                Some(step) => {
                    format!("{} {} {}", self.words().step(step.number), style.signs().dot, step.slug)
                }
                None => call.step.clone(),
            };
            lines.push(format!("{}{}", layout.gutter(call.actor, named), layout.remark(&remark)));
            named = false;
        }
        self.lines(&lines)?;
        Ok(named)
    }

    /// The sentence that says why, unless it has just been said.
    fn why(&mut self, call: &Call, lesson: &Lesson) -> Vec<String> {
        let why = (call.step.clone(), call.why.clone());
        if call.why.is_empty() || self.why == why {
            return Vec::new();
        }
        self.why = why;
        Layout { style: &self.style }.why(lesson.why(&call.why))
    }

    /// Prints lines of a call, each behind its gutter.
    fn in_gutter(&mut self, actor: Actor, named: bool, lines: Vec<String>) -> io::Result<()> {
        let layout = Layout { style: &self.style };
        let first = std::iter::once(named).chain(std::iter::repeat(false));
        let lines: Vec<_> =
            first.zip(lines).map(|(named, line)| format!("{}{line}", layout.gutter(actor, named))).collect();
        self.lines(&lines)
    }
}

impl<W: Write> Renderer for Text<W> {
    fn step(&mut self, step: &Step, lesson: &Lesson, builds_on: &[&Step]) -> io::Result<()> {
        let (style, words, signs) = (self.style, self.words(), self.style.signs());
        if self.last.is_some() {
            let rule = signs.host.across.repeat(style.width.saturating_sub(2));
            self.lines(&[String::new(), format!(" {}", style.paint(Role::Dim, &rule))])?;
        }
        self.begin(Part::Step)?;
        self.step = step.slug.to_string();
        self.built = builds_on.iter().chain([&step]).map(|step| step.number).collect();
        self.machine = step.part().is_none();
        self.why = Default::default();

        let title = format!("{} {} {}", words.step(step.number), signs.dot, lesson.title());
        let mut lines = prose::lines(&style, Role::Strong, &title, style.width.saturating_sub(2));
        let marks = progress(&style, &self.built);
        if let [line] = lines.as_mut_slice()
            && width(line) + width(&marks) + 4 <= style.width
        {
            let room = style.width - width(line) - 2;
            line.push_str(&pad_left(&marks, room));
        }
        let mut lines: Vec<_> = lines.iter().map(|line| format!(" {line}")).collect();
        let numbers: Vec<_> = builds_on.iter().map(|step| step.number.to_string()).collect();
        let slug = style.paint(Role::Dim, step.slug);
        let base = if numbers.is_empty() {
            String::new()
        } else {
            style.paint(Role::Dim, &format!("{} {}", words.on_top_of, numbers.join(" ")))
        };
        let room = style.width.saturating_sub(width(&slug) + 2);
        lines.extend([format!(" {slug}{}", pad_left(&base, room)), String::new()]);
        let idea = prose::lines(&style, Role::Plain, lesson.idea(), style.width.saturating_sub(2));
        lines.extend(idea.iter().map(|line| format!(" {line}")));
        self.lines(&lines)
    }

    fn listed(&mut self, _: &Step, _: &Lesson, _: bool) -> io::Result<()> {
        Ok(())
    }

    fn runnable(&mut self, _: &Step, _: Option<&Failure>) -> io::Result<()> {
        Ok(())
    }

    fn about(&mut self, call: &Call, lesson: &Lesson) -> io::Result<()> {
        let style = self.style;
        let layout = Layout { style: &style };
        let named = self.begin_call(call)?;
        let mut lines = layout.call(None, call);
        lines.extend(self.why(call, lesson));
        self.in_gutter(call.actor, named, lines)?;
        self.shown = Some(call.clone());
        let invitation = layout.remark(self.words().press_enter);
        write!(self.out, "{}{invitation} ", layout.gutter(call.actor, false))?;
        self.out.flush()
    }

    fn call(&mut self, seq: u32, call: &Call, _: Option<&[Change]>, lesson: &Lesson) -> io::Result<()> {
        let style = self.style;
        let layout = Layout { style: &style };
        let shown = self.shown.take();
        if shown.is_some_and(|shown| shown.name == call.name && shown.args == call.args) {
            let mut lines = vec![layout.result_alone(seq, call)];
            lines.extend(layout.refusal(call));
            return self.in_gutter(call.actor, false, lines);
        }
        let named = self.begin_call(call)?;
        let mut lines = layout.call(Some(seq), call);
        lines.extend(layout.refusal(call));
        lines.extend(self.why(call, lesson));
        self.in_gutter(call.actor, named, lines)
    }

    fn op(&mut self, seq: u32, op: &Op, lesson: &Lesson) -> io::Result<()> {
        let style = self.style;
        let layout = Layout { style: &style };
        let call = op.as_told();
        let named = self.begin_call(&call)?;
        let mut lines = layout.call(Some(seq), &call);
        if op.told {
            lines.extend(self.why(&call, lesson));
        }
        if let Some(undo) = &op.undo {
            lines.extend(layout.why(&self.words().undone_by(&undo.what(strace::short))));
        }
        self.in_gutter(call.actor, named, lines)
    }

    fn experimented(&mut self, _: &Experimented) -> io::Result<()> {
        Ok(())
    }

    fn facts(&mut self, facts: &[Fact], lesson: &Lesson) -> io::Result<()> {
        if facts.is_empty() {
            return Ok(());
        }
        self.begin(Part::Facts)?;
        let words = self.words();
        let none = self.style.signs().none;
        let said = course::words::Words::of(self.style.lang);
        let head = [(Role::Plain, ""), (Role::Host, words.outside), (Role::Container, words.inside)];
        let value =
            |text: &str| (Role::Plain, if text.is_empty() { none } else { said.value(text) }.to_string());
        let rows = |same: &str| {
            let mut rows: Vec<Vec<Cell>> = vec![head.map(|(role, text)| (role, text.to_string())).to_vec()];
            rows.extend(facts.iter().map(|fact| {
                let label = lesson.fact_label(&fact.key).replace('`', "");
                let mut row = vec![(Role::Strong, label), value(&fact.outside), value(&fact.inside)];
                if fact.outside == fact.inside {
                    row.push((Role::Dim, same.to_string()));
                }
                row
            }));
            rows
        };
        // Values stand apart even if they are short, so that the two sides are seen as two.
        let least = [8, self.style.width / 4, self.style.width / 4];
        let (worded, signed) = (rows(words.the_same), rows("="));
        let fits = table::fits(&self.style, &worded, &least);
        self.lines(&table::lines(&self.style, if fits { &worded } else { &signed }, &least))
    }

    fn check(&mut self, check: &Checked) -> io::Result<()> {
        self.begin(Part::Checks)?;
        self.lines(&verdict::lines(&self.style, check))
    }

    fn exercise(&mut self, exercise: &Exercise) -> io::Result<()> {
        self.begin(Part::Step)?;
        self.lines(&verdict::heading(&self.style, exercise))
    }

    fn closing(&mut self, step: &Step, lesson: &Lesson, next: Option<&Step>) -> io::Result<()> {
        self.begin(Part::Closing)?;
        let mut lines = closing::picture(&self.style, &self.built, self.machine, lesson);
        for part in
            [closing::by_hand(&self.style, lesson), closing::pointers(&self.style, step, lesson, next)]
        {
            if !part.is_empty() {
                lines.push(String::new());
                lines.extend(part);
            }
        }
        self.lines(&lines)
    }

    fn table(&mut self, title: &str, head: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
        self.begin(Part::Table)?;
        let style = self.style;
        let mut cells: Vec<Vec<Cell>> = Vec::new();
        if !head.is_empty() {
            cells.push(head.iter().map(|text| (Role::Dim, text.to_string())).collect());
        }
        for row in rows {
            let roles = std::iter::once(Role::Strong).chain(std::iter::repeat(Role::Plain));
            // In a cell of its own, code needs no marks.
            cells.push(roles.zip(row.iter().map(|text| text.replace('`', ""))).collect());
        }
        let mut lines = Vec::new();
        if !title.is_empty() {
            lines.push(format!(" {}", style.paint(Role::Strong, title)));
            lines.push(String::new());
        }
        lines.extend(table::lines(&style, &cells, &[]));
        self.lines(&lines)
    }

    fn learner(&mut self, told: &learner::Told) -> io::Result<()> {
        self.begin(Part::Table)?;
        learner::write(&mut self.out, &self.style, told)?;
        self.out.flush()
    }

    fn measured(&mut self, comparison: &Comparison) -> io::Result<()> {
        self.begin(Part::Table)?;
        self.lines(&measured::lines(&self.style, comparison))
    }

    fn served(&mut self, address: &str, words: &str) -> io::Result<()> {
        self.note(words)?;
        // On a line of its own and whole, however wide that is: it is there to be clicked and copied.
        self.lines(&[format!(" {address}")])
    }

    fn finding(&mut self, finding: &Finding, words: &str) -> io::Result<()> {
        self.begin(Part::Checks)?;
        self.lines(&verdict::finding(&self.style, finding, words))
    }

    fn note(&mut self, text: &str) -> io::Result<()> {
        self.begin(Part::Note)?;
        let lines = prose::lines(&self.style, Role::Dim, text, self.style.width.saturating_sub(2));
        self.lines(&lines.iter().map(|line| format!(" {line}")).collect::<Vec<_>>())
    }

    fn booted(&mut self, _: &Booted, words: &str) -> io::Result<()> {
        if words.is_empty() {
            return Ok(());
        }
        self.out.flush()?;
        // Standard output is the program's in the machine.
        let mut errors = Stream::errors();
        for line in prose::lines(&self.errors, Role::Dim, words, self.errors.width.saturating_sub(2)) {
            writeln!(errors, " {line}")?;
        }
        errors.flush()
    }

    fn done(&mut self, tally: &Tally) -> io::Result<()> {
        self.begin(Part::Done)?;
        let (style, words, signs) = (self.style, self.words(), self.style.signs());
        let counts = [
            (tally.passed, Role::Good, signs.passed, words.passed),
            (tally.failed, Role::Bad, signs.failed, words.failed),
            (tally.skipped, Role::Dim, signs.skipped, words.skipped),
        ];
        let counts = counts.into_iter().filter(|(count, ..)| *count > 0);
        let mut parts: Vec<_> = counts
            .map(|(count, role, sign, word)| style.paint(role, &format!("{sign} {count} {word}")))
            .collect();
        parts.push(style.paint(Role::Dim, &words.seconds(tally.seconds)));
        let line = format!(" {}", parts.join("   "));
        if width(&line) < style.width {
            return self.lines(&[line]);
        }
        self.lines(&parts.iter().map(|part| format!(" {part}")).collect::<Vec<_>>())
    }

    fn failure(&mut self, failure: &Failure) -> io::Result<()> {
        // That this fails may be the very failure that is to be told.
        let _ = self.out.flush();
        failure::write(&mut Stream::errors(), &self.errors, failure)
    }
}

/// One mark for each step of the course, filled where the container has its layer.
fn progress(style: &Style, built: &[u32]) -> String {
    let signs = style.signs();
    let mark = |step: &Step| match built.contains(&step.number) {
        true => style.paint(Role::Container, signs.own),
        false => style.paint(Role::Dim, signs.open),
    };
    STEPS.iter().map(mark).collect()
}
