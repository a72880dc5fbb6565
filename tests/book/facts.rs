//! Nothing that the course must teach is lost when its text is edited.

use std::collections::{BTreeMap, BTreeSet};

use crate::tree::{LANGS, Page, names, page, read};

/// The ids in tests/book/facts.txt.
fn curriculum() -> BTreeSet<String> {
    let text = read("tests/book/facts.txt");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.flat_map(str::split_whitespace).map(str::to_owned).collect()
}

/// Pages and lessons by name. A lesson counts if a page shows its sections.
fn texts(lang: &str) -> BTreeMap<String, Page> {
    let pages: BTreeMap<_, _> = names(&format!("book/{lang}/src"), "md")
        .into_iter()
        .map(|name| (name.clone(), page(lang, &name)))
        .collect();
    let shown: BTreeSet<_> = pages
        .values()
        .flat_map(|page| page.directives("lesson"))
        .filter_map(|what| what.split_whitespace().next())
        .collect();
    let lessons = names("lessons", "md").into_iter().filter_map(|name| {
        let folder = name.strip_suffix(&format!("/{lang}"))?;
        let slug = folder.split_once('-')?.1;
        shown.contains(slug).then(|| (name.clone(), Page::of(read(&format!("lessons/{name}.md")))))
    });
    let lessons: Vec<_> = lessons.map(|(name, page)| (name.replace(&format!("/{lang}"), ""), page)).collect();
    pages.into_iter().chain(lessons).collect()
}

/// Where each fact is taught.
fn taught(lang: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut taught = BTreeMap::<String, BTreeSet<String>>::new();
    for (name, page) in texts(lang) {
        for fact in page.comments("fact").iter().flat_map(|said| said.split_whitespace()) {
            taught.entry(fact.into()).or_default().insert(name.clone());
        }
    }
    taught
}

#[test]
fn every_fact_of_the_curriculum_is_taught_and_in_the_same_place_in_both_languages() {
    let [english, korean] = LANGS.map(taught);
    assert_eq!(english, korean);
    let ids: BTreeSet<_> = english.keys().cloned().collect();
    assert_eq!(ids, curriculum());
}

#[test]
fn a_fact_stands_above_what_teaches_it() {
    for lang in LANGS {
        // In a lesson it may also stand below: what the program prints comes first there.
        for (name, page) in texts(lang).into_iter().filter(|(name, _)| !name.starts_with('0')) {
            let lines: Vec<_> = page.text.lines().collect();
            for (n, line) in lines.iter().enumerate().filter(|(_, line)| line.starts_with("<!-- fact:")) {
                let next =
                    lines[n + 1..].iter().find(|line| !line.trim().is_empty()).copied().unwrap_or_default();
                assert!(!next.is_empty() && !next.starts_with("#"), "{lang}/{name}: nothing is below {line}");
            }
        }
    }
}

/// A page is understood with every fold closed: the builder folds checks and scripts of a lesson, and pages have folds.
#[test]
fn no_fact_is_taught_in_a_fold() {
    for lang in LANGS {
        for (name, page) in texts(lang) {
            let (mut section, mut folds) = ("", 0);
            for line in page.text.lines() {
                section = line.strip_prefix("## ").unwrap_or(section);
                folds += line.matches("<details").count();
                folds -= line.matches("</details").count();
                let folded = folds > 0 || section.ends_with("{#checks}") || section.ends_with("{#by-hand}");
                assert!(!folded || !line.starts_with("<!-- fact:"), "{lang}/{name}: {section}: {line}");
            }
        }
    }
}
