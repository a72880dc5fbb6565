//! The exercises' texts: both languages alike, and something to say about every check.

#![cfg(test)]

mod common;

use std::path::PathBuf;

use common::steps::{exercise_folder, exercise_numbers};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// A cause is read right after a failure: it has to be taken in at a glance.
const LONGEST: usize = 160;

/// What stands below a heading, up to the next one.
#[derive(Debug, Default)]
struct Section {
    level: usize,
    id: String,
    heading: String,
    /// Text without markdown, but for backticks around code.
    paragraphs: Vec<String>,
    /// Its numbered list.
    causes: Vec<String>,
    /// Language and text of its fences.
    fences: Vec<(String, String)>,
    /// What the evidence shows of each, as the remarks behind them say: `seen: zero one`.
    signs: Vec<Vec<String>>,
    /// Code within its sentences, sorted: another language has another order of words.
    spans: Vec<String>,
}

fn exercise(folder: &str, lang: &str) -> Vec<Section> {
    let lessons = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("lessons");
    let file = lessons.join(format!("{folder}/exercise/{lang}.md"));
    sections(&std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display())))
}

fn sections(source: &str) -> Vec<Section> {
    let mut sections = Vec::new();
    let (mut text, mut numbered, mut kind) = (String::new(), false, String::new());
    let mut signs = Vec::new();
    for event in Parser::new_ext(source, Options::ENABLE_HEADING_ATTRIBUTES) {
        if let Event::Start(Tag::Heading { level, id, .. }) = &event {
            let id = id.as_ref().map(ToString::to_string).unwrap_or_default();
            sections.push(Section { level: *level as usize, id, ..Section::default() });
            text.clear();
        }
        let Some(section) = sections.last_mut() else { continue };
        match event {
            Event::Start(Tag::CodeBlock(fence)) => {
                kind = format!("{fence:?}");
                text.clear();
            }
            Event::Start(Tag::List(start)) => numbered = start.is_some(),
            Event::Start(Tag::Paragraph | Tag::Item) => text.clear(),
            Event::End(TagEnd::Heading(_)) => section.heading = text.clone(),
            Event::End(TagEnd::Paragraph) => section.paragraphs.push(text.clone()),
            Event::End(TagEnd::Item) if numbered => {
                section.causes.push(text.trim_end().to_owned());
                section.signs.push(std::mem::take(&mut signs));
            }
            Event::InlineHtml(html) if numbered => {
                let seen = html.strip_prefix("<!-- seen: ").and_then(|html| html.strip_suffix(" -->"));
                let seen = seen.unwrap_or_else(|| panic!("{}: {html}", section.id));
                signs = seen.split(' ').map(String::from).collect();
            }
            Event::End(TagEnd::CodeBlock) => section.fences.push((kind.clone(), text.clone())),
            Event::Code(code) => {
                text.push_str(&format!("`{code}`"));
                section.spans.push(code.to_string());
                section.spans.sort();
            }
            Event::Text(more) => text.push_str(&more),
            Event::SoftBreak => text.push('\n'),
            _ => {}
        }
    }
    sections
}

fn section<'a>(sections: &'a [Section], id: &str) -> &'a Section {
    sections.iter().find(|section| section.id == id).unwrap_or_else(|| panic!("no {id}"))
}

fn each_exercise(test: impl Fn(&str, &str, &[Section])) {
    for folder in exercise_numbers().map(exercise_folder) {
        for lang in ["en", "ko"] {
            test(&folder, lang, &exercise(&folder, lang));
        }
    }
}

/// The names of the checks that it explains. That they are those of the judge is a test of the program's own.
fn checks(sections: &[Section]) -> Vec<&str> {
    sections.iter().filter_map(|section| section.id.strip_prefix("check-")).collect()
}

