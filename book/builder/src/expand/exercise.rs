//! An exercise of "Your own runtime", cut from `lessons/NN-SLUG/exercise/LANG.md` and `lessons/NN-SLUG/solution`.
//!
//! Hints, causes and solutions are in folds: who wants to find out alone does not read them by accident. A check's
//! heading has the id that `workshop check` links to.

use std::fs;

use anyhow::{Context, Result, bail, ensure};
use similar::TextDiff;

use super::commands;
use super::lesson::section;
use super::quiz::heading_id;
use super::terminal::escaped;
use crate::book::Edition;
use crate::words::ExerciseWords;

/// The languages that solutions are written in: name for the highlighter, file, and where the starter has that file.
const LANGUAGES: [Language; 2] = [
    Language { fence: "rust", file: "main.rs", starter: "rust/src/main.rs" },
    Language { fence: "sh", file: "box.sh", starter: "sh/box.sh" },
];

struct Language {
    fence: &'static str,
    file: &'static str,
    starter: &'static str,
}

/// `NN-SLUG PART`: the task, the hints, the checks or the solution of this exercise.
pub fn part(edition: &Edition, what: &str) -> Result<String> {
    let (folder, part) = what.split_once(' ').context("which part of the exercise?")?;
    if part == "solution" {
        return solutions(edition, folder);
    }
    let file = edition.repository.path("lessons").join(folder).join("exercise");
    let file = file.join(edition.language).with_extension("md");
    let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
    let text = commands::told(edition, &format!("lessons/{folder}/exercise"), &text)?;
    let lines = section(&text, part).with_context(|| format!("the exercise has no section {part}"))?;
    let words = &edition.words.exercise;
    match part {
        "task" => Ok(lines.join("\n") + "\n"),
        "hints" => hints(&lines, words),
        "checks" => checks(&lines, &claims(edition, folder)?, words),
        _ => bail!("an exercise has no {part}"),
    }
}

/// The id of a heading, and the lines below it.
type Part<'a> = (&'a str, Vec<&'a str>);

/// A section's first lines, and its parts.
fn parts<'a>(lines: &[&'a str]) -> Result<(Vec<&'a str>, Vec<Part<'a>>)> {
    let (mut before, mut parts) = (Vec::new(), Vec::<Part>::new());
    let mut fenced = false;
    for line in lines {
        fenced ^= line.starts_with("```");
        if !fenced && line.starts_with("### ") {
            let id = heading_id(line).with_context(|| format!("{line} has no id"))?;
            parts.push((id, Vec::new()));
            continue;
        }
        match parts.last_mut() {
            Some((_, below)) => below.push(line),
            None => before.push(*line),
        }
    }
    ensure!(!parts.is_empty(), "there is nothing in it");
    Ok((before, parts))
}

fn hints(lines: &[&str], words: &ExerciseWords) -> Result<String> {
    let (before, hints) = parts(lines)?;
    let mut out = before.join("\n");
    for (n, (id, hint)) in hints.iter().enumerate() {
        let title = words.hint.replace("{n}", &(n + 1).to_string());
        out.push_str(&fold(&format!("class=\"hint\" id=\"{id}\""), &title, hint.join("\n").trim()));
    }
    Ok(out)
}

/// The lesson that says what each check claims; what comes before the first step has none.
fn claims(edition: &Edition, folder: &str) -> Result<String> {
    let file = edition.repository.path("lessons").join(folder).join(edition.language).with_extension("md");
    if !file.exists() {
        return Ok(String::new());
    }
    fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))
}

/// The heading with this id, without it.
fn heading<'a>(lesson: &'a str, id: &str) -> Option<&'a str> {
    let line = lesson.lines().find(|line| line.starts_with("### ") && heading_id(line) == Some(id))?;
    line.strip_prefix("### ")?.split(" {#").next()
}

/// Each check by its name and claim; why it may fail is in the fold.
fn checks(lines: &[&str], lesson: &str, words: &ExerciseWords) -> Result<String> {
    let (before, checks) = parts(lines)?;
    let mut out = before.join("\n");
    for (id, check) in checks {
        let name = id.strip_prefix("check-").with_context(|| format!("{id} is no check"))?;
        let causes = check.iter().position(|line| line.starts_with("1. ")).context("no causes")?;
        let (own, causes) = (check[..causes].join("\n"), check[causes..].join("\n"));
        let claim = heading(lesson, id).unwrap_or(&own);
        out.push_str(&format!("\n### `{name}` {{#{id}}}\n\n{}\n", claim.trim()));
        out.push_str(&fold("class=\"causes\"", &words.causes, causes.trim()));
    }
    Ok(out)
}

