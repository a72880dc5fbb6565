//! A learner's folder, and what is done in it.

use std::fs;
use std::path::{Path, PathBuf};

use super::screen::Screen;
use super::watch::Desk;
use super::{Ran, Who, am_root, home, run, steps, workshop};

/// Whoever runs the tests.
pub fn me() -> Who {
    if am_root() { Who::Root } else { Who::User }
}

/// A folder that is not there yet.
pub fn folder(name: &str) -> PathBuf {
    home(me()).join(name)
}

/// Runs in a folder.
pub fn ask(dir: &Path, args: &[&str]) -> Ran {
    run(workshop(me()).current_dir(dir).args(args))
}

/// A project in a language, with nothing done yet.
pub fn project(name: &str, language: &str) -> PathBuf {
    project_of(me(), name, language)
}

/// The same, of somebody's.
pub fn project_of(who: Who, name: &str, language: &str) -> PathBuf {
    let ran = run(workshop(who).current_dir(home(who)).args(["new", name, "--lang", language]));
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    home(who).join(name)
}

/// A shell project that has come to a step, with the program of another one.
pub fn come_to(who: Who, name: &str, step: u32, program: u32) -> PathBuf {
    let dir = project_of(who, name, "sh");
    let done: Vec<u32> = steps::exercise_numbers().filter(|number| *number < step).collect();
    set(&dir, "done = []", &format!("done = {done:?}"));
    set(&dir, "step = 0", &format!("step = {step}"));
    fs::write(dir.join("box.sh"), solution(program, "box.sh")).expect("write");
    dir
}

/// A solution as the lessons have it.
pub fn solution(step: u32, file: &str) -> String {
    let folder = steps::numbered(step).folder();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("lessons/{folder}/solution/{file}"));
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

pub fn state(dir: &Path) -> toml::Table {
    fs::read_to_string(dir.join("workshop.toml")).expect("the state").parse().expect("TOML")
}

pub fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Sets what a learner has come to.
pub fn set(dir: &Path, from: &str, to: &str) {
    let file = dir.join("workshop.toml");
    let text = fs::read_to_string(&file).expect("read");
    assert!(text.contains(from), "{from} in {text}");
    fs::write(file, text.replacen(from, to, 1)).expect("write");
}

/// A shell at a terminal, in a project.
pub fn at(dir: &Path, desk: &Desk) -> Screen {
    let mut screen = Screen::shell(desk, &["sh", "-i"]);
    screen.wait_for("outer> ");
    screen.line(&format!("cd {}", dir.display()));
    screen.wait_for("outer> ");
    screen
}
