//! A comparison as Markdown, for the book and for an issue.

use super::figures::{amount, facts, figure, host, notes, range, stage, subject};
use compare::{Comparison, Figure, Kind, Spread, Unit};
use course::words::Words;

/// The machine, the figures, the stages and what has to be known to read them.
pub fn markdown(words: &Words, comparison: &Comparison) -> String {
    let mut text = String::new();
    for [label, value] in host(words, comparison) {
        text += &format!("- {label}: {value}\n");
    }
    text += "\n";
    text += &table(words, &comparison.kinds(), &figures(words, comparison));
    text += &format!("\n{}\n\n", words.say("compare-stages"));
    text += &stages(words, comparison);
    for note in notes(words, comparison) {
        text += &format!("\n{note}\n");
    }
    text
}

/// One row for each figure and fact, with a column for each subject.
fn figures(words: &Words, comparison: &Comparison) -> Vec<Vec<String>> {
    let row = |wanted: Figure| {
        let cells = comparison.kinds().into_iter().map(|kind| {
            let spread = comparison.subject(kind).and_then(|measured| measured.figure(wanted));
            spread.map_or_else(|| "–".into(), |spread| cell(spread, wanted.unit()))
        });
        std::iter::once(figure(words, wanted).0.to_owned()).chain(cells).collect()
    };
    Figure::ALL.into_iter().map(row).chain(facts(words, comparison)).collect()
}

/// `1.20 ms (1.15–1.30)`.
fn cell(spread: &Spread, unit: Unit) -> String {
    let range = range(spread, unit);
    let behind = if range.is_empty() { range } else { format!(" ({range})") };
    amount(spread.median, unit) + &behind
}

fn table(words: &Words, kinds: &[Kind], rows: &[Vec<String>]) -> String {
    let names = kinds.iter().map(|kind| subject(words, *kind));
    let head = format!("| | {} |\n", names.collect::<Vec<_>>().join(" | "));
    let rule = format!("|---|{}\n", "---:|".repeat(kinds.len()));
    let rows = rows.iter().map(|row| format!("| {} |\n", row.join(" | ")));
    head + &rule + &rows.collect::<String>()
}

fn stages(words: &Words, comparison: &Comparison) -> String {
    let mut text = String::new();
    for measured in &comparison.subjects {
        let stages = measured
            .stages
            .iter()
            .map(|(name, spread)| format!("{} {}", stage(words, name), cell(spread, Unit::Seconds)));
        let stages: Vec<_> = stages.collect();
        text += &format!("- {}: {}\n", subject(words, measured.kind), stages.join("; "));
    }
    text
}
