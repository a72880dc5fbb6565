//! `workshop step N --record FILE`: the file has all that a player needs, and says truly what each call has changed.

#![cfg(test)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use common::steps::{STEPS, Step};
use common::{Who, am_root, events, has_machines, home, may_be_refused, run, who, workshop};
use serde_json::{Map, Value, json};

/// The schema of a line.
const SCHEMA: &str = include_str!("../src/recording/schema.json");

/// A recorded run: what was printed, and the lines of the file.
struct Recorded {
    stdout: String,
    lines: Vec<Value>,
    file: PathBuf,
}

impl Recorded {
    fn calls(&self) -> impl Iterator<Item = &Value> {
        self.lines.iter().filter(|line| line["event"] == "call")
    }

    /// What calls of a name have changed of a kind: side, name, old, new.
    fn changes(&self, call: &str, kind: &str) -> Vec<(String, String, Value, Value)> {
        let calls = self.calls().filter(|event| event["name"] == call);
        let changes = calls.flat_map(|event| event["effect"].as_array().expect("an effect"));
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let of_kind = changes.filter(|change| change["kind"] == kind);
        of_kind.map(|c| (text(&c["side"]), text(&c["name"]), c["old"].clone(), c["new"].clone())).collect()
    }
}

fn me() -> Who {
    if am_root() { Who::Root } else { Who::User }
}

/// Records a step, unless this host can't do it.
fn record(who: Who, number: u32, more: &[&str]) -> Option<Recorded> {
    // Each in a file of its own: tests run side by side.
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let file = home(who).join(format!("run-{}.jsonl", NUMBER.fetch_add(1, Ordering::Relaxed)));
    let mut command = workshop(who);
    command.args(["step", &number.to_string(), "--lang", "en", "--record"]).arg(&file).args(more);
    let ran = run(&mut command);
    if ran.status == 3 && may_be_refused(who, common::steps::numbered(number)) {
        return None;
    }
    assert_eq!(ran.status, 0, "step {number}: {}{}", ran.stdout, ran.stderr);
    let text = fs::read_to_string(&file).expect("the recording");
    Some(Recorded { stdout: ran.stdout, lines: events(&text), file })
}

/// What a value has against a schema: the few words of JSON Schema that ours is written with.
fn wrong(schema: &Value, value: &Value, root: &Value) -> Option<String> {
    if let Some(place) = schema["$ref"].as_str() {
        return wrong(root.pointer(place.trim_start_matches('#')).expect(place), value, root);
    }
    let against = |word: &str| Some(format!("{value} against {word} of {schema}"));
    if let Some(each) = schema["oneOf"].as_array() {
        let fitting = each.iter().filter(|one| wrong(one, value, root).is_none()).count();
        return if fitting == 1 { None } else { against("oneOf") };
    }
    let is = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        other => panic!("the type {other}"),
    };
    for (word, said) in schema.as_object().expect("a schema") {
        let holds = match word.as_str() {
            "type" => match said {
                Value::Array(types) => types.iter().filter_map(Value::as_str).any(is),
                one => one.as_str().is_some_and(is),
            },
            "const" => said == value,
            "enum" => said.as_array().expect("a list").contains(value),
            "minimum" => value.as_f64() >= said.as_f64(),
            "pattern" => regex::Regex::new(said.as_str().expect("a pattern"))
                .expect("a pattern")
                .is_match(value.as_str().unwrap_or_default()),
            "required" => said
                .as_array()
                .expect("a list")
                .iter()
                .all(|name| name.as_str().is_some_and(|name| value.get(name).is_some())),
            "additionalProperties" => {
                let known = schema["properties"].as_object().expect("properties");
                value.as_object().unwrap_or(&Map::new()).keys().all(|name| known.contains_key(name))
            }
            "properties" => {
                let mut each = said.as_object().expect("properties").iter();
                let found = each.find_map(|(name, inner)| wrong(inner, value.get(name)?, root));
                if found.is_some() {
                    return found;
                }
                true
            }
            "items" => {
                let found = value.as_array().into_iter().flatten().find_map(|item| wrong(said, item, root));
                if found.is_some() {
                    return found;
                }
                true
            }
            "description" | "title" | "$schema" | "$defs" => true,
            other => panic!("the word {other}"),
        };
        if !holds {
            return against(word);
        }
    }
    None
}

