//! A newcomer at a real terminal, from an empty folder to a container runtime: what they type is what the solutions
//! change from step to step.

#![cfg(test)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use common::project::{at, come_to, me, solution, state};
use common::screen::{Screen, word};
use common::steps;
use common::watch::Desk;
use common::{Who, am_root, command_as, events, gets_limits, have, home, run, skip, who, workshop};

/// The number of the step that not every host can judge.
fn limited_step() -> u32 {
    steps::of_limits().number
}

/// Somebody who learns, in their folder.
struct Newcomer {
    who: Who,
    dir: PathBuf,
    screen: Screen,
}

impl Newcomer {
    /// Sits down at a terminal, makes a folder and begins to watch it.
    fn begin(who: Who, name: &str, language: &str, lang: &str) -> Newcomer {
        let desk = Desk::new(who, name);
        let mut screen = Screen::shell(&desk, &["sh", "-i"]);
        screen.wait_for("outer> ");
        for (name, value) in builder() {
            screen.line(&format!("export {name}='{}'", value.display()));
        }
        screen.line(&format!(
            "cd {}; $workshop new {name} --lang {language} --lang {lang}",
            home(who).display()
        ));
        screen.wait_for("`workshop watch`");
        screen.line(&format!("cd {name}; clear; $workshop watch --lang {lang}; echo status $?"));
        Newcomer { who, dir: home(who).join(name), screen }
    }

    /// A command that they give at another terminal, where nobody can be asked.
    fn ask(&self, args: &[&str]) -> String {
        let ran = run(workshop(self.who).current_dir(&self.dir).args(args));
        assert_eq!(ran.status, 0, "{args:?}: {}", ran.stderr);
        ran.stdout
    }

    /// Edits the program as the solution's diff says, with the very bytes that are shown, by patch(1).
    fn edit(&self, step: u32) {
        let diff = self.dir.with_extension("diff");
        fs::write(&diff, self.ask(&["solution", &step.to_string(), "--diff", "--yes"]))
            .expect("keep the diff");
        let mut patch = command_as(self.who, Path::new("patch"));
        patch.args(["-p1", "--fuzz=0"]).current_dir(&self.dir);
        let patched = run(patch.stdin(Stdio::from(fs::File::open(&diff).expect("the diff"))));
        assert_eq!((patched.status, patched.stderr.as_str()), (0, ""), "{}", patched.stdout);
        assert_eq!(patched.stdout.lines().count(), 1, "no line had to be looked for: {}", patched.stdout);
    }

    /// The numbers in a line of the state file.
    fn state(&self, key: &str) -> String {
        let file = fs::read_to_string(self.dir.join("workshop.toml")).expect("the state");
        let table: toml::Table = file.parse().expect("TOML");
        table.get(key).or_else(|| table["progress"].get(key)).map_or("none".into(), |value| value.to_string())
    }

    /// Builds a step: sees what is missing, asks for a hint, edits, and sees that it holds.
    fn build(&mut self, step: u32) {
        let begun = self.screen.see(&format!("step {step}, judged"), |picture| {
            picture.contains(&format!("Step {step} ")) && picture.contains('✗') && picture.contains("hint ")
        });
        assert!(!begun.contains("Everything holds."), "{begun}");
        self.screen.keys("h");
        self.screen.see_words(&format!("Step {step}, hint 1 of 3"));
        self.screen.keys("n");
        self.screen.see_words(&word("en", "watch-not-yet"));
        assert_eq!(self.state("step"), step.to_string());
        self.edit(step);
        self.held(step);
    }

    /// Builds the step that can't be judged here, and goes on without it.
    fn build_unjudged(&mut self) {
        let step = limited_step();
        self.edit(step);
        self.screen.see_words(&word("en", "watch-unjudged").replace("{step}", &step.to_string()));
        assert_eq!(self.state("step"), step.to_string());
    }

    /// Waits until all checks of a step hold. That alone leads nowhere.
    fn held(&mut self, step: u32) {
        let key = match (step == steps::last_exercise(), self.state("left_out").as_str()) {
            (true, "none") => "watch-all-done",
            (true, _) => "watch-all-but",
            (false, _) => "watch-held",
        };
        let held = self.screen.see_words(&word("en", key).replace("{step}", &limited_step().to_string()));
        assert!(held.contains(&format!("Step {step} ")) && !held.contains('✗'), "{held}");
        assert_eq!(self.state("step"), step.to_string(), "it goes on by itself");
    }

    /// Leaves, and reads how far they have come.
    fn leave(mut self) -> String {
        self.screen.keys("q");
        self.screen.see_words("status 0");
        self.screen.line("exit");
        self.screen.end();
        self.ask(&["progress"])
    }
}

/// What a build needs of the home that the tests' own builder has: the test's home is another.
fn builder() -> Vec<(&'static str, PathBuf)> {
    let home = PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
    let place = |name, folder| std::env::var_os(name).map_or(home.join(folder), PathBuf::from);
    vec![
        ("CARGO_HOME", place("CARGO_HOME", ".cargo")),
        ("RUSTUP_HOME", place("RUSTUP_HOME", ".rustup")),
        ("CARGO_NET_OFFLINE", "true".into()),
    ]
}

