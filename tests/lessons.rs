//! The lessons against each other, language by language, and against what the program really tells.

#![cfg(test)]

mod common;
#[path = "lessons/reader.rs"]
mod reader;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::OnceLock;

use common::steps::{self, STEPS, Step};
use common::{Who, am_root, events, run, who, workshop};
use reader::{Lesson, lesson};
use serde_json::Value;

/// Keys of the step with limits that need a cgroup v2 hierarchy with the controllers in it. v1 has no
/// `cgroup.subtree_control` to hand them on with (`subtree`), so nobody must step aside before
/// that (`aside`), and clone3(2) can't make a process in a v1 group (`clone`).
const ONLY_V2: [&str; 3] = ["subtree", "aside", "clone"];

/// Keys of the step with limits that only v1 has, where v2 has one file for period and quota, puts a process into its
/// group at birth, and needs one mount to show it.
const ONLY_V1: [&str; 3] = ["limit-period", "join", "view-dir"];

fn each_step(test: impl Fn(&str, &Lesson, &Lesson)) {
    for Step { slug, .. } in STEPS.iter() {
        test(slug, &lesson(slug, "en"), &lesson(slug, "ko"));
    }
}

#[test]
fn every_step_has_a_lesson_and_every_lesson_a_step() {
    let listed: Vec<String> = STEPS.iter().map(Step::folder).collect();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("lessons");
    let names = std::fs::read_dir(dir).expect("lessons").flatten().map(|e| e.file_name());
    let folders: BTreeSet<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    // Where the exercises start is no step: a program that runs another, and no container yet.
    let others = ["words", "00-run"];
    let folders: Vec<String> = folders.into_iter().filter(|name| !others.contains(&name.as_str())).collect();
    assert_eq!(listed, folders);
}

#[test]
fn both_languages_have_the_same_headings_in_the_same_order() {
    each_step(|slug, english, korean| {
        let ids = |lesson: &Lesson| lesson.sections.iter().map(|s| s.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(english), ids(korean), "{slug}");
        assert!(ids(english).iter().all(|id| !id.is_empty()), "{slug}: a heading without an id");
        let unique: BTreeSet<String> = ids(english).into_iter().collect();
        assert_eq!(unique.len(), english.sections.len(), "{slug}: an id is there twice");
    });
}

#[test]
fn both_languages_have_the_same_code_byte_for_byte() {
    each_step(|slug, english, korean| {
        for (one, other) in english.sections.iter().zip(&korean.sections) {
            assert_eq!(one.code, other.code, "{slug}: {}", one.id);
        }
        assert!(english.section("by-hand").is_some_and(|s| s.code.len() == 1), "{slug}");
    });
}

#[test]
fn questions_have_as_many_choices_in_both_languages_and_one_right_one_at_the_same_place() {
    each_step(|slug, english, korean| {
        for (one, other) in english.sections.iter().zip(&korean.sections) {
            assert_eq!(one.choices, other.choices, "{slug}: {}", one.id);
            let asks = one.id == "predict" || one.id.starts_with("quiz-");
            let right = one.choices.iter().filter(|ticked| **ticked).count();
            assert_eq!(right, usize::from(asks), "{slug}: {}", one.id);
        }
        assert_eq!(english.keys("quiz").len(), 3, "{slug}");
    });
}

#[test]
fn both_languages_teach_the_same_facts_of_the_curriculum() {
    each_step(|slug, english, korean| {
        assert_eq!(english.taught(), korean.taught(), "{slug}");
        assert!(!english.taught().is_empty(), "{slug}");
    });
}

/// What the program told of each step in all runs: the names in its facts and checks, and why its calls
/// were made.
#[derive(Default)]
struct Told {
    whys: BTreeSet<String>,
    facts: BTreeSet<String>,
    checks: BTreeSet<String>,
}

fn told() -> &'static BTreeMap<String, Told> {
    static TOLD: OnceLock<BTreeMap<String, Told>> = OnceLock::new();
    TOLD.get_or_init(|| {
        let mut all = BTreeMap::<String, Told>::new();
        for who in who() {
            for Step { number, slug, .. } in STEPS.iter() {
                let args = ["step", &number.to_string(), "--verbose", "--format", "json", "--lang", "en"];
                for event in events(&run(workshop(who).args(args)).stdout) {
                    add(&mut all, slug, &event);
                }
            }
        }
        all
    })
}

fn add(all: &mut BTreeMap<String, Told>, slug: &str, event: &Value) {
    let text = |field: &str| event[field].as_str().unwrap_or_default().to_string();
    match text("event").as_str() {
        "call" => all.entry(text("step")).or_default().whys.insert(text("why")),
        "fact" => all.entry(slug.into()).or_default().facts.insert(text("name")),
        "check" => all.entry(text("step")).or_default().checks.insert(text("name")),
        _ => false,
    };
}

/// The keys of a lesson's calls, by the sentence below each.
fn calls(lesson: &Lesson) -> BTreeMap<&str, &str> {
    let sentence = |key: &&str| lesson.section(&format!("call-{key}"))?.first.as_deref();
    lesson.keys("call").into_iter().filter_map(|key| Some((sentence(&key)?, key))).collect()
}

