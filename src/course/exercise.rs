//! The exercises: what a learner's own program must do, step by step.
//!
//! Each is the file `lessons/NN-slug/exercise/LANG.md`. The command line, the checks and the book read it. A text that
//! is missing never stops a run: it is empty, or its key stands in for it, and a test makes sure that it does not come
//! to that.

use super::Step;
use super::language::Lang;
use super::lesson::{self, Lesson};
use super::markdown::{self, Block, Item, Section};
use super::steps::{STEPS, run};
use claims::task::{Asked, Group, Task};
use engine::parts::{mount_proc, unshare_pid};

/// The number of the first one: a program that runs another and adds nothing.
pub const START: u32 = run::NUMBER;

/// An exercise's entry in the registry.
#[derive(Clone, Copy)]
pub struct Entry {
    /// That of its step.
    pub number: u32,
    pub slug: &'static str,
    pub task: Task,
}

const FIRST: Entry = Entry { number: START, slug: run::SLUG, task: run::TASK };

impl Entry {
    /// What its claims are about.
    pub fn group(&self) -> Group {
        let Asked { root, layers, limits, network, .. } = self.task.asks;
        match self.slug {
            _ if limits => Group::Limits,
            _ if network => Group::Network,
            _ if root || layers => Group::Files,
            mount_proc::SLUG => Group::Files,
            run::SLUG | unshare_pid::SLUG => Group::Processes,
            _ => Group::Security,
        }
    }
}

/// All exercises in order: the start, and those of the steps that have one.
pub fn all() -> impl DoubleEndedIterator<Item = Entry> {
    let of_steps = STEPS.iter().filter_map(|step| {
        let task = step.task()?;
        Some(Entry { number: step.number, slug: step.slug, task })
    });
    std::iter::once(FIRST).chain(of_steps)
}

/// Those from one on.
pub fn from(number: u32) -> impl DoubleEndedIterator<Item = Entry> {
    all().filter(move |entry| entry.number >= number)
}

/// Those up to one, with it.
pub fn up_to(number: u32) -> impl DoubleEndedIterator<Item = Entry> {
    all().filter(move |entry| entry.number <= number)
}

/// Those before one.
pub fn before(number: u32) -> impl DoubleEndedIterator<Item = Entry> {
    all().filter(move |entry| entry.number < number)
}

/// The number of the one that comes after it, if it is not the last.
pub fn next(number: u32) -> Option<u32> {
    all().map(|entry| entry.number).find(|other| *other > number)
}

/// The number of the last exercise.
pub fn last() -> u32 {
    all().next_back().map_or(START, |entry| entry.number)
}

/// What a program is asked for at an exercise, by it and by all before it.
pub fn asked(number: u32) -> Asked {
    up_to(number).fold(Asked::NOTHING, |asked, entry| asked.and(entry.task.asks))
}

/// The exercise that asks for limits, which not every host gives.
pub fn of_limits() -> Option<u32> {
    all().find(|entry| entry.task.asks.limits).map(|entry| entry.number)
}

/// One exercise in one language. Text comes without markdown, but for backticks around code.
#[derive(Debug, Default)]
pub struct Exercise {
    pub number: u32,
    pub title: String,
    /// What the program must do now.
    pub task: Vec<Block>,
    /// From a nudge to nearly all.
    pub hints: [Vec<Block>; 3],
    /// What is checked, in the order of the file.
    pub checks: Vec<CheckText>,
}

/// What the exercise says of one check.
#[derive(Debug, PartialEq, Eq)]
pub struct CheckText {
    pub name: String,
    /// What holds for a program that is right. Of a step it stands in the lesson, since it holds for our own container too.
    pub claim: String,
    /// Why it may not hold, the likeliest cause first, each with what to do.
    pub causes: Vec<Cause>,
}

/// One cause of a failed check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cause {
    pub text: String,
    /// What the evidence shows where this is the cause: `1. … <!-- seen: zero one -->`.
    pub signs: Vec<String>,
}

impl Exercise {
    /// The exercise with this number; in English where it has not been translated.
    pub fn load(number: u32, lang: Lang) -> Exercise {
        let text = text_of(number, lang).or_else(|| text_of(number, Lang::En));
        let mut exercise = Exercise::parse(number, text.unwrap_or_default());
        if let Some(step) = Step::numbered(number) {
            exercise.claim_as(&Lesson::load(step, lang));
        }
        exercise
    }