/// Records a step and holds each line against the schema.
fn is_of_the_schema(who: Who, step: &Step) -> Option<Recorded> {
    let schema: Value = serde_json::from_str(SCHEMA).expect("JSON");
    let recorded = record(who, step.number, &[])?;
    for line in &recorded.lines {
        assert_eq!(wrong(&schema, line, &schema), None, "step {}", step.number);
    }
    let first = &recorded.lines[0];
    assert_eq!((&first["format"], &first["version"]), (&json!("workshop-recording"), &json!(1)));
    assert_eq!(first["step"], step.slug);
    assert!(recorded.lines[1..].iter().all(|line| line["format"].is_null()));
    assert_eq!(recorded.lines.last().expect("a line")["event"], "done");
    Some(recorded)
}

#[test]
fn each_line_is_of_the_schema_and_the_first_says_the_version() {
    let parts = || STEPS.iter().filter(|step| step.is_part);
    who().into_iter().for_each(|who| parts().for_each(|step| drop(is_of_the_schema(who, step))));
    // What is none of it is refused: the checker can fail.
    let schema: Value = serde_json::from_str(SCHEMA).expect("JSON");
    for bad in [json!({}), json!({"event": "done", "passed": 1}), json!({"event": "step", "more": 1})] {
        assert!(wrong(&schema, &bad, &schema).is_some(), "{bad}");
    }
}

#[test]
fn a_machine_is_recorded_too() {
    if !has_machines(me()) {
        return;
    }
    for step in STEPS.iter().filter(|step| !step.is_part) {
        let recorded = is_of_the_schema(me(), step).expect("a recording");
        // In the table of the boot the container's line is of another clock, which is not recorded.
        let mut told: Vec<&str> = recorded.stdout.lines().collect();
        told.retain(|line| !line.starts_with(" container    0 ms"));
        let again = run(workshop(me()).arg("play").arg(&recorded.file)).stdout;
        assert!(again.contains("hypervisor"), "{again}");
        assert_eq!(again.lines().collect::<Vec<_>>(), told);
    }
}

#[test]
fn the_file_tells_what_is_printed_and_what_each_call_changed_besides() {
    let Some(recorded) = record(me(), 3, &["--format", "json"]) else { return };
    let printed = events(&recorded.stdout);
    let without_time = |event: &Value| {
        let mut event = event.clone();
        event.as_object_mut().expect("an object").remove("t");
        event
    };
    let kept: Vec<Value> = recorded.lines[1..].iter().map(without_time).collect();
    assert_eq!(kept, printed.iter().map(without_time).collect::<Vec<_>>());
    // Without `--record` nobody looks.
    let plain = run(workshop(me()).args(["step", "3", "--format", "json"]));
    let mut calls = events(&plain.stdout).into_iter().filter(|event| event["event"] == "call");
    assert!(calls.all(|call| call["effect"].is_null()));
}

