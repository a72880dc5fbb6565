//! The parts of the page: where the learner stands, what came of the run and what was asked for, and the keys.

use crate::course::exercise::{self, Exercise};
use crate::fault::Fault;
use crate::render::learner::{self, Mark};
use crate::render::style::{Role, Style};
use crate::render::{failure, prose, words, wrap};

use super::screen::{Outcome, Screen, Stage};
use super::verdict::Verdict;

impl Screen {
    pub(super) fn head(&self, style: &Style) -> Vec<String> {
        self.heading(style).lines().map(String::from).chain([String::new()]).collect()
    }

    /// `Step 1 · a process of its own      ■□□□□□□ 1/7`.
    pub(super) fn heading(&self, style: &Style) -> String {
        let exercise = Exercise::load(self.step, self.lang);
        let number = words::Words::of(self.lang).step(self.step);
        let title = format!("{number} {} {}", style.signs().dot, learner::plain_title(&exercise.title));
        learner::heading(style, &title, &self.marks)
    }

    /// What came of the run, in brief if something else was asked for, which then stands below it.
    pub(super) fn body(&self, style: &Style) -> Vec<String> {
        let mut lines = match &self.stage {
            Stage::NotBuilt { said, code } => {
                let words = self.words.fill("watch-not-built", &[("code", &code.to_string())]);
                let mut lines = learner::entry(style, &style.paint(Role::Bad, style.signs().failed), &words);
                if self.aside.is_none() {
                    lines.extend(apart(said));
                }
                lines
            }
            Stage::Judged { built, verdict, errors, code } => {
                let mut lines = self.judged(style, verdict, errors, *code);
                if self.aside.is_none() {
                    lines.extend(apart(built));
                }
                lines
            }
            Stage::Unable(fault) => self.unable(style, fault),
            _ => Vec::new(),
        };
        let aside = self.aside(style);
        lines.extend((!lines.is_empty() && !aside.is_empty()).then(String::new));
        lines.extend(aside);
        lines
    }

    fn unable(&self, style: &Style, fault: &Fault) -> Vec<String> {
        let mut text = Vec::new();
        if let Some(known) = self.words.failure(fault) {
            let _ = failure::write(&mut text, style, &known);
        }
        String::from_utf8_lossy(&text).lines().map(String::from).collect()
    }

    pub(super) fn aside(&self, style: &Style) -> Vec<String> {
        self.aside.as_ref().map(|text| text(style)).unwrap_or_default()
    }

    pub(super) fn checking(&self, style: &Style) -> String {
        let Stage::Checking { verdict, .. } = &self.stage else { return String::new() };
        let words = style.paint(Role::Dim, self.words.say("watch-checking"));
        format!(" {words} {}", verdict.tally(style))
    }

    fn judged(&self, style: &Style, verdict: &Verdict, errors: &str, code: i32) -> Vec<String> {
        let mut lines = if self.aside.is_some() { verdict.brief(style) } else { verdict.lines(style) };
        let room = style.width.saturating_sub(2);
        let mut say = |role, words: &str| lines.extend(indented(prose::lines(style, role, words, room)));
        match self.outcome() {
            Outcome::Held if exercise::next(self.step).is_none() => say(Role::Good, &self.all_done()),
            Outcome::Held => say(Role::Good, self.words.say("watch-held")),
            Outcome::Unjudged => {
                // Before the reason, which may be long.
                let words = self.words.fill("watch-unjudged", &[("step", &self.step.to_string())]);
                let words = format!("{words}{}", self.as_root(self.step));
                let first = indented(prose::lines(style, Role::Strong, &words, room));
                lines.splice(0..0, first.into_iter().chain([String::new()]));
            }
            _ if !verdict.explains_itself() => {
                say(Role::Bad, &self.words.fill("watch-check-broke", &[("code", &code.to_string())]));
                errors.lines().for_each(|line| say(Role::Plain, line));
            }
            _ => {}
        }
        lines
    }

    /// That this was the last step, and which one is still to be judged.
    fn all_done(&self) -> String {
        let mut marked = exercise::all().zip(&self.marks);
        match marked.find(|(_, mark)| **mark == Mark::LeftOut) {
            Some((entry, _)) => {
                let words = self.words.fill("watch-all-but", &[("step", &entry.number.to_string())]);
                format!("{words}{}", self.as_root(entry.number))
            }
            None => self.words.say("watch-all-done").into(),
        }
    }

    /// Who else may have a step judged, in a sentence behind another one.
    fn as_root(&self, step: u32) -> String {
        // What a kernel lacks, root lacks too.
        if nix::unistd::geteuid().is_root() || exercise::of_limits() != Some(step) {
            return String::new();
        }
        format!(" {}", self.words.fill("watch-as-root", &[("step", &step.to_string())]))
    }

    /// What is said of the last key, and the keys.
    pub(super) fn foot(&self, style: &Style) -> Vec<String> {
        let room = style.width.saturating_sub(2);
        let notes = self.notes.iter().flat_map(|words| prose::lines(style, Role::Strong, words, room));
        let mut lines = indented(notes.collect());
        if !lines.is_empty() {
            lines.insert(0, String::new());
        }
        lines.push(String::new());
        lines.extend(self.keys(style));
        lines
    }

    /// The keys, on as many lines as they take. What can't be done now is dim. The cursor stays behind the last one.
    fn keys(&self, style: &Style) -> Vec<String> {
        let may_go_on = matches!(self.outcome(), Outcome::Held | Outcome::Unjudged);
        let back = self.aside.is_some() && self.outcome() == Outcome::NotYet;
        let keys = [
            ("h", "watch-key-hint"),
            ("n", "watch-key-next"),
            ("l", "watch-key-list"),
            ("s", "watch-key-solution"),
            ("r", "watch-key-again"),
            ("x", "watch-key-reset"),
            ("q", "watch-key-quit"),
        ];
        let mut lines = vec![String::new()];
        for (key, word) in back.then_some(("esc", "watch-key-back")).into_iter().chain(keys) {
            let can = key != "n" || may_go_on;
            let key = style.paint(if can { Role::Strong } else { Role::Dim }, key);
            let word = style.paint(if can { Role::Plain } else { Role::Dim }, self.words.say(word));
            let item = format!("{key} {word}");
            match lines.last_mut() {
                Some(line) if wrap::width(line) + wrap::width(&item) + 3 < style.width => {
                    line.push_str(if line.is_empty() { " " } else { "   " });
                    line.push_str(&item);
                }
                _ => lines.push(format!(" {item}")),
            }
        }
        lines
    }
}

/// A margin of one column.
pub fn indented(lines: Vec<String>) -> Vec<String> {
    lines.iter().map(|line| format!(" {line}")).collect()
}

/// Somebody else's output as it is, below a blank line.
fn apart(said: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(said);
    // What was drawn over, as bars of progress are, is gone.
    let last = |line: &str| line.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default().to_owned();
    let lines = text.trim_end().lines().map(last);
    if text.trim().is_empty() { Vec::new() } else { std::iter::once(String::new()).chain(lines).collect() }
}
