//! What a program that reads `--format json` may rely on: events, their fields, their order, and that the
//! language changes nothing but words.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::Value;

use crate::common::steps::{self, STEPS, Step};
use crate::common::{Who, events, filters, may_be_refused, run, who, workshop};

/// The events of the contract and the fields of each, besides `event`.
const CONTRACT: [(&str, &[&str]); 7] = [
    ("step", &["number", "slug", "title", "builds_on"]),
    ("call", &["seq", "step", "actor", "name", "args", "result", "ok", "why", "t", "source"]),
    ("fact", &["name", "outside", "inside"]),
    ("check", &["step", "name", "passed", "expected", "actual", "help"]),
    ("boot", &["kernel", "accelerator", "memory", "stages"]),
    ("done", &["passed", "failed", "skipped", "seconds"]),
    ("error", &["code", "message", "hint"]),
];

/// One run of a step.
struct Story {
    who: Who,
    number: u32,
    lang: &'static str,
    status: i32,
    stdout: String,
    events: Vec<Value>,
}

impl Story {
    fn of(&self, event: &str) -> impl Iterator<Item = &Value> {
        self.events.iter().filter(move |e| e["event"] == event)
    }

    fn name(&self) -> String {
        format!("step {} as {:?} in {}", self.number, self.who, self.lang)
    }
}

fn tell(who: Who, number: u32, lang: &'static str, more: &[&str]) -> Story {
    let number_text = number.to_string();
    let ran = run(workshop(who).args(["step", &number_text, "--format", "json", "--lang", lang]).args(more));
    let events = events(&ran.stdout);
    Story { who, number, lang, status: ran.status, stdout: ran.stdout, events }
}

/// Who runs which step in which language.
type Run = (Who, u32, &'static str);

/// What came of it: made when somebody asks for it, once for all tests.
type Told = LazyLock<Story, Box<dyn FnOnce() -> Story + Send>>;

/// Every step in both languages, for everybody.
static STORIES: LazyLock<Vec<(Run, Told)>> = LazyLock::new(|| {
    let steps = who().into_iter().flat_map(|who| STEPS.iter().map(move |step| (who, step.number)));
    let runs = steps.flat_map(|(who, number)| ["en", "ko"].map(|lang| (who, number, lang)));
    runs.map(|run @ (who, number, lang)| {
        let told: Told = LazyLock::new(Box::new(move || tell(who, number, lang, &[])));
        (run, told)
    })
    .collect()
});

fn stories() -> impl Iterator<Item = &'static Story> {
    STORIES.iter().map(|(_, told)| &**told)
}

fn story(who: Who, step: &Step) -> &'static Story {
    STORIES
        .iter()
        .find(|(run, _)| *run == (who, step.number, "en"))
        .map(|(_, told)| &**told)
        .expect("a story")
}

/// A step as JSON in English, which must have worked, but where a host may refuse it.
pub fn json(who: Who, step: &Step) -> &'static str {
    let story = story(who, step);
    let refused = story.status == 3 && may_be_refused(who, step);
    assert!(story.status == 0 || refused, "{}: {}\n{}", story.name(), story.status, story.stdout);
    &story.stdout
}

/// Whether a step worked.
pub fn worked(who: Who, step: &Step) -> bool {
    story(who, step).status == 0
}

/// Those that could be told to the end.
fn whole_stories() -> impl Iterator<Item = &'static Story> {
    stories().filter(|story| {
        let refused = story.status == 3 && may_be_refused(story.who, steps::numbered(story.number));
        assert!(story.status == 0 || refused, "{}: {}\n{}", story.name(), story.status, story.stdout);
        !refused
    })
}

fn text<'a>(event: &'a Value, field: &str) -> &'a str {
    event[field].as_str().unwrap_or_else(|| panic!("{field} is a string in {event}"))
}

#[test]
fn every_line_is_an_event_with_exactly_the_fields_of_the_contract() {
    for event in stories().flat_map(|story| &story.events) {
        let name = text(event, "event");
        let (_, fields) = CONTRACT.iter().find(|(known, _)| *known == name).expect(name);
        let wanted: BTreeSet<&str> = fields.iter().copied().chain(["event"]).collect();
        let has: BTreeSet<&str> = event.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(has, wanted, "{event}");
    }
}

