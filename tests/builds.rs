//! What is built in a learner's folder, and where: the program that the build has made is the one that is judged, and
//! the starters build below what is none of theirs, and for users without a home.

#![cfg(test)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::project::{me, project, set, state, unwrapped};
use common::{NOBODY, Ran, Who, am_root, events, have, home, place, run, skip, workshop};

const LANGUAGES: [&str; 5] = ["rust", "go", "python", "c", "sh"];

/// Whether what a language takes is installed; skips aloud if not.
fn have_tools(language: &str) -> bool {
    match language {
        "rust" => have("cargo", "rustup"),
        "go" => have("go", "golang-go"),
        "python" => have("python3", "python3"),
        "c" => have("cc", "gcc") && have("make", "make"),
        _ => true,
    }
}

/// Gives a command the toolchain of whoever runs the tests. What is fetched already is enough.
fn with_rust(command: &mut Command) {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    for (name, below) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
        command.env(name, std::env::var_os(name).unwrap_or_else(|| home.join(below).into()));
    }
    command.env("CARGO_NET_OFFLINE", "true");
}

fn check(dir: &Path, set: impl FnOnce(&mut Command)) -> Ran {
    let mut command = workshop(me());
    command.current_dir(dir).args(["check", "--format", "json"]);
    with_rust(&mut command);
    set(&mut command);
    run(&mut command)
}

/// The names of the checks that failed.
fn failed(ran: &Ran) -> Vec<String> {
    let events = events(&ran.stdout);
    let failed = events.iter().filter(|event| event["event"] == "check" && event["passed"] == false);
    failed.filter_map(|event| event["name"].as_str().map(String::from)).collect()
}

