//! A learner's own runtime: its folder, hints, progress, solutions, and what is asked before something is lost.

#![cfg(test)]

mod common;

use std::fs;
use std::path::Path;

use common::child::command;
use common::project::{ask, folder, me, project, set, solution, state, unwrapped};
use common::steps;
use common::{am_root, events, have, home, run, skip, workshop};

const LANGUAGES: [&str; 5] = ["rust", "go", "python", "c", "sh"];

/// The words of an array.
fn words(value: Option<&toml::Value>) -> Vec<String> {
    let words = value.and_then(toml::Value::as_array).into_iter().flatten();
    words.filter_map(|word| word.as_str().map(String::from)).collect()
}

/// Builds a project as its own file says, with the compilers of whoever runs the tests.
fn build(dir: &Path) {
    let mut words = words(state(dir).get("build")).into_iter();
    let Some(program) = words.next() else { return };
    let mut command = command(&program);
    command.args(words).current_dir(dir).env("CARGO_NET_OFFLINE", "true").env("GOFLAGS", "-mod=mod");
    command.env("GOCACHE", dir.join(".cache")).env_remove("CARGO_TARGET_DIR");
    let built = run(&mut command);
    assert_eq!((built.status, built.stderr.as_str()), (0, ""), "{program}: {}", built.stdout);
}

#[test]
fn each_starter_builds_and_does_what_step_0_asks() {
    for language in LANGUAGES {
        let tool = match language {
            "rust" => have("cargo", "rustup"),
            "go" => have("go", "golang-go"),
            "python" => have("python3", "python3"),
            "c" => have("cc", "gcc") && have("make", "make"),
            _ => true,
        };
        if !tool {
            continue;
        }
        let dir = project(&format!("start-{language}"), language);
        build(&dir);
        let program = words(state(&dir).get("run"));
        let mut command = workshop(me());
        command.current_dir(&dir).args(["check", "0", "--format", "json", "--"]).args(program);
        let ran = run(&mut command);
        assert_eq!(ran.status, 0, "{language}: {}{}", ran.stdout, ran.stderr);
        let done = events(&ran.stdout).pop().expect("events");
        assert_eq!(
            (&done["event"], &done["failed"], &done["skipped"]),
            (&"done".into(), &0.into(), &0.into())
        );
        let readme = fs::read_to_string(dir.join("README.md")).expect("a README");
        assert!(!readme.contains('{'), "{readme}");
    }
}

