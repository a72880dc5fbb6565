//! A comparison as a drawing (SVG 1.1) that is readable on a light and on a dark page.

use super::figures::{accelerator, amount, figure, range, subject, times, title};
use compare::{Comparison, Figure, Kind, Spread};
use course::language::Lang;
use course::words::Words;

/// Measures of the drawing, in its own units, which are pixels unless the page scales it.
const WIDTH: usize = 760;
const MARGIN: usize = 20;
const HEAD: usize = 66;
const PANEL: usize = WIDTH / 2;
const ROW: usize = 24;
/// A panel's height without its rows.
const PANEL_HEAD: usize = 44;
/// Where a bar begins in its panel, and how long the longest is.
const BAR: usize = 84;
const LONGEST: f64 = 130.0;

/// Colours of paper, ink, faint ink, process, container and virtual machine. The drawing has paper of its own: a
/// page may be dark for other reasons than the reader's system being so.
const STYLE: &str = "\
.wc{--paper:#fff;--ink:#1f2328;--faint:#59636e;--process:#0969da;--container:#8250df;--vm:#bc4c00}\
@media(prefers-color-scheme:dark){.wc{--paper:#0d1117;--ink:#e6edf3;--faint:#9198a1;--process:#4493f8;\
--container:#ab7df8;--vm:#f0883e}}\
.wc text{font-family:system-ui,'Noto Sans KR','Apple SD Gothic Neo',sans-serif;font-size:13px;fill:var(--ink)}\
.wc .title{font-size:16px;font-weight:600}.wc .name{font-weight:600}.wc .faint{fill:var(--faint);font-size:12px}\
.wc .paper{fill:var(--paper)}.wc .process{fill:var(--process)}.wc .container{fill:var(--container)}\
.wc .vm{fill:var(--vm)}.wc .range{stroke:var(--ink);stroke-width:1.5}";

/// The whole drawing.
pub fn svg(words: &Words, lang: Lang, comparison: &Comparison) -> String {
    let panel_height = PANEL_HEAD + comparison.kinds().len() * ROW;
    let height = HEAD + Figure::ALL.len().div_ceil(2) * panel_height + MARGIN / 2;
    let title = escaped(&title(words, comparison));
    let machine = escaped(&machine(words, comparison));
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"wc\" lang=\"{}\" role=\"img\" \
         aria-labelledby=\"wc-title wc-desc\" viewBox=\"0 0 {WIDTH} {height}\">\n\
         <title id=\"wc-title\">{title}</title>\n<desc id=\"wc-desc\">{}</desc>\n<style>{STYLE}</style>\n\
         <rect class=\"paper\" width=\"{WIDTH}\" height=\"{height}\" rx=\"8\"/>\n\
         <text class=\"title\" x=\"{MARGIN}\" y=\"30\">{title}</text>\n\
         <text class=\"faint\" x=\"{MARGIN}\" y=\"50\">{machine}</text>\n",
        lang.code(),
        escaped(&description(words, comparison)),
    );
    for (place, figure) in Figure::ALL.into_iter().enumerate() {
        let (x, y) = (place % 2 * PANEL + MARGIN, place / 2 * panel_height + HEAD);
        text += &panel(words, comparison, figure, x, y);
    }
    text + "</svg>\n"
}

/// One figure: its name and a bar for each subject.
fn panel(words: &Words, comparison: &Comparison, wanted: Figure, x: usize, y: usize) -> String {
    let medians = comparison.subjects.iter().filter_map(|m| Some(m.figure(wanted)?.median));
    let most = medians.fold(f64::MIN_POSITIVE, f64::max);
    let name = escaped(figure(words, wanted).0);
    let mut text = format!("<text class=\"name\" x=\"{x}\" y=\"{}\">{name}</text>\n", y + 20);
    for (row, kind) in comparison.kinds().into_iter().enumerate() {
        let line = y + PANEL_HEAD + row * ROW;
        let label = escaped(subject(words, kind));
        text += &format!("<text class=\"faint\" x=\"{x}\" y=\"{line}\">{label}</text>\n");
        let spread = comparison.subject(kind).and_then(|measured| measured.figure(wanted));
        text += &match spread {
            Some(spread) => bar(comparison, wanted, kind, spread, most, (x + BAR, line)),
            None => format!(
                "<text class=\"faint\" x=\"{}\" y=\"{line}\">{}</text>\n",
                x + BAR,
                escaped(words.say("compare-not-measured"))
            ),
        };
    }
    text
}

/// A bar, a thin line from the first to the third quartile on it, and the figures behind it. `(x, y)` is where
/// the line of text that it stands on begins.
fn bar(
    comparison: &Comparison,
    wanted: Figure,
    kind: Kind,
    spread: &Spread,
    most: f64,
    (x, y): (usize, usize),
) -> String {
    let long = |value: f64| (value / most * LONGEST).clamp(1.5, LONGEST * 1.2);
    let (end, middle) = (x as f64 + long(spread.median.max(spread.high)) + 6.0, y as f64 - 4.5);
    let mut text = format!(
        "<rect class=\"{}\" x=\"{x}\" y=\"{}\" width=\"{:.1}\" height=\"13\" rx=\"1.5\"/>\n",
        kind.name(),
        y - 11,
        long(spread.median)
    );
    if !range(spread, wanted.unit()).is_empty() && long(spread.high) - long(spread.low) >= 1.0 {
        let (from, to) = (x as f64 + long(spread.low), x as f64 + long(spread.high));
        text += &format!(
            "<line class=\"range\" x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"{middle}\" y2=\"{middle}\"/>\n"
        );
    }
    let value = [amount(spread.median, wanted.unit()), times(comparison, kind, wanted)];
    let value = escaped(value.join("  ").trim_end());
    text + &format!("<text x=\"{end:.1}\" y=\"{y}\">{value}</text>\n")
}

/// Processor and kernel, and how the virtual machine ran.
fn machine(words: &Words, comparison: &Comparison) -> String {
    let mut parts = vec![comparison.host.cpu.clone(), comparison.host.kernel.clone()];
    parts.extend(accelerator(words, comparison).map(|how| format!("{}: {how}", subject(words, Kind::Vm))));
    parts.join(" · ")
}

/// The same in words, for whoever can't see it.
fn description(words: &Words, comparison: &Comparison) -> String {
    let sentence = |wanted: Figure| {
        let values = comparison.subjects.iter().filter_map(|measured| {
            let spread = measured.figure(wanted)?;
            Some(format!("{} {}", subject(words, measured.kind), amount(spread.median, wanted.unit())))
        });
        format!("{}: {}.", figure(words, wanted).0, values.collect::<Vec<_>>().join(", "))
    };
    Figure::ALL.map(sentence).join(" ")
}

/// Text as XML has it.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
