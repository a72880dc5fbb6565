//! What a learner sees at a real terminal: `watch` at any size, what its keys do, what is asked before it is done.

#![cfg(test)]

mod common;

use std::fs;

use common::project::{ask, at, folder, me, project, set, state, unwrapped};
use common::screen::{CTRL_C, CTRL_Z, ENTER, ESCAPE, Screen, UP, word};
use common::steps;
use common::watch::{Desk, wait_until};
use common::{have, home, run, skip};

const LANGS: [&str; 2] = ["en", "ko"];

#[test]
fn watching_checks_at_each_save_and_goes_on_only_when_told_to() {
    if !have("unshare", "util-linux") {
        return;
    }
    let dir = project("watch", "sh");
    let desk = Desk::new(me(), "watch");
    let mut screen = at(&dir, &desk);
    let modes = screen.modes();
    screen.line("$workshop watch; echo status $?");
    screen.wait_for("Everything holds.");
    assert_eq!(state(&dir)["progress"]["done"].to_string(), "[0]");
    assert_eq!(state(&dir)["step"].as_integer(), Some(0), "it does not advance by itself");
    screen.keys("n");
    screen.wait_for("Step 1");
    screen.wait_for("PID namespace is another");
    screen.keys(ESCAPE);
    screen.wait_for(&format!("own/{}.html#check-own-pids", steps::numbered(1).folder()));
    assert_eq!(state(&dir)["step"].as_integer(), Some(1));
    screen.keys("n");
    screen.wait_for("Not yet");
    screen.keys("h");
    screen.wait_for("hint 1 of 3");
    screen.keys("l");
    screen.wait_for("Your runtime in POSIX shell");
    // A right program is found so at its save.
    let script = fs::read_to_string(dir.join("box.sh")).expect("read");
    let right = "exec 3<&0\nunshare --pid --fork --kill-child sh -c '\"$@\"; exit $?' sh \"$@\" <&3 3<&- &\n\
                 child=$!\ntrap 'kill -KILL $child' TERM\nwait $child";
    fs::write(dir.join("box.sh"), script.replace("exec \"$@\"", right)).expect("save");
    screen.wait_for("Everything holds.");
    assert_eq!(state(&dir)["progress"]["done"].to_string(), "[0, 1]");
    // And a wrong one is, again.
    fs::write(dir.join("box.sh"), script.replace("exec \"$@\"", "exec false")).expect("save");
    screen.wait_for("CMD is executed");
    screen.keys("x");
    screen.wait_for(&word("en", "sure"));
    screen.keys("y");
    screen.wait_for("box.sh.~1~");
    assert_eq!(fs::read_to_string(dir.join("box.sh")).expect("read"), script);
    screen.keys("q");
    screen.wait_for("status 0\r\n");
    assert_eq!(screen.modes(), modes);
    screen.line("exit");
    screen.end();
}

#[test]
fn a_compiler_speaks_for_itself_and_the_terminal_is_given_back() {
    if !have("cc", "gcc") || !have("make", "make") {
        return;
    }
    let dir = project("compiler", "c");
    let text = fs::read_to_string(dir.join("box.c")).expect("read");
    fs::write(dir.join("box.c"), format!("{text}\nint x = ;\n")).expect("write");
    let desk = Desk::new(me(), "compiler");
    let mut screen = at(&dir, &desk);
    let modes = screen.modes();
    screen.line("unset NO_COLOR; $workshop watch --lang ko");
    screen.wait_for("실패했습니다");
    screen.wait_for("expected expression");
    assert!(screen.shown.contains("\u{1b}[01;31m"), "the compiler's colours: {:?}", screen.shown);
    // Ctrl-Z stops it, and the shell has its terminal.
    screen.keys(CTRL_Z);
    screen.wait_for("outer> ");
    assert_eq!(screen.modes(), modes);
    screen.line("fg");
    screen.wait_for("expected expression");
    wait_until("the keys are taken again", || screen.modes() == (false, false));
    screen.keys(CTRL_C);
    screen.wait_for("outer> ");
    screen.line("echo status $?");
    screen.wait_for("status 0\r\n");
    assert_eq!(screen.modes(), modes);
    screen.line("exit");
    screen.end();
}