#[test]
fn fields_are_of_the_types_of_the_contract() {
    for event in stories().flat_map(|story| &story.events) {
        for (field, value) in event.as_object().expect("an object") {
            let right = match field.as_str() {
                "number" | "seq" | "memory" | "failed" | "skipped" | "code" => value.is_u64(),
                "passed" if event["event"] == "done" => value.is_u64(),
                "passed" | "ok" => value.is_boolean(),
                "seconds" | "t" => value.as_f64().is_some_and(|seconds| (0.0..600.0).contains(&seconds)),
                "args" | "builds_on" => {
                    value.as_array().is_some_and(|list| list.iter().all(Value::is_string))
                }
                "stages" => value.as_array().is_some_and(|list| list.iter().all(is_stage)),
                "actor" => value == "host" || value == "container",
                _ => value.is_string(),
            };
            assert!(right, "{field} in {event}");
        }
    }
}

/// A stage of a machine's boot: its name, when it began and how long it took.
fn is_stage(stage: &Value) -> bool {
    stage["name"].is_string() && ["at", "seconds"].iter().all(|time| stage[time].as_f64() >= Some(0.0))
}

#[test]
fn each_call_is_told_with_its_time_and_its_place_in_the_source() {
    for story in stories() {
        let mut before = 0.0;
        for call in story.of("call") {
            let t = call["t"].as_f64().expect("seconds");
            assert!(t >= before, "{call}");
            before = t;
            let (file, line) = text(call, "source").rsplit_once(':').expect("a line");
            let source = std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{file}: {e}"));
            let line = source.lines().nth(line.parse::<usize>().expect("a number") - 1).expect("a line");
            // An operation stands in the file of its step, on the line that adds it.
            if file.starts_with("src/engine/parts/") {
                let own = text(call, "step").replace('-', "_");
                assert!(file.ends_with(&format!("{own}.rs")) && line.contains("ops."), "{file}: {line}");
            }
        }
    }
}

#[test]
fn a_story_begins_with_its_step_and_ends_with_done() {
    for story in whole_stories() {
        let (number, slug) = (story.number, steps::numbered(story.number).slug);
        let first = &story.events[0];
        assert_eq!((&first["number"], &first["slug"]), (&number.into(), &slug.into()), "{}", story.name());
        let builds_on = first["builds_on"].as_array().expect("a list");
        for below in steps::parts().take_while(|step| step.number < number) {
            // A container may have to do without such a step, and says so.
            let may_lack = may_be_refused(story.who, below);
            assert!(may_lack || builds_on.contains(&Value::from(below.slug)), "{}: {first}", story.name());
        }
        assert!(builds_on.len() < number as usize, "{}: {first}", story.name());
        let last = story.events.len() - 1;
        let ends = ["done", "error"].map(|end| story.events.iter().position(|e| e["event"] == end));
        assert_eq!(ends, [Some(last), None], "{}", story.name());
    }
}

#[test]
fn a_story_that_cannot_be_told_ends_with_an_error_that_says_what_is_missing() {
    for story in stories().filter(|story| story.status != 0) {
        let errors: Vec<&Value> = story.of("error").collect();
        assert_eq!(errors.len(), 1, "{}", story.name());
        assert_eq!(errors[0], &story.events[story.events.len() - 1], "{}", story.name());
        assert_eq!(errors[0]["code"], story.status, "{}", story.name());
        // The hint has a command that mends it.
        assert!(text(errors[0], "hint").contains("`sudo "), "{}", errors[0]);
        assert_eq!(story.of("done").count(), 0, "{}", story.name());
    }
}

#[test]
fn calls_are_counted_from_one_without_gaps() {
    for story in whole_stories() {
        let told: Vec<u64> = story.of("call").filter_map(|call| call["seq"].as_u64()).collect();
        assert!(!told.is_empty(), "{}", story.name());
        assert_eq!(told, (1..=told.len() as u64).collect::<Vec<_>>(), "{}", story.name());
        for call in story.of("call") {
            assert_eq!((&call["step"], &call["ok"]), (&story.events[0]["slug"], &true.into()), "{call}");
        }
    }
}