/// Each language's program, and what it has that the step before had not.
fn solutions(edition: &Edition, folder: &str) -> Result<String> {
    let before = exercises(edition)?.into_iter().take_while(|other| other != folder).last();
    let words = &edition.words.exercise;
    let mut out = String::new();
    for language in &LANGUAGES {
        let path = language.path(folder);
        let program = fs::read_to_string(edition.repository.path(&path)).with_context(|| path.clone())?;
        let count = program.lines().count().to_string();
        let name = words.languages.get(language.fence).context("a language without a name")?;
        let title = words.solution.replace("{language}", name).replace("{lines}", &count);
        let source = format!("<p class=\"source\">{} <code>{path}</code></p>", edition.words.source);
        let code = format!("{source}\n\n```{}\n{}\n```", language.fence, program.trim_end());
        out.push_str(&fold("class=\"solution\"", &title, &code));
        if let Some(before) = &before {
            let path = language.path(before);
            let earlier = fs::read_to_string(edition.repository.path(&path)).with_context(|| path.clone())?;
            let since = before.split('-').next().unwrap_or_default().trim_start_matches('0');
            let since = if since.is_empty() { "0" } else { since };
            let title = words.new.replace("{language}", name).replace("{n}", since);
            out.push_str(&fold("class=\"solution\"", &title, &difference(&earlier, &program)));
        }
    }
    Ok(out)
}

impl Language {
    /// The solution's place in the repository. What a learner starts with is the solution of the first exercise.
    fn path(&self, folder: &str) -> String {
        if folder.starts_with("00-") {
            format!("lessons/{folder}/starter/{}", self.starter)
        } else {
            format!("lessons/{folder}/solution/{}", self.file)
        }
    }
}

/// The folders of all exercises, in order: lessons that have one.
fn exercises(edition: &Edition) -> Result<Vec<String>> {
    let lessons = edition.repository.path("lessons");
    let names = fs::read_dir(&lessons).with_context(|| format!("read {}", lessons.display()))?;
    let names = names.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| lessons.join(name).join("exercise").is_dir()).collect();
    names.sort();
    Ok(names)
}

fn difference(before: &str, after: &str) -> String {
    let difference = TextDiff::from_lines(before, after);
    format!("```diff\n{}\n```", difference.unified_diff().context_radius(3).to_string().trim_end())
}

/// A fold. Blank lines around what is in it let it be Markdown.
fn fold(attributes: &str, title: &str, inside: &str) -> String {
    let title = escaped(title);
    format!("\n<details {attributes}><summary>{title}</summary>\n\n{inside}\n\n</details>\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn words() -> ExerciseWords {
        let languages = BTreeMap::from([("rust".into(), "Rust".into()), ("sh".into(), "Shell".into())]);
        let (hint, causes) = ("Hint {n}".into(), "If it fails".into());
        ExerciseWords { hint, causes, solution: "{language}, {lines}".into(), new: "{n}".into(), languages }
    }

    #[test]
    fn each_hint_is_in_a_fold_of_its_own() {
        let text =
            "## Hints {#hints}\n\n### 1 {#hint-1}\n\nLook.\n\n### 2 {#hint-2}\n\n```text\n### no\n```\n";
        let lines = section(text, "hints").expect("hints");
        assert_eq!(
            hints(&lines, &words()).expect("two hints"),
            "## Hints {#hints}\n\
             \n<details class=\"hint\" id=\"hint-1\"><summary>Hint 1</summary>\n\nLook.\n\n</details>\n\
             \n<details class=\"hint\" id=\"hint-2\"><summary>Hint 2</summary>\n\n```text\n### no\n```\n\n</details>\n"
        );
    }

    #[test]
    fn a_check_shows_its_claim_and_folds_its_causes() {
        let text =
            "## Checks {#checks}\n\n### eth0 {#check-eth0}\n\nIt is there.\n\n1. It is `down`.\n2. No.\n";
        let lines = section(text, "checks").expect("checks");
        assert_eq!(
            checks(&lines, "", &words()).expect("a check"),
            "## Checks {#checks}\n\n### `eth0` {#check-eth0}\n\nIt is there.\n\
             \n<details class=\"causes\"><summary>If it fails</summary>\n\n1. It is `down`.\n2. No.\n\n</details>\n"
        );
        assert!(checks(&["### eth0 {#check-eth0}", "", "It is there."], "", &words()).is_err());
    }

    #[test]
    fn what_a_check_claims_stands_in_the_lesson() {
        let lines = ["### eth0 {#check-eth0}", "", "1. No."];
        let lesson = "### Nothing {#check-lo}\n\n### `eth0` is up {#check-eth0}\n\nSee `ip link`.\n";
        let shown = checks(&lines, lesson, &words()).expect("a check");
        assert!(shown.contains("{#check-eth0}\n\n`eth0` is up\n"), "{shown}");
    }

    #[test]
    fn a_difference_shows_what_came_and_what_went() {
        let shown = difference("a\nb\n", "a\nc\n");
        assert_eq!(shown, "```diff\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n```");
    }
}
