//! Recorded runs as HTML: the colours of the terminal become classes, and wide characters keep their two columns.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use unicode_width::UnicodeWidthChar;

use super::folds;
use crate::book::Edition;

/// One entry of `book/runs.toml`. What a test needs besides is the test's business.
#[derive(Deserialize)]
struct Run {
    #[serde(default)]
    command: Vec<String>,
    typed: Option<String>,
}

/// The run `name` of the program as a page has it. What a step's run says, the step's page says too: there what was seen is
/// left of it, and how it ended, and the whole is in a fold.
pub fn shown(edition: &Edition, name: &str) -> Result<String> {
    let whole = recorded(edition, name)?;
    let (run, command) = find(edition, name)?;
    let [verb, step] = run.command.as_slice() else { return Ok(whole) };
    if verb != "step" {
        return Ok(whole);
    }
    let text = excerpt(&read(&edition.path("runs").join(name).with_extension("txt"))?)?;
    // The page may offer to run it (theme/run.js).
    let seen = block(&(command + &to_html(&text)?));
    let seen = seen.replacen("<pre ", &format!("<pre data-step=\"{}\" ", escaped(step)), 1);
    Ok(seen + &folds::fold("whole-run", &escaped(&edition.words.fold.run), whole.trim()))
}

/// The run `name` of the program, with its command above it.
pub fn recorded(edition: &Edition, name: &str) -> Result<String> {
    let text = read(&edition.path("runs").join(name).with_extension("txt"))?;
    let (_, command) = find(edition, name)?;
    Ok(block(&(command + &to_html(&text)?)))
}

/// What `book/runs.toml` says of a run, and the line with its command.
fn find(edition: &Edition, name: &str) -> Result<(Run, String)> {
    let runs = edition.repository.book().join("runs.toml");
    let mut runs: BTreeMap<String, Run> = toml::from_str(&fs::read_to_string(&runs)?)?;
    let run = runs.remove(name).with_context(|| format!("book/runs.toml has no run {name}"))?;
    let typed = run.typed.clone().unwrap_or_else(|| format!("workshop {}", run.command.join(" ")));
    let command = format!(" <span class=\"dim\">$ {}</span>\n", escaped(&typed));
    Ok((run, command))
}

/// Of a step's run the same questions asked outside and inside, and its last line. A dot stands where lines are left out.
fn excerpt(run: &str) -> Result<String> {
    let parts: Vec<_> = run.trim_matches('\n').split("\n\n").collect();
    let at = parts.iter().position(|part| is_facts(part)).context("the run shows no two sides")?;
    let last = parts.last().context("an empty run")?;
    Ok(format!(" \u{1b}[2m⋮\u{1b}[0m\n{}\n \u{1b}[2m⋮\u{1b}[0m\n{last}\n", parts[at]))
}

/// Whether a paragraph is the table of what was seen: its head names the host's side and the other, in their colours.
fn is_facts(part: &str) -> bool {
    let head = part.lines().next().unwrap_or_default();
    let sides = head.trim_start().strip_prefix("\u{1b}[94m").and_then(|rest| rest.split_once("\u{1b}[0m"));
    sides.is_some_and(|(outside, inside)| {
        !outside.contains(['│', '┌'])
            && inside.trim_start().starts_with("\u{1b}[3")
            && inside.starts_with("  ")
    })
}

/// What commands printed, with words above it.
pub fn printed(edition: &Edition, output: &str) -> Result<String> {
    Ok(format!("<p class=\"output\">{}</p>\n\n{}", edition.words.output, block(&to_html(output)?)))
}

fn read(file: &std::path::Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("read {}", file.display()))
}

/// It scrolls in itself, so the keyboard must reach it. mdBook's highlighter takes `code`, so this is `samp`.
fn block(html: &str) -> String {
    format!("<pre class=\"run\" tabindex=\"0\"><samp>{}</samp></pre>\n", html.trim_end())
}

/// Text with escape sequences for colours (ECMA-48, "SGR") as HTML with classes.
fn to_html(text: &str) -> Result<String> {
    let mut html = String::new();
    let mut open = false;
    let mut rest = text;
    while let Some(at) = rest.find("\u{1b}[") {
        push_text(&mut html, &rest[..at]);
        let (codes, after) =
            rest[at + 2..].split_once('m').context("an escape sequence that sets no colour")?;
        if open {
            html.push_str("</span>");
        }
        let classes =
            codes.split(';').filter_map(|code| class(code).transpose()).collect::<Result<Vec<_>>>()?;
        open = !classes.is_empty();
        if open {
            html.push_str(&format!("<span class=\"{}\">", classes.join(" ")));
        }
        rest = after;
    }
    push_text(&mut html, rest);
    Ok(if open { html + "</span>" } else { html })
}

/// What the program paints in this colour (`src/render/style.rs`).
fn class(code: &str) -> Result<Option<&'static str>> {
    Ok(Some(match code {
        "0" | "" => return Ok(None),
        "1" => "strong",
        "2" => "dim",
        "31" => "bad",
        "32" => "good",
        "33" => "guest",
        "35" => "container",
        "94" => "host",
        _ => bail!("the program has no colour {code}"),
    }))
}

/// In most fonts a Hangul letter is not exactly two columns wide, and frames would be broken.
fn push_text(html: &mut String, text: &str) {
    for letter in text.chars() {
        if letter.width() == Some(2) {
            html.push_str(&format!("<i>{letter}</i>"));
        } else {
            html.push_str(&escaped(letter.encode_utf8(&mut [0; 4])));
        }
    }
}

pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_run_the_two_sides_and_the_end_are_left() {
        let facts = "      \u{1b}[94moutside\u{1b}[0m   \u{1b}[35minside\u{1b}[0m\n ps   142   2";
        let run = format!(
            " Title\n\n \u{1b}[94mhost\u{1b}[0m      \u{1b}[94m│\u{1b}[0m 1\n\n{facts}\n\n ✓ a\n\n 1 passed\n"
        );
        let dot = " \u{1b}[2m⋮\u{1b}[0m";
        assert_eq!(excerpt(&run).expect("facts"), format!("{dot}\n{facts}\n{dot}\n 1 passed\n"));
        assert!(excerpt(" Title\n\n ✓ a\n").is_err());
    }

    #[test]
    fn colours_become_classes_and_wide_letters_get_a_box() {
        let html = to_html("\u{1b}[94mhost\u{1b}[0m <a> \u{1b}[1;32m✓\u{1b}[0m 밖").expect("colours");
        assert_eq!(
            html,
            "<span class=\"host\">host</span> &lt;a&gt; <span class=\"strong good\">✓</span> <i>밖</i>"
        );
        assert!(to_html("\u{1b}[99mx").is_err());
    }
}