    /// Reads the markdown of an exercise. Any text is one; what it lacks is empty.
    pub fn parse(number: u32, source: &str) -> Exercise {
        let mut exercise = Exercise { number, ..Exercise::default() };
        for (place, section) in markdown::read(source).into_iter().enumerate() {
            match section.id.as_str() {
                _ if place == 0 => exercise.title = section.heading,
                "task" => exercise.task = section.blocks,
                "hint-1" => exercise.hints[0] = section.blocks,
                "hint-2" => exercise.hints[1] = section.blocks,
                "hint-3" => exercise.hints[2] = section.blocks,
                _ => exercise.checks.extend(check(&section)),
            }
        }
        exercise
    }

    /// Takes from the step's lesson what each check claims; what stands before the first step has no lesson.
    fn claim_as(&mut self, lesson: &Lesson) {
        for check in &mut self.checks {
            check.claim = lesson.check_claim(&check.name).into();
        }
    }

    /// What is said of a check.
    pub fn check(&self, name: &str) -> Option<&CheckText> {
        self.checks.iter().find(|check| check.name == name)
    }

    /// What a check claims, or else its name.
    pub fn claim<'a>(&'a self, name: &'a str) -> &'a str {
        self.check(name).map(|check| check.claim.as_str()).filter(|claim| !claim.is_empty()).unwrap_or(name)
    }

    /// The same, where the cause of a failed check is known.
    pub fn with_causes(mut self, name: &str, causes: Vec<String>) -> Exercise {
        if let Some(check) = self.checks.iter_mut().find(|check| check.name == name) {
            check.causes = causes.into_iter().map(|text| Cause { text, signs: Vec::new() }).collect();
        }
        self
    }

    /// The same, where the evidence shows some signs of the cause: without those that show themselves otherwise. Signs
    /// that no cause has say nothing.
    pub fn with_signs(mut self, name: &str, signs: &[&str]) -> Exercise {
        if let Some(check) = self.checks.iter_mut().find(|check| check.name == name) {
            let shows = |cause: &Cause| cause.signs.iter().any(|sign| signs.contains(&sign.as_str()));
            if check.causes.iter().any(shows) {
                check.causes.retain(shows);
            }
        }
        self
    }

    /// Why a check may have failed, the likeliest cause first.
    pub fn causes(&self, name: &str) -> Vec<&str> {
        let check = self.check(name);
        check.into_iter().flat_map(|check| &check.causes).map(|cause| cause.text.as_str()).collect()
    }
}

/// The section of a check, if it is one.
fn check(section: &Section) -> Option<CheckText> {
    let name = section.id.strip_prefix("check-")?.to_string();
    let causes = section.blocks.iter().find_map(|block| match block {
        Block::List(items) => Some(items.iter().map(cause).collect()),
        _ => None,
    });
    let claim = section.paragraph().unwrap_or_default().to_string();
    Some(CheckText { name, claim, causes: causes.unwrap_or_default() })
}

fn cause(item: &Item) -> Cause {
    let signs = item.remark.strip_prefix("seen:").unwrap_or_default();
    Cause { text: item.text.clone(), signs: signs.split_whitespace().map(String::from).collect() }
}

/// The slug of an exercise; the last one's for a number that has none.
pub fn slug(number: u32) -> &'static str {
    entry(number).slug
}

/// Folder of an exercise below `lessons/`: `03-pivot-root`.
pub fn folder(number: u32) -> String {
    let Entry { number, slug, .. } = entry(number);
    format!("{number:02}-{slug}")
}

fn entry(number: u32) -> Entry {
    all().find(|entry| entry.number == number).or_else(|| all().next_back()).unwrap_or(FIRST)
}

/// The exercise's page in the book, below a language's folder: `own/03-pivot-root.html`.
pub fn chapter(number: u32) -> String {
    format!("own/{}.html", folder(number))
}

/// The place in the book that explains a check: `own/03-pivot-root.html#check-pivoted`.
pub fn page(number: u32, check: &str) -> String {
    format!("{}#check-{check}", chapter(number))
}

/// The exercise of this number, slug or folder.
pub fn find(name: &str) -> Option<u32> {
    let plain = name.bytes().all(|byte| byte.is_ascii_digit());
    all().map(|entry| entry.number).find(|number| {
        plain && name.parse() == Ok(*number) || name == slug(*number) || name == folder(*number)
    })
}

