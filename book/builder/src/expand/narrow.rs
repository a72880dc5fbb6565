//! A figure as it stands on a phone: boxes in boxes, one below the other, from `figures/NAME.narrow`.
//!
//! A drawing of 720 units has letters of 7 pixels there. Text in boxes is broken by the browser, so one description serves
//! every width below that of the drawing:
//!
//! | a line | becomes |
//! |---|---|
//! | `[host dashed] TEXT` | a box with these classes; lines further in are in it |
//! | `row` | what is further in stands side by side; a box that is `wide` has twice its share |
//! | `# TEXT` | a heading |
//! | `v TEXT`, `^ TEXT`, `x TEXT` | an arrow down, up or both ways, with a label |
//! | `> TEXT`, `< TEXT`, `<> TEXT` | the same between two boxes of a row |
//! | <code>&#124; TEXT</code> | a line without a head |
//! | `TEXT` | a caption |
//!
//! In a text ` / ` begins another line, and in a box of the class `split` ` | ` parts what stands left from what stands
//! right. `**bold**`, `` `code` `` and `{host coloured}` are as they look.

use std::sync::LazyLock;

use anyhow::{Result, bail, ensure};
use regex::Regex;

use super::terminal::escaped;

/// Classes that the theme has a look for.
const CLASSES: [&str; 10] =
    ["host", "guest", "container", "good", "bad", "dim", "dashed", "wide", "split", "left"];

/// Signs at the beginning of a line, and what they look like.
const ARROWS: [(&str, &str); 7] =
    [("v", "↓"), ("^", "↑"), ("x", "↕"), (">", "→"), ("<", "←"), ("<>", "↔"), ("|", "│")];

static STRONG: LazyLock<Regex> = LazyLock::new(|| pattern(r"\*\*(.+?)\*\*"));
static CODE: LazyLock<Regex> = LazyLock::new(|| pattern(r"`(.+?)`"));
static COLOUR: LazyLock<Regex> = LazyLock::new(|| pattern(r"\{(\w+) (.*?)\}"));

fn pattern(text: &str) -> Regex {
    #[expect(clippy::unwrap_used, reason = "a constant")]
    Regex::new(text).unwrap()
}

/// The HTML of the description, which the figure's own title and description say to a screen reader.
pub fn html(name: &str, description: &str) -> Result<String> {
    let mut lines = Vec::new();
    for line in description.lines().filter(|line| !line.trim().is_empty()) {
        let text = line.trim_start();
        lines.push(((line.len() - text.len()) / 2, Line::of(text)?));
    }
    let mut rest = lines.as_slice();
    let inside = children(&mut rest, 0);
    ensure!(rest.is_empty(), "a line that stands further in than what it is in");
    Ok(format!(
        "<div class=\"narrow\" role=\"img\" aria-labelledby=\"{name}-title {name}-desc\">\n{inside}</div>\n"
    ))
}

/// Everything at this depth, and what is in it.
fn children(rest: &mut &[(usize, Line)], depth: usize) -> String {
    let mut html = String::new();
    while let Some(((at, line), after)) = rest.split_first() {
        if *at != depth {
            break;
        }
        *rest = after;
        html += &line.html(&children(rest, depth + 1));
    }
    html
}

#[derive(Debug)]
enum Line {
    Box { classes: String, text: String },
    Row,
    Heading(String),
    Arrow { sign: &'static str, label: String },
    Caption(String),
}

impl Line {
    fn of(line: &str) -> Result<Line> {
        if let Some((classes, text)) = line.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            if let Some(unknown) = classes.split_whitespace().find(|class| !CLASSES.contains(class)) {
                bail!("{line}: the theme has no class {unknown}");
            }
            let is_split = classes.split_whitespace().any(|class| class == "split");
            return Ok(Line::Box { classes: classes.into(), text: in_box(text.trim(), is_split) });
        }
        let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
        if let Some((_, sign)) = ARROWS.iter().find(|(known, _)| *known == first) {
            return Ok(Line::Arrow { sign, label: inline(rest.trim()) });
        }
        Ok(match first {
            "#" => Line::Heading(inline(rest)),
            "row" if rest.is_empty() => Line::Row,
            _ => Line::Caption(inline(line)),
        })
    }

    fn html(&self, inside: &str) -> String {
        match self {
            Line::Box { classes, text } => {
                format!(
                    "<div class=\"box {classes}\">{text}{}{inside}</div>\n",
                    if inside.is_empty() { "" } else { "\n" }
                )
            }
            Line::Row => format!("<div class=\"row\">\n{inside}</div>\n"),
            Line::Heading(text) => format!("<div class=\"heading\">{text}</div>\n"),
            // More than one arrow is drawn by the label.
            Line::Arrow { label, .. } if label.starts_with('↓') => {
                format!("<div class=\"arrow\">{label}</div>\n")
            }
            Line::Arrow { sign, label } => format!("<div class=\"arrow\">{sign} {label}</div>\n"),
            Line::Caption(text) => format!("<div class=\"caption\">{text}</div>\n"),
        }
    }
}

fn in_box(text: &str, is_split: bool) -> String {
    match text.split_once(" | ").filter(|_| is_split) {
        Some((left, right)) => format!("<span>{}</span> <span>{}</span>", inline(left), inline(right)),
        None if text.is_empty() => String::new(),
        None => format!("<div>{}</div>", inline(text)),
    }
}

fn inline(text: &str) -> String {
    let text = escaped(text).replace(" / ", "<br>");
    let text = STRONG.replace_all(&text, "<strong>${1}</strong>");
    let text = CODE.replace_all(&text, "<code>${1}</code>");
    COLOUR.replace_all(&text, "<span class=\"${1}\">${2}</span>").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_further_in_is_in_it() {
        let shown =
            html("a", "[host] **h** / i\n  row\n    [] 1\n    > to\n    [] 2\nv\nEnd\n").expect("a figure");
        let expected = "<div class=\"box host\"><div><strong>h</strong><br>i</div>\n<div class=\"row\">\n\
            <div class=\"box \"><div>1</div></div>\n<div class=\"arrow\">→ to</div>\n<div class=\"box \"><div>2</div></div>\n\
            </div>\n</div>\n<div class=\"arrow\">↓ </div>\n<div class=\"caption\">End</div>\n</div>\n";
        assert!(shown.ends_with(expected), "{shown}");
        assert!(html("a", "[]\n    [] too deep\n").is_err());
        assert!(html("a", "[green] x\n").is_err());
    }

    #[test]
    fn a_box_may_have_a_left_and_a_right() {
        let shown = html("a", "[good split] `COPY .` | {dim done}\n").expect("a figure");
        let sides = "<span><code>COPY .</code></span> <span><span class=\"dim\">done</span></span>";
        assert!(shown.contains(sides), "{shown}");
    }
}
