//! A learner's folder where it isn't as usual: root works in it, a build puts the program elsewhere, its parents belong
//! to somebody else, its user has no home.

#![cfg(test)]

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use common::project::{at, project_of, set, solution, state, unwrapped};
use common::screen::word;
use common::watch::{Desk, give_to};
use common::{
    NOBODY, Ran, Who, am_root, command_as, events, gets_limits, have, home, place, run, skip, workshop,
};

/// Whether root can be somebody else than the learner here.
fn two_users() -> bool {
    if !am_root() {
        skip("there is nobody but the user that runs the tests", "Run them as root");
    }
    am_root()
}

fn asked(who: Who, dir: &Path, args: &[&str]) -> Ran {
    run(workshop(who).current_dir(dir).args(args))
}

/// Everything in a folder that does not belong to the ordinary user.
fn not_theirs(dir: &Path) -> Vec<PathBuf> {
    let mut open = vec![dir.to_path_buf()];
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        let here = fs::symlink_metadata(&path).expect("look at a file");
        if (here.uid(), here.gid()) != (NOBODY, NOBODY) {
            found.push(path.clone());
        }
        if here.is_dir() {
            open.extend(fs::read_dir(&path).expect("list it").flatten().map(|entry| entry.path()));
        }
    }
    found
}