/// A Rust program without dependencies, which is built in no time.
const RIGHT: &str = "use std::os::unix::process::CommandExt;
fn main() {
    let words: Vec<_> = std::env::args_os().skip(2).collect();
    eprintln!(\"{}\", std::process::Command::new(&words[0]).args(&words[1..]).exec());
}
";
const WRONG: &str = "fn main() {}\n";

fn host_triple() -> String {
    let said = run(crate::common::child::command("rustc").arg("-vV")).stdout;
    said.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc says its host").to_owned()
}

#[test]
fn what_cargo_has_built_is_judged_wherever_it_put_it() {
    if !have("cargo", "rustup") {
        return;
    }
    let elsewhere = place().dir.join("elsewhere");
    let configured = |dir: &Path, text: &str| {
        fs::create_dir_all(dir.join(".cargo")).expect("a folder");
        fs::write(dir.join(".cargo/config.toml"), text).expect("write");
    };
    let manifest = |dir: &Path, from: &str, to: &str| {
        let file = dir.join("Cargo.toml");
        let text = fs::read_to_string(&file).expect("read").replace(from, to);
        fs::write(file, text).expect("write");
    };
    type Change<'c> = Box<dyn Fn(&Path) + 'c>;
    let changes: [(&str, Option<&Path>, Change); 6] = [
        ("variable", Some(&elsewhere), Box::new(|_| ())),
        ("target-dir", None, Box::new(|dir| configured(dir, "build.target-dir = \"out\"\n"))),
        ("target", None, Box::new(|dir| configured(dir, &format!("build.target = {:?}\n", host_triple())))),
        ("profile", None, Box::new(|dir| set(dir, "\"--quiet\"]", "\"--quiet\", \"--release\"]"))),
        ("renamed", None, Box::new(|dir| manifest(dir, "name = \"box\"", "name = \"mine\""))),
        (
            "workspace",
            None,
            Box::new(|dir| {
                manifest(dir, "[workspace]", "");
                let above = "[workspace]\nmembers = [\"workspace\"]\nresolver = \"3\"\n";
                fs::write(dir.join("../Cargo.toml"), above).expect("a workspace above");
            }),
        ),
    ];
    // A right program that an earlier build has left, and a wrong one that is built now.
    let old = place().dir.join("right");
    let source = place().dir.join("right.rs");
    fs::write(&source, RIGHT).expect("write");
    let mut rustc = crate::common::child::command("rustc");
    let made = run(rustc.args(["--edition=2024", "-o"]).arg(&old).arg(&source));
    assert_eq!(made.status, 0, "{}", made.stderr);
    for (name, target, change) in changes {
        let dir = small_project(name);
        fs::create_dir_all(dir.join("target/debug")).expect("a folder");
        fs::copy(&old, dir.join("target/debug/box")).expect("leave an old program");
        change(&dir);
        let judged = |right: bool| {
            fs::write(dir.join("src/main.rs"), if right { RIGHT } else { WRONG }).expect("write");
            let mut command = workshop(me());
            with_rust(&mut command);
            command.envs(target.map(|dir| ("CARGO_TARGET_DIR", dir)));
            let ran = run(command.current_dir(&dir).args(["check"]));
            let words = unwrapped(&ran.stdout);
            assert!(words.contains("Cargo has put the program elsewhere"), "{name}: {words}{}", ran.stderr);
            words
        };
        let wrong = judged(false);
        assert!(wrong.contains("✗ CMD is executed"), "{name}: {wrong}");
        if name == "variable" {
            let right = judged(true);
            assert!(right.contains("✓ CMD is executed"), "{name}: {right}");
        }
    }
}

/// A Rust project without dependencies, in a folder that has another above it.
fn small_project(name: &str) -> PathBuf {
    fs::create_dir(home(me()).join(format!("above-{name}"))).expect("a folder");
    let dir = project(&format!("above-{name}/{name}"), "rust");
    let text = fs::read_to_string(dir.join("Cargo.toml")).expect("read");
    let start = text.find("[dependencies]").expect("dependencies");
    let end = text.find("# A workspace").expect("the rest");
    fs::write(dir.join("Cargo.toml"), format!("{}{}", &text[..start], &text[end..])).expect("write");
    dir
}

#[test]
fn a_build_that_changed_nothing_is_told_and_the_old_program_is_not_judged() {
    let refused = |dir: &Path, words: &[&str]| {
        for lang in ["en", "ko"] {
            let ran = check(dir, |command| {
                command.args(["--lang", lang]);
            });
            let last = events(&ran.stdout).pop().expect("an error");
            assert_eq!((ran.status, &last["event"]), (1, &"error".into()), "{}", ran.stdout);
            let message = last["message"].as_str().unwrap_or_default();
            assert!(words.iter().all(|word| message.contains(word)), "{message}");
        }
    };
    if have_tools("c") {
        let dir = project("old-header", "c");
        let text = fs::read_to_string(dir.join("box.c")).expect("read");
        fs::write(dir.join("util.h"), "").expect("write");
        fs::write(dir.join("box.c"), format!("#include \"util.h\"\n{text}")).expect("write");
        assert_eq!(check(&dir, |_| ()).status, 0);
        assert_eq!(check(&dir, |_| ()).status, 0, "nothing was saved, so nothing need change");
        fs::write(dir.join("util.h"), "#error wrong\n").expect("write");
        refused(&dir, &["make --quiet", "util.h"]);
        let makefile = fs::read_to_string(dir.join("Makefile")).expect("read");
        fs::write(dir.join("Makefile"), makefile.replace("box: box.c", "box: box.c util.h")).expect("write");
        let ran = check(&dir, |_| ());
        assert!(ran.status == 1 && ran.stdout.contains("failed"), "the compiler sees it: {}", ran.stdout);
    }
    if have_tools("go") {
        let dir = project("old-output", "go");
        assert_eq!(check(&dir, |_| ()).status, 0);
        set(&dir, "\"box\", \".\"]", "\"other\", \".\"]");
        fs::write(dir.join("main.go"), "package main\n\nfunc main() {}\n").expect("write");
        refused(&dir, &["-o other", "main.go"]);
        fs::remove_file(dir.join("box")).expect("remove the old one");
        refused(&dir, &["-o other"]);
        set(&dir, "run = [\"./box\"]", "run = [\"./other\"]");
        assert_eq!(failed(&check(&dir, |_| ())), ["starts"]);
    }
}

/// How a folder, or its user, may be.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Workspace,
    Checkout,
    Path,
    NoHome,
    ReadOnly,
}

