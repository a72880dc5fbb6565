//! The end of a step: the picture, what is still open, and how to go on from here.

use super::picture;
use super::prose;
use super::style::{Role, Style};
use super::words::Words;
use super::wrap::{self, pad, width};
use course::Step;
use course::lesson::Lesson;

/// Columns between the picture and the text at its side.
const GAP: usize = 3;

/// Below this width the text stands under the picture.
const BESIDE: usize = 70;

/// The picture with what is still open next to it.
pub fn picture(style: &Style, built: &[u32], machine: bool, lesson: &Lesson) -> Vec<String> {
    let words = Words::of(style.lang);
    let picture = picture::lines(style, built, machine);
    let across = picture.first().map_or(0, |line| width(line));
    let beside = style.width >= BESIDE;
    let room =
        if beside { style.width.saturating_sub(across + GAP + 2) } else { style.width.saturating_sub(2) };
    let mut open = prose::lines(style, Role::Plain, lesson.open(), room);
    if !open.is_empty() {
        open.insert(0, style.paint(Role::Strong, words.still_open));
    }
    if !beside {
        let below = if open.is_empty() { None } else { Some(String::new()) };
        return picture.into_iter().chain(below).chain(open).map(|line| margin(&line)).collect();
    }
    let above = picture.len().saturating_sub(open.len()) / 2;
    let height = picture.len().max(open.len());
    (0..height)
        .map(|at| {
            let left = picture.get(at).map_or("", String::as_str);
            let right = at.checked_sub(above).and_then(|at| open.get(at)).map_or("", String::as_str);
            margin(&format!("{}{right}", pad(left, across + GAP)))
        })
        .collect()
}

/// The same thing as shell commands. They are never broken: they are there to be copied.
pub fn by_hand(style: &Style, lesson: &Lesson) -> Vec<String> {
    let (code, note) = lesson.by_hand();
    if code.is_empty() {
        return Vec::new();
    }
    let title = style.paint(Role::Strong, Words::of(style.lang).by_hand);
    let mut lines = vec![margin(&title)];
    lines.extend(code.lines().map(|line| format!("   {}", prose::shell(style, line)).trim_end().to_string()));
    let note = prose::lines(style, Role::Dim, note, style.width.saturating_sub(4));
    if !note.is_empty() {
        lines.push(String::new());
    }
    lines.extend(note.iter().map(|line| format!("   {line}")));
    lines
}

/// In Docker, the code, and the next step, each with its label.
pub fn pointers(style: &Style, step: &Step, lesson: &Lesson, next: Option<&Step>) -> Vec<String> {
    let words = Words::of(style.lang);
    let next =
        next.map(|next| format!("`workshop step {}` {} {}", next.number, style.signs().dot, next.slug));
    let source = step.source();
    let pointers = [
        (words.in_docker, lesson.docker()),
        (words.the_code, source.as_str()),
        (words.next, next.as_deref().unwrap_or_default()),
    ];
    let label = pointers.map(|(label, _)| width(label)).into_iter().max().unwrap_or(0) + GAP;
    let room = style.width.saturating_sub(label + 2);
    let shown = pointers.iter().filter(|(_, text)| !text.is_empty());
    shown
        .flat_map(|(name, text)| {
            // A path has no spaces to break it at.
            let lines = match *text == source {
                true => wrap::arguments(text, room, 2, style.signs().ellipsis),
                false => prose::lines(style, Role::Plain, text, room),
            };
            let name = style.paint(Role::Strong, name);
            let labels = std::iter::once(name).chain(std::iter::repeat(String::new()));
            labels
                .zip(lines)
                .map(|(name, line)| margin(&format!("{}{line}", pad(&name, label))))
                .collect::<Vec<_>>()
        })
        .collect()
}

fn margin(line: &str) -> String {
    format!(" {line}").trim_end().to_string()
}
