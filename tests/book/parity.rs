//! English and Korean have one structure, and Korean was read again after English changed.

use std::collections::BTreeMap;
use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::tree::{LANGS, Page, Part, names, page, path, read};

#[test]
fn both_languages_have_the_same_files() {
    for (folder, ending) in [("src", "md"), ("figures", "svg"), ("runs", "txt")] {
        let [english, korean] = LANGS.map(|lang| names(&format!("book/{lang}/{folder}"), ending));
        assert_eq!(english, korean, "{folder}");
        assert!(!english.is_empty(), "{folder}");
    }
}

#[test]
fn every_page_is_built_the_same_way_in_both_languages() {
    for name in names("book/en/src", "md") {
        let [english, korean] = LANGS.map(|lang| page(lang, &name));
        same(&name, &english, &korean);
    }
}

/// What differs first is what to mend; a list of everything would hide it.
fn same(name: &str, english: &Page, korean: &Page) {
    let differs = english.parts.iter().zip(&korean.parts).find(|(one, other)| one != other);
    if let Some((one, other)) = differs {
        let before = english.parts.iter().take_while(|part| *part != one);
        let heading = before.filter(|part| matches!(part, Part::Heading { .. })).last();
        panic!("{name}, below {heading:?}:\nEnglish has {one:?}\nKorean has  {other:?}");
    }
    assert_eq!(english.parts.len(), korean.parts.len(), "{name}: one language goes on where the other ends");
}

#[test]
fn figures_have_the_same_shapes_in_both_languages() {
    for name in names("book/en/figures", "svg") {
        let [english, korean] = LANGS.map(|lang| shapes(&read(&format!("book/{lang}/figures/{name}.svg"))));
        assert_eq!(english, korean, "{name}");
    }
}

/// How many elements of each kind a drawing has. Words may need another number of lines.
fn shapes(svg: &str) -> BTreeMap<String, usize> {
    let drawing = roxmltree::Document::parse(svg).expect("well-formed");
    let mut count = BTreeMap::new();
    let words = ["text", "tspan"];
    let elements = drawing.descendants().filter(|node| node.is_element());
    for name in elements.map(|node| node.tag_name().name()).filter(|name| !words.contains(name)) {
        *count.entry(name.to_owned()).or_default() += 1;
    }
    count
}

/// A text that exists in both languages, and where its English is.
fn reviewed_texts() -> BTreeMap<String, String> {
    let pages = names("book/en/src", "md")
        .into_iter()
        .map(|name| (format!("book/{name}"), format!("book/en/src/{name}.md")));
    let lessons = names("lessons", "md").into_iter().filter_map(|name| {
        let lesson = name.strip_suffix("/en")?;
        Some((format!("lessons/{lesson}"), format!("lessons/{name}.md")))
    });
    pages.chain(lessons).collect()
}

/// After Korean has been read against the English of now: `WORKSHOP_REVIEWED="book/index lessons/03-pivot-root"
/// cargo test --test book`, or `WORKSHOP_REVIEWED=all`.
#[test]
fn korean_was_reviewed_after_english_last_changed() {
    let file = "book/reviewed.toml";
    let mut known: BTreeMap<String, String> = toml::from_str(&read(file)).expect("names and sums");
    let texts = reviewed_texts();
    let now = texts.iter().map(|(name, file)| (name.clone(), sum(&read(file)))).collect::<BTreeMap<_, _>>();
    if let Some(list) = std::env::var_os("WORKSHOP_REVIEWED") {
        let list = list.to_string_lossy();
        let chosen = |name: &str| list == "all" || list.split_whitespace().any(|word| word == name);
        known.retain(|name, _| now.contains_key(name));
        known.extend(now.iter().filter(|(name, _)| chosen(name)).map(|(k, v)| (k.clone(), v.clone())));
        std::fs::write(path(file), written(&known)).expect("write the sums");
    }
    let stale: Vec<_> =
        now.iter().filter(|(name, sum)| known.get(*name) != Some(sum)).map(|(name, _)| name).collect();
    assert!(
        stale.is_empty(),
        "English has changed since its Korean was last reviewed. Read both, mend Korean, then \
         WORKSHOP_REVIEWED=\"NAME…\" cargo test --test book\n{stale:#?}"
    );
    assert_eq!(known.len(), now.len(), "{file} names texts that are not there any more");
}

fn written(known: &BTreeMap<String, String>) -> String {
    let mut text = String::from(
        "# The SHA-256 of the English text that the Korean was last reviewed against; written by tests/book.rs.\n\n",
    );
    for (name, sum) in known {
        let _ = writeln!(text, "\"{name}\" = \"{sum}\"");
    }
    text
}

fn sum(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