fn text_of(number: u32, lang: Lang) -> Option<&'static str> {
    all().find(|entry| entry.number == number)?;
    lesson::file(&format!("{}/exercise/{}.md", folder(number), lang.code()))
}

#[cfg(test)]
mod tests {
    use super::*;
    const TEXT: &str = "\
# Build it: a root of its own

## Task {#task}

`PROGRAM run --rootfs DIR CMD` makes DIR the root.

```sh
box run --rootfs /srv/root ls /
```

## Hints {#hints}

### 1 {#hint-1}

See `man 2 pivot_root`.

### 2 {#hint-2}

Bind, chdir, pivot.

### 3 {#hint-3}

```sh
pivot_root . .
```

## Checks {#checks}

### pivoted {#check-pivoted}

The root of the mount namespace is the root of the process.

1. You called `chroot`. Use
   `pivot_root`. <!-- seen: apart -->
2. It was called in the parent. <!-- seen: apart gone -->
3. It was too late.

### sys {#check-sys}

sysfs is at /sys.

1. It is not mounted.
";

    #[test]
    fn the_parts_are_found_by_their_ids() {
        let exercise = Exercise::parse(3, TEXT);
        assert_eq!(exercise.title, "Build it: a root of its own");
        assert_eq!(exercise.task.len(), 2);
        assert_eq!(exercise.hints[1], [Block::Paragraph("Bind, chdir, pivot.".into())]);
        assert_eq!(exercise.hints[2], [Block::Code("pivot_root . .".into())]);
        let names: Vec<_> = exercise.checks.iter().map(|check| check.name.as_str()).collect();
        assert_eq!(names, ["pivoted", "sys"]);
        assert_eq!(exercise.claim("sys"), "sysfs is at /sys.");
        assert_eq!(
            exercise.causes("pivoted"),
            ["You called `chroot`. Use `pivot_root`.", "It was called in the parent.", "It was too late."]
        );
    }

    #[test]
    fn causes_that_show_themselves_otherwise_are_left_out() {
        let causes = |signs: &[&str]| {
            let exercise = Exercise::parse(3, TEXT).with_signs("pivoted", signs);
            exercise.causes("pivoted").into_iter().map(String::from).collect::<Vec<_>>()
        };
        assert_eq!(
            causes(&["apart"]),
            ["You called `chroot`. Use `pivot_root`.", "It was called in the parent."]
        );
        assert_eq!(causes(&["gone"]), ["It was called in the parent."]);
        assert_eq!(causes(&["unheard-of"]).len(), 3);
        assert_eq!(causes(&[]).len(), 3);
    }

    #[test]
    fn a_missing_text_is_empty_and_a_missing_claim_is_its_name() {
        let exercise = Exercise::load(last() + 1, Lang::Ko);
        assert_eq!((exercise.title.as_str(), exercise.task.len()), ("", 0));
        assert_eq!((exercise.claim("pivoted"), exercise.causes("pivoted").len()), ("pivoted", 0));
    }

    #[test]
    fn the_exercises_are_a_start_and_steps_that_add_to_the_container() {
        let start = all().next().map(|entry| (entry.number, entry.slug));
        assert_eq!(start, Some((START, "run")));
        for step in STEPS.iter().filter(|step| step.exercise.is_some()) {
            assert!(step.part().is_some(), "{}", step.slug);
            assert_eq!(find(step.slug), Some(step.number));
        }
    }

    #[test]
    fn each_exercise_leads_to_the_next() {
        let numbers: Vec<_> = all().map(|entry| entry.number).collect();
        let walked: Vec<_> = std::iter::successors(Some(START), |number| next(*number)).collect();
        assert_eq!(walked, numbers);
        assert_eq!(Some(&last()), numbers.last());
    }

    #[test]
    fn an_exercise_is_found_by_number_slug_and_folder() {
        for name in ["3", "03", "pivot-root", "03-pivot-root"] {
            assert_eq!(find(name), Some(3), "{name}");
        }
        assert_eq!(find("0"), Some(0));
        let without = STEPS.iter().filter(|step| step.exercise.is_none()).map(|step| step.slug);
        for name in without.chain(["", "+3", "-1", "99999999999"]) {
            assert_eq!(find(name), None, "{name}");
        }
    }

    #[test]
    fn a_check_has_a_place_in_the_book() {
        assert_eq!(page(3, "pivoted"), "own/03-pivot-root.html#check-pivoted");
    }
}
