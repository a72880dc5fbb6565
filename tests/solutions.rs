//! The solutions of the exercises as a reader meets them: short, and each grown out of the one before.

#![cfg(test)]

mod common;

use std::fs;
use std::path::PathBuf;

use common::child::command;
use common::steps::{exercise_folder, exercise_numbers, with_option};

const FILES: [&str; 2] = ["main.rs", "box.sh"];

fn path(step: u32, file: &str) -> PathBuf {
    let folder = exercise_folder(step);
    let lesson = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("lessons").join(folder);
    // What a learner starts with is where the first solution comes from.
    match (step, file) {
        (0, "main.rs") => lesson.join("starter/rust/src/main.rs"),
        (0, _) => lesson.join("starter/sh").join(file),
        _ => lesson.join("solution").join(file),
    }
}

fn read(step: u32, file: &str) -> String {
    fs::read_to_string(path(step, file)).unwrap_or_else(|error| panic!("{step}/{file}: {error}"))
}

/// How many lines have to be removed from `before`, and added, to get `after`: what is on no longest common
/// subsequence of the two.
fn changes(before: &str, after: &str) -> (usize, usize) {
    let (before, after): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
    let mut common = vec![vec![0; after.len() + 1]; before.len() + 1];
    for (i, old) in before.iter().enumerate() {
        for (j, new) in after.iter().enumerate() {
            common[i + 1][j + 1] =
                if old == new { common[i][j] + 1 } else { common[i][j + 1].max(common[i + 1][j]) };
        }
    }
    let kept = common[before.len()][after.len()];
    (before.len() - kept, after.len() - kept)
}

/// Whether what such a program does outside is somebody else's work in it: a process that has users of its own has no
/// rights there any more. So it is put together anew.
fn is_put_together_anew(step: u32) -> bool {
    step == with_option("--userns").number
}

#[test]
fn a_solution_is_short_and_its_lines_fit_a_page() {
    for step in exercise_numbers() {
        for file in FILES {
            let text = read(step, file);
            let most = if step < with_option("--userns").number { 99 } else { 160 };
            assert!(text.lines().count() <= most, "{step}/{file} has {} lines", text.lines().count());
            let long = text.lines().find(|line| line.chars().count() > 110);
            assert_eq!(long, None, "{step}/{file}");
            assert!(text.ends_with("}\n") || text.ends_with("esac\n"), "{step}/{file} is whole");
        }
    }
}

#[test]
fn each_solution_grows_out_of_the_one_before() {
    let steps: Vec<u32> = exercise_numbers().collect();
    for pair in steps.windows(2) {
        for file in FILES {
            let (removed, added) = changes(&read(pair[0], file), &read(pair[1], file));
            let (most, fewest) = if is_put_together_anew(pair[1]) { (90, 32) } else { (36, 10) };
            assert!((2..=most).contains(&added), "{}/{file} adds {added} lines", pair[1]);
            assert!(removed <= fewest, "{}/{file} takes back {removed} lines", pair[1]);
        }
    }
}

#[test]
fn a_change_is_counted_as_diff_counts_it() {
    assert_eq!(changes("a\nb\nc\n", "a\nx\ny\nc\n"), (1, 2));
    assert_eq!(changes("a\nb\n", "b\na\n"), (1, 1));
    assert_eq!(changes("a\n", "a\n"), (0, 0));
}

#[test]
fn each_shell_solution_is_a_script_that_the_shell_reads() {
    for step in exercise_numbers() {
        let script = path(step, "box.sh");
        let parsed = command("sh").arg("-n").arg(&script).output().expect("sh");
        assert!(parsed.status.success(), "{step}: {}", String::from_utf8_lossy(&parsed.stderr));
    }
}

#[test]
fn each_rust_solution_is_built_as_an_example() {
    let manifest =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).expect("Cargo.toml");
    for number in exercise_numbers() {
        let file = path(number, "main.rs");
        let file = file.strip_prefix(env!("CARGO_MANIFEST_DIR")).expect("a path in the package").display();
        let example = format!("name = \"solution-{number}\"\npath = \"{file}\"");
        assert!(manifest.contains(&example), "{example}");
    }
}