/// What the solutions start: those in shell are made of it, and the sixth in Rust has its links made by ip(8).
fn have_tools() -> bool {
    let tools = [("unshare", "util-linux"), ("nsenter", "util-linux"), ("ip", "iproute2"), ("perl", "perl")];
    tools.into_iter().all(|(program, package)| have(program, package))
}

/// From the first step to the last.
fn whole_way(who: Who, name: &str, language: &str, source: &str) {
    if !have("patch", "patch") || !have_tools() {
        return;
    }
    let limited = gets_limits(who);
    if who == Who::Root && !limited {
        skip("root gets no limits here, and step 4 is left out", "Run where cgroups can be written");
    }
    let mut newcomer = Newcomer::begin(who, name, language, "en");
    newcomer.held(0);
    let is_judged = |step: u32| limited || step != limited_step();
    for step in steps::exercise_numbers().skip(1) {
        newcomer.screen.keys("n");
        match is_judged(step) {
            false => newcomer.build_unjudged(),
            true => newcomer.build(step),
        }
    }
    let all: Vec<u32> = steps::exercise_numbers().collect();
    let done: Vec<u32> = all.iter().copied().filter(|step| is_judged(*step)).collect();
    let marks: String = all.iter().map(|step| if is_judged(*step) { '■' } else { '–' }).collect();
    let bar = &format!("{marks} {}/{}", done.len(), all.len());
    assert_eq!(newcomer.state("done"), format!("{done:?}"));
    newcomer.screen.keys("n");
    newcomer.screen.keys("l");
    let list = newcomer.screen.see_words(&steps::exercise_folder(steps::last_exercise())[3..]);
    assert!(list.contains(bar), "{list}");
    let written = fs::read_to_string(newcomer.dir.join(source)).expect("the program");
    assert_eq!(
        written,
        newcomer.ask(&["solution", &steps::last_exercise().to_string()]),
        "the diffs lead to the last solution"
    );
    let progress = newcomer.leave();
    assert!(progress.contains(bar), "{progress}");
    assert_eq!(progress.matches("left out").count(), usize::from(!limited), "{progress}");
}

#[test]
fn a_newcomer_builds_a_container_runtime_in_rust() {
    if have("cargo", "rustup") && have("cc", "gcc") {
        whole_way(me(), "box", "rust", "src/main.rs");
    }
}

#[test]
fn a_newcomer_builds_a_container_runtime_in_shell() {
    for who in who() {
        whole_way(who, "box-sh", "sh", "box.sh");
    }
}

#[test]
fn a_step_that_a_host_cannot_judge_is_explained_and_left_out_in_either_language() {
    if gets_limits(Who::User) {
        return skip("an ordinary user gets limits here", "Run where cgroups are not delegated");
    }
    if !have_tools() {
        return;
    }
    for lang in ["en", "ko"] {
        let limits = limited_step();
        let next = steps::exercise_after(limits).expect("a step after it");
        let dir = come_to(Who::User, &format!("unjudged-{lang}"), limits, limits);
        let mut screen = at(&dir, &Desk::new(Who::User, lang));
        screen.line(&format!("$workshop watch --lang {lang}"));
        let told = word(lang, "watch-unjudged").replace("{step}", &limits.to_string());
        let seen = screen.see_words(&told);
        assert!(seen.contains(&format!("`sudo workshop check {limits}`")), "{seen}");
        assert!(seen.contains("sys/fs/cgroup"), "why: {seen}");
        let left_out = |dir: &Path| state(dir)["progress"].get("left_out").map(ToString::to_string);
        assert_eq!(left_out(&dir), None, "it goes on by itself");
        screen.keys("n");
        screen.see_words(&word(lang, "watch-key-back"));
        assert_eq!(
            (left_out(&dir).as_deref(), state(&dir)["step"].as_integer()),
            (Some(&*format!("[{limits}]")), Some(next.into()))
        );
        // A program of a later step is judged without limits, and that says nothing of the step before.
        fs::write(dir.join("box.sh"), solution(next, "box.sh")).expect("save");
        screen.see_words(&word(lang, "watch-held"));
        screen.keys("q");
        screen.see_words("outer>");
        screen.line("exit");
        screen.end();
        let user = |args: &[&str]| run(workshop(Who::User).current_dir(&dir).args(args));
        assert_eq!(user(&["check"]).status, 0);
        let done: Vec<u32> = steps::exercise_numbers().filter(|n| *n <= next && *n != limits).collect();
        assert_eq!(state(&dir)["progress"]["done"].to_string(), format!("{done:?}"));
        let progress = user(&["progress", "--lang", lang]).stdout;
        assert!(progress.contains(&word(lang, "progress-left-out")), "{progress}");
        let events = events(&user(&["progress", "--format", "json"]).stdout);
        let told = events.iter().find(|event| event["number"] == limits).expect("the step");
        assert_eq!((&told["left_out"], &told["done"]), (&true.into(), &false.into()));
        // What root is told to do.
        if am_root() && gets_limits(Who::Root) {
            let judged = run(workshop(Who::Root).current_dir(&dir).args([
                "check",
                &limits.to_string(),
                "--",
                "./box.sh",
            ]));
            assert_eq!(judged.status, 0, "{}{}", judged.stdout, judged.stderr);
        }
    }
}
