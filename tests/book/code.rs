//! The code that makes each call is on the page, and whatever is marked for the book is in it.

use std::collections::{BTreeMap, BTreeSet};

use crate::tree::{LANGS, Page, names, page, read};

/// The parts of the source that are marked, by name.
fn marked() -> BTreeMap<String, String> {
    let mut parts = BTreeMap::<String, String>::new();
    for name in names("src", "rs") {
        let mut open = Vec::<String>::new();
        for line in read(&format!("src/{name}.rs")).lines() {
            if let Some((_, end)) = line.split_once("// ANCHOR_END: ") {
                assert_eq!(open.pop().as_deref(), Some(end.trim()), "src/{name}.rs: marks that don't nest");
            } else if let Some((_, start)) = line.split_once("// ANCHOR: ") {
                assert!(!parts.contains_key(start.trim()), "{start} is marked twice");
                parts.insert(start.trim().into(), String::new());
                open.push(start.trim().into());
            } else {
                for part in &open {
                    parts.entry(part.clone()).or_default().push_str(&format!("{line}\n"));
                }
            }
        }
        assert!(open.is_empty(), "src/{name}.rs: {open:?} has no end");
    }
    parts
}

/// The lessons by slug, in English: the ids are the same in each language.
fn lessons() -> BTreeMap<String, Page> {
    let english = names("lessons", "md").into_iter().filter_map(|name| {
        let slug = name.strip_suffix("/en")?.split_once('-')?.1.to_owned();
        // What options of `run` do is told by `--plan` alone.
        let slug = Some(slug).filter(|slug| !slug.contains('/'))?;
        Some((slug, Page::of(read(&format!("lessons/{name}.md")))))
    });
    english.collect()
}

/// A call's code is the part with its own name, or it is in the part of another call of the same step.
#[test]
fn each_call_that_a_lesson_tells_has_its_code_on_the_page() {
    let parts = marked();
    for (slug, lesson) in lessons() {
        let own = format!("{slug}-");
        let code: String =
            parts.iter().filter(|(name, _)| name.starts_with(&own)).map(|(_, text)| text.as_str()).collect();
        for key in lesson.ids().into_iter().filter_map(|id| id.strip_prefix("call-")) {
            let named = parts.contains_key(&format!("{slug}-{key}"));
            assert!(
                named || code.contains(&format!("\"{key}\"")),
                "{slug}: no code of the call {key} is marked"
            );
        }
    }
}

#[test]
fn what_is_marked_in_the_source_is_in_the_book() {
    let mut shown = BTreeSet::new();
    for (slug, lesson) in lessons() {
        let keys = lesson
            .ids()
            .into_iter()
            .filter_map(|id| id.strip_prefix("call-").map(|key| format!("{slug}-{key}")));
        shown.extend(keys.collect::<Vec<_>>());
    }
    for name in names("book/en/src", "md") {
        for lang in LANGS {
            let page = page(lang, &name);
            let anchors = page.directives("include").into_iter().filter_map(|what| what.split_once(':'));
            shown.extend(anchors.map(|(_, anchor)| anchor.to_owned()).collect::<Vec<_>>());
        }
    }
    let unused: Vec<_> = marked().into_keys().filter(|name| !shown.contains(name)).collect();
    assert!(unused.is_empty(), "marked in src/, but on no page: {unused:?}");
}
