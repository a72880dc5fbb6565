//! The judge is judged: solutions pass, each broken program fails exactly the checks that are there to find it, and
//! one that means harm does none.

#![cfg(test)]

#[path = "judge/cases.rs"]
mod cases;
#[path = "judge/cell.rs"]
mod cell;
mod common;
#[path = "judge/harm.rs"]
mod harm;
#[path = "judge/korean.rs"]
mod korean;
#[path = "judge/peers.rs"]
mod peers;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::guest::Guest;
use common::steps;
use common::{Who, am_root, events, have, place, run, skip, workshop};
use korean::assert_told_in_korean;
use serde::Deserialize;
use serde_json::Value;

/// What the judge said.
struct Verdict {
    status: i32,
    failed: Vec<String>,
    skipped: u64,
    events: Vec<Value>,
}

/// Judges a program as that user.
fn check(who: Who, step: &str, program: &Path) -> Verdict {
    check_in("en", who, step, program)
}

/// The same, told in a language.
fn check_in(lang: &str, who: Who, step: &str, program: &Path) -> Verdict {
    let mut command = workshop(who);
    command.args(["check", step, "--format", "json", "--lang", lang, "--"]).arg(program);
    let ran = run(&mut command);
    let events = events(&ran.stdout);
    let checks = events.iter().filter(|e| e["event"] == "check");
    let failed = checks.filter(|e| e["passed"] == false).filter_map(|e| e["name"].as_str());
    let failed: Vec<String> = failed.map(String::from).collect();
    let done = events.iter().find(|e| e["event"] == "done");
    assert!(done.is_some() || ran.status == 3, "{}: {}{}", program.display(), ran.stdout, ran.stderr);
    let skipped = done.and_then(|done| done["skipped"].as_u64()).unwrap_or(0);
    Verdict { status: ran.status, failed, skipped, events }
}

/// The text of a shell solution.
fn shell_solution(step: u32) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("lessons").join(steps::exercise_folder(step));
    let file = if step == 0 { file.join("starter/sh/box.sh") } else { file.join("solution/box.sh") };
    fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// The program that Cargo has built of a Rust solution, as an example.
fn rust_solution(step: u32) -> PathBuf {
    let own = std::env::current_exe().expect("this test's own file");
    let examples = own.parent().and_then(Path::parent).expect("the build folder").join("examples");
    examples.join(format!("solution-{step}"))
}

/// A script in a folder of its own that everybody may read.
fn script(name: &str, text: &str) -> PathBuf {
    let dir = place().dir.join("judged").join(name.replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
    fs::create_dir_all(&dir).expect("a folder for a program");
    let file = dir.join("box.sh");
    fs::write(&file, text).expect("write a program");
    for path in [dir.as_path(), &file, dir.parent().expect("a parent")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("open it to others");
    }
    file
}

/// What the shell solutions are made of.
fn have_tools() -> bool {
    [("unshare", "util-linux"), ("nsenter", "util-linux"), ("ip", "iproute2"), ("perl", "perl")]
        .into_iter()
        .all(|(program, package)| have(program, package))
}

/// Runs `work` on each item, a few at a time.
fn each<T: Sync>(items: &[T], work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(item);
                }
            });
        }
    });
}

/// Asks again for a verdict that is not the expected one: what a machine spoils that is busy with other verdicts is not
/// spoilt when they are over, and what is wrong stays wrong.
fn ask_again<K: Ord>(
    found: &mut BTreeMap<K, Vec<String>>,
    key: K,
    expected: &[String],
    ask: impl Fn() -> Vec<String>,
) {
    if found.get(&key).is_none_or(|failed| failed != expected) {
        found.insert(key, ask());
    }
}

