//! What came of claims, for people: a line for each, and for one that did not hold what was expected, what was seen, and
//! what to do; of a learner's program what usually causes it, and where to read on.

use super::style::{Role, Style};
use super::words::Words;
use super::wrap::{pad, width};
use super::{Causes, Checked, prose};
use course::exercise::{self, Exercise};
use course::posture::{Finding, Level};
use course::words::Found;

/// The heading of an exercise: `0  run · a program that runs a program`.
pub fn heading(style: &Style, exercise: &Exercise) -> Vec<String> {
    let slug = exercise::slug(exercise.number);
    let name = style.paint(Role::Strong, &format!("{} {slug}", exercise.number));
    vec![format!(" {name}  {}", style.paint(Role::Dim, &exercise.title))]
}

/// One claim.
pub fn lines(style: &Style, check: &Checked) -> Vec<String> {
    let signs = style.signs();
    let (role, sign) = match check.found {
        Some(found) if found.held => (Role::Good, signs.passed),
        Some(_) => (Role::Bad, signs.failed),
        None => (Role::Dim, signs.skipped),
    };
    let indent = " ".repeat(width(sign) + 2);
    let room = style.width.saturating_sub(width(&indent) + 1);
    let claim = if check.found.is_some() { Role::Plain } else { Role::Dim };
    let claim = prose::lines(style, claim, check.claim, room);
    let mut lines = hanging(&format!(" {} ", style.paint(role, sign)), &indent, claim);
    if let Some(found) = check.found.filter(|found| !found.held) {
        lines.extend(both_sides(style, found, &indent, room));
        match &check.causes {
            Some(likely) => lines.extend(causes(style, likely, &indent, room)),
            None => {
                let help = prose::lines(style, Role::Dim, check.help, room);
                lines.extend(hanging(&indent, &indent, help));
            }
        }
    }
    lines
}

/// How far something is isolated.
pub fn finding(style: &Style, finding: &Finding, words: &str) -> Vec<String> {
    let signs = style.signs();
    let (role, sign) = match finding.level {
        Level::Open => (Role::Bad, signs.failed),
        Level::Weak | Level::Unknown => (Role::Strong, signs.skipped),
        Level::Closed => (Role::Good, signs.passed),
    };
    let indent = " ".repeat(width(sign) + 2);
    let room = style.width.saturating_sub(width(&indent) + 1);
    let plain = if finding.level == Level::Closed { Role::Dim } else { Role::Plain };
    hanging(&format!(" {} ", style.paint(role, sign)), &indent, prose::lines(style, plain, words, room))
}

/// What was expected, and what was seen.
fn both_sides(style: &Style, finding: &Found, indent: &str, room: usize) -> Vec<String> {
    let words = Words::of(style.lang);
    let label = width(words.expected).max(width(words.actual)) + 2;
    let sides = [(words.expected, &finding.expected), (words.actual, &finding.actual)];
    sides
        .into_iter()
        .flat_map(|(name, value)| {
            let name = style.paint(Role::Bad, &pad(name, label));
            let value: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            let value = prose::lines(style, Role::Plain, &value, room.saturating_sub(label).max(8));
            hanging(&format!("{indent}{name}"), &format!("{indent}{}", " ".repeat(label)), value)
        })
        .collect()
}

/// Why it may be so, numbered in order of likelihood, and the page.
fn causes(style: &Style, causes: &Causes, indent: &str, room: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for (place, cause) in causes.likely.iter().enumerate() {
        let number = format!("{}. ", place + 1);
        let text = prose::lines(style, Role::Dim, cause, room.saturating_sub(number.len()).max(8));
        let first = format!("{indent}{}", style.paint(Role::Dim, &number));
        lines.extend(hanging(&first, &format!("{indent}{}", " ".repeat(number.len())), text));
    }
    let page = format!("{}: {}", Words::of(style.lang).read_on, causes.page);
    lines.push(format!("{indent}{}", style.paint(Role::Dim, &page)));
    lines
}

/// Lines of which the first begins with one text and the rest with another.
fn hanging(first: &str, rest: &str, lines: Vec<String>) -> Vec<String> {
    let begin = |place| if place == 0 { first } else { rest };
    lines.iter().enumerate().map(|(place, line)| format!("{}{line}", begin(place))).collect()
}
