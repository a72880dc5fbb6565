//! Sentences of a lesson, broken into lines and painted.

use super::style::{Role, Style};
use super::wrap;

/// The longest line of prose that is pleasant to read, in columns.
const LONGEST: usize = 76;

/// The lines of a paragraph of at most `to` columns. The text is painted as `role`, code in it plainly.
pub fn lines(style: &Style, role: Role, text: &str, to: usize) -> Vec<String> {
    let text = if style.unicode { text.to_string() } else { typewritten(text) };
    if text.is_empty() {
        return Vec::new();
    }
    let mut in_code = false;
    let lines = wrap::prose(&text, to.min(LONGEST));
    lines.iter().map(|line| paint_line(style, role, line, &mut in_code)).collect()
}

/// `in_code` carries over from line to line: code may be broken.
fn paint_line(style: &Style, role: Role, line: &str, in_code: &mut bool) -> String {
    if !style.colour {
        return line.to_string();
    }
    let mut painted = String::new();
    for (place, piece) in line.split('`').enumerate() {
        if place > 0 {
            *in_code = !*in_code;
            painted += &style.paint(Role::Dim, "`");
        }
        painted += &style.paint(if *in_code { Role::Plain } else { role }, piece);
    }
    painted
}

/// A line of shell, its comment dimmed.
pub fn shell(style: &Style, line: &str) -> String {
    let comment = if line.starts_with('#') { Some(0) } else { line.find("  #").or_else(|| line.find(" # ")) };
    match comment {
        Some(at) => format!("{}{}", &line[..at], style.paint(Role::Dim, &line[at..])),
        None => line.to_string(),
    }
}

/// Typographic punctuation as a typewriter has it, for a terminal that shows ASCII only.
fn typewritten(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '…' => plain.push_str("..."),
            '–' | '—' | '−' | '·' => plain.push('-'),
            '‘' | '’' => plain.push('\''),
            '“' | '”' => plain.push('"'),
            '→' => plain.push_str("->"),
            '×' => plain.push('x'),
            '\u{a0}' | '\u{202f}' => plain.push(' '),
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_painted_over_a_line_break() {
        let style = Style { colour: true, ..Style::default() };
        let code = "`unshare --pid --fork --kill-child --mount sh`";
        let lines = lines(&style, Role::Dim, code, 30);
        assert_eq!(lines.len(), 2);
        let tick = "\u{1b}[2m`\u{1b}[0m";
        assert!(lines[0].starts_with(&format!("{tick}unshare")), "{lines:?}");
        assert!(lines[1].ends_with(&format!("sh{tick}")), "{lines:?}");
    }

    #[test]
    fn ascii_has_no_typography() {
        let style = Style { unicode: false, ..Style::default() };
        assert_eq!(lines(&style, Role::Plain, "a – “b” …", 40), ["a - \"b\" ..."]);
    }

    #[test]
    fn only_comments_of_shell_lines_are_dimmed() {
        let style = Style { colour: true, ..Style::default() };
        assert_eq!(shell(&style, "echo $#"), "echo $#");
        assert_eq!(shell(&style, "wait  # all"), "wait\u{1b}[2m  # all\u{1b}[0m");
    }
}
