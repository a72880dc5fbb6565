//! What a learner is told of their own runtime: how far it has come, a hint, a solution.

use std::io::{self, Write};

use serde::Serialize;

use super::style::{Role, Style};
use super::table::{self, Cell};
use super::wrap::{pad_left, width};
use super::{prose, words};
use course::exercise::{self, slug};
use course::markdown::Block;
use course::words::Words;
use learner::Language;
use learner::project::HINTS;

/// Something that is told.
pub enum Told<'a> {
    Progress { language: Language, standings: &'a [Standing] },
    Hint(Hint<'a>),
    Solution(Solution<'a>),
}

/// How a step stands.
pub struct Standing {
    pub number: u32,
    pub title: String,
    pub done: bool,
    /// It can't be judged here, and the learner went on without it.
    pub left_out: bool,
    /// It is the one that is worked on.
    pub current: bool,
    /// How many of its hints were shown.
    pub hints: usize,
}

/// One of the three hints of a step; `place` counts from 0.
pub struct Hint<'a> {
    pub step: u32,
    pub place: usize,
    pub blocks: &'a [Block],
}

/// A program that does a step, or what changes to it.
pub struct Solution<'a> {
    pub step: u32,
    pub language: Language,
    pub diff: bool,
    pub text: &'a str,
}

/// Prints it for people.
pub fn write(out: &mut impl Write, style: &Style, told: &Told) -> io::Result<()> {
    match told {
        Told::Progress { language, standings } => write_lines(out, &progress(style, *language, standings)),
        Told::Hint(hint) => write_lines(out, &self::hint(style, hint)),
        // To the letter: it may go into a file.
        Told::Solution(solution) => write!(out, "{}", painted(style, solution)),
    }
}

fn write_lines(out: &mut impl Write, lines: &[String]) -> io::Result<()> {
    lines.iter().try_for_each(|line| writeln!(out, "{}", line.trim_end()))
}

/// The bar over all steps, and a table of them.
fn progress(style: &Style, language: Language, standings: &[Standing]) -> Vec<String> {
    let words = Words::of(style.lang);
    let title = words.fill("progress-title", &[("language", language.title())]);
    let marks: Vec<Mark> = standings.iter().map(|s| Mark::of(s.done, s.left_out)).collect();
    let head = ["list-number", "list-slug", "progress-build", "list-done"].map(|key| words.say(key));
    let mut rows: Vec<Vec<Cell>> = vec![head.map(|text| (Role::Dim, text.to_string())).to_vec()];
    rows.extend(standings.iter().map(|standing| {
        let (role, state) = state(style, standing);
        let name = (Role::Plain, slug(standing.number).to_string());
        vec![
            (Role::Strong, standing.number.to_string()),
            name,
            (Role::Plain, plain_title(&standing.title).replace('`', "")),
            (role, state),
        ]
    }));
    let mut lines = vec![heading(style, &title, &marks), String::new()];
    lines.extend(table::lines(style, &rows, &[]));
    lines
}

/// `done`, `left out`, or `now`, and how many hints were shown.
fn state(style: &Style, standing: &Standing) -> (Role, String) {
    let words = Words::of(style.lang);
    let word = match (Mark::of(standing.done, standing.left_out), standing.current) {
        (Mark::Done, _) => words.say("menu-done"),
        (_, true) => words.say("progress-now"),
        (Mark::LeftOut, false) => words.say("progress-left-out"),
        (Mark::Open, false) => "",
    };
    let hints = match standing.hints {
        0 => String::new(),
        shown => words.fill("progress-hints", &[("shown", &shown.to_string()), ("all", &HINTS.to_string())]),
    };
    let parts = [word, &hints].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>();
    (if standing.done { Role::Good } else { Role::Strong }, parts.join(", "))
}

/// The title without what all titles begin with: `Build it: a root of its own` → `a root of its own`.
pub fn plain_title(title: &str) -> &str {
    title.split_once(": ").map_or(title, |(_, rest)| rest)
}

/// A heading, with the bar at the end of its line where there is room, or below it.
pub fn heading(style: &Style, text: &str, marks: &[Mark]) -> String {
    let title = style.paint(Role::Strong, text);
    let bar = bar(style, marks);
    let room = style.width.saturating_sub(width(&title) + 2);
    match room > width(&bar) + 2 {
        true => format!(" {title}{}", pad_left(&bar, room)),
        false => {
            let title = prose::lines(style, Role::Strong, text, style.width.saturating_sub(2));
            format!(" {}\n {bar}", title.join("\n "))
        }
    }
}

/// How far a step has come, in the bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    Done,
    LeftOut,
    Open,
}

impl Mark {
    pub fn of(done: bool, left_out: bool) -> Mark {
        match (done, left_out) {
            (true, _) => Mark::Done,
            (false, true) => Mark::LeftOut,
            (false, false) => Mark::Open,
        }
    }
}

/// A sign for each step, filled if it is done, and the count.
pub fn bar(style: &Style, marks: &[Mark]) -> String {
    let signs = style.signs();
    let sign = |mark: &Mark| match mark {
        Mark::Done => style.paint(Role::Good, signs.own),
        Mark::LeftOut => style.paint(Role::Dim, signs.none),
        Mark::Open => style.paint(Role::Dim, signs.open),
    };
    let bar: String = marks.iter().map(sign).collect();
    format!("{bar} {}/{}", marks.iter().filter(|mark| **mark == Mark::Done).count(), marks.len())
}

