//! Every sentence of `lessons/words` is said somewhere, and nothing is said that has no sentence.

#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use regex::Regex;

/// All Rust source of the program, in one text.
fn source() -> String {
    fn collect(dir: &Path, text: &mut String) {
        for entry in fs::read_dir(dir).expect("src can be read").flatten() {
            let path = entry.path();
            if path.is_dir() {
                collect(&path, text);
            } else if path.extension().is_some_and(|e| e == "rs") {
                text.push_str(&fs::read_to_string(&path).expect("source is text"));
            }
        }
    }
    let mut text = String::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut text);
    text
}

fn keys(table: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("lessons/words/en.toml");
    let words: toml::Table = fs::read_to_string(path).expect("words").parse().expect("TOML");
    words[table].as_table().expect("a table").keys().cloned().collect()
}

#[test]
fn no_sentence_is_left_unsaid() {
    let source = source();
    let unsaid = |table: &str| -> Vec<String> {
        keys(table).into_iter().filter(|key| !source.contains(&format!("\"{key}\""))).collect()
    };
    assert_eq!(unsaid("say"), Vec::<String>::new());
    assert_eq!(unsaid("fault"), Vec::<String>::new());
    assert_eq!(unsaid("value"), Vec::<String>::new());
    assert_eq!(unsaid("found"), Vec::<String>::new());
}

#[test]
fn nothing_is_said_without_a_sentence() {
    let source = source();
    let said = |pattern: &str| -> BTreeSet<String> {
        let call = Regex::new(pattern).expect("a pattern");
        call.captures_iter(&source).map(|found| found[1].to_owned()).collect()
    };
    let say = said(r#"\.(?:say|fill)\(\s*"([a-z0-9-]+)""#);
    assert!(say.len() > 10, "the pattern finds no calls any more");
    assert_eq!(say.difference(&keys("say")).collect::<Vec<_>>(), Vec::<&String>::new());
    let found = said(r#"Seen::(?:words|found|of)\(\s*"([a-z0-9-]+)""#);
    assert!(found.len() > 50, "the pattern finds no findings any more");
    assert_eq!(found.difference(&keys("found")).collect::<Vec<_>>(), Vec::<&String>::new());
    let fault = said(r#"(?:unable|usage|fault)\((?:12[67], )?\s*"([a-z0-9-]+)""#);
    assert!(fault.len() > 10, "the pattern finds no faults any more");
    assert_eq!(fault.difference(&keys("fault")).collect::<Vec<_>>(), Vec::<&String>::new());
}

/// Whoever has only what the hint says gets an error instead of a package.
#[test]
fn what_takes_root_to_install_is_said_with_sudo() {
    let without = Regex::new("`(?:apt|dnf|pacman|zypper) [^`]*`").expect("a pattern");
    for lang in ["en", "ko"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("lessons/words/{lang}.toml"));
        let words = fs::read_to_string(path).expect("words");
        assert_eq!(without.find(&words).map(|found| found.as_str()), None, "{lang}");
    }
}
