//! CONTRIBUTING's recipe for a step, followed to the letter: its blocks make a step in a copy of the repository, and the
//! program that is built there knows it everywhere.

#![cfg(test)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use common::steps::STEPS;
use common::{Ran, Who, child, command_as, events, have, place, run, skip, who};

/// As many Rust files may have to be touched for a step.
const FEW: usize = 6;

/// What of the repository goes into the program and the book.
const PARTS: [&str; 10] = [
    ".cargo",
    "Cargo.lock",
    "Cargo.toml",
    "README.md",
    "book",
    "build.rs",
    "lessons",
    "rustfmt.toml",
    "src",
    "tests/snapshots",
];

/// A block of the recipe: what goes into a file, which is new, or beside one of its lines.
struct Block {
    file: PathBuf,
    place: Option<(Beside, String)>,
    text: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Beside {
    Before,
    After,
}

/// The step's name in the recipe.
const SLUG: &str = "no-new-privs";

/// The recipe's words with the next free number in place of the one that was so when they were written.
fn renumbered(text: &str, number: usize) -> String {
    let written = text.split("number: ").nth(1).and_then(|rest| rest.split_once(',')).expect("a number").0;
    let padded = format!("{written:0>2}-{SLUG}");
    let places = ["number: {},", "Step {}:", "Step {} ", "{}단계", "step-{}}"];
    let renumber = |text: String, place: &str| {
        text.replace(&place.replace("{}", written), &place.replace("{}", &number.to_string()))
    };
    places.into_iter().fold(text.replace(&padded, &format!("{number:02}-{SLUG}")), renumber)
}

/// The blocks of the section with this heading that name a file.
fn blocks(text: &str, heading: &str) -> Vec<Block> {
    let section = text.split("\n## ").find(|section| section.starts_with(heading)).expect("the section");
    let mut blocks = Vec::new();
    let mut lines = section.lines();
    while let Some(line) = lines.next() {
        let open = line.trim_start();
        let indent = line.len() - open.len();
        let ticks: String = open.chars().take_while(|c| *c == '`').collect();
        let Some((_, place)) = open.split_once(" file=").filter(|_| ticks.len() >= 3) else { continue };
        let beside = [(Beside::Before, " before="), (Beside::After, " after=")];
        let found = beside.iter().find_map(|(beside, word)| Some((*beside, place.split_once(word)?)));
        let (file, place) = match found {
            Some((beside, (file, line))) => (file, Some((beside, line.trim_matches('"').to_owned()))),
            None => (place, None),
        };
        let inside = lines.by_ref().take_while(|line| line.trim() != ticks);
        let text = inside.map(|line| format!("{}\n", line.get(indent..).unwrap_or_default())).collect();
        blocks.push(Block { file: file.into(), place, text });
    }
    blocks
}

impl Block {
    fn apply(&self, tree: &Path) {
        let file = tree.join(&self.file);
        let name = self.file.display();
        let Some((beside, line)) = &self.place else {
            assert!(!file.exists(), "{name} is there already");
            fs::create_dir_all(file.parent().expect("a folder")).expect("make the folder");
            return fs::write(&file, &self.text).expect("write");
        };
        let text = fs::read_to_string(&file).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(text.lines().filter(|other| other.trim() == line).count(), 1, "{name}: `{line}`");
        let insert = |other: &str| match (other.trim() == line, beside) {
            (true, Beside::Before) => format!("{}{other}", self.text),
            (true, Beside::After) => format!("{other}{}", self.text),
            (false, _) => other.to_owned(),
        };
        fs::write(&file, text.split_inclusive('\n').map(insert).collect::<String>()).expect("write");
    }
}

/// Copies a file or a folder. Times stay, by which Cargo knows what has changed.
fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        // The browser's packages are no part of a page.
        if from.ends_with("node_modules") {
            return;
        }
        fs::create_dir_all(to).expect("make a folder");
        for entry in fs::read_dir(from).expect("list a folder").flatten() {
            copy(&entry.path(), &to.join(entry.file_name()));
        }
        return;
    }
    fs::copy(from, to).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
    let times = fs::metadata(from).and_then(|found| found.modified()).expect("its time");
    fs::File::options().write(true).open(to).and_then(|file| file.set_modified(times)).expect("set its time");
}