#[test]
fn the_readme_is_in_the_learners_language() {
    let ran = ask(&home(me()), &["new", "ko", "--lang", "sh", "--lang", "ko"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("런타임"), "{}", ran.stdout);
    let readme = |dir: &str| fs::read_to_string(folder(dir).join("README.md")).expect("a README");
    assert!(readme("ko").contains("명령줄"));
    project("en", "sh");
    let options = |text: &str| -> Vec<String> {
        let pattern = regex::Regex::new("`--[^`]*`").expect("a pattern");
        pattern.find_iter(text).map(|found| found.as_str().to_owned()).collect()
    };
    let sorted = |mut options: Vec<String>| {
        options.sort();
        options
    };
    assert_eq!(sorted(options(&readme("ko"))), sorted(options(&readme("en"))));
}

#[test]
fn nothing_is_ever_overwritten() {
    let dir = folder("taken");
    fs::create_dir(&dir).expect("a folder");
    // An empty one will do, and stays the same folder: a shell may stand in it.
    let inode = |dir: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(dir).expect("a folder"));
    let before = inode(&dir);
    assert_eq!(ask(&dir, &["new", ".", "--lang", "sh"]).status, 0);
    assert_eq!(inode(&dir), before);
    let names = || {
        let mut names: Vec<_> =
            fs::read_dir(&dir).expect("list it").flatten().map(|e| e.file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(), [".gitignore", "README.md", "box.sh", "workshop.toml"]);
    fs::write(dir.join("box.sh"), "mine").expect("write");
    for (path, words) in [
        ("taken", "is not empty"),
        ("taken/box.sh", "is not a folder"),
        ("taken/box.sh/x", "is not a folder"),
    ] {
        let ran = ask(&home(me()), &["new", path, "--lang", "c"]);
        assert_eq!(ran.status, 2, "{path}: {}", ran.stderr);
        assert!(unwrapped(&ran.stderr).contains(words), "{path}: {}", ran.stderr);
    }
    assert_eq!(names().len(), 4);
    assert_eq!(fs::read_to_string(dir.join("box.sh")).expect("read"), "mine");
}

#[test]
fn what_cannot_be_written_leaves_nothing_behind() {
    let ran = ask(Path::new("/"), &["new", "/proc/nowhere/box", "--lang", "c"]);
    assert_eq!(ran.status, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("can't be written"), "{}", ran.stderr);
    // A disk that fills up in the middle of it.
    if !am_root() {
        return skip("a full disk takes a mount", "Run the tests as root");
    }
    if !have("unshare", "util-linux") {
        return;
    }
    let script = "mount -t tmpfs -o size=16k,mode=777 none /mnt && \"$0\" new /mnt/box --lang c; \
                  echo status $?; ls -A /mnt";
    let program = &common::place().program;
    let ran = run(command("unshare").args(["-m", "sh", "-c", script]).arg(program));
    assert_eq!(ran.stdout, "status 2\n", "{}", ran.stderr);
}

#[test]
fn without_a_terminal_nothing_is_asked() {
    let dir = project("unasked", "sh");
    for (args, words) in [
        (&["new", "x"][..], "--lang rust"),
        (&["watch"], "needs a terminal"),
        (&["reset"], "workshop reset 0 --yes"),
        (&["solution", "1"], "workshop solution 1 --yes"),
        (&["hint", "9"], "There is no step '9' to build."),
        (&["new", "x", "--lang", "cobol"], "rust, go, python, c, sh"),
    ] {
        let ran = ask(&dir, args);
        assert_eq!((ran.status, ran.stdout.as_str()), (2, ""), "{args:?}: {}", ran.stderr);
        assert!(unwrapped(&ran.stderr).contains(words), "{args:?}: {}", ran.stderr);
    }
    for command in ["watch", "hint", "progress", "reset"] {
        let ran = ask(Path::new("/"), &[command, "--lang", "ko"]);
        assert_eq!(ran.status, 2, "{command}");
        let told = if command == "watch" { "터미널" } else { "workshop.toml" };
        assert!(ran.stderr.contains(told), "{command}: {}", ran.stderr);
    }
}

#[test]
fn hints_come_one_after_the_other_and_are_remembered() {
    let dir = project("hints", "sh");
    let hint = |args: &[&str]| ask(&dir, &[&["hint"], args].concat()).stdout;
    let titles = |text: &str, words: &str| text.lines().filter(|line| line.contains(words)).count();
    assert!(hint(&["1", "--again"]).contains("No hint of this step was shown yet."));
    for number in 1..=3 {
        // From below as well, and in any language.
        fs::create_dir_all(dir.join("deep/er")).expect("folders");
        let ran = ask(
            &dir.join("deep/er"),
            &["hint", steps::numbered(1).slug, "--lang", ["en", "ko", "en"][number - 1]],
        );
        let title = [format!("Step 1, hint {number} of 3"), format!("1단계, 힌트 {number}/3")];
        assert!(title.iter().any(|title| ran.stdout.contains(title)), "{}", ran.stdout);
        let shown = state(&dir)["progress"]["hints"]["1"].as_integer();
        assert_eq!(shown, Some(number as i64));
    }
    let last = hint(&["1"]);
    assert!(unwrapped(&last).contains("the last hint of this step"), "{last}");
    assert!(last.contains(&format!("own/{}.html", steps::numbered(1).folder())), "{last}");
    assert_eq!(titles(&last, ", hint "), 0);
    assert_eq!(titles(&hint(&["1", "--again"]), ", hint "), 3);
    // Another step has hints of its own.
    let event = &events(&hint(&["--format", "json"]))[0];
    assert_eq!(
        (&event["event"], &event["step"], &event["number"]),
        (&"hint".into(), &"run".into(), &1.into())
    );
    assert!(event["text"].as_str().is_some_and(|text| text.len() > 20), "{event}");
}

#[test]
fn progress_shows_every_step_and_where_the_learner_is() {
    let dir = project("progress", "go");
    set(&dir, "done = []", "done = [0, 1, 2]");
    set(&dir, "step = 0", "step = 3");
    set(&dir, "hints = {}", "hints = { 3 = 2 }");
    for lang in ["en", "ko"] {
        let ran = ask(&dir, &["progress", "--lang", lang]);
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        insta::assert_snapshot!(format!("progress_{lang}"), ran.stdout);
    }
    let steps = events(&ask(&dir, &["progress", "--format", "json"]).stdout);
    let told = |field: &str| steps.iter().map(|step| step[field].clone()).collect::<Vec<_>>();
    let numbers: Vec<u32> = steps::exercise_numbers().collect();
    assert_eq!(told("number"), numbers);
    assert_eq!(told("done"), numbers.iter().map(|number| *number < 3).collect::<Vec<_>>());
    assert_eq!(told("current"), numbers.iter().map(|number| *number == 3).collect::<Vec<_>>());
    assert!(steps.iter().all(|step| step["event"] == "step" && step["title"] != ""));
}

#[test]
fn a_broken_or_newer_state_is_named_with_its_line_and_kept() {
    let dir = project("broken", "c");
    let file = dir.join("workshop.toml");
    let whole = fs::read_to_string(&file).expect("read");
    for (from, to, words) in [
        ("step = 0", "step = zero", "line 6, is not understood"),
        ("run = ", "<<<<<<< HEAD\nrun = ", "line 5, is not understood"),
        ("done = []", "done = [12]", "line 9, is not understood"),
        ("version = 1", "version = 7", "has version 7"),
    ] {
        let text = whole.replacen(from, to, 1);
        fs::write(&file, &text).expect("write");
        for args in [&["progress"][..], &["hint"], &["reset", "--yes"], &["solution", "1", "--yes"]] {
            let ran = ask(&dir, args);
            assert_eq!((ran.status, ran.stdout.as_str()), (2, ""), "{to} {args:?}: {}", ran.stderr);
            assert!(unwrapped(&ran.stderr).contains(words), "{to}: {}", ran.stderr);
        }
        assert_eq!(fs::read_to_string(&file).expect("read"), text);
    }
}

#[test]
fn reset_forgets_a_step_and_those_after_it_and_loses_no_work() {
    let dir = project("reset", "sh");
    let starter = fs::read_to_string(dir.join("box.sh")).expect("read");
    set(&dir, "done = []", "done = [0, 1, 2]");
    set(&dir, "step = 0", "step = 3");
    set(&dir, "hints = {}", "hints = { 0 = 1, 2 = 3, 3 = 1 }");
    fs::write(dir.join("box.sh"), "mine").expect("write");
    let ran = ask(&dir, &["reset", "2", "--source", "--yes"]);
    assert_eq!(ran.status, 2);
    assert!(ran.stderr.contains("no saved source"), "{}", ran.stderr);
    assert_eq!(ask(&dir, &["reset", "2", "--yes"]).status, 0);
    let now = state(&dir);
    assert_eq!(now["step"].as_integer(), Some(2));
    assert_eq!(now["progress"]["done"].to_string(), "[0, 1]");
    assert_eq!(now["progress"]["hints"].as_table().map(|hints| hints.len()), Some(1));
    let read = |name: &str| fs::read_to_string(dir.join(name)).expect("read");
    assert_eq!(read("box.sh"), "mine");
    assert_eq!(ask(&dir, &["reset", "0", "--source", "--yes"]).status, 0);
    assert_eq!((read("box.sh"), read("box.sh.~1~").as_str()), (starter, "mine"));
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(dir.join("box.sh")).expect("it").permissions());
    assert_eq!(mode & 0o111, 0o111);
    assert!(read("workshop.toml").contains("# the step that you work on"));
}

