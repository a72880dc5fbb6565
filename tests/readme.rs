//! The README shows a real run: its picture of step 3 is held against one.

mod common;

use common::{Who, run, who, workshop};
use regex::Regex;

/// What differs from host to host stands as one sign, and runs of spaces, which follow from it, as one.
fn plain(line: &str) -> String {
    let values = Regex::new(r"\[\d+\]|\d+ on \w+|\b\d+\.\d+\.\d+\S*|\b\d{2,}\b").expect("a pattern");
    let spaces = Regex::new(r" {2,}").expect("a pattern");
    spaces.replace_all(&values.replace_all(line, "#"), " ").trim_end().to_owned()
}

#[test]
fn the_picture_in_the_readme_is_a_real_run() {
    let readme = include_str!("../README.md");
    let picture = readme.split("<!-- picture: step 3 -->").nth(1).and_then(|rest| rest.split("```").nth(1));
    let picture = picture.expect("the README has a picture").trim_start_matches("text");
    let as_whom = *who().first().unwrap_or(&Who::User);
    let real = run(workshop(as_whom).args(["step", "3"]));
    assert_eq!(real.status, 0, "{}", real.stderr);

    // The lines come in the same order, with some left out where a line is just `…`. Host facts (host name,
    // counts) are the reader's own, so of those lines only the label counts.
    let mut rest = real.stdout.lines().map(plain);
    let facts = ["mounts", "hostname", "/home", "/dev", "/ "];
    for line in picture.lines().filter(|line| !line.trim().is_empty() && line.trim() != "…") {
        let fact = facts.iter().find(|label| line.trim_start().starts_with(**label) && !line.contains('┃'));
        let found = match fact {
            Some(label) => rest.any(|real| real.trim_start().starts_with(label.trim_end())),
            None => rest.any(|real| real == plain(line)),
        };
        assert!(found, "not in a real run, or not in this order: {line}");
    }
}