#[test]
fn an_effect_is_what_the_kernel_says_before_and_after() {
    let me = me();
    let Some(first) = record(me, 1, &[]) else { return };
    let namespaces = first.changes("clone3", "namespace");
    assert_eq!(namespaces.len(), 1, "{namespaces:?}");
    assert!(namespaces[0].1 == "pid" && namespaces[0].2 != namespaces[0].3, "{namespaces:?}");
    let processes = first.changes("clone3", "process");
    let pids = processes[0].3.as_str().expect("PIDs");
    assert!(processes[0].2.is_null() && pids.ends_with(" 1"), "{processes:?}");
    let programs = first.changes("execve", "program");
    assert!(programs.iter().any(|(.., new)| new == "sh -c read _"), "{programs:?}");

    let Some(third) = record(me, 3, &[]) else { return };
    let names = third.changes("sethostname", "name");
    assert!(names.len() == 1 && names[0].2 != names[0].3 && names[0].3 == "box", "{names:?}");
    let directories = third.changes("pivot_root", "directory");
    assert!(
        directories.iter().any(|(side, name, ..)| side == "container" && name == "root"),
        "{directories:?}"
    );
    let mounts = third.changes("mount", "mount");
    let sysfs = |(side, name, old, new): &(String, String, Value, Value)| {
        let is_sysfs = new.as_str().is_some_and(|new| new.starts_with("sysfs "));
        side == "container" && name.ends_with("/sys") && old.is_null() && is_sysfs
    };
    assert!(mounts.iter().any(sysfs), "{mounts:?}");
    // Nothing of it came through to the host.
    assert!(mounts.iter().all(|(side, ..)| side == "container"), "{mounts:?}");
    let gone = third.changes("umount2", "mount");
    assert!(gone.iter().any(|(.., new)| new.is_null()), "{gone:?}");

    let Some(sixth) = record(me, 6, &[]) else { return };
    let links = sixth.changes("sendto", "link");
    for (side, name) in [("host", "workshop0"), ("container", "eth0")] {
        let made = links.iter().any(|l| l.0 == side && l.1 == name && l.2.is_null() && !l.3.is_null());
        assert!(made, "{name}: {links:?}");
    }
    let addresses = sixth.changes("sendto", "address");
    assert!(addresses.iter().any(|(side, ..)| side == "container"), "{addresses:?}");
}

#[test]
fn limits_are_recorded_by_what_their_files_say() {
    let Some(recorded) = record(me(), 4, &[]) else { return };
    let files = recorded.changes("write", "file");
    let memory = files.iter().find(|(_, name, _, new)| name.contains("memory") && new == "67108864");
    assert!(memory.is_some_and(|(_, _, old, _)| *old != json!("67108864")), "{files:?}");
    let made = recorded.changes("mkdir", "file");
    assert!(made.iter().any(|(_, _, old, new)| old.is_null() && new == "directory"), "{made:?}");
    let born =
        ["clone3", "write"].iter().flat_map(|call| recorded.changes(call, "group")).collect::<Vec<_>>();
    assert!(
        born.iter().any(|(.., new)| new.as_str().is_some_and(|new| new.contains("workshop-"))),
        "{born:?}"
    );
}

#[test]
fn a_program_of_the_learners_own_is_recorded_too() {
    let Some(recorded) = record(me(), 1, &["--", "echo", "hello"]) else { return };
    assert!(recorded.stdout.contains("hello"), "{}", recorded.stdout);
    let seqs: Vec<u64> = recorded.calls().filter_map(|call| call["seq"].as_u64()).collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
    let last = recorded.calls().last().expect("a call");
    assert!(last["name"] == "execve" && last["ok"] == true && last["effect"].is_array(), "{last}");
}

#[test]
fn a_file_that_cannot_be_written_is_an_error_before_anything_is_made() {
    let missing = Path::new("/nowhere/run.jsonl");
    let ran = run(workshop(me()).args(["step", "1", "--lang", "en", "--record"]).arg(missing));
    assert_eq!(ran.status, 2, "{}{}", ran.stdout, ran.stderr);
    assert!(
        ran.stderr.contains("/nowhere/run.jsonl") && ran.stdout.is_empty(),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
    let full = Path::new("/dev/full");
    let ran = run(workshop(me()).args(["step", "1", "--lang", "en", "--record"]).arg(full));
    assert_eq!(ran.status, 4, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains("/dev/full"), "{}", ran.stderr);
}
