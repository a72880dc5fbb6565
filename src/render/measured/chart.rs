//! A comparison in the terminal.

use super::super::prose;
use super::super::style::{Role, Style};
use super::super::table::{self, Cell};
use super::super::wrap::{pad, pad_left, width};
use super::figures::{amount, facts, figure, host, notes, range, stage, subject, times, title};
use compare::{Comparison, Figure, Kind, Measured, Unit};
use course::words::Words;

/// Columns of the figures behind a bar: median, range, and how many times the process's.
const MEDIAN: usize = 10;
const RANGE: usize = 14;
const TIMES: usize = 8;

/// Columns for what happens in a stage, or on a narrow terminal for its bare name.
const STAGE: usize = 34;
const STAGE_NAME: usize = 12;
/// Below this there is no room for more than what must be there.
const NARROW: usize = 66;

/// All of a comparison: what it was measured on, then figure by figure.
pub fn lines(style: &Style, comparison: &Comparison) -> Vec<String> {
    let chart = Chart { style, words: Words::of(style.lang), comparison };
    let mut lines = chart.paragraph(Role::Strong, &title(chart.words, comparison));
    lines.push(String::new());
    lines.extend(chart.head());
    for figure in Figure::ALL {
        lines.push(String::new());
        lines.extend(chart.figure(figure));
        if figure == Figure::First {
            lines.push(String::new());
            lines.extend(chart.stages());
        }
    }
    lines.push(String::new());
    lines.extend(chart.paragraph(Role::Dim, chart.words.say("compare-times")));
    for note in notes(chart.words, comparison) {
        lines.push(String::new());
        lines.extend(chart.paragraph(Role::Dim, &note));
    }
    lines
}

struct Chart<'c> {
    style: &'c Style,
    words: &'c Words,
    comparison: &'c Comparison,
}

impl Chart<'_> {
    fn paragraph(&self, role: Role, text: &str) -> Vec<String> {
        let lines = prose::lines(self.style, role, text, self.style.width.saturating_sub(2));
        lines.into_iter().map(|line| format!(" {line}")).collect()
    }

    /// The machine, and what each subject is like.
    fn head(&self) -> Vec<String> {
        let cell = |role, text: &str| (role, text.to_owned());
        let rows: Vec<Vec<Cell>> = host(self.words, self.comparison)
            .iter()
            .map(|[label, value]| vec![cell(Role::Dim, label), cell(Role::Plain, value)])
            .collect();
        let mut lines = table::lines(self.style, &rows, &[]);
        lines.push(String::new());
        let kinds = self.comparison.kinds().into_iter();
        let names = kinds.map(|kind| (role(kind), subject(self.words, kind).to_owned()));
        let mut rows = vec![std::iter::once(cell(Role::Plain, "")).chain(names).collect()];
        for row in facts(self.words, self.comparison) {
            let roles = std::iter::once(Role::Strong).chain(std::iter::repeat(Role::Plain));
            rows.push(roles.zip(row).collect());
        }
        lines.extend(table::lines(self.style, &rows, &[]));
        lines
    }

    /// One figure: a bar for each subject, all to the same scale.
    fn figure(&self, wanted: Figure) -> Vec<String> {
        let (name, how) = figure(self.words, wanted);
        let mut lines = self.paragraph(Role::Strong, name);
        lines.extend(self.paragraph(Role::Dim, how));
        let medians = self.comparison.subjects.iter().filter_map(|m| Some(m.figure(wanted)?.median));
        let most = medians.fold(0.0, f64::max);
        for measured in &self.comparison.subjects {
            let Some(spread) = measured.figure(wanted) else { continue };
            let label = pad(subject(self.words, measured.kind), self.label());
            let mut behind = pad_left(&self.plain(&amount(spread.median, wanted.unit())), MEDIAN);
            if self.style.width >= NARROW {
                let range = self.plain(&range(spread, wanted.unit()));
                behind += &self.style.paint(Role::Dim, &pad_left(&range, RANGE));
            }
            behind += &pad_left(&self.plain(&times(self.comparison, measured.kind, wanted)), TIMES);
            let room = self.style.width.saturating_sub(4 + width(&label) + width(&behind)).max(4);
            let bar = self.bar(measured.kind, part(spread.median, most), room);
            lines.push(format!("   {label}{bar}{behind}").trim_end().to_owned());
        }
        lines
    }

    /// Where the time to the first byte went: each subject to its own scale.
    fn stages(&self) -> Vec<String> {
        let mut lines = self.paragraph(Role::Strong, self.words.say("compare-stages"));
        lines.extend(self.paragraph(Role::Dim, self.words.say("compare-stages-how")));
        for measured in &self.comparison.subjects {
            lines.extend(self.stages_of(measured));
        }
        lines
    }

    fn stages_of(&self, measured: &Measured) -> Vec<String> {
        let most = measured.stages.iter().map(|(_, spread)| spread.median).fold(0.0, f64::max);
        let names = std::iter::once(subject(self.words, measured.kind)).chain(std::iter::repeat(""));
        let rows = names.zip(&measured.stages).map(|(name, (stage_name, spread))| {
            let label = pad(name, self.label());
            let what = match self.style.width {
                ..NARROW => pad(stage_name, STAGE_NAME),
                _ => pad(stage(self.words, stage_name), STAGE),
            };
            let behind = pad_left(&self.plain(&amount(spread.median, Unit::Seconds)), MEDIAN);
            let room = self.style.width.saturating_sub(4 + width(&label) + width(&what) + width(&behind));
            let bar = self.bar(measured.kind, part(spread.median, most), room.max(4));
            format!("   {label}{what}{bar}{behind}")
        });
        rows.collect()
    }

    /// Columns of the subjects' names.
    fn label(&self) -> usize {
        Kind::ALL.map(|kind| width(subject(self.words, kind))).into_iter().max().unwrap_or(0) + 2
    }

    /// A bar that fills `part` (0 to 1) of `room` columns, with spaces behind it. It is drawn in eighths of a
    /// column where the terminal can, and never vanishes.
    fn bar(&self, kind: Kind, part: f64, room: usize) -> String {
        const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
        let filled = if self.style.unicode {
            let eighths = ((part * room as f64 * 8.0).round() as usize).max(1);
            "█".repeat(eighths / 8) + EIGHTHS.get(eighths % EIGHTHS.len()).copied().unwrap_or_default()
        } else {
            "#".repeat(((part * room as f64).round() as usize).max(1))
        };
        let filled_room = width(&filled);
        format!("{}{}", self.style.paint(role(kind), &filled), " ".repeat(room.saturating_sub(filled_room)))
    }

    /// Without what an ASCII terminal can't show.
    fn plain(&self, text: &str) -> String {
        if self.style.unicode {
            text.to_owned()
        } else {
            text.replace('µ', "u").replace('×', "x").replace('–', "-")
        }
    }
}

/// How much of the longest bar a value gets.
fn part(value: f64, most: f64) -> f64 {
    if most > 0.0 { value / most } else { 0.0 }
}

fn role(kind: Kind) -> Role {
    match kind {
        Kind::Process => Role::Host,
        Kind::Container => Role::Container,
        Kind::Vm => Role::Strong,
    }
}
