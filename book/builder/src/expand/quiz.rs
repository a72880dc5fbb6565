//! Questions: a task list under a heading, with one `[x]`, and what is said after it.
//!
//! The page does not say in plain sight which choice is right: it holds a sum over the question's name and the
//! right choice, and `theme/pages.js` makes the same sum over the choice that was taken. Without a script the
//! answer is in a fold.

use anyhow::{Context, Result, ensure};
use pulldown_cmark::{Options, Parser, html};

use super::{Page, terminal::escaped};

/// The page with every task list made into a question.
pub fn ask(page: &Page, text: &str) -> Result<String> {
    let mut out = String::new();
    let mut heading = "";
    let mut lines = text.lines().peekable();
    let mut fenced = false;
    while let Some(line) = lines.next() {
        fenced ^= line.starts_with("```");
        if let Some(id) = heading_id(line).filter(|_| !fenced) {
            heading = id;
        }
        if fenced || choice(line).is_none() {
            out.push_str(line);
            out.push('\n');
            continue;
        }
        let mut choices = vec![line];
        while let Some(line) = lines.next_if(|line| choice(line).is_some()) {
            choices.push(line);
        }
        let mut why = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with('#') && !line.starts_with("<details")) {
            why.push(line);
        }
        let question = question(page, heading, &choices, why.join("\n").trim());
        out.push_str(&question.with_context(|| format!("the question {heading}"))?);
    }
    Ok(out)
}

/// The id of a heading `## Title {#id}`.
pub fn heading_id(line: &str) -> Option<&str> {
    if !line.starts_with('#') {
        return None;
    }
    line.rsplit_once("{#")?.1.strip_suffix('}')
}

/// What a line of a task list says, and whether it is the right choice.
fn choice(line: &str) -> Option<(bool, &str)> {
    let right = line.strip_prefix("- [x] ").map(|text| (true, text));
    right.or_else(|| line.strip_prefix("- [ ] ").map(|text| (false, text)))
}

fn question(page: &Page, heading: &str, choices: &[&str], why: &str) -> Result<String> {
    let choices: Vec<_> = choices.iter().filter_map(|line| choice(line)).collect();
    let right: Vec<_> = (0..choices.len()).filter(|n| choices[*n].0).collect();
    ensure!(right.len() == 1, "{} choices are marked as right", right.len());
    let name = format!("{}-{heading}", page.path.with_extension("").display().to_string().replace('/', "-"));
    let key = sum(&format!("{name}/{}", right[0]));
    let mut out = format!(
        "<div class=\"quiz\" data-key=\"{key:08x}\">\n<div role=\"radiogroup\" aria-labelledby=\"{heading}\">\n"
    );
    for (n, (_, text)) in choices.iter().enumerate() {
        let label = inline(text);
        out.push_str(&format!(
            "<label><input type=\"radio\" name=\"{name}\" value=\"{n}\"> <span>{label}</span></label>\n"
        ));
    }
    let words = &page.edition.words;
    let answer = inline(choices[right[0]].1);
    out.push_str(&format!(
        "</div>\n<p class=\"verdict\" role=\"status\"></p>\n<details class=\"why\"><summary>{}</summary>\n<p class=\"right\">{answer}</p>\n\n{why}\n\n</details>\n</div>\n\n",
        escaped(&words.answer)
    ));
    Ok(out)
}

/// Markdown within a line as HTML.
fn inline(text: &str) -> String {
    let mut out = String::new();
    html::push_html(&mut out, Parser::new_ext(text, Options::empty()));
    out.trim().trim_start_matches("<p>").trim_end_matches("</p>").to_owned()
}

/// FNV-1a, 32 bits: short enough to be written a second time in `theme/pages.js`. It hides, it does not protect.
fn sum(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_fnv_1a() {
        assert_eq!(sum(""), 0x811c_9dc5);
        assert_eq!(sum("a"), 0xe40c_292c);
        assert_eq!(sum("foobar"), 0xbf9c_f968);
    }

    #[test]
    fn a_heading_has_its_id_at_its_end() {
        assert_eq!(heading_id("### Is `a {b}` right? {#quiz-1}"), Some("quiz-1"));
        assert_eq!(heading_id("# comment"), None);
        assert_eq!(heading_id("text {#id}"), None);
    }
}
