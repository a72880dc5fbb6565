//! The command line: what is asked for wrongly, what is listed, languages, colours, and pages for other
//! programs.

#![cfg(test)]

mod common;

use std::fs;

use common::child::command;
use common::steps::{STEPS, Step};
use common::{Ran, Who, am_root, events, has_machines, have, may_be_refused, place, run, who, workshop};

/// Runs as an ordinary user.
fn ask(args: &[&str]) -> Ran {
    run(workshop(Who::User).args(args))
}

/// Text without the breaks of its lines.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn wrong_usage_is_2_and_says_what_is_right() {
    let last = STEPS.len();
    let [zero, many] = ["0", "99"].map(|n| format!("There is no step '{n}'. The steps are 1 to {last}."));
    for (args, words) in [
        (&["step", "0"][..], zero.as_str()),
        (&["step", "99"], &many),
        (&["step", "+3"], "plain digits"),
        (&["step", "pivotroot"], "There is no step 'pivotroot'. Did you mean pivot-root?"),
        (&["step", "cgroup"], "Did you mean cgroup-limit?"),
        (&["step", "1", "--shell"], "`--shell` needs a terminal"),
        (&["step", "1", "--pause"], "`--pause` needs a terminal"),
        (&["pivot-root", "--rootfs", "/nonexistent"], "There is no directory /nonexistent."),
        (&["run", "--rootfs", "/etc/passwd", "--", "true"], "There is no directory /etc/passwd."),
        (&["run", "--memory", "7X", "--", "true"], "`7X` is no size in bytes."),
        (&["run", "--pids", "0", "--", "true"], "`0` is no limit on processes."),
        (&["run", "--cpus", "0", "--", "true"], "`0` is no number of CPUs."),
        (&["run", "--cpus", "inf", "--", "true"], "`inf` is no number of CPUs."),
        (&["run"], "<CMD>..."),
        (
            &["run", "--step", "5", "--net", "true"],
            "--net belongs to step 6, and the container ends with step 5.",
        ),
        (&["--bogus"], "--bogus"),
        (&["step", "1", "--bogus"], "--bogus"),
        (&["pivot"], "pivot-root"),
        (&["list", "--lang", "de"], "en, ko"),
        (&["list", "--format", "xml"], "text, json"),
        (&["step", "1", "--shell", "--", "true"], "cannot be used with"),
        (&["completions", "tcsh"], "bash"),
    ] {
        let ran = ask(args);
        assert_eq!(ran.status, 2, "{args:?}: {}{}", ran.stdout, ran.stderr);
        assert!(unwrapped(&ran.stderr).contains(words), "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn help_and_version_are_answers() {
    let ran = ask(&["--help"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
    for word in STEPS.iter().map(|step| step.slug).chain(["tour", "run", "doctor", "clean", "--lang"]) {
        assert!(ran.stdout.contains(word), "{word} in {}", ran.stdout);
    }
    let ran = ask(&["--version"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (0, concat!("workshop ", env!("CARGO_PKG_VERSION"), "\n")));
}

#[test]
fn an_error_in_json_is_an_event() {
    for args in [&["step", "99"][..], &["run", "--memory", "x", "--", "true"]] {
        let ran = run(workshop(Who::User).args(["--format", "json"]).args(args));
        assert_eq!((ran.status, ran.stderr.as_str()), (2, ""), "{args:?}");
        let events = events(&ran.stdout);
        assert_eq!((events.len(), &events[0]["event"]), (1, &"error".into()), "{args:?}");
        assert_eq!(events[0]["code"], 2, "{args:?}");
    }
}

/// The same program in a home where nothing has been done yet.
fn fresh_home(name: &str) -> impl Fn(&[&str]) -> Ran {
    let who = if am_root() { Who::Root } else { Who::User };
    let home = place().dir.join(name);
    fs::create_dir(&home).expect("make a home");
    move |args| run(workshop(who).env("HOME", &home).args(args))
}

#[test]
fn list_shows_every_step_and_marks_those_that_are_done() {
    let ask = fresh_home("list");
    let done = |ran: &Ran| -> Vec<bool> {
        let line = |Step { number, slug, .. }: &Step| {
            let start = format!("{number} {slug} ");
            let find = |line: &&str| unwrapped(line).starts_with(&start);
            ran.stdout.lines().find(find).unwrap_or_else(|| panic!("{slug} in {}", ran.stdout)).to_string()
        };
        STEPS.iter().map(line).map(|line| line.trim_end().ends_with(" done")).collect()
    };
    assert_eq!(done(&ask(&["list"])), vec![false; STEPS.len()]);
    assert_eq!(ask(&["step", "2"]).status, 0);
    assert_eq!(ask(&["step", "3", "--", "true"]).status, 0);
    let list = ask(&["list"]);
    let wanted: Vec<_> = STEPS.iter().map(|step| [2, 3].contains(&step.number)).collect();
    assert_eq!(done(&list), wanted);
    // Off a terminal there is no menu.
    assert_eq!(ask(&[]).stdout, list.stdout);
}

#[test]
fn list_in_json_is_the_steps() {
    let steps = events(&ask(&["list", "--format", "json"]).stdout);
    let ids: Vec<_> = steps.iter().map(|e| (e["number"].clone(), e["slug"].clone())).collect();
    assert!(ids.iter().zip(1..).all(|((number, _), place)| *number == place), "{ids:?}");
    let mut below = 0;
    for step in &steps {
        assert_eq!(step["event"], "step");
        assert_eq!(step["builds_on"].as_array().map(Vec::len), Some(below), "{step}");
        // What stands beside the container is nothing to build on.
        below += usize::from(step["builds"] == "container");
        assert!(step["title"].as_str().is_some_and(|title| !title.is_empty()), "{step}");
    }
}

#[test]
fn a_step_is_the_same_by_number_by_name_and_as_a_command() {
    let calls = |args: &[&str]| -> Vec<String> {
        let ran = run(workshop(Who::User).args(args).args(["--format", "json"]));
        assert_eq!(ran.status, 0, "{args:?}: {}{}", ran.stdout, ran.stderr);
        let calls = events(&ran.stdout).into_iter().filter(|e| e["event"] == "call");
        calls
            .map(|call| format!("{} {} {} {}", call["seq"], call["actor"], call["name"], call["why"]))
            .collect()
    };
    for step @ Step { number, slug, .. } in STEPS.iter() {
        if may_be_refused(Who::User, step) {
            continue;
        }
        let by_number = calls(&["step", &number.to_string()]);
        assert!(!by_number.is_empty(), "{slug}");
        assert_eq!(calls(&["step", slug]), by_number, "{slug}");
        assert_eq!(calls(&[slug]), by_number, "{slug}");
    }
}

#[test]
fn the_language_is_asked_for_or_that_of_the_environment() {
    let title = |env: &[(&str, &str)], args: &[&str]| {
        let ran = run(workshop(Who::User).envs(env.iter().copied()).arg("list").args(args));
        ran.stdout.lines().next().unwrap_or_default().trim().to_string()
    };
    assert_eq!(title(&[], &[]), "The steps");
    assert_eq!(title(&[], &["--lang", "ko"]), "단계");
    assert_eq!(title(&[("LANG", "ko_KR.UTF-8")], &[]), "단계");
    assert_eq!(title(&[("LC_ALL", "ko_KR.UTF-8"), ("LANG", "en_US.UTF-8")], &[]), "단계");
    assert_eq!(title(&[("LC_ALL", "C.UTF-8"), ("LANG", "ko_KR.UTF-8")], &[]), "The steps");
    assert_eq!(title(&[("LANG", "ko_KR.UTF-8")], &["--lang", "en"]), "The steps");
    let ran = ask(&["step", "0", "--lang", "ko"]);
    assert!(ran.stderr.contains("그런 단계는 없습니다"), "{}", ran.stderr);
}

#[test]
fn colour_is_for_terminals_and_for_who_insists() {
    let coloured = |env: &[(&str, &str)], args: &[&str]| {
        let mut command = workshop(Who::User);
        command.env("TERM", "xterm-256color").envs(env.iter().copied()).args(["step", "1"]).args(args);
        let ran = run(&mut command);
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        ran.stdout.contains('\u{1b}')
    };
    let force = [("CLICOLOR_FORCE", "1")];
    assert!(!coloured(&[], &[]), "auto, into a pipe");
    assert!(!coloured(&[("NO_COLOR", "1")], &[]));
    assert!(coloured(&force, &[]));
    assert!(coloured(&[], &["--color", "always"]));
    assert!(!coloured(&force, &["--color", "never"]));
    for json in [&["--format", "json"][..], &["--format", "json", "--color", "always"]] {
        assert!(!coloured(&force, json), "never in JSON");
    }
}

#[test]
fn an_error_is_coloured_as_the_rest_is() {
    let coloured = |args: &[&str]| ask(args).stderr.contains('\u{1b}');
    assert!(!coloured(&["step", "0"]));
    assert!(coloured(&["step", "0", "--color", "always"]));
}

#[test]
fn completions_are_scripts_that_their_shells_take() {
    for (shell, words) in
        [("bash", "complete -F _workshop"), ("zsh", "#compdef workshop"), ("fish", "complete -c workshop")]
    {
        let ran = ask(&["completions", shell]);
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{shell}");
        assert!(ran.stdout.contains(words), "{shell}");
        for step in STEPS.iter() {
            assert!(ran.stdout.contains(step.slug), "{shell} completes {}", step.slug);
        }
    }
    if have("bash", "bash") {
        let script = place().dir.join("completions.bash");
        fs::write(&script, ask(&["completions", "bash"]).stdout).expect("write the script");
        let checked = run(command("bash").arg("-n").arg(&script));
        assert_eq!((checked.status, checked.stderr.as_str()), (0, ""));
        let sourced = format!(". {} && complete -p workshop", script.display());
        let sourced = run(command("bash").args(["--norc", "-c", &sourced]));
        assert!(sourced.stdout.contains("_workshop"), "{}{}", sourced.stdout, sourced.stderr);
    }
}

#[test]
fn manual_pages_are_written_for_every_command() {
    let dir = common::home(Who::User).join("man");
    let ran = ask(&["man", dir.to_str().expect("a path")]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let commands = STEPS.iter().map(|step| format!("workshop-{}", step.slug));
    let others = ["workshop", "workshop-tour", "workshop-run", "workshop-step"].map(String::from);
    for name in commands.chain(others) {
        let page =
            fs::read_to_string(dir.join(format!("{name}.1"))).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(page.contains(".TH ") && page.contains(".SH SYNOPSIS"), "{name}");
        let takes_program = !matches!(name.as_str(), "workshop" | "workshop-tour");
        assert_eq!(page.contains("<CMD>..."), takes_program, "{name}: {page}");
    }
    let count = fs::read_dir(&dir).expect("list it").count();
    assert!(ran.stdout.contains(&format!("{count} pages")), "{}", ran.stdout);
}

#[test]
fn no_hidden_word_is_one_that_somebody_types() {
    for word in ["act", "probe", "guard", "init", "inside", "part", "guest", "judge", "help-me"] {
        let (sender, receiver) = std::sync::mpsc::channel();
        let mut command = workshop(Who::User);
        command.arg(word);
        std::thread::spawn(move || sender.send(run(&mut command)));
        let ran = receiver.recv_timeout(common::watch::PATIENCE);
        let ran = ran.unwrap_or_else(|_| panic!("`workshop {word}` hangs"));
        assert_eq!((ran.status, ran.stdout.as_str()), (2, ""), "{word}: {}", ran.stderr);
    }
}

#[test]
fn the_command_that_new_ends_with_can_be_pasted() {
    let parent = common::home(Who::User);
    for name in ["plain", "two words", "it's", "-dash", "$(touch harm)"] {
        let mut new = workshop(Who::User);
        let ran = run(new.current_dir(&parent).args(["new", "--lang", "sh", "--"]).arg(name));
        assert_eq!(ran.status, 0, "{name}: {}", ran.stderr);
        let said = unwrapped(&ran.stdout);
        let cd = said.split('`').find(|code| code.starts_with("cd ")).expect("a command");
        let pasted = run(crate::common::child::command("sh")
            .args(["-c", &format!("{cd} && cat box.sh")])
            .current_dir(&parent));
        assert!(pasted.stdout.starts_with("#!/bin/sh"), "{cd}: {}", pasted.stderr);
    }
    assert!(!parent.join("harm").exists());
}

#[test]
fn doctor_says_of_every_step_whether_it_can_be_run() {
    for who in who() {
        let limits = common::steps::of_limits();
        let limited = common::gets_limits(who);
        let refused = |step: &Step| (step.limits() && !limited) || (!step.is_part && !has_machines(who));
        let status = if STEPS.iter().any(refused) { 3 } else { 0 };
        let ran = run(workshop(who).arg("doctor"));
        assert_eq!(ran.status, status, "{}{}", ran.stdout, ran.stderr);
        let release = nix::sys::utsname::uname().expect("uname").release().to_string_lossy().into_owned();
        assert!(ran.stdout.contains(&release), "{}", ran.stdout);
        for step in STEPS.iter() {
            let can = if refused(step) { "no" } else { "yes" };
            let row = format!("{} {} {can}", step.number, step.slug);
            assert!(ran.stdout.lines().any(|line| unwrapped(line) == row), "{row} in {}", ran.stdout);
        }
        if !limited {
            // What is missing, and the command that mends it.
            let remedy = format!("sudo workshop step {}", limits.number);
            assert!(ran.stderr.contains(&remedy), "{}", ran.stderr);
        }
    }
}

#[test]
fn doctor_in_json_checks_every_step() {
    for who in who() {
        let ran = run(workshop(who).args(["doctor", "--format", "json"]));
        let events = events(&ran.stdout);
        let checks: Vec<_> = events.iter().filter(|e| e["event"] == "check").collect();
        let slugs: Vec<_> = checks.iter().map(|e| e["step"].clone()).collect();
        assert_eq!(slugs, STEPS.iter().map(|step| step.slug).collect::<Vec<_>>());
        let cannot = checks.iter().filter(|e| e["passed"] == false).count();
        let errors = events.iter().filter(|e| e["event"] == "error").count();
        assert_eq!((errors, ran.status), (cannot, if cannot == 0 { 0 } else { 3 }), "{}", ran.stdout);
        for check in &checks {
            assert_eq!(check["help"] == "", check["passed"] == true, "{check}");
        }
        let done = events.last().expect("events");
        assert_eq!(done["event"], "done");
        let counts = (&(STEPS.len() - cannot).into(), &cannot.into());
        assert_eq!((&done["passed"], &done["failed"]), counts, "{done}");
        assert_eq!(ran.stderr, "");
    }
}
