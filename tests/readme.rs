//! The README shows a real run: its picture of step 3 is taken from the run that the book shows, and held against one.

#![cfg(test)]

mod common;

use common::{Who, filters, run, stand_ins, who, workshop};

fn picture() -> &'static str {
    let readme = include_str!("../README.md");
    let picture = readme.split("<!-- picture: step 3 -->").nth(1).and_then(|rest| rest.split("```").nth(1));
    picture.expect("the README has a picture").trim_start_matches("text")
}

/// The lines of a picture come in the same order in the run. Where some were left out, there is one with just `…`.
fn is_shown_in(picture: &str, run: &str) {
    let mut rest = run.lines();
    for line in picture.lines().filter(|line| !line.trim().is_empty() && line.trim() != "…") {
        assert!(rest.any(|real| real == line), "not in it, or not in this order: {line}\n{run}");
    }
}

#[test]
fn the_picture_in_the_readme_is_from_the_run_in_the_book() {
    is_shown_in(picture(), &console::strip_ansi_codes(include_str!("../book/en/runs/step-3.txt")));
}

#[test]
fn the_picture_in_the_readme_is_a_real_run() {
    let as_whom = *who().first().unwrap_or(&Who::User);
    let real = run(workshop(as_whom).args(["step", "3"]));
    assert_eq!(real.status, 0, "{}", real.stderr);
    let [picture, real] =
        [picture(), &real.stdout].map(|text| filters::plain("step-3", &stand_ins::readable(text)));
    is_shown_in(&picture, &real);
}