#[test]
fn each_solution_is_shown_whole_and_as_what_changes_to_it() {
    let dir = project("solutions", "rust");
    for (language, file, path) in [("rust", "main.rs", "src/main.rs"), ("sh", "box.sh", "box.sh")] {
        for step in steps::exercise_numbers().skip(1) {
            let number = step.to_string();
            let asked = ["solution", &number, "--lang", language];
            let refused = ask(&dir, &asked);
            assert_eq!((refused.status, refused.stdout.as_str()), (2, ""), "{}", refused.stderr);
            let shown = |more: &[&str]| ask(&dir, &[&asked[..], &["--yes"], more].concat()).stdout;
            assert_eq!(shown(&[]), solution(step, file));
            // Of a diff, what stays and what comes is the solution's own text, in its order.
            let diff = shown(&["--diff"]);
            assert!(diff.starts_with(&format!("--- a/{path}\n+++ b/{path}\n@@ ")), "{diff}");
            let text = solution(step, file);
            let mut rest = text.lines();
            for line in diff.lines().skip(2).filter(|line| line.starts_with([' ', '+'])) {
                assert!(rest.any(|own| own == &line[1..]), "{step} {language}: {line:?}");
            }
            let coloured = shown(&["--diff", "--color", "always"]);
            assert!(coloured.contains("\u{1b}[32m+"), "{coloured}");
            assert_eq!(console::strip_ansi_codes(&coloured), diff);
        }
    }
}

#[test]
fn a_solution_goes_to_where_it_is_sent_and_is_not_shown_unasked() {
    let dir = project("solution", "sh");
    // Where there is no project there is nothing to spoil.
    let outside = ask(Path::new("/"), &["solution", "0", "--lang", "sh"]);
    assert_eq!(outside.stdout, fs::read_to_string(dir.join("box.sh")).expect("read"));
    assert_eq!(ask(&dir, &["solution", "0"]).status, 2);
    // In the project's language; what is done is no secret.
    set(&dir, "done = []", "done = [0]");
    assert_eq!(ask(&dir, &["solution", "0"]).stdout, outside.stdout);
    let event = &events(&ask(&dir, &["solution", "--format", "json"]).stdout)[0];
    assert_eq!((&event["event"], &event["language"]), (&"solution".into(), &"sh".into()));
    assert_eq!(event["text"], outside.stdout.as_str());
    let ran = ask(Path::new("/"), &["solution"]);
    assert_eq!(ran.status, 2, "{}", ran.stdout);
}