#[test]
fn an_exercise_has_a_title_a_task_three_hints_and_its_checks_in_that_order() {
    each_exercise(|folder, lang, sections| {
        let ids: Vec<_> = sections.iter().map(|s| (s.level, s.id.as_str())).collect();
        let checks: Vec<_> = checks(sections).iter().map(|name| format!("check-{name}")).collect();
        let parts = [(1, ""), (2, "task"), (2, "hints"), (3, "hint-1"), (3, "hint-2"), (3, "hint-3")];
        let checks = checks.iter().map(|id| (3, id.as_str()));
        let expected: Vec<_> = parts.into_iter().chain([(2, "checks")]).chain(checks).collect();
        assert_eq!(ids, expected, "{folder} {lang}");
        let start = if lang == "en" { "Build it: " } else { "직접 만들기: " };
        assert!(sections[0].heading.starts_with(start), "{folder} {lang}: {}", sections[0].heading);
        for hint in ["hint-1", "hint-2", "hint-3"] {
            let hint = section(sections, hint);
            let said = hint.paragraphs.len() + hint.fences.len();
            assert!(said > 0 && hint.heading == hint.id.replace("hint-", ""), "{folder} {lang} {}", hint.id);
        }
    });
}

#[test]
fn a_check_has_one_to_four_short_causes_and_a_claim_where_no_lesson_has_it() {
    each_exercise(|folder, lang, sections| {
        for name in checks(sections) {
            let at = format!("{folder} {lang} {name}");
            let check = section(sections, &format!("check-{name}"));
            assert_eq!(check.heading, name, "{at}");
            let claims = usize::from(folder.starts_with("00-"));
            assert_eq!(check.paragraphs.len(), claims, "{at}");
            let is_heading = |claim: &String| !claim.ends_with('.') && !claim.contains('\n');
            assert!(check.paragraphs.iter().all(is_heading), "{at}");
            for sign in check.signs.iter().flatten() {
                let told = check.signs.iter().filter(|signs| signs.contains(sign)).count();
                assert!((1..=4).contains(&told), "{at}: {told} causes where {sign} is seen");
            }
            // A list that is told whole, at least now and then.
            let usual = check.signs.iter().filter(|signs| signs.is_empty()).count();
            let most = if usual == 0 { 6 } else { 4 };
            assert!((1..=most).contains(&check.causes.len()), "{at}: {} causes", check.causes.len());
            for cause in &check.causes {
                let length = cause.chars().count();
                assert!(length <= LONGEST && !cause.contains('\n'), "{at}: {length} characters: {cause}");
            }
        }
    });
}

#[test]
fn both_languages_say_the_same_with_the_same_code() {
    for folder in exercise_numbers().map(exercise_folder) {
        let (english, korean) = (exercise(&folder, "en"), exercise(&folder, "ko"));
        for (one, other) in english.iter().zip(&korean) {
            let at = format!("{folder} {}", one.id);
            assert_eq!(one.fences, other.fences, "{at}");
            assert_eq!(one.causes.len(), other.causes.len(), "{at}");
            assert_eq!(one.signs, other.signs, "{at}");
            assert_eq!(one.paragraphs.len(), other.paragraphs.len(), "{at}");
            assert_eq!(one.spans, other.spans, "{at}");
        }
    }
}

/// A sign that the judge never sees would leave its cause untold.
#[test]
fn each_sign_of_a_cause_is_one_that_the_judge_sees() {
    let claims = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/claims");
    let files = ["fate.rs", "processes.rs", "files.rs", "limits.rs", "network.rs", "users.rs"];
    let read = |file: &&str| std::fs::read_to_string(claims.join(file)).expect("the claims' source");
    let source: String = files.iter().map(read).collect();
    each_exercise(|folder, lang, sections| {
        for sign in sections.iter().flat_map(|section| &section.signs).flatten() {
            assert!(source.contains(&format!("\"{sign}\"")), "{folder} {lang}: {sign}");
        }
    });
}

#[test]
fn each_exercise_has_its_page_in_the_book_with_every_part_of_it() {
    each_exercise(|folder, lang, sections| {
        let file = format!("book/{lang}/src/own/{folder}.md");
        let page = std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(&file));
        let page = page.unwrap_or_else(|e| panic!("{file}: {e}"));
        assert!(page.starts_with(&format!("# {} {{#own-", sections[0].heading)), "{file}: another title");
        let shown: Vec<_> = page.lines().filter(|line| line.starts_with("{{#exercise ")).collect();
        let parts = ["task", "hints", "checks", "solution"];
        assert_eq!(shown, parts.map(|part| format!("{{{{#exercise {folder} {part}}}}}")), "{file}");
    });
}