/// The solution of step N passes as every step up to N, and not as the one after it.
fn solutions(who: Who, last: u32, program: impl Fn(u32) -> PathBuf + Sync) {
    let up_to = |last: u32| steps::exercise_numbers().filter(move |number| *number <= last);
    let judged_as = |step: u32| up_to(steps::exercise_after(step).unwrap_or(step));
    let pairs: Vec<(u32, u32)> =
        up_to(last).skip(1).flat_map(|step| judged_as(step).map(move |judged| (step, judged))).collect();
    each(&pairs, |(step, judged)| {
        let verdict = check(who, &judged.to_string(), &program(*step));
        if verdict.status == 3 {
            assert!(
                *judged == steps::of_limits().number && who == Who::User,
                "solution {step} as step {judged}: {:?}",
                verdict.events
            );
        } else if judged <= step {
            assert_eq!(verdict.failed, [""; 0], "solution {step} as step {judged} and {who:?}");
        } else {
            assert!(!verdict.failed.is_empty(), "solution {step} passes as step {judged} and {who:?}");
        }
    });
}

#[test]
fn shell_solutions_pass_their_own_step_and_those_before_and_not_the_next() {
    if have_tools() {
        let scripts: BTreeMap<u32, PathBuf> = steps::exercise_numbers()
            .map(|step| (step, script(&format!("solution-{step}"), &shell_solution(step))))
            .collect();
        for who in common::who() {
            solutions(who, steps::last_exercise(), |step| scripts[&step].clone());
        }
    }
}

#[test]
fn rust_solutions_pass_their_own_step_and_those_before_and_not_the_next() {
    let dir = place().dir.join("judged-rust");
    fs::create_dir_all(&dir).expect("a folder");
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).expect("open it to others");
    let copies: BTreeMap<u32, PathBuf> = steps::exercise_numbers()
        .map(|step| {
            let copy = dir.join(format!("box-{step}"));
            if step > 0 {
                fs::copy(rust_solution(step), &copy).expect("cargo test builds the examples");
            }
            (step, copy)
        })
        .collect();
    // The one with a network has its links made by ip(8).
    let networked = if have("ip", "iproute2") { u32::MAX } else { steps::with_option("--net").number };
    let last = steps::exercise_numbers().take_while(|step| *step < networked).last().expect("some");
    for who in common::who() {
        solutions(who, last, |step| copies[&step].clone());
    }
}

#[test]
fn the_last_rust_solution_passes_where_there_is_only_cgroup_v2() {
    if !Guest::possible() {
        return;
    }
    let program = place().dir.join("box-in-guest");
    let last = steps::last_exercise();
    fs::copy(rust_solution(last), &program).expect("cargo test builds the examples");
    let copy = format!("{}:/usr/bin/box", program.display());
    for options in [&["--copy", &copy][..], &["--copy", &copy, "--user"]] {
        let piece = ("check".to_owned(), format!("workshop check {last} --format json -- box"));
        let said = Guest::new(Who::User).with(options).script(&[piece]);
        let (_, text, status) = &said[0];
        let events = events(text);
        let failed: Vec<_> = events.iter().filter(|e| e["passed"] == false).collect();
        assert_eq!((*status, failed), (0, Vec::new()), "{options:?}");
        let done = events.iter().find(|e| e["event"] == "done").expect("the last event");
        assert_eq!(
            (&done["skipped"], done["passed"].as_u64()),
            (&Value::from(0), Some(claims())),
            "{options:?}"
        );
    }
}

/// How many checks the exercises' texts explain.
fn claims() -> u64 {
    let lessons = Path::new(env!("CARGO_MANIFEST_DIR")).join("lessons");
    let text = |step| fs::read_to_string(lessons.join(steps::exercise_folder(step)).join("exercise/en.md"));
    let checks = |step| text(step).expect("an exercise").matches("{#check-").count() as u64;
    steps::exercise_numbers().map(checks).sum()
}

/// A program that is wrong in one way.
#[derive(Deserialize)]
struct Broken {
    name: String,
    base: u32,
    step: Option<u32>,
    change: Vec<(String, String)>,
    fails: Vec<String>,
}

#[derive(Deserialize)]
struct AllBroken {
    program: Vec<Broken>,
}

impl Broken {
    fn text(&self) -> String {
        self.change.iter().fold(shell_solution(self.base), |text, (from, to)| {
            assert_eq!(text.matches(from).count(), 1, "{}: `{from}` is not there exactly once", self.name);
            text.replace(from, to)
        })
    }
}

