//! What a learner sees at a real terminal: the menu, the question before a run, `--pause`, widths, colours.

#![cfg(test)]

mod common;

use common::screen::{CTRL_C, DOWN, ENTER, ESCAPE, Screen, UP, prediction, word};
use common::steps::{STEPS, numbered};
use common::watch::{Desk, groups_of, pages, wait_until};
use common::{Who, who};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const LANGS: [&str; 2] = ["en", "ko"];

/// Pressing Enter makes the next call: what the program says under it, per language.
const PRESS_ENTER: [(&str, &str); 2] = [("en", "Enter makes the call"), ("ko", "Enter를 누르면 호출합니다")];

/// The words that a choice is looked for by: a narrow terminal may cut off the rest.
fn start(choice: &str) -> &str {
    choice.char_indices().nth(12).map_or(choice, |(at, _)| &choice[..at])
}

#[test]
fn a_bare_workshop_is_a_menu_where_arrows_choose_and_enter_runs() {
    for who in who() {
        let desk = Desk::new(who, "menu");
        let mut screen = Screen::open(&desk, 80, &[]);
        screen.wait_for(&word("en", "choose-step"));
        screen.wait_for(&word("en", "menu-quit"));
        assert!(!screen.text().contains('✓'), "nothing is done yet: {}", screen.text());
        for key in [DOWN, DOWN, UP] {
            screen.keys(key);
            screen.wait_for(&word("en", "menu-quit"));
        }
        screen.keys(ENTER);
        screen.wait_for(&word("en", "your-guess"));
        screen.wait_for(start(prediction("en", &numbered(2).folder()).0.last().expect("choices")));
        screen.keys(ENTER);
        assert_eq!(screen.end(), 0, "{}", screen.text());
        assert!(screen.text().contains("Step 2"), "{}", screen.text());

        let mut again = Screen::open(&desk, 80, &[]);
        again.wait_for(&word("en", "menu-quit"));
        let menu = again.text();
        let line = |slug: &str| menu.lines().find(|l| l.contains(slug)).expect("its line").to_owned();
        assert!(line(numbered(2).slug).contains('✓'), "step 2 is done: {menu}");
        assert!(!line(numbered(1).slug).contains('✓'), "step 1 is not: {menu}");
        again.keys(ESCAPE);
        assert_eq!(again.end(), 0);
    }
}

#[test]
fn the_menu_is_left_by_q_and_escape_and_the_last_line() {
    for lang in LANGS {
        let desk = Desk::new(Who::User, "leave");
        // The line above the first is the last.
        for keys in ["q", ESCAPE, UP] {
            let mut screen = Screen::open(&desk, 80, &["--lang", lang]);
            screen.wait_for(&word(lang, "choose-step"));
            screen.wait_for(&word(lang, "menu-quit"));
            screen.keys(keys);
            if keys == UP {
                screen.wait_for(&word(lang, "menu-quit"));
                screen.keys(ENTER);
            }
            assert_eq!(screen.end(), 0, "{keys:?}: {}", screen.text());
            assert!(screen.shows_cursor(), "{:?}", screen.shown);
        }
    }
}

#[test]
fn a_guess_is_asked_for_before_the_run_and_answered_after_it() {
    for (lang, who) in LANGS.into_iter().flat_map(|lang| who().into_iter().map(move |who| (lang, who))) {
        let desk = Desk::new(who, "guess");
        let (choices, right) = prediction(lang, &numbered(1).folder());
        for (guess, key) in [(right, "guess-right"), ((right + 1) % choices.len(), "guess-wrong")] {
            let mut screen = Screen::open(&desk, 80, &["--lang", lang, "step", "1"]);
            screen.wait_for(&word(lang, "your-guess"));
            screen.wait_for(start(choices.last().expect("choices")));
            assert!(!screen.text().contains("clone3"), "the question comes before the first call");
            for _ in 0..guess {
                screen.keys(DOWN);
                screen.wait_for(start(choices.last().expect("choices")));
            }
            screen.keys(ENTER);
            assert_eq!(screen.end(), 0, "{}", screen.text());
            let (words, answer) = (screen.words(), word(lang, key).replace("{answer}", &choices[right]));
            let answered = words.find(&answer).unwrap_or_else(|| panic!("no {answer:?} in {words}"));
            assert!(
                words.find("clone3").is_some_and(|call| call < answered),
                "the answer comes after the calls"
            );
        }
    }
}