#[test]
fn a_build_ends_when_the_next_save_comes_or_the_watch_is_over() {
    let dir = project("slow", "sh");
    set(&dir, "run = ", "build = [\"sleep\", \"3600\"]\nrun = ");
    let desk = Desk::new(me(), "slow");
    let mut screen = at(&dir, &desk);
    screen.line("$workshop watch; echo status $?");
    let sleeper = |screen: &Screen| screen.processes().iter().find(|p| p.name == "sleep").map(|p| p.pid);
    wait_until("the build runs", || sleeper(&screen).is_some());
    let first = sleeper(&screen);
    fs::write(dir.join("more.sh"), "").expect("save");
    wait_until("another build runs", || sleeper(&screen).is_some_and(|pid| Some(pid) != first));
    let watcher = screen.processes().into_iter().find(|p| p.name == "workshop").expect("the watch").pid;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(watcher), nix::sys::signal::Signal::SIGTERM)
        .expect("kill");
    screen.wait_for("status 143\r\n");
    wait_until("no build runs", || sleeper(&screen).is_none());
    assert_eq!(screen.modes(), (true, true));
    screen.line("exit");
    screen.end();
}

#[test]
fn without_events_watching_names_the_limit_and_looks_for_saves() {
    if !have("unshare", "util-linux") {
        return;
    }
    // Limits of a user namespace's own: the machine keeps those that it has (user_namespaces(7)).
    let may = run(crate::common::child::command("unshare").args(["-Ur", "true"]));
    if may.status != 0 {
        return skip("no user namespace can be made here", "Run as root, or allow them");
    }
    for (lang, own, limit) in [
        ("en", "max_inotify_instances", "fs.inotify.max_user_instances"),
        ("ko", "max_inotify_watches", "fs.inotify.max_user_watches"),
    ] {
        let dir = project(&format!("blind-{lang}"), "sh");
        set(&dir, "run = ", "build = [\"sh\", \"-c\", \"echo built >> log\"]\nrun = ");
        let script = format!(
            "echo 0 > /proc/sys/user/{own}; cd {}; exec $workshop watch --lang {lang}",
            dir.display()
        );
        let desk = Desk::new(me(), &format!("blind-{lang}"));
        let mut screen = Screen::shell(&desk, &["unshare", "-Ur", "sh", "-c", &script]);
        let builds = || fs::read_to_string(dir.join("log")).unwrap_or_default().lines().count();
        screen.see("the limit that is used up", |page| page.contains(limit));
        assert_eq!(builds(), 1);
        fs::write(dir.join("more.sh"), "").expect("save");
        wait_until("a build after the save", || builds() == 2);
        screen.see_words(&word(lang, "watch-held"));
        screen.keys("q");
        assert_eq!(screen.end(), 0);
    }
}

/// What the first check of an exercise claims.
fn first_claim(lang: &str, lesson: &str) -> String {
    let lessons = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("lessons").join(lesson);
    let text = |file: &str| fs::read_to_string(lessons.join(file)).expect("a text of the lesson");
    let asked = text(&format!("exercise/{lang}.md"));
    let id = asked.split("{#check-").nth(1).and_then(|rest| rest.split('}').next()).expect("a check");
    let claims = text(&format!("{lang}.md"));
    let heading = claims.lines().find(|line| line.ends_with(&format!("{{#check-{id}}}"))).expect("its claim");
    heading.trim_start_matches('#').split("{#").next().unwrap_or_default().trim().to_owned()
}

/// Which lines are to be seen: the first, the last, and how many there are. `None` where all are.
fn position(lang: &str, page: &str) -> Option<[usize; 3]> {
    let template = regex::escape(&word(lang, "watch-position"));
    let names = ["from", "to", "all"];
    let pattern = names.iter().fold(template, |pattern, name| {
        pattern.replace(&regex::escape(&format!("{{{name}}}")), &format!(r"(?<{name}>\d+)"))
    });
    let found = regex::Regex::new(&pattern).expect("a pattern").captures(page)?;
    Some(names.map(|name| found[name].parse().expect("a number")))
}

