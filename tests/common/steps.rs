//! The registry of steps, as the program under test tells it: `workshop list --format json`.

use std::sync::LazyLock;

use super::{Who, events, run, workshop};

/// A step of the course.
#[derive(Debug)]
pub struct Step {
    pub number: u32,
    pub slug: &'static str,
    /// Whether it adds to the container, or builds a machine beside it.
    pub is_part: bool,
    /// Whether a host may refuse it, so that others stand without it.
    pub can_be_missed: bool,
    pub has_exercise: bool,
    /// The options of `run` that ask for it.
    options: Vec<String>,
}

/// All of them in order.
pub static STEPS: LazyLock<Vec<Step>> = LazyLock::new(|| {
    let ran = run(workshop(Who::User).args(["list", "--format", "json"]));
    let options = |event: &serde_json::Value| {
        let options = event["options"].as_array().expect("options");
        options.iter().filter_map(|option| option.as_str().map(String::from)).collect()
    };
    let step = |event: serde_json::Value| Step {
        number: event["number"].as_u64().expect("a number") as u32,
        slug: String::leak(event["slug"].as_str().expect("a slug").to_owned()),
        is_part: event["builds"] == "container",
        can_be_missed: event["can_be_missed"] == true,
        has_exercise: event["exercise"] == true,
        options: options(&event),
    };
    events(&ran.stdout).into_iter().map(step).collect()
});

impl Step {
    /// Its lesson's folder.
    pub fn folder(&self) -> String {
        format!("{:02}-{}", self.number, self.slug)
    }

    /// Whether it sets limits, which many an ordinary user does not get.
    pub fn limits(&self) -> bool {
        self.has_option("--memory")
    }

    /// Whether it gives the container users of its own: a range for root, one for an ordinary user.
    pub fn users(&self) -> bool {
        self.has_option("--userns")
    }

    fn has_option(&self, option: &str) -> bool {
        self.options.iter().any(|other| other == option)
    }
}

/// Those that add to the container.
pub fn parts() -> impl DoubleEndedIterator<Item = &'static Step> {
    STEPS.iter().filter(|step| step.is_part)
}

/// Those that build a machine.
pub fn machines() -> impl Iterator<Item = &'static Step> {
    STEPS.iter().filter(|step| !step.is_part)
}

/// Those that have an exercise.
fn exercises() -> impl DoubleEndedIterator<Item = &'static Step> {
    STEPS.iter().filter(|step| step.has_exercise)
}

/// The numbers of all exercises: the start, which belongs to no step, and those of the steps.
pub fn exercise_numbers() -> impl DoubleEndedIterator<Item = u32> {
    std::iter::once(0).chain(exercises().map(|step| step.number))
}

/// The number of the last exercise.
pub fn last_exercise() -> u32 {
    exercise_numbers().next_back().expect("an exercise")
}

/// The number of the exercise after one.
pub fn exercise_after(number: u32) -> Option<u32> {
    exercise_numbers().find(|other| *other > number)
}

/// The folder of an exercise's lesson.
pub fn exercise_folder(number: u32) -> String {
    if number == 0 { "00-run".into() } else { numbered(number).folder() }
}

/// The one with this number.
pub fn numbered(number: u32) -> &'static Step {
    STEPS.iter().find(|step| step.number == number).expect("a step of this number")
}

/// The one of this name.
pub fn named(slug: &str) -> &'static Step {
    STEPS.iter().find(|step| step.slug == slug).expect("a step of this name")
}

/// The one that an option of `run` asks for.
pub fn with_option(option: &str) -> &'static Step {
    STEPS.iter().find(|step| step.has_option(option)).expect("a step with that option")
}

/// Whether a word of the command line means this one.
pub fn is(word: &str, step: &Step) -> bool {
    word == step.slug || word == step.number.to_string()
}

/// The one that sets limits.
pub fn of_limits() -> &'static Step {
    with_option("--memory")
}