impl Place {
    const ALL: [Place; 5] = [Place::Workspace, Place::Checkout, Place::Path, Place::NoHome, Place::ReadOnly];

    /// Whether this host has what it takes; skips aloud if not.
    fn possible(self) -> bool {
        self != Place::ReadOnly || have("unshare", "util-linux") && have("mount", "mount")
    }

    /// A folder for a project, and who works in it.
    fn prepare(self, language: &str) -> (Who, PathBuf) {
        // Homeless is nobody; but Rust's compiler may be in the home of whoever runs the tests.
        let who = if self == Place::NoHome && language != "rust" { Who::User } else { me() };
        let above = home(who).join(format!("{self:?}-{language}"));
        fs::create_dir(&above).expect("a folder");
        let write = |name: &str, text: &str| fs::write(above.join(name), text).expect("write");
        match self {
            Place::Workspace => {
                write("Cargo.toml", "[workspace]\nmembers = []\n");
                write("go.work", "go 1.18\n\nuse ./other\n");
                fs::create_dir(above.join("other")).expect("a folder");
                write("other/go.mod", "module other\n\ngo 1.18\n");
                write("Makefile", "box:\n\tfalse\n");
            }
            Place::Checkout if have("git", "git") => {
                let ran = run(crate::common::child::command("git").args(["init", "--quiet"]).arg(&above));
                assert_eq!(ran.status, 0, "{}", ran.stderr);
                if am_root() {
                    run(crate::common::child::command("chown").args(["-R", &NOBODY.to_string()]).arg(&above));
                }
            }
            _ => {}
        }
        common::watch::give_to(who, &above);
        let dir = above.join(if self == Place::Path { "두 단어 box" } else { "box" });
        fs::create_dir(&dir).expect("a folder");
        common::watch::give_to(who, &dir);
        (who, dir)
    }

    /// The workshop there.
    fn workshop(self, who: Who, arguments: &[&str]) -> Command {
        let mut command = workshop(who);
        if self == Place::ReadOnly {
            // In a mount namespace of its own.
            let script = "for dir in \"$HOME\" \"$CARGO_HOME\"; do \
                          mount --bind \"$dir\" \"$dir\" && mount -o remount,bind,ro \"$dir\" || exit 99; done; \
                          exec \"$@\"";
            let program = command.get_program().to_owned();
            command = common::command_as(who, Path::new("unshare"));
            command.args(if am_root() { &["-m"][..] } else { &["-rm"] });
            command.args(["sh", "-c", script, "sh"]).arg(program);
            command.env("HOME", place().dir.join("read-only"));
        }
        with_rust(&mut command);
        if self == Place::NoHome {
            command.env_remove("HOME");
        }
        command.args(arguments);
        command
    }
}

/// One column of the table: a language at each place.
fn built_everywhere(language: &str) {
    let target = place().dir.join("target");
    for at in Place::ALL.into_iter().filter(|at| at.possible()) {
        let (who, dir) = at.prepare(language);
        let made = run(workshop(who).args(["new", "--lang", language]).arg(&dir));
        assert_eq!(made.status, 0, "{language}, {at:?}: {}", made.stderr);
        let mut command = at.workshop(who, &["check", "--format", "json"]);
        // What Rust's starter depends on is compiled once.
        let ran = run(command.env("CARGO_TARGET_DIR", &target).current_dir(&dir));
        assert_eq!(ran.status, 0, "{language}, {at:?}: {}{}", ran.stdout, ran.stderr);
        assert_eq!(state(&dir)["progress"]["done"].to_string(), "[0]", "{language}, {at:?}");
    }
}

#[test]
fn starters_build_below_what_is_none_of_theirs_and_without_a_home() {
    if !am_root() {
        skip("nobody else can own a checkout, or be without a home", "Run the tests as root too");
    }
    fs::create_dir(place().dir.join("read-only")).expect("a home");
    std::thread::scope(|scope| {
        let tested = LANGUAGES.into_iter().filter(|language| have_tools(language));
        tested.for_each(|language| drop(scope.spawn(move || built_everywhere(language))));
    });
}