/// The same dependencies need not be built again: what Cargo has made of them is linked to, where it is not yet.
fn link_dependencies(from: &Path, to: &Path) {
    let own = |name: &str| name.starts_with("workshop") || name.starts_with("libworkshop");
    for part in ["deps", "build", ".fingerprint"] {
        fs::create_dir_all(to.join(part)).expect("make a folder");
        for entry in fs::read_dir(from.join(part)).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let is_library = part != "deps" || name.to_string_lossy().starts_with("lib");
            if is_library && !own(&name.to_string_lossy()) {
                link(&entry.path(), &to.join(part).join(name));
            }
        }
    }
}

fn link(from: &Path, to: &Path) {
    if to.is_dir() || from.is_dir() {
        fs::create_dir_all(to).expect("make a folder");
        for entry in fs::read_dir(from).into_iter().flatten().flatten() {
            link(&entry.path(), &to.join(entry.file_name()));
        }
    } else if !to.exists() {
        // Another test may be building, and move what it has made.
        let _ = fs::hard_link(from, to);
    }
}

/// A copy of the repository with the recipe's step in it.
fn copy_with_the_step(tree: &Path, blocks: &[Block]) {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let _ = fs::remove_dir_all(tree);
    fs::create_dir_all(tree).expect("make a folder");
    PARTS.iter().for_each(|part| copy(&repository.join(part), &tree.join(part)));
    blocks.iter().for_each(|block| block.apply(tree));
}

/// Builds the program there.
fn build(tree: &Path, target: &Path) -> PathBuf {
    let own = std::env::current_exe().expect("this test's own file");
    let debug = own.parent().and_then(Path::parent).expect("the build folder");
    link_dependencies(debug, &target.join("debug"));
    let mut cargo = child::command("cargo");
    cargo.args(["build", "--offline", "--locked", "--bin", "workshop"]).current_dir(tree);
    let ran = run(cargo.env("CARGO_TARGET_DIR", target));
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(!ran.stderr.contains("warning: unused"), "{}", ran.stderr);
    let program = place().dir.join("with-one-step-more");
    fs::copy(target.join("debug/workshop"), &program).expect("copy the program");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("let others run it");
    program
}