#[test]
fn each_broken_program_fails_exactly_the_checks_that_find_it() {
    let all: AllBroken = toml::from_str(include_str!("judge/broken.toml")).expect("broken.toml");
    assert!(all.program.len() >= 25);
    if !am_root() {
        return skip("limits need root on some hosts", "Run the tests as root");
    }
    if !have_tools() {
        return;
    }
    let judge = |broken: &Broken| {
        let step = broken.step.unwrap_or(broken.base);
        let program = script(&broken.name, &broken.text());
        let verdict = check_in("ko", Who::Root, &step.to_string(), &program);
        assert_told_in_korean(&broken.name, &verdict.events);
        verdict.failed
    };
    let found = Mutex::new(BTreeMap::new());
    each(&all.program, |broken| {
        let failed = judge(broken);
        found.lock().expect("a list").insert(broken.name.clone(), failed);
    });
    let mut found = found.into_inner().expect("a list");
    for broken in &all.program {
        ask_again(&mut found, broken.name.clone(), &broken.fails, || judge(broken));
    }
    let row = |broken: &Broken| {
        let step = broken.step.unwrap_or(broken.base);
        format!("{step}  {:<53}{}", broken.name, found[&broken.name].join(", "))
    };
    let table: Vec<String> = all.program.iter().map(row).collect();
    let wrong: Vec<_> = all
        .program
        .iter()
        .filter(|b| found[&b.name] != b.fails)
        .map(|b| (&b.name, &b.fails, &found[&b.name]))
        .collect();
    assert!(wrong.is_empty(), "name, expected, found: {wrong:#?}");
    insta::assert_snapshot!("broken_programs", table.join("\n"));
    // There is no check that nothing would be found by.
    let asked: Vec<String> = all_names();
    let caught: Vec<&String> = all.program.iter().flat_map(|broken| &broken.fails).collect();
    let idle: Vec<_> = asked.iter().filter(|name| !caught.contains(name)).collect();
    assert_eq!(idle, [""; 0], "checks that no broken program fails");
}

/// The names of all checks, as a program that passes them all is told.
fn all_names() -> Vec<String> {
    let last = steps::last_exercise();
    let program = script(&format!("solution-{last}"), &shell_solution(last));
    let verdict = check(Who::Root, &last.to_string(), &program);
    let checks = verdict.events.iter().filter(|e| e["event"] == "check");
    checks.filter_map(|e| e["name"].as_str().map(String::from)).collect()
}

#[test]
fn a_failed_check_is_explained_in_both_languages() {
    let program = script("prints 1", "#!/bin/sh\nshift\necho 1\nexec \"$@\"\n");
    for lang in ["en", "ko"] {
        let ran = run(workshop(Who::User).args(["check", "1", "--lang", lang, "--"]).arg(&program));
        assert_eq!(ran.status, 1, "{}", ran.stderr);
        insta::with_settings!({ filters => vec![(r"pid:\[\d+\]", "pid:[N]"), (r"\d+\.\d( s|초)", "0.1$1")] }, {
            insta::assert_snapshot!(format!("check_1_{lang}"), ran.stdout);
        });
    }
    let verdict = check(Who::User, "1", &program);
    let check = verdict.events.iter().find(|e| e["name"] == "own-pids").expect("the check");
    let step = steps::numbered(1);
    assert_eq!(check["step"], step.slug);
    assert_eq!(check["page"], format!("own/{}.html#check-own-pids", step.folder()));
    assert!(check["causes"].as_array().is_some_and(|causes| !causes.is_empty()));
    assert_eq!(check["help"], check["causes"][0]);
}

#[test]
fn wrong_usage_is_told() {
    let usage = |args: &[&str]| {
        let ran = run(workshop(Who::User).arg("check").args(args));
        assert_eq!(ran.status, 2, "{args:?}: {}", ran.stderr);
        ran.stderr
    };
    assert!(usage(&["99", "--", "true"]).contains(&format!("0 to {}", steps::last_exercise())));
    assert!(usage(&["1", "--", "no-such-program"]).contains("was not found"));
    assert!(usage(&["--", "true"]).contains("Which step"));
    assert!(usage(&["1"]).contains("workshop.toml"), "in no project");
}
