//! `workshop play`: a recorded run is told as it was, shown on a terminal forward and back, and written for asciinema; what
//! is no recording is refused by name.
//!
//! tests/recordings has two real runs: that of step 6 is of the first program that could record.

#![cfg(test)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use common::screen::{CTRL_C, ESCAPE, Screen};
use common::watch::Desk;
use common::{Ran, Who, am_root, home, may_be_refused, run, steps, workshop};
use serde_json::Value;

const RIGHT: &str = "\x1b[C";
const LEFT: &str = "\x1b[D";
const END: &str = "\x1b[F";
const HOME: &str = "\x1b[H";

fn me() -> Who {
    if am_root() { Who::Root } else { Who::User }
}

/// A file of ours that whoever plays may read, with this text in it.
fn file(text: &str) -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let path = home(me()).join(format!("play-{}.jsonl", NUMBER.fetch_add(1, Ordering::Relaxed)));
    fs::write(&path, text).expect("write a file");
    path
}

/// A recording of tests/recordings.
fn recording(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings").join(name);
    file(&fs::read_to_string(path).expect("a recording"))
}

fn play(path: &Path, more: &[&str]) -> Ran {
    run(workshop(me()).arg("play").arg(path).args(more))
}

fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn a_run_is_told_again_word_by_word() {
    for (number, lang) in [(1, "en"), (2, "ko")] {
        let path = file("");
        let mut command = workshop(me());
        command
            .args(["step", &number.to_string(), "--lang", lang, "--color", "always", "--record"])
            .arg(&path);
        let told = run(&mut command);
        if told.status == 3 && may_be_refused(me(), steps::numbered(number)) {
            continue;
        }
        // The language is that of the recording.
        let again = play(&path, &["--color", "always", "--lang", "en"]);
        assert_eq!((again.status, again.stderr.as_str()), (0, ""));
        assert_eq!(again.stdout, told.stdout);
        let events = play(&path, &["--format", "json"]);
        let recorded = fs::read_to_string(&path).expect("the recording");
        assert_eq!(events.stdout, recorded.split_once('\n').expect("a header").1);
    }
}

/// Its arguments are as long as the kernel got them: what they are in short was not recorded then.
#[test]
fn the_first_program_that_could_record_is_understood() {
    let ran = play(&recording("step-6-en.jsonl"), &[]);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
    snapshot("play_told_first_format", &ran.stdout);
}

#[test]
fn on_a_terminal_one_goes_forward_and_back() {
    let path = recording("step-6-en.jsonl");
    let desk = Desk::new(me(), "play-en");
    let mut screen = Screen::shell(&desk, &["sh"]);
    screen.wait_for("outer> ");
    let modes = screen.modes();
    screen.line(&format!("$workshop play {}; echo status $?", path.display()));
    let first = |picture: &str| picture.contains("call 0 of 17") && picture.contains("q ends");
    snapshot("play_en_80_first", &screen.see("the first page", first));
    for place in 1..=16 {
        screen.keys(RIGHT);
        screen.see_words(&format!("call {place} of 17"));
    }
    snapshot("play_en_80_call_16", &screen.see_page_with("call 16 of 17", "q ends"));
    screen.keys(LEFT);
    screen.see_words("call 15 of 17");
    // Where it ends, it stops; and it begins again from there.
    screen.keys(END);
    screen.keys(RIGHT);
    screen.see_words("call 17 of 17");
    screen.keys(" ");
    screen.see("the first call, played", |picture| picture.contains("▶ call 1 of 17"));
    screen.keys(" ");
    screen.see("a pause", |picture| picture.contains("❚❚ call 1 of 17"));
    screen.keys(HOME);
    screen.see_words("call 0 of 17");
    screen.keys("q");
    screen.wait_for("status 0\r\n");
    assert_eq!(screen.modes(), modes);
    assert!(screen.shows_cursor());
    screen.line("exit");
    screen.end();
}