/// What every command says of the step.
fn is_known_everywhere(who: Who, program: &Path, number: &str, slug: &str) {
    let ask = |args: &[&str]| run(command_as(who, program).args(args));
    let must = |args: &[&str]| -> Ran {
        let ran = ask(args);
        assert_eq!(ran.status, 0, "{args:?} as {who:?}: {}{}", ran.stdout, ran.stderr);
        ran
    };
    let list = must(&["list"]).stdout;
    assert!(list.contains(slug) && list.contains("no more than it has"), "{list}");
    assert!(must(&["--help"]).stdout.contains(slug));

    let told = must(&["step", number]).stdout;
    for words in ["No new privileges", "PR_SET_NO_NEW_PRIVS", "A program that has started can gain no"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    // Its row is closed in its own picture, and open in those before.
    assert!(!told.contains("host-same") && !told.contains(" set "), "a bare key: {told}");
    let row = |text: &str| {
        let mut picture = text.lines().skip_while(|line| !line.contains("┌ host "));
        picture.find(|line| line.contains("│ privileges ")).expect("a row").to_owned()
    };
    let rows = [row(&told), row(&must(&["step", "1"]).stdout)];
    assert!(rows[0].contains("■ no new") && !rows[1].contains("■ no new"), "{rows:?}");
    let checks = events(&must(&[slug, "--format", "json"]).stdout);
    let checks: Vec<_> =
        checks.iter().filter(|event| event["step"] == slug && event["name"] == "set").collect();
    assert!(matches!(checks[..], [check] if check["passed"] == true), "{checks:?}");

    assert!(must(&["plan", number]).stdout.contains("PR_SET_NO_NEW_PRIVS"));
    let status = ["--", "grep", "NoNewPrivs", "/proc/self/status"];
    for (step, flag) in [(number, "1"), (slug, "1"), ("1", "0")] {
        let ran = must(&[&["run", "--no-net", "--step", step], &status[..]].concat());
        assert_eq!(ran.stdout, format!("NoNewPrivs:\t{flag}\n"), "{step}");
    }
    let judged = ask(&["check", number, "--", "true"]);
    assert_eq!(judged.status, 2);
    assert!(judged.stderr.contains(&format!("Step {number}, {slug}, has no exercise.")), "{}", judged.stderr);
}

/// The book with the step's page, if its builder is there: what mdBook consists of takes minutes to compile.
fn has_its_page(tree: &Path, folder: &str) {
    let builder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/quick/workshop-book");
    if !builder.exists() {
        return skip("the book's builder has not been built", "cargo book check");
    }
    let out = place().dir.join("book-with-one-step-more");
    let mut command = child::command(builder);
    let ran = run(command.arg("build").arg("--out").arg(&out).arg("--repository").arg(tree));
    assert_eq!(ran.status, 0, "{}{}", ran.stdout, ran.stderr);
    for (lang, title) in [("en", "No new privileges"), ("ko", "늘지 않는 권한")] {
        let page = fs::read_to_string(out.join(lang).join(format!("build/{folder}.html"))).expect("the page");
        // A long path may go on in the next line after each of its slashes.
        let page = page.replace("<wbr>", "");
        for words in [title, "src/engine/parts/no_new_privs.rs", "Call::NoNewPrivileges"] {
            assert!(page.contains(words), "{lang}: {words}");
        }
    }
}

#[test]
fn the_recipe_makes_a_step_that_is_known_everywhere() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("recipe");
    if !have("cargo", "rustup") || !have("rustfmt", "rustup") {
        return;
    }
    if fs::create_dir_all(&dir).and_then(|()| fs::write(dir.join("mine"), "")).is_err() {
        return skip("the folder for builds can't be written", "Run the tests as whoever built them");
    }
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/CONTRIBUTING.md")).expect("it");
    let number = STEPS.len() + 1;
    let blocks = blocks(&renumbered(&text, number), "Add a step");
    let rust: BTreeSet<&Path> = blocks
        .iter()
        .map(|block| block.file.as_path())
        .filter(|file| file.extension().is_some_and(|ending| ending == "rs"))
        .collect();
    assert!((4..=FEW).contains(&rust.len()), "{rust:?}");

    let tree = dir.join("tree");
    copy_with_the_step(&tree, &blocks);
    let mut rustfmt = child::command("rustfmt");
    let formatted = run(rustfmt.args(["--check", "--edition", "2024"]).args(rust).current_dir(&tree));
    assert_eq!(formatted.status, 0, "{}{}", formatted.stdout, formatted.stderr);
    let program = build(&tree, &dir.join("target"));
    who().into_iter().for_each(|who| is_known_everywhere(who, &program, &number.to_string(), SLUG));
    has_its_page(&tree, &format!("{number:02}-{SLUG}"));
}

/// Where a step's slug may stand: in the registry, and in the part that the step names. ("overlay" is a filesystem too.)
const HOMES: [&str; 2] = ["src/course", "src/engine/parts"];

fn name_a_step(dir: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(dir).expect("list a folder").flatten() {
        let path = entry.path();
        let is_home = HOMES.iter().any(|home| path.ends_with(home));
        if path.is_dir() && !is_home && !path.ends_with("tests") {
            name_a_step(&path, found);
        }
        // What is made up for a test may be called as it likes.
        let is_source =
            path.extension().is_some_and(|ending| ending == "rs") && !path.ends_with("fixture.rs");
        if !is_source {
            continue;
        }
        let text = fs::read_to_string(&path).expect("read");
        let program = text.split("#[cfg(test)]").next().unwrap_or_default();
        let slugs = STEPS.iter().map(|step| step.slug).filter(|slug| slug.contains('-'));
        found.extend(
            slugs
                .filter(|slug| program.contains(&format!("\"{slug}\"")))
                .map(|slug| format!("{}: {slug}", path.display())),
        );
    }
}

#[test]
fn only_the_registry_and_the_steps_own_part_know_its_name() {
    let mut found = Vec::new();
    name_a_step(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert_eq!(found, Vec::<String>::new());
}
