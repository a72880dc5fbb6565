//! What every page must have: minutes, ids, a quiz, sources, notes; and nothing in it that was typed twice.

use std::collections::BTreeSet;

use crate::tree::{LANGS, Page, Part, names, page, path, read};

/// The summary of the notes for instructors.
const NOTES: [(&str, &str); 2] = [("en", "For instructors"), ("ko", "진행자에게")];

fn each_page(test: impl Fn(&str, &str, &Page)) {
    for lang in LANGS {
        for name in names(&format!("book/{lang}/src"), "md") {
            if name != "SUMMARY" {
                test(lang, &name, &page(lang, &name));
            }
        }
    }
}

#[test]
fn every_page_is_in_the_table_of_contents_once() {
    for lang in LANGS {
        let summary = read(&format!("book/{lang}/src/SUMMARY.md"));
        let listed: Vec<_> = summary.split("](").skip(1).filter_map(|rest| rest.split_once(')')).collect();
        let listed: Vec<_> = listed.iter().map(|(path, _)| path.trim_end_matches(".md").to_owned()).collect();
        let mut pages = names(&format!("book/{lang}/src"), "md");
        pages.remove("SUMMARY");
        assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), pages, "{lang}");
        assert_eq!(listed.len(), pages.len(), "{lang}: a page is listed twice");
    }
}

#[test]
fn every_page_begins_with_its_title_and_its_minutes() {
    each_page(|lang, name, page| {
        let mut lines = page.text.lines();
        let title = lines.next().unwrap_or_default();
        assert!(title.starts_with("# ") && title.ends_with('}'), "{lang}/{name}: {title}");
        let minutes = page.comments("minutes");
        assert_eq!(minutes.len(), 1, "{lang}/{name}: minutes");
        let minutes: u32 = minutes[0].parse().unwrap_or(0);
        assert!((1..=45).contains(&minutes), "{lang}/{name}: {minutes} minutes");
        assert!(lines.next().is_some_and(|line| line.starts_with("<!-- minutes:")), "{lang}/{name}");
        let titles = page.parts.iter().filter(|part| matches!(part, Part::Heading { level: 1, .. }));
        assert_eq!(titles.count(), 1, "{lang}/{name}: titles");
    });
}

#[test]
fn every_heading_has_an_id_of_its_own() {
    each_page(|lang, name, page| {
        let ids = page.ids();
        let plain = |id: &str| {
            !id.is_empty() && id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        };
        assert!(ids.iter().all(|id| plain(id)), "{lang}/{name}: {ids:?}");
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{lang}/{name}: {ids:?}");
    });
}

#[test]
fn every_page_ends_with_notes_for_instructors() {
    each_page(|lang, name, page| {
        let summary = NOTES.iter().find(|(code, _)| *code == lang).map_or("", |(_, words)| words);
        let start = format!("<details class=\"notes\"><summary>{summary}</summary>\n\n");
        let (_, notes) = page.text.rsplit_once(&start).unwrap_or_else(|| panic!("{lang}/{name}: no notes"));
        assert!(
            notes.trim_end().ends_with("\n\n</details>"),
            "{lang}/{name}: something comes after the notes"
        );
        let said = notes.lines().filter(|line| !line.is_empty() && !line.starts_with('<')).count();
        assert!(said >= 2, "{lang}/{name}: few notes");
    });
}

#[test]
fn pages_that_teach_have_a_quiz_and_sources() {
    each_page(|lang, name, page| {
        let part = name.split('/').next().unwrap_or_default();
        let ids = page.ids();
        if ["machines", "docker"].contains(&part) {
            let quiz: Vec<_> = ids.iter().filter(|id| id.starts_with("quiz-")).collect();
            assert!((2..=3).contains(&quiz.len()) && ids.contains(&"quiz"), "{lang}/{name}: {quiz:?}");
        }
        if ["machines", "docker", "build", "own"].contains(&part) {
            assert!(ids.contains(&"sources"), "{lang}/{name}: no sources");
        }
    });
}

