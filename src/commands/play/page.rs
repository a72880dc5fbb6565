//! What a player shows after so many calls, as lines that fit a terminal: the timeline, the call, and both sides.

use crate::course::lesson::Lesson;
use crate::course::words::Words;
use crate::kernel::told::Actor;
use crate::recording::{Made, Scene, Thing};
use crate::render::prose;
use crate::render::style::{Role, Style};
use crate::render::words::Words as Labels;
use crate::render::wrap::{pad, shorten, width};

use super::Played;

/// From so many columns on, both sides stand side by side.
const WIDE: usize = 60;

/// Lines for a call's arguments, and for why it is made. They are kept free where a call needs fewer, so that what is below
/// them does not jump.
const ARGUMENTS: usize = 2;
const WHY: usize = 3;

/// What kinds of things are called, by the recording's word.
const KINDS: [(&str, &str); 14] = [
    ("process", "thing-process"),
    ("program", "thing-program"),
    ("privilege", "thing-privilege"),
    ("namespace", "thing-namespace"),
    ("name", "thing-name"),
    ("directory", "thing-directory"),
    ("mount", "thing-mount"),
    ("group", "thing-group"),
    ("file", "thing-file"),
    ("link", "thing-link"),
    ("address", "thing-address"),
    ("route", "thing-route"),
    ("rule", "thing-rule"),
    ("table", "thing-table"),
];

/// A page of a recording.
pub struct Page<'r> {
    calls: Vec<&'r Made>,
    /// The step's number and title.
    title: (String, String),
    words: &'static Words,
    labels: &'static Labels,
}

/// A line on one side, and whether the last call has changed what it says.
type Row = (String, bool);

impl<'r> Page<'r> {
    pub fn of(played: &'r Played) -> Page<'r> {
        let labels = Labels::of(played.lang);
        let lesson = Lesson::beginning(played.step, played.lang);
        let title = (labels.step(played.step.number), lesson.title().to_owned());
        Page { calls: played.recording.calls().collect(), title, words: Words::of(played.lang), labels }
    }

    /// How many calls there are.
    pub fn length(&self) -> usize {
        self.calls.len()
    }

    /// The lines after `count` calls, at most `rows` of at most `style.width` columns.
    pub fn lines(&self, style: &Style, rows: usize, count: usize, plays: bool) -> Vec<String> {
        let mut lines = self.head(style, count, plays);
        lines.extend(self.call(style, count));
        let keys = self.words.say(if style.width < WIDE { "play-keys-short" } else { "play-keys" });
        let foot = style.paint(Role::Dim, &shorten(keys, style.width, style.signs().ellipsis));
        let scene = Scene::after(self.calls.iter().copied(), count);
        let room = rows.saturating_sub(lines.len() + 1);
        lines.extend(self.sides(style, &scene, room));
        lines.truncate(rows.saturating_sub(1));
        lines.push(foot);
        lines
    }

    /// The title with the place, and the timeline: one mark for each call, filled where it was made.
    fn head(&self, style: &Style, count: usize, plays: bool) -> Vec<String> {
        let (place, all) = (count.to_string(), self.length().to_string());
        let place = self.words.fill("play-place", &[("n", &place), ("all", &all)]);
        let sign = if plays { "▶" } else { "❚❚" };
        let place = if style.unicode { format!("{sign} {place}") } else { place };
        let (number, title) = &self.title;
        let title = format!("{number} {} {title}", style.signs().dot);
        let room = style.width.saturating_sub(width(&place) + 1);
        let first = match width(&title) <= room {
            true => vec![format!("{}{place}", style.paint(Role::Strong, &pad(&title, room + 1)))],
            false => {
                let title = shorten(&title, style.width, style.signs().ellipsis);
                vec![style.paint(Role::Strong, &title), place]
            }
        };
        // Where there are more calls than columns, some have no mark of their own.
        let marks = self.length().min(style.width);
        let at = |mark: usize| mark * self.length() / marks.max(1);
        let timeline = (0..marks).filter_map(|mark| {
            let made = self.calls.get(at(mark))?;
            let signs = style.signs();
            Some(style.paint(role(made.call.actor), if at(mark) < count { signs.own } else { signs.open }))
        });
        first.into_iter().chain([timeline.collect(), String::new()]).collect()
    }

    /// The last call: its arguments and its result, why it was made and where.
    fn call(&self, style: &Style, count: usize) -> Vec<String> {
        let made = count.checked_sub(1).and_then(|at| self.calls.get(at));
        let mut lines = Vec::new();
        match made {
            Some(Made { call, .. }) => {
                let args = call.brief.clone().unwrap_or_else(|| call.args.join(", "));
                let head = format!("{}({args}) = {}", call.name, call.result);
                let head = shorten(&head, ARGUMENTS * style.width.saturating_sub(8), style.signs().ellipsis);
                lines.extend(filled(prose::lines(style, role(call.actor), &head, style.width), ARGUMENTS));
                let source = shorten(&call.source, style.width, style.signs().ellipsis);
                lines.push(style.paint(Role::Dim, &source));
                lines.extend(filled(prose::lines(style, Role::Plain, &call.why, style.width), WHY));
            }
            None => {
                lines.push(self.words.say("play-before").to_owned());
                lines = filled(lines, ARGUMENTS + WHY + 1);
            }
        }
        lines.push(String::new());
        lines
    }

    /// Both sides, one beside the other or, where it is narrow, one below the other.
    fn sides(&self, style: &Style, scene: &Scene, room: usize) -> Vec<String> {
        let sides = [Actor::Host, Actor::Container];
        if style.width >= WIDE {
            let columns = (style.width - 2) / 2;
            let [host, container] = sides.map(|side| self.side(style, scene, side, columns, room));
            let empty = String::new();
            let beside = (0..host.len().max(container.len())).map(|n| {
                let [left, right] = [&host, &container].map(|lines| lines.get(n).unwrap_or(&empty));
                format!("{}  {right}", pad(left, columns))
            });
            return beside.collect();
        }
        // Who has less leaves the rest to the other.
        let rows = sides.map(|side| self.rows(scene.side(side), style).len() + 1);
        let [host, _] = rows;
        let first = host.min((room / 2).max(room.saturating_sub(rows.iter().skip(1).sum())));
        let [above, below] = [(Actor::Host, first), (Actor::Container, room.saturating_sub(first))]
            .map(|(side, room)| self.side(style, scene, side, style.width, room));
        [above, below].concat()
    }

    /// One side in so many columns and at most so many lines.
    fn side(&self, style: &Style, scene: &Scene, side: Actor, columns: usize, room: usize) -> Vec<String> {
        let (name, bar) = match side {
            Actor::Host => (self.labels.host, style.signs().host.down),
            Actor::Container => (self.labels.container, style.signs().container.down),
        };
        let bar = style.paint(role(side), bar);
        let mut lines = vec![format!("{bar} {}", style.paint(role(side), name))];
        let shown = fitting(self.rows(scene.side(side), style), room.saturating_sub(1), style);
        lines.extend(shown.into_iter().map(|(text, is_new)| {
            let text = shorten(&text, columns.saturating_sub(4), style.signs().ellipsis);
            let sign = if is_new { style.paint(Role::Good, style.signs().own) } else { " ".into() };
            let text = if is_new { style.paint(Role::Good, &text) } else { text };
            format!("{bar} {sign} {text}")
        }));
        lines.truncate(room);
        lines
    }

    /// The things of one side, each kind below its name.
    fn rows(&self, things: &[Thing], style: &Style) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut kind = "";
        for thing in things {
            if thing.kind != kind {
                kind = &thing.kind;
                let known = KINDS.iter().find(|(known, _)| *known == kind);
                let title = known.map_or(kind, |(_, key)| self.words.say(key));
                rows.push((style.paint(Role::Dim, title), false));
            }
            // That a directory is one, and what is said twice.
            let says_nothing = thing.value == thing.name || thing.value == "directory";
            let value = if says_nothing { "" } else { &thing.value };
            let text = match thing.kind.as_str() {
                // The PID is its value's first number, and what a program is called is of no interest.
                "process" | "program" => format!("  {value}"),
                // Of which link and table it is one is the kernel's number for that.
                "address" | "route" => {
                    let (name, _) = thing.name.split_once(" dev ").unwrap_or((&thing.name, ""));
                    format!("  {name}  {value}")
                }
                _ => format!("  {}  {value}", thing.name),
            };
            rows.push((text.trim_end().to_owned(), thing.is_new));
        }
        rows
    }
}