#[test]
fn whatever_the_program_tells_is_in_the_lesson() {
    each_step(|slug, english, _| {
        // An ordinary user may be refused limits; the next test says so.
        let Some(told) = told().get(slug) else { return };
        let calls = calls(english);
        assert_eq!(calls.len(), english.keys("call").len(), "{slug}: two calls with one sentence");
        for why in &told.whys {
            assert!(calls.contains_key(why.as_str()), "{slug} has no call with the sentence: {why}");
        }
        for (kind, names) in [("fact", &told.facts), ("check", &told.checks)] {
            for name in names {
                assert!(english.keys(kind).contains(&name.as_str()), "{slug} has no {kind}-{name}");
            }
        }
    });
}

/// Whether a key of the step with limits can't come up on this host.
fn of_another_host(key: &str) -> bool {
    // With `swapaccount=0` a v1 kernel has no file for the limit.
    let swap = Path::new("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes").exists();
    let version = common::run(workshop(Who::User).args(["doctor", "--lang", "en"])).stdout;
    let (v1, v2) = (version.contains("memory v1"), version.contains("memory v2"));
    (v1 && ONLY_V2.contains(&key))
        || (v2 && (ONLY_V1.contains(&key) || key != "clone" && ONLY_V2.contains(&key)))
        || (v1 && !swap && key == "limit-swap")
}

/// Keys of the step with users that only root's run has, which gives a range of ids …
const OF_A_RANGE: [&str; 8] =
    ["upper-owner", "open-root", "groups", "setresgid", "setresuid", "dumpable", "root", "enter-root"];

/// … and those of them that take id-mapped mounts. Without such, none of these is made.
const OF_MAPPED_MOUNTS: [&str; 3] = ["open-layer", "idmap", "shown"];

/// Whether a key of the step with users can't come up for whom the tests are run by, or on this host.
fn of_other_users(key: &str, told: impl Fn(&str) -> bool) -> bool {
    let mapped = OF_MAPPED_MOUNTS.contains(&key);
    mapped && (!am_root() || !OF_MAPPED_MOUNTS.into_iter().any(told))
        || OF_A_RANGE.contains(&key) && !am_root()
}

/// The call that is made on a terminal only, where the tests of the terminal see it.
const ON_A_TERMINAL: &str = "console";

/// The claim that only a learner's own program is judged by.
const OF_PROGRAMS: &str = "no-files";

#[test]
fn whatever_is_in_the_lesson_the_program_tells() {
    let is_told = |slug: &str| told().get(slug).is_some_and(|told| !told.checks.is_empty());
    each_step(|slug, english, _| {
        let step = steps::named(slug);
        if step.limits() && !is_told(slug) {
            return common::skip("no limits on this host for this user", "Run the tests as root");
        }
        if !step.is_part && !is_told(slug) {
            return common::skip("no virtual machine on this host", "Install qemu-system-x86 and a kernel");
        }
        let told = &told()[slug];
        for (sentence, key) in calls(english) {
            let was_told = |key: &str| {
                let sentence = english.section(&format!("call-{key}")).and_then(|call| call.first.as_deref());
                sentence.is_some_and(|sentence| told.whys.contains(sentence))
            };
            let silent = (step.limits() && of_another_host(key))
                || (step.users() && of_other_users(key, was_told))
                || key == ON_A_TERMINAL;
            assert!(silent || told.whys.contains(sentence), "{slug}: no run made call-{key}");
        }
        for (kind, names) in [("fact", &told.facts), ("check", &told.checks)] {
            let missing: Vec<_> = english
                .keys(kind)
                .into_iter()
                .filter(|key| !names.contains(*key) && *key != OF_PROGRAMS)
                .collect();
            assert!(missing.is_empty(), "{slug}: no run told {kind} {missing:?}");
        }
    });
}

#[test]
fn the_text_has_the_lessons_labels_and_claims_and_never_a_bare_key() {
    for Step { number, slug, .. } in STEPS.iter() {
        let Some(told) = told().get(*slug).filter(|told| !told.checks.is_empty()) else { continue };
        let who = if am_root() { Who::Root } else { Who::User };
        for lang in ["en", "ko"] {
            let lesson = lesson(slug, lang);
            let ran = run(workshop(who).args(["step", &number.to_string(), "--lang", lang]));
            let lines: Vec<&str> = ran.stdout.lines().collect();
            let plain = |text: &str| text.replace('`', "");
            let heading =
                |kind: &str, key: &str| plain(&lesson.section(&format!("{kind}-{key}")).expect(key).heading);
            let ticked: BTreeSet<String> =
                lines.iter().filter_map(|line| line.trim().strip_prefix("✓ ")).map(plain).collect();
            for key in &told.checks {
                let claim = heading("check", key);
                assert!(ticked.contains(&claim), "{slug} in {lang}: {claim} is not among {ticked:?}");
            }
            for key in &told.facts {
                let label = heading("fact", key);
                let row = lines.iter().any(|line| plain(line).trim().starts_with(&format!("{label}  ")));
                assert!(row, "{slug} in {lang}: no row for {label}");
            }
        }
    }
}
