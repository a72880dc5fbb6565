//! What of a lesson is reference stands in a fold: a step's page is a story that is understood with every fold closed.
//!
//! That is the checks, a long script, what Docker does, a long table, and the code of each call.

use super::terminal::escaped;
use crate::words::FoldWords;

/// Lines of a script, and rows of a table, that still stand in the story.
const SHORT_SCRIPT: usize = 12;
const SHORT_TABLE: usize = 6;

/// A section of a lesson as its page has it: the heading, and what is reference below it in a fold.
pub fn told(id: &str, section: &str, words: &FoldWords) -> String {
    let (heading, below) = section.split_once('\n').unwrap_or((section, ""));
    let count = |start: &str| below.lines().filter(|line| line.starts_with(start)).count().to_string();
    // What a fact of the curriculum stands above is taught, and no reference.
    let (below, taught) = below.split_at(below.find("<!-- fact:").unwrap_or(below.len()));
    let title = match id {
        "checks" => words.checks.replace("{n}", &count("### ")),
        "by-hand" => match script(below) {
            lines if lines > SHORT_SCRIPT => words.by_hand.replace("{lines}", &lines.to_string()),
            _ => return section.to_owned(),
        },
        "docker" => words.docker.clone(),
        _ => return format!("{heading}\n{}", tables(&format!("{below}{taught}"), words)),
    };
    format!("{heading}\n{}{taught}", fold("reference", &escaped(&title), below.trim()))
}

/// A call's code.
pub fn code(path: &str, text: &str, words: &FoldWords) -> String {
    let title = escaped(&words.code).replace("{lines}", &text.lines().count().to_string());
    let title = title.replace("{path}", &format!("<code>{}</code>", escaped(path)));
    fold("code", &title, &format!("```rust\n{text}\n```"))
}

/// A fold whose title is HTML. Blank lines around what is in it let that be Markdown.
pub fn fold(class: &str, title: &str, inside: &str) -> String {
    format!("\n<details class=\"{class}\"><summary>{title}</summary>\n\n{inside}\n\n</details>\n\n")
}

/// The lines of the first block of commands.
fn script(text: &str) -> usize {
    text.lines()
        .skip_while(|line| !line.starts_with("```sh"))
        .skip(1)
        .take_while(|l| !l.starts_with("```"))
        .count()
}

/// The text with each long table in a fold.
fn tables(text: &str, words: &FoldWords) -> String {
    let mut out = String::new();
    let mut table = Vec::new();
    for line in text.lines().chain([""]) {
        if line.starts_with('|') {
            table.push(line);
            continue;
        }
        // Its head and the line below that are no rows.
        let rows = table.len().saturating_sub(2);
        match std::mem::take(&mut table) {
            lines if rows > SHORT_TABLE => {
                let title = escaped(&words.table.replace("{rows}", &rows.to_string()));
                out += &fold("reference", &title, &lines.join("\n"));
            }
            lines => lines.iter().for_each(|line| out += &format!("{line}\n")),
        }
        out += line;
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> FoldWords {
        let [checks, by_hand, docker] = ["{n} checks", "{lines} lines", "Docker"].map(String::from);
        let [table, code, run] = ["{rows} rows", "{path}, {lines}", "The run"].map(String::from);
        FoldWords { checks, by_hand, docker, table, code, run }
    }

    #[test]
    fn what_is_reference_is_in_a_fold_below_its_heading() {
        let checks = "## Checks {#checks}\n\n### A {#check-a}\n\nIf not.\n\n### B {#check-b}\n\nIf not.\n";
        let shown = told("checks", checks, &words());
        let start =
            "## Checks {#checks}\n\n<details class=\"reference\"><summary>2 checks</summary>\n\n### A";
        assert!(shown.starts_with(start), "{shown}");
        assert!(shown.ends_with("If not.\n\n</details>\n\n"), "{shown}");
        assert!(told("docker", "## D {#docker}\n\n`docker run`\n", &words()).contains("<summary>Docker<"));
        let taught = told("docker", "## D {#docker}\n\n`--opt`\n\n<!-- fact: V1 -->\n\nSo.\n", &words());
        assert!(taught.contains("`--opt`\n\n</details>\n\n<!-- fact: V1 -->\n\nSo.\n"), "{taught}");
        assert_eq!(told("open", "## O {#open}\n\nOpen.\n", &words()).trim(), "## O {#open}\n\nOpen.");
    }

    #[test]
    fn a_short_script_and_a_short_table_stay_in_the_story() {
        let by_hand = |lines| format!("## H {{#by-hand}}\n\n```sh\n{}```\n", "true\n".repeat(lines));
        assert_eq!(told("by-hand", &by_hand(SHORT_SCRIPT), &words()), by_hand(SHORT_SCRIPT));
        assert!(told("by-hand", &by_hand(SHORT_SCRIPT + 1), &words()).contains("<summary>13 lines<"));
        let table = |rows| format!("## F {{#files}}\n\n| a |\n|---|\n{}\nAfter.\n", "| b |\n".repeat(rows));
        assert!(!told("files", &table(SHORT_TABLE), &words()).contains("<details"));
        assert!(told("files", &table(SHORT_TABLE + 1), &words()).contains("<summary>7 rows<"));
    }
}