fn role(actor: Actor) -> Role {
    match actor {
        Actor::Host => Role::Host,
        Actor::Container => Role::Container,
    }
}

/// So many lines, whether there are fewer or more.
fn filled(mut lines: Vec<String>, count: usize) -> Vec<String> {
    lines.resize(count, String::new());
    lines
}

/// As many rows as there is room for, with what has changed among them, and how many there are above and below.
fn fitting(rows: Vec<Row>, room: usize, style: &Style) -> Vec<Row> {
    if rows.len() <= room || room < 3 {
        return rows.into_iter().take(room).collect();
    }
    let all = rows.len();
    let changed = rows.iter().position(|(_, is_new)| *is_new).unwrap_or(0);
    let top = changed.saturating_sub(room / 3).min(all - room);
    let mut shown: Vec<Row> = rows.into_iter().skip(top).take(room).collect();
    let more =
        |count: usize| (style.paint(Role::Dim, &format!("{} +{count}", style.signs().ellipsis)), false);
    if top > 0
        && let Some(first) = shown.first_mut()
    {
        *first = more(top + 1);
    }
    if top + room < all
        && let Some(last) = shown.last_mut()
    {
        *last = more(all - top - room + 1);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_changed_is_among_the_rows_that_fit() {
        let rows = |changed: usize| -> Vec<Row> { (0..20).map(|n| (format!("{n}"), n == changed)).collect() };
        for changed in 0..20 {
            for room in 3..25 {
                let shown = fitting(rows(changed), room, &Style::default());
                assert_eq!(shown.len(), room.min(20));
                assert!(shown.contains(&(changed.to_string(), true)), "{changed} in {room}: {shown:?}");
            }
        }
        assert_eq!(fitting(rows(10), 5, &Style::default())[0].0, "… +10");
    }
}