#[test]
fn what_root_does_in_somebodys_folder_is_theirs() {
    if !two_users() || !have("cc", "gcc") || !have("make", "make") {
        return;
    }
    let dir = project_of(Who::User, "theirs", "c");
    for args in [&["check"][..], &["hint"], &["reset", "0", "--source", "--yes"], &["check", "0"], &["hint"]]
    {
        let ran = asked(Who::Root, &dir, args);
        assert_eq!(ran.status, 0, "{args:?}: {}{}", ran.stdout, ran.stderr);
    }
    assert!(dir.join("box").is_file() && dir.join(".workshop/step-1/box.c").is_file());
    assert_eq!(not_theirs(&dir), [""; 0].map(PathBuf::from));
    assert_eq!(state(&dir)["progress"]["done"].to_string(), "[0]");
    // And they go on from there, as if nobody else had been there.
    for args in [&["hint"][..], &["reset", "0", "--yes"], &["check", "0"]] {
        let ran = asked(Who::User, &dir, args);
        assert_eq!(ran.status, 0, "{args:?}: {}{}", ran.stdout, ran.stderr);
    }
    assert_eq!(state(&dir)["progress"]["done"].to_string(), "[0]");
    // A folder that root makes in somebody's home, too.
    let ran = asked(Who::Root, &home(Who::User), &["new", "made-by-root", "--lang", "sh"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert_eq!(not_theirs(&home(Who::User).join("made-by-root")), [""; 0].map(PathBuf::from));
}

#[test]
fn root_builds_in_somebodys_folder_as_them() {
    if !two_users() {
        return;
    }
    let dir = project_of(Who::User, "built", "sh");
    let build =
        r#"build = ["sh", "-c", "id -u > who; echo $HOME $SECRET >> who; cat /root/.profile 2>> who"]"#;
    set(&dir, "run = ", &format!("{build}\nrun = "));
    let mut command = workshop(Who::Root);
    // What leads into root's own home is not for them.
    let root = nix::unistd::User::from_uid(nix::unistd::geteuid()).expect("ask passwd").expect("root").dir;
    let ran = run(command.env("SECRET", root.join("x")).current_dir(&dir).args(["check", "0"]));
    assert_eq!(ran.status, 1, "{}", ran.stderr);
    let who = fs::read_to_string(dir.join("who")).expect("what the build wrote");
    assert!(who.starts_with(&format!("{NOBODY}\n")) && !who.contains("/x"), "{who}");
    assert!(who.contains("ermission denied"), "{who}");
    // A link that they have planted leads root nowhere.
    set(&dir, "build = ", "# build = ");
    fs::create_dir(place().dir.join("roots-own")).expect("a folder of root's");
    std::os::unix::fs::symlink(place().dir.join("roots-own"), dir.join(".workshop")).expect("a link");
    let ran = asked(Who::Root, &dir, &["check", "0"]);
    assert_eq!(ran.status, 2, "{}", ran.stdout);
    assert!(unwrapped(&ran.stderr).contains("can't be written by nobody"), "{}", ran.stderr);
    assert_eq!(fs::read_dir(place().dir.join("roots-own")).expect("list it").count(), 0);
}

#[test]
fn a_folder_that_cannot_be_written_is_told_with_how_it_is_given_back_and_watching_goes_on() {
    if !two_users() {
        return;
    }
    let dir = project_of(Who::User, "roots now", "sh");
    for path in [dir.clone(), dir.join("workshop.toml")] {
        chown(path, Some(0), Some(0)).expect("take it");
    }
    let cure = format!("sudo chown -R nobody '{}'", dir.display());
    let ran = asked(Who::User, &dir, &["check", "0"]);
    assert_eq!(ran.status, 2, "{}", ran.stdout);
    assert!(unwrapped(&ran.stderr).contains(&cure), "{}", ran.stderr);
    assert!(
        ran.stdout.contains("✓ CMD is executed") && ran.stdout.contains(" passed "),
        "the verdict is told all the same: {}",
        ran.stdout
    );
    let mut screen = at(Path::new("/"), &Desk::new(Who::User, "roots-now"));
    screen.line(&format!("cd '{}'; $workshop watch; echo status $?", dir.display()));
    screen.see_words("Everything holds.");
    screen.see("how it is given back", |page| {
        // A long path is broken at the edge.
        let page: String = page.split_whitespace().collect();
        page.contains(&cure.split_whitespace().collect::<String>())
    });
    screen.keys("h");
    screen.see_words("hint 1 of 3");
    screen.keys("q");
    screen.wait_for("status 0\r\n");
    screen.line("exit");
    screen.end();
}

#[test]
fn the_command_that_may_judge_limits_judges_the_same_program() {
    let who = Who::User;
    if gets_limits(who) {
        return skip("an ordinary user gets limits here", "Run the tests where none do");
    }
    if !have("unshare", "util-linux") || !have("nsenter", "util-linux") {
        return;
    }
    let dir = project_of(who, "limits", "sh");
    fs::write(dir.join("box.sh"), solution(4, "box.sh")).expect("write");
    let program = dir.join("it's mine.sh");
    fs::write(
        &program,
        "#!/bin/sh\n[ \"$1\" = 'two  words' ] || exit 9\nshift\nexec \"${0%/*}/box.sh\" \"$@\"\n",
    )
    .expect("write");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("make it a program");
    give_to(who, &program);
    let path = format!("{}:{}", place().dir.display(), std::env::var("PATH").expect("a PATH"));
    let step = common::steps::of_limits();
    let number = step.number.to_string();
    let named = ["check", &number, "--", "./it's mine.sh", "two  words"];
    for args in [&named[..], &["check", step.slug]] {
        let ran =
            run(workshop(who).current_dir(&dir).args([&args[..1], &["--format=json"], &args[1..]].concat()));
        assert_eq!(ran.status, 3, "{}{}", ran.stdout, ran.stderr);
        let hint = events(&ran.stdout).pop().expect("an error")["hint"].as_str().expect("a hint").to_owned();
        let typed = hint.split("`sudo ").nth(1).and_then(|rest| rest.split('`').next());
        let typed = typed.unwrap_or_else(|| panic!("{hint}")).to_owned();
        assert!(typed.starts_with("workshop check"), "{typed}");
        if !am_root() {
            continue;
        }
        let shell = format!("{typed} | cat");
        let mut command = command_as(Who::Root, Path::new("sh"));
        let judged = run(command.env("PATH", &path).current_dir(&dir).args(["-c", &shell]));
        let said = unwrapped(&judged.stdout);
        assert!(
            said.contains("✓ CMD is executed") && said.contains("✓ The memory limit is in force"),
            "{typed}: {}{}",
            judged.stdout,
            judged.stderr
        );
    }
    let at_terminal = word("en", "watch-as-root").replace("{step}", "4");
    assert!(at_terminal.contains("`sudo workshop check 4`"), "{at_terminal}");
    if am_root() {
        assert_eq!(not_theirs(&dir), [""; 0].map(PathBuf::from));
    }
}