#[test]
fn a_question_may_be_left_open_and_then_there_is_no_answer() {
    let desk = Desk::new(Who::User, "open");
    let mut screen = Screen::open(&desk, 80, &["step", "2"]);
    screen.wait_for(&word("en", "your-guess"));
    screen.keys(ESCAPE);
    assert_eq!(screen.end(), 0);
    for key in ["guess-right", "guess-wrong"] {
        let opening = word("en", key).replace("{answer}.", "");
        assert!(!screen.words().contains(&opening), "{}", screen.words());
    }
}

#[test]
fn nothing_is_asked_when_it_could_not_be_answered() {
    let desk = Desk::new(Who::User, "silent");
    let asks = |screen: &Screen| LANGS.iter().any(|lang| screen.text().contains(&word(lang, "your-guess")));
    let mut screen = Screen::shell(&desk, &["sh", "-c", "$workshop step 1 </dev/null"]);
    assert_eq!(screen.end(), 0);
    assert!(!asks(&screen), "standard input is no terminal");
    let mut screen = Screen::shell(&desk, &["sh", "-c", "$workshop step 1 | cat"]);
    assert_eq!(screen.end(), 0);
    assert!(!asks(&screen), "standard output is no terminal");
    let mut screen = Screen::open(&desk, 80, &["--format", "json", "step", "1"]);
    assert_eq!(screen.end(), 0);
    assert!(!asks(&screen), "JSON is for programs");
    let mut screen = Screen::open(&desk, 80, &["step", "1", "--", "true"]);
    assert_eq!(screen.end(), 0);
    assert!(!asks(&screen), "the learner's program is what it is about");
    let mut screen = Screen::with(&desk, 80, &["step", "1"], &[("TERM", "dumb")]);
    assert_eq!(screen.end(), 0);
    assert!(!asks(&screen), "a dumb terminal can't show a question");
    let mut screen = Screen::with(&desk, 80, &[], &[("TERM", "dumb")]);
    assert_eq!(screen.end(), 0);
    let listed = STEPS.iter().all(|step| screen.text().contains(step.slug));
    assert!(listed, "a bare workshop lists the steps there");
    let mut screen = Screen::open(&desk, 80, &["tour"]);
    assert_eq!(screen.end(), 0);
    assert!(!asks(&screen), "the tour asks nothing");
}

#[test]
fn pause_waits_for_enter_before_each_call() {
    for who in who() {
        let desk = Desk::new(who, "pause");
        let told = common::events(&desk.must(&["--format", "json", "step", "2"]));
        let calls = told.iter().filter(|event| event["event"] == "call").count();
        for (lang, press_enter) in PRESS_ENTER {
            let mut screen = Screen::open(&desk, 80, &["--lang", lang, "step", "2", "--pause"]);
            screen.wait_for(&word(lang, "your-guess"));
            screen.keys(ESCAPE);
            for _ in 0..calls {
                screen.wait_for(press_enter);
                screen.keys(ENTER);
            }
            assert_eq!(screen.end(), 0, "{}", screen.text());
            assert_eq!(screen.text().matches(press_enter).count(), calls, "{}", screen.text());
        }
    }
}

#[test]
fn a_pause_is_ended_by_q_and_ctrl_c_and_signals_with_everything_undone() {
    for who in who() {
        let desk = Desk::new(who, "stop");
        let limits = common::run(&mut desk.workshop(&["step", "4"])).status == 0;
        let step = if limits { "4" } else { "6" };
        for (key, signal) in [("q", None), (ESCAPE, None), (CTRL_C, None), ("", Some(Signal::SIGTERM))] {
            let mut screen = Screen::open(&desk, 80, &["step", step, "--pause"]);
            screen.wait_for(&word("en", "your-guess"));
            let before = screen.pid();
            screen.keys(ESCAPE);
            for _ in 0..4 {
                screen.wait_for(PRESS_ENTER[0].1);
                screen.keys(ENTER);
            }
            screen.wait_for(PRESS_ENTER[0].1);
            assert_eq!(!groups_of(before).is_empty(), limits, "groups are there by now");
            screen.keys(key);
            if let Some(signal) = signal {
                kill(Pid::from_raw(before), signal).expect("send a signal");
            }
            let expected = signal.map_or(130, |signal| 128 + signal as i32);
            assert_eq!(screen.end(), expected, "{key:?}: {}", screen.text());
            screen.gone();
            assert!(groups_of(before).is_empty() && pages(&desk.state).is_empty(), "{key:?}");
        }
    }
}

