//! A made-up run of one step, and what it looks like in each format, language and width.

use super::{Checked, Fact, Failure, Found, Json, Renderer, Style, Tally, Text};
use course::language::Lang;
use course::lesson::Lesson;
use course::{STEPS, Step};
use kernel::told::{Actor, Call};

const STEP: &Step = &STEPS[2];

fn lesson(lang: Lang) -> Lesson {
    Lesson::parse(match lang {
        Lang::En => include_str!("../course/fixture/en.md"),
        Lang::Ko => include_str!("../course/fixture/ko.md"),
    })
}

fn call(actor: Actor, why: &str, name: &str, args: &[&str], result: &str) -> Call {
    Call {
        step: "pivot-root".into(),
        actor,
        name: name.into(),
        args: args.iter().map(|arg| arg.to_string()).collect(),
        result: result.into(),
        ok: !result.starts_with("-1"),
        why: why.into(),
        source: "src/engine/parts/pivot_root.rs:1".into(),
        brief: None,
    }
}

fn calls() -> Vec<Call> {
    use Actor::{Container, Host};
    let root = "\"/tmp/workshop-4711/rootfs-2c26b46b68ffc68f/merged\"";
    let mut clone = call(Host, "bind", "clone3", &["{flags=…}", "88"], "4711");
    clone.brief = Some("CLONE_NEWNS|CLONE_NEWUTS|CLONE_NEWIPC|CLONE_NEWPID".into());
    vec![
        clone,
        call(Container, "private", "mount", &["\"none\"", "\"/\"", "NULL", "MS_REC|MS_PRIVATE", "NULL"], "0"),
        call(Container, "bind", "mount", &[root, root, "NULL", "MS_BIND|MS_REC", "NULL"], "0"),
        call(
            Container,
            "dev-node",
            "mount",
            &["\"/dev/null\"", "\"dev/null\"", "NULL", "MS_BIND", "NULL"],
            "0",
        ),
        call(
            Container,
            "dev-node",
            "mount",
            &["\"/dev/zero\"", "\"dev/zero\"", "NULL", "MS_BIND", "NULL"],
            "0",
        ),
        call(Container, "pivot", "pivot_root", &["\".\"", "\".\""], "0"),
        call(Container, "detach", "umount2", &["\".\"", "MNT_DETACH"], "-1 EPERM (Operation not permitted)"),
    ]
}

fn fact(key: &str, outside: &str, inside: &str) -> Fact {
    Fact { key: key.into(), outside: outside.into(), inside: inside.into() }
}

fn found(held: bool, expected: &str, actual: &str) -> Found {
    Found { held, expected: expected.into(), actual: actual.into() }
}

/// Tells the whole of a made-up step.
fn tell(renderer: &mut dyn Renderer, lesson: &Lesson) -> std::io::Result<()> {
    renderer.step(STEP, lesson, &STEP.builds_on())?;
    for (seq, call) in (1..).zip(calls()) {
        renderer.call(seq, &call, None, lesson)?;
    }
    let facts = [
        fact("root", "inode 2 on /dev/vda1", "inode 41 on /dev/vda1"),
        fact("mounts", "31", "6"),
        fact("kernel", "6.18.44", "6.18.44"),
        fact("home", "3 entries", ""),
    ];
    renderer.facts(&facts, lesson)?;
    let found = [
        ("old-root-gone", found(true, "0", "0")),
        ("escape", found(false, "inode 41, the container's root", "inode 2")),
    ];
    for (name, found) in &found {
        let (claim, help) = (lesson.check_claim(name), lesson.check_help(name));
        renderer.check(&Checked { step: STEP.slug, name, claim, found: Some(found), help, causes: None })?;
    }
    renderer.done(&Tally { passed: 1, failed: 1, skipped: 2, seconds: 0.42 })?;
    renderer.note("The lab is gone; `workshop doctor` says what this host allows.")?;
    renderer.closing(STEP, lesson, STEP.next())?;
    let rows = [["limit", "`memory.limit_in_bytes`", "`memory.max`"], ["tasks", "`pids.max`", "`pids.max`"]];
    renderer.table("Files", &["what", "v1", "v2"], &rows.map(|row| row.map(String::from).to_vec()))
}

fn as_text(style: Style) -> String {
    let mut out = Vec::new();
    assert!(tell(&mut Text::new(&mut out, style), &lesson(style.lang)).is_ok());
    String::from_utf8_lossy(&out).into_owned()
}

