//! Parts of source files. The markers are mdBook's own: `ANCHOR: NAME` and `ANCHOR_END: NAME` in comments.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// `PATH` or `PATH:ANCHOR`, the path from `folder` on.
pub fn include(folder: &Path, what: &str) -> Result<String> {
    let (path, anchor) = match what.split_once(':') {
        Some((path, anchor)) => (path, Some(anchor)),
        None => (what, None),
    };
    let file = folder.join(path);
    let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
    match anchor {
        Some(anchor) => part(&text, anchor).with_context(|| format!("{path} has no anchor {anchor}")),
        None if path.ends_with(".snap") => Ok(snapshot(&text).to_owned()),
        None => Ok(without_markers(text.lines())),
    }
}

/// What a test has found, without the head that insta keeps above it between two lines of dashes.
fn snapshot(text: &str) -> &str {
    let content = text.strip_prefix("---\n").and_then(|rest| rest.split_once("\n---\n"));
    content.map_or(text, |(_, content)| content).trim_end()
}

/// The lines between the markers, moved to the left margin.
pub fn part(text: &str, anchor: &str) -> Result<String> {
    let mut inside =
        text.lines().skip_while(|line| marker(line) != Some(Marker::Start(anchor))).skip(1).peekable();
    if inside.peek().is_none() {
        bail!("no ANCHOR: {anchor}");
    }
    let lines: Vec<_> = inside.take_while(|line| marker(line) != Some(Marker::End(anchor))).collect();
    let indents =
        lines.iter().filter(|line| !line.trim().is_empty()).map(|line| line.len() - line.trim_start().len());
    let margin = indents.min().unwrap_or(0);
    Ok(without_markers(lines.into_iter().map(|line| line.get(margin..).unwrap_or(""))))
}

/// The names of the parts that a text is marked with, in order.
pub fn anchors(text: &str) -> Vec<&str> {
    let start = |line| if let Some(Marker::Start(name)) = marker(line) { Some(name) } else { None };
    text.lines().filter_map(start).collect()
}

#[derive(PartialEq)]
enum Marker<'a> {
    Start(&'a str),
    End(&'a str),
}

fn marker(line: &str) -> Option<Marker<'_>> {
    let name = |rest: &'_ str| rest.split_whitespace().next().map(str::len);
    if let Some((_, rest)) = line.split_once("ANCHOR_END:") {
        let rest = rest.trim_start();
        return name(rest).map(|length| Marker::End(&rest[..length]));
    }
    let (_, rest) = line.split_once("ANCHOR:")?;
    let rest = rest.trim_start();
    name(rest).map(|length| Marker::Start(&rest[..length]))
}

fn without_markers<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    lines.filter(|line| marker(line).is_none()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a\n    // ANCHOR: one\n    fn one() {\n        // ANCHOR: two\n        two()\n        // ANCHOR_END: two\n    }\n    // ANCHOR_END: one\nb";

    #[test]
    fn a_snapshot_is_shown_without_its_head() {
        assert_eq!(snapshot("---\nsource: tests/a.rs\nexpression: x\n---\n0  ok\n1  ---\n"), "0  ok\n1  ---");
        assert_eq!(snapshot("no head\n"), "no head");
    }

    #[test]
    fn a_part_is_cut_by_its_markers_and_moved_to_the_margin() {
        assert_eq!(part(TEXT, "one").expect("one"), "fn one() {\n    two()\n}");
        assert_eq!(part(TEXT, "two").expect("two"), "two()");
        assert!(part(TEXT, "three").is_err());
        assert_eq!(anchors(TEXT), ["one", "two"]);
    }
}