#[test]
fn ctrl_c_and_signals_at_a_question_leave_the_terminal_as_it_was() {
    for args in [&[][..], &["step", "3"]] {
        let desk = Desk::new(Who::User, "question");
        for (key, signal) in [(CTRL_C, None), ("", Some(Signal::SIGTERM)), ("", Some(Signal::SIGHUP))] {
            // A shell that outlives the workshop, so that there is still a terminal to look at.
            let script = format!("$workshop {}; echo status $?; read _", args.join(" "));
            let mut screen = Screen::shell(&desk, &["sh", "-c", &script]);
            let prompt = if args.is_empty() { "choose-step" } else { "your-guess" };
            screen.wait_for(&word("en", prompt));
            wait_until("raw mode", || screen.modes() == (false, false));
            screen.keys(key);
            if let Some(signal) = signal {
                let workshop = screen.processes().into_iter().find(|p| p.name == "workshop");
                kill(Pid::from_raw(workshop.expect("the workshop").pid), signal).expect("send a signal");
            }
            let status = signal.map_or(130, |signal| 128 + signal as i32);
            screen.wait_for(&format!("status {status}"));
            assert_eq!(screen.modes(), (true, true), "echo and line editing are back");
            assert!(screen.shows_cursor(), "{:?}", screen.shown);
            screen.keys(ENTER);
            screen.end();
        }
    }
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for (lang, columns) in LANGS.into_iter().flat_map(|lang| [60, 80, 120].map(|columns| (lang, columns))) {
        let desk = Desk::new(Who::User, "width");
        let mut menu = Screen::open(&desk, columns, &["--lang", lang]);
        menu.wait_for(&word(lang, "menu-quit"));
        menu.keys(ESCAPE);
        assert_eq!(menu.end(), 0);
        assert_eq!(menu.too_wide(), [""; 0], "the menu in {lang}");
        // The longest choices are step 5's.
        for (args, asks) in
            [(&["step", "5"][..], true), (&["tour"], false), (&["list"], false), (&["doctor"], false)]
        {
            let mut screen = Screen::open(&desk, columns, &[&["--lang", lang], args].concat());
            if asks {
                screen.wait_for(&word(lang, "your-guess"));
                screen.keys(DOWN);
                screen.keys(ENTER);
            }
            assert!([0, 3].contains(&screen.end()), "{}", screen.text());
            let mut wide = screen.too_wide();
            // Commands to copy stay whole; they are written for 80 columns. So do long paths.
            wide.retain(|line| columns >= 80 || !is_command(lang, line));
            wide.retain(|line| line.trim().contains(' '));
            assert_eq!(wide, [""; 0], "{args:?} in {lang}, {columns} columns");
        }
    }
}

/// Whether a line is one of a lesson's code blocks.
fn is_command(lang: &str, line: &str) -> bool {
    let lessons = STEPS
        .iter()
        .map(|step| format!("{}/lessons/{}/{lang}.md", env!("CARGO_MANIFEST_DIR"), step.folder()));
    let read = |lesson: String| std::fs::read_to_string(lesson).expect("read a lesson");
    lessons.map(read).any(|text| text.lines().any(|code| code.trim() == line.trim()))
}

#[test]
fn colours_are_on_in_a_terminal_and_off_where_they_are_not_wanted() {
    let desk = Desk::new(Who::User, "colour");
    let coloured = regex::Regex::new("\x1b\\[[0-9;]+m").expect("a pattern");
    let cases = [
        ("auto", ("LANG", "C.UTF-8"), true),
        ("auto", ("NO_COLOR", "1"), false),
        ("auto", ("TERM", "dumb"), false),
        ("never", ("CLICOLOR_FORCE", "1"), false),
        ("always", ("NO_COLOR", "1"), true),
    ];
    for (when, variable, wanted) in cases {
        let mut screen = Screen::with(&desk, 80, &["--color", when, "step", "1"], &[variable]);
        if variable != ("TERM", "dumb") {
            screen.wait_for(&word("en", "your-guess"));
            assert_eq!(coloured.is_match(&screen.shown), wanted, "question, {when}, {variable:?}");
            screen.keys(ENTER);
        }
        assert_eq!(screen.end(), 0);
        assert_eq!(coloured.is_match(&screen.shown), wanted, "{when}, {variable:?}");
    }
}

#[test]
fn the_terminal_that_is_lent_has_a_name_inside() {
    for who in who() {
        let desk = Desk::new(who, "tty");
        for args in [&["run", "--no-net", "--", "tty"][..], &["step", "3", "--lang", "en", "--", "tty"]] {
            let mut screen = Screen::open(&desk, 80, args);
            screen.wait_for("/dev/console");
            assert_eq!(screen.end(), 0, "{}", screen.text());
            let told = screen.text().contains("Bound to /dev/console");
            assert_eq!(told, args[0] == "step", "{}", screen.text());
        }
    }
}