#[test]
fn a_narrow_terminal_has_both_sides_in_korean_too() {
    let path = recording("step-5-ko.jsonl");
    let desk = Desk::new(me(), "play-ko");
    let named = path.display().to_string();
    for (columns, leave) in [(80, "q"), (44, ESCAPE), (30, CTRL_C)] {
        let mut screen = Screen::with(&desk, columns, &["play", &named], &[("NO_COLOR", "1")]);
        screen.see("the first page", |picture| picture.contains("4개 중 0번째") && picture.contains("← →"));
        screen.keys(END);
        snapshot(&format!("play_ko_{columns}"), &screen.see_page_with("4개 중 4번째", "← →"));
        // It fits whatever the terminal becomes.
        screen.resize(10, 36);
        screen.keys(LEFT);
        screen.see_words("4개 중 3번째");
        screen.keys(leave);
        assert_eq!(screen.end(), 0);
        assert!(screen.shows_cursor());
    }
}

#[test]
fn a_cast_has_the_same_words_and_the_recorded_times() {
    let path = recording("step-5-ko.jsonl");
    let cast = file("");
    let ran = play(&path, &["--cast", &cast.display().to_string()]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let text = fs::read_to_string(&cast).expect("a cast");
    let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let head = lines.next().expect("a head");
    assert_eq!((&head["version"], &head["width"], &head["height"]), (&2.into(), &80.into(), &24.into()));
    let events: Vec<Value> = lines.collect();
    let times: Vec<f64> = events.iter().map(|event| event[0].as_f64().expect("a time")).collect();
    assert!(times.is_sorted(), "{times:?}");
    let recorded = fs::read_to_string(&path).expect("the recording");
    let calls = recorded.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let calls: Vec<f64> = calls.filter_map(|event| event["t"].as_f64()).collect();
    assert!(!calls.is_empty() && calls.iter().all(|at| times.contains(at)), "{calls:?} in {times:?}");
    let shown: String = events.iter().filter_map(|event| event[2].as_str()).collect();
    let told = play(&path, &["--color", "always"]).stdout;
    assert_eq!(shown.replace("\r\n", "\n"), told);
}

#[test]
fn what_is_no_recording_is_refused_by_name() {
    let header = |version: u32, step: &str| {
        format!(
            "{{\"format\":\"workshop-recording\",\"version\":{version},\"program\":\"workshop 9.9\",\"step\":\"{step}\",\"lang\":\"en\"}}\n"
        )
    };
    let cases = [
        (home(me()).join("nothing-there"), "can't be read"),
        (home(me()), "can't be read"),
        (file(""), "is no recording"),
        (file("{\"event\":\"step\"}\n"), "is no recording"),
        (file("\u{7f}ELF\n"), "is no recording"),
        (file(&header(2, "mount-proc")), "a recording of format 2"),
        (file(&header(1, "teleport")), "the step teleport"),
        (file(&format!("{}{{\"event\":\"call\",\"seq\":\"one\"}}\n", header(1, "mount-proc"))), "line 2"),
    ];
    for (path, words) in cases {
        let ran = play(&path, &["--lang", "en"]);
        assert_eq!((ran.status, ran.stdout.as_str()), (2, ""), "{words}: {}{}", ran.stdout, ran.stderr);
        let said = ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(words), "{words}: {said}");
    }
    let newer = play(&file(&header(2, "mount-proc")), &["--lang", "en"]);
    assert!(newer.stderr.contains("workshop 9.9"), "{}", newer.stderr);
    let unwritable = play(&recording("step-5-ko.jsonl"), &["--lang", "en", "--cast", "/proc/nowhere/x"]);
    assert_eq!(unwritable.status, 2, "{}", unwritable.stderr);
}

/// A file may come from anybody, and a terminal does what it is told.
#[test]
fn a_recording_steers_no_terminal() {
    let text = fs::read_to_string(recording("step-5-ko.jsonl")).expect("the recording");
    let hostile = text.replace("컨테이너", "\\u001b]0;pwned\\u0007\\u009b2J");
    assert_ne!(hostile, text);
    let ran = play(&file(&hostile), &["--color", "never"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("pwned"));
    let steering: Vec<char> = ran.stdout.chars().filter(|c| c.is_control() && *c != '\n').collect();
    assert!(steering.is_empty(), "{steering:?}");
}