#[test]
fn text_in_english() {
    insta::assert_snapshot!(as_text(Style::default()));
}

#[test]
fn text_in_korean() {
    insta::assert_snapshot!(as_text(Style { lang: Lang::Ko, ..Style::default() }));
}

#[test]
fn text_in_sixty_columns() {
    insta::assert_snapshot!(as_text(Style { width: 60, ..Style::default() }));
}

#[test]
fn text_in_ascii() {
    let text = as_text(Style { unicode: false, ..Style::default() });
    assert!(text.is_ascii(), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn colour_changes_nothing_but_colour() {
    for lang in [Lang::En, Lang::Ko] {
        let plain = Style { lang, ..Style::default() };
        let coloured = as_text(Style { colour: true, ..plain });
        assert!(coloured.contains("\u{1b}["));
        assert_eq!(console::strip_ansi_codes(&coloured), as_text(plain));
    }
}

#[test]
fn lines_fit_the_width() {
    for lang in [Lang::En, Lang::Ko] {
        for width in 40..=100 {
            // Shell commands are there to be copied and are not broken.
            let text = as_text(Style { width, lang, ..Style::default() });
            let code = lesson(lang);
            let (code, _) = code.by_hand();
            let long = text
                .lines()
                .find(|line| console::measure_text_width(line) > width && !code.contains(line.trim_start()));
            assert_eq!(long, None, "{width}");
            assert!(text.lines().all(|line| line.trim_end() == line), "no spaces at the end");
        }
    }
}

#[test]
fn json_lines() {
    let mut out = Vec::new();
    let mut json = Json::new(&mut out);
    assert!(tell(&mut json, &lesson(Lang::En)).is_ok());
    let failure = Failure {
        code: 4,
        message: "pivot-root: pivot_root(\".\", \".\") = EINVAL".into(),
        quote: Vec::new(),
        cause: "The new root is not a mount point.".into(),
        hint: "Report it.".into(),
    };
    assert!(json.failure(&failure).is_ok());
    insta::with_settings!({ filters => vec![(r#""t":[0-9.e-]+"#, r#""t":[s]"#)] }, {
        insta::assert_snapshot!(String::from_utf8_lossy(&out));
    });
}

#[test]
fn a_call_that_waits_is_shown_once() {
    let lesson = lesson(Lang::En);
    let mut out = Vec::new();
    let mut text = Text::new(&mut out, Style::default());
    for (seq, mut call) in (1..).zip(calls()).skip(4) {
        let result = std::mem::take(&mut call.result);
        assert!(text.about(&call, &lesson).is_ok());
        call.result = result;
        assert!(text.call(seq, &call, None, &lesson).is_ok());
    }
    // When the reader presses Enter, the invitation is wiped off the terminal.
    let invitation = "           ┃     Enter makes the call ";
    insta::assert_snapshot!(String::from_utf8_lossy(&out).replace(invitation, ""));
}

#[test]
fn calls_of_other_steps_are_told_apart() {
    let lesson = lesson(Lang::En);
    let mut out = Vec::new();
    let mut text = Text::new(&mut out, Style::default());
    assert!(text.step(STEP, &lesson, &[]).is_ok());
    for (seq, step) in (1..).zip(["unshare-pid", "pivot-root", "pivot-root", "mount-proc"]) {
        let mut call = call(Actor::Container, "pivot", "pivot_root", &["\".\"", "\".\""], "0");
        call.step = step.into();
        assert!(text.call(seq, &call, None, &lesson).is_ok());
    }
    insta::assert_snapshot!(String::from_utf8_lossy(&out));
}

#[test]
fn a_failure_says_what_why_and_what_to_do() {
    let failure = Failure {
        code: 4,
        message: "pivot-root: pivot_root(\".\", \".\") = EINVAL".into(),
        quote: Vec::new(),
        cause: "The new root is not a mount point, or it lies on a shared mount.".into(),
        hint: "This is a fault in the workshop, not in your set-up: please report it with the output of \
               `workshop doctor`."
            .into(),
    };
    let said = [Lang::En, Lang::Ko].map(|lang| {
        let mut out = Vec::new();
        assert!(super::failure::write(&mut out, &Style { lang, ..Style::default() }, &failure).is_ok());
        String::from_utf8_lossy(&out).into_owned()
    });
    insta::assert_snapshot!(said.join("\n"));
}