#[test]
fn at_any_size_the_first_failure_and_the_keys_are_to_be_seen() {
    for lang in LANGS {
        let dir = project(&format!("sizes-{lang}"), "sh");
        set(&dir, "step = 0", "step = 2");
        let mut screen = at(&dir, &Desk::new(me(), lang));
        screen.line(&format!("$workshop watch --lang {lang}"));
        let (claim, quit) = (first_claim(lang, &steps::numbered(1).folder()), word(lang, "watch-key-quit"));
        let shows = |page: &str, words: &str| unwrapped(page).contains(&unwrapped(words));
        let is_whole = |page: &str| page.trim_end().ends_with(&quit) && shows(page, &claim);
        screen.see("the failures in brief, with a way back", |page| {
            is_whole(page) && shows(page, &word(lang, "watch-key-back"))
        });
        screen.keys(ESCAPE);
        screen.see("the failures", |page| is_whole(page) && page.contains("  1. "));
        for (rows, columns) in [(24, 80), (20, 40), (40, 100)] {
            screen.resize(rows, columns);
            let page = screen.see("the page in another size", |page| {
                let title = page.lines().next().is_some_and(|line| line.contains('2'));
                is_whole(page) && title && position(lang, page).is_none_or(|[from, ..]| from == 1)
            });
            assert!(rows > 24 || position(lang, &page).is_some(), "it is too long for {rows} rows:\n{page}");
            (0..9).for_each(|_| screen.keys(" "));
            let end = |page: &str| position(lang, page).is_none_or(|[_, to, all]| to == all);
            screen.see("the end of the page", |page| page.trim_end().ends_with(&quit) && end(page));
            (0..9).for_each(|_| screen.keys("\u{1b}[5~"));
            screen.see("the beginning of the page", is_whole);
        }
        screen.resize(20, 40);
        screen.keys("h");
        let hint = word(lang, "hint-title").replace("{number}", "1").replace("{all}", "3");
        let hint = hint.rsplit("{step}").next().unwrap_or_default().to_owned();
        let begin: String = claim.chars().take(12).collect();
        screen.see("a hint beside the failure", |page| {
            page.trim_end().ends_with(&quit) && shows(page, &begin) && shows(page, &hint)
        });
        screen.keys("q");
        screen.see_words("outer>");
        screen.line("exit");
        screen.end();
    }
}

#[test]
fn a_key_shows_the_solution_and_asks_first_if_the_step_is_not_done() {
    for lang in LANGS {
        let dir = project(&format!("key-s-{lang}"), "sh");
        let mut screen = at(&dir, &Desk::new(me(), lang));
        screen.line(&format!("$workshop watch --lang {lang}"));
        screen.see_words(&word(lang, "watch-held"));
        // What is done is no secret.
        screen.keys("s");
        screen.see_words("+++ b/box.sh");
        screen.keys("n");
        screen.see_words(&word(lang, "watch-key-back"));
        let question = word(lang, "solution-ask").replace("{step}", "1");
        screen.keys("s");
        let asked = screen.see_words(&question);
        assert!(!asked.contains("+++"), "{asked}");
        screen.see_words(&word(lang, "sure"));
        screen.keys("n");
        let kept = screen.see("the keys again", |page| page.contains(&word(lang, "watch-key-quit")));
        assert!(!kept.contains("+++"), "{kept}");
        screen.keys("s");
        screen.see_words(&question);
        screen.see_words(&word(lang, "sure"));
        screen.keys("y");
        screen.see_words("+++ b/box.sh");
        screen.keys("q");
        screen.see_words("outer>");
        screen.line("exit");
        screen.end();
    }
}

#[test]
fn the_language_is_asked_for_where_somebody_can_be_asked() {
    for (lang, keys, made) in [("en", UP, true), ("ko", UP, true), ("en", ESCAPE, false)] {
        let name = format!("asked-{lang}-{made}");
        let command = format!("cd {}; $workshop new {name} --lang {lang}", home(me()).display());
        let mut screen = Screen::shell(&Desk::new(me(), &name), &["sh", "-c", &command]);
        screen.wait_for(&word(lang, "new-choose"));
        screen.wait_for("POSIX shell");
        screen.keys(keys);
        if made {
            // The line above the first is the last.
            screen.wait_for("POSIX shell");
            screen.keys(ENTER);
        }
        assert_eq!(screen.end(), 0, "{}", screen.text());
        assert_eq!(folder(&name).join("box.sh").is_file(), made, "{}", screen.text());
        assert_eq!(folder(&name).exists(), made);
        assert!(screen.shows_cursor());
    }
}

#[test]
fn a_solution_is_asked_about_and_painted_on_a_terminal_only() {
    let dir = project("painted", "rust");
    let mut screen = at(&dir, &Desk::new(me(), "painted"));
    screen.line("unset NO_COLOR; clear; $workshop solution 1 --diff; echo status $?");
    screen.wait_for(&word("en", "sure"));
    screen.keys("n");
    screen.wait_for("status 0\r\n");
    assert!(!screen.text().contains("+++ b/src/main.rs"), "{}", screen.text());
    screen.line("$workshop solution 1 --diff; echo status $?");
    screen.wait_for(&word("en", "sure"));
    screen.keys("y");
    screen.wait_for("+++ b/src/main.rs");
    screen.wait_for("\u{1b}[32m+");
    screen.wait_for("status 0\r\n");
    screen.line("exit");
    screen.end();
    let piped = ask(&dir, &["solution", "1", "--diff", "--yes"]).stdout;
    assert!(piped.contains("+++ b/src/main.rs") && !piped.contains('\u{1b}'), "{piped}");
}