#[test]
fn a_question_has_two_or_more_choices_and_one_right_one_and_says_why() {
    each_page(|lang, name, page| {
        let mut parts = page.parts.iter().peekable();
        while let Some(part) = parts.next() {
            let Part::Heading { id, .. } = part else { continue };
            if !id.starts_with("quiz-") {
                continue;
            }
            let Some(Part::Choices(choices)) = parts.next() else {
                panic!("{lang}/{name}: {id} has no choices")
            };
            assert_eq!(choices.iter().filter(|right| **right).count(), 1, "{lang}/{name}: {id}");
            assert!(choices.len() >= 2, "{lang}/{name}: {id}");
            let after = page.text.split(&format!("{{#{id}}}")).nth(1).unwrap_or_default();
            let why =
                after.lines().skip_while(|l| !l.starts_with("- [")).skip_while(|l| l.starts_with("- ["));
            let why = why.take_while(|line| !line.starts_with('#')).find(|line| !line.trim().is_empty());
            assert!(why.is_some_and(|line| !line.starts_with('<')), "{lang}/{name}: {id} does not say why");
        }
    });
}

/// Commands to be typed may stand there as they are; what our program prints, and code, never.
#[test]
fn no_code_and_no_output_was_typed_by_hand() {
    each_page(|lang, name, page| {
        for part in &page.parts {
            let Part::Fence { kind, text } = part else { continue };
            let line = text.trim_end();
            let from = |folder: &str| {
                line.starts_with("{{#include ") && line.contains(folder) && line.ends_with("}}")
            };
            let kind = kind.split(' ').next().unwrap_or_default();
            let fine = match kind {
                "rust" => from("/src/"),
                "text" => line.starts_with("{{#run ") || line.starts_with("{{#include "),
                "toml" => from("/examples/") || from("/starter/"),
                "sh" => !line.lines().any(|line| line.starts_with("$ ") || line.starts_with("{{#")),
                _ => from("/examples/"),
            };
            let one = kind == "sh" || line.lines().count() == 1;
            assert!(fine && one, "{lang}/{name}: a fence of {kind} may not hold\n{text}");
        }
    });
}

#[test]
fn every_figure_run_and_example_is_there_and_is_used() {
    let mut used: [BTreeSet<String>; 2] = Default::default();
    let runs: toml::Table = toml::from_str(&read("book/runs.toml")).expect("runs");
    each_page(|lang, name, page| {
        for run in page.directives("run") {
            assert!(runs.contains_key(run), "{lang}/{name}: book/runs.toml has no {run}");
        }
        for what in page.directives("include") {
            let (file, anchor) = what.split_once(':').unwrap_or((what, ""));
            let folder = path(&format!("book/{lang}/src/{name}")).parent().expect("a folder").to_path_buf();
            let text = std::fs::read_to_string(folder.join(file))
                .unwrap_or_else(|e| panic!("{lang}/{name}: {file}: {e}"));
            let marked = anchor.is_empty()
                || text.lines().any(|line| line.trim_end().ends_with(&format!("ANCHOR: {anchor}")));
            assert!(marked, "{lang}/{name}: {file} has no anchor {anchor}");
        }
    });
    for lang in LANGS {
        for name in names(&format!("book/{lang}/src"), "md") {
            let page = page(lang, &name);
            for (set, kind) in used.iter_mut().zip(["figure", "run"]) {
                set.extend(page.directives(kind).into_iter().map(str::to_owned));
            }
        }
    }
    let [figures, shown] = used;
    assert_eq!(figures, names("book/en/figures", "svg"), "figures: used, and there");
    assert_eq!(shown, names("book/en/runs", "txt"), "runs: used, and there");
    assert_eq!(shown, runs.keys().cloned().collect(), "runs: used, and in book/runs.toml");
}