fn hint(style: &Style, hint: &Hint) -> Vec<String> {
    let words = Words::of(style.lang);
    let (number, all) = ((hint.place + 1).to_string(), HINTS.to_string());
    let step = words::Words::of(style.lang).step(hint.step);
    let title = words.fill("hint-title", &[("step", &step), ("number", &number), ("all", &all)]);
    let mut lines = vec![format!(" {}", style.paint(Role::Strong, &title)), String::new()];
    lines.extend(blocks(style, hint.blocks));
    lines
}

/// Blocks of a text, with a blank line between two.
pub fn blocks(style: &Style, blocks: &[Block]) -> Vec<String> {
    let mut lines = Vec::new();
    for block in blocks {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.extend(self::block(style, block));
    }
    lines
}

fn block(style: &Style, block: &Block) -> Vec<String> {
    let room = style.width.saturating_sub(2);
    match block {
        Block::Paragraph(text) => {
            prose::lines(style, Role::Plain, text, room).iter().map(|line| format!(" {line}")).collect()
        }
        Block::Code(code) => code.lines().map(|line| format!("   {}", prose::shell(style, line))).collect(),
        Block::List(items) => items.iter().flat_map(|item| entry(style, "-", &item.text)).collect(),
        Block::Table(table) => {
            let cells = |row: &Vec<String>| row.iter().map(|text| (Role::Plain, text.clone())).collect();
            let rows: Vec<Vec<Cell>> = std::iter::once(&table.head).chain(&table.rows).map(cells).collect();
            table::lines(style, &rows, &[])
        }
    }
}

/// An entry of a list behind its mark.
pub fn entry(style: &Style, mark: &str, text: &str) -> Vec<String> {
    let indent = width(mark) + 1;
    let lines = prose::lines(style, Role::Plain, text, style.width.saturating_sub(indent + 2));
    let marks = std::iter::once(format!("{mark} ")).chain(std::iter::repeat(" ".repeat(indent)));
    marks.zip(lines).map(|(mark, line)| format!(" {mark}{line}")).collect()
}

/// A solution's text; what goes and what comes in a diff is coloured.
fn painted(style: &Style, solution: &Solution) -> String {
    if !solution.diff || !style.colour {
        return solution.text.to_string();
    }
    let paint = |line: &str| {
        let role = match line.as_bytes() {
            [b'+', b'+', b'+', ..] | [b'-', b'-', b'-', ..] => Role::Strong,
            [b'+', ..] => Role::Good,
            [b'-', ..] => Role::Bad,
            [b'@', ..] => Role::Dim,
            _ => Role::Plain,
        };
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        format!("{}{end}", style.paint(role, line))
    };
    solution.text.split_inclusive('\n').map(paint).collect()
}

/// It as JSON events.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event<'a> {
    Step {
        number: u32,
        slug: &'a str,
        title: &'a str,
        builds_on: Vec<&'a str>,
        done: bool,
        left_out: bool,
        current: bool,
        hints: usize,
    },
    Hint {
        step: &'a str,
        number: usize,
        of: usize,
        text: String,
    },
    Solution {
        step: &'a str,
        language: &'a str,
        diff: bool,
        text: &'a str,
    },
}

/// The events that tell it to programs.
pub fn events<'a>(told: &'a Told) -> Vec<Event<'a>> {
    match told {
        Told::Progress { standings, .. } => standings.iter().map(step).collect(),
        Told::Hint(hint) => {
            let text = hint.blocks.iter().map(plain).collect::<Vec<_>>().join("\n\n");
            vec![Event::Hint { step: slug(hint.step), number: hint.place + 1, of: HINTS, text }]
        }
        Told::Solution(Solution { step, language, diff, text }) => {
            vec![Event::Solution { step: slug(*step), language: language.name(), diff: *diff, text }]
        }
    }
}

/// A block's text without a layout.
fn plain(block: &Block) -> String {
    match block {
        Block::Paragraph(text) | Block::Code(text) => text.clone(),
        Block::List(items) => items.iter().map(|item| item.text.as_str()).collect::<Vec<_>>().join("\n"),
        Block::Table(table) => table.rows.iter().map(|row| row.join(" ")).collect::<Vec<_>>().join("\n"),
    }
}

fn step(standing: &Standing) -> Event<'_> {
    let Standing { number, done, left_out, current, hints, .. } = *standing;
    let builds_on = exercise::before(number).map(|entry| entry.slug).collect();
    let title = &standing.title;
    Event::Step { number, slug: slug(number), title, builds_on, done, left_out, current, hints }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_has_a_mark_for_each_step_and_says_how_many_are_done() {
        let marks = [Mark::Done, Mark::Done, Mark::Open, Mark::LeftOut];
        assert_eq!(bar(&Style::default(), &marks), "■■□– 2/4");
        assert_eq!(bar(&Style { unicode: false, ..Style::default() }, &marks), "**o- 2/4");
    }

    #[test]
    fn the_bar_stands_below_a_heading_that_leaves_no_room() {
        let style = Style { width: 40, ..Style::default() };
        let marks = [Mark::Done; 7];
        assert_eq!(heading(&style, "Short", &marks).lines().count(), 1);
        assert!(heading(&style, &"long ".repeat(14), &marks).lines().all(|line| width(line) < 40));
    }

    #[test]
    fn a_solution_is_printed_to_the_letter() {
        let text = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n \n-a\n+b \n";
        let told = |diff| Told::Solution(Solution { step: 1, language: Language::Rust, diff, text });
        let printed = |style: &Style, diff| {
            let mut out = Vec::new();
            write(&mut out, style, &told(diff)).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(printed(&Style::default(), true), text);
        let style = Style { colour: true, ..Style::default() };
        assert_eq!(printed(&style, false), text);
        assert_eq!(console::strip_ansi_codes(&printed(&style, true)), text);
        assert!(printed(&style, true).contains("\u{1b}[32m+b \u{1b}[0m\n"));
    }
}