#[test]
fn calls_of_a_program_of_ones_own_are_counted_on() {
    for who in who() {
        let story = tell(who, 1, "en", &["--", "true"]);
        let told: Vec<(u64, &str)> = story
            .of("call")
            .map(|call| (call["seq"].as_u64().expect("a number"), text(call, "name")))
            .collect();
        assert_eq!(told, [(1, "clone3"), (2, "prctl"), (3, "execve")], "{}", story.name());
    }
}

#[test]
fn every_check_passes_and_done_counts_them() {
    for story in whole_stories() {
        let checks: Vec<&Value> = story.of("check").collect();
        assert!(!checks.is_empty(), "{}", story.name());
        for check in &checks {
            assert_eq!(
                (&check["passed"], &check["step"]),
                (&true.into(), &story.events[0]["slug"]),
                "{check}"
            );
        }
        let names: BTreeSet<&str> = checks.iter().map(|check| text(check, "name")).collect();
        assert_eq!(names.len(), checks.len(), "no check is made twice: {}", story.name());
        let done = story.of("done").next().expect("done");
        let counts = ["passed", "failed", "skipped"].map(|field| done[field].as_u64());
        assert_eq!(counts, [Some(checks.len() as u64), Some(0), Some(0)], "{}", story.name());
    }
}

#[test]
fn every_call_and_check_comes_with_words_in_the_language_asked_for() {
    for story in whole_stories() {
        let whys = story.of("call").map(|call| text(call, "why"));
        let helps = story.of("check").map(|check| text(check, "help"));
        for words in whys.chain(helps) {
            assert!(words.contains(' ') && words.ends_with('.'), "no sentence: {words}");
            let hangul = words.chars().any(|c| ('가'..='힣').contains(&c));
            assert_eq!(hangul, story.lang == "ko", "{}: {words}", story.name());
        }
    }
}

/// The events of a story without its words and without what differs between any two runs.
fn facts_only(story: &Story) -> Vec<Value> {
    let lines = filters::masked(&story.stdout).lines().map(String::from).collect::<Vec<_>>();
    let mut events: Vec<Value> = lines.iter().map(|line| parse_masked(line)).collect();
    for event in &mut events {
        let fields = event.as_object_mut().expect("an object");
        for words in ["why", "title", "help", "message", "hint", "seconds", "expected", "actual"] {
            fields.remove(words);
        }
    }
    events
}

/// A line in which the number of seconds is masked is no JSON any more.
fn parse_masked(line: &str) -> Value {
    let line = line.replace(":[s]", ":0");
    serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"))
}

#[test]
fn both_languages_tell_the_same_story() {
    for pair in stories().collect::<Vec<_>>().chunks(2) {
        let [english, korean] = pair else { panic!("every story is told in both languages") };
        assert_eq!((english.lang, korean.lang), ("en", "ko"));
        let (english_facts, korean_facts) = (facts_only(english), facts_only(korean));
        for (one, other) in english_facts.iter().zip(&korean_facts) {
            assert_eq!(one, other, "{}", english.name());
        }
        assert_eq!(english_facts.len(), korean_facts.len(), "{}", english.name());
        let words = ["title", "message"].map(|field| (&english.events[0][field], &korean.events[0][field]));
        assert!(words.iter().any(|(one, other)| one != other), "{}", english.name());
    }
}

#[test]
fn verbose_tells_the_earlier_steps_calls_too() {
    for who in who() {
        let story = tell(who, 3, "en", &["--verbose"]);
        let steps: BTreeSet<&str> = story.of("call").map(|call| text(call, "step")).collect();
        let wanted = STEPS.iter().filter(|step| step.number <= 3).map(|step| step.slug).collect();
        assert_eq!(steps, wanted, "{}", story.name());
        let told: Vec<u64> = story.of("call").filter_map(|call| call["seq"].as_u64()).collect();
        assert_eq!(told, (1..=told.len() as u64).collect::<Vec<_>>(), "{}", story.name());
    }
}
