//! Plans: what `workshop plan N` prints is what is done when the step runs; and experiments, which change one.

#![cfg(test)]

mod common;

use common::elsewhere::filtered;
use common::steps::{STEPS, parts};
use common::{Who, events, has_limits, has_machines, run, who, workshop};
use serde_json::Value;

/// Step, side, call and reason of what is told.
type Line = (String, String, String, String);

fn text(event: &Value, field: &str) -> String {
    event[field].as_str().unwrap_or_else(|| panic!("{field} in {event}")).to_owned()
}

/// The operations of a plan that will be told. Shares of clone3 are one call, in the name of the last.
fn planned(who: Who, step: &str) -> Vec<Line> {
    let ran = run(workshop(who).args(["plan", step, "--format", "json"]));
    assert_eq!(ran.status, 0, "{}{}", ran.stdout, ran.stderr);
    let mut lines: Vec<Line> = Vec::new();
    for event in events(&ran.stdout) {
        assert_eq!(event["event"], "op", "{event}");
        if event["told"] == false {
            continue;
        }
        let line = (text(&event, "step"), text(&event, "side"), text(&event, "call"), text(&event, "why"));
        match lines.last_mut() {
            Some(last) if last.2 == "clone3" && line.2 == "clone3" => *last = line,
            _ => lines.push(line),
        }
    }
    lines
}

/// The calls that are told when the step runs.
fn told(who: Who, step: &str) -> Vec<Line> {
    let ran = run(workshop(who).args(["step", step, "--verbose", "--format", "json"]));
    assert_eq!(ran.status, 0, "{}{}", ran.stdout, ran.stderr);
    let calls = events(&ran.stdout).into_iter().filter(|event| event["event"] == "call");
    let side = |event: &Value| if event["actor"] == "host" { "host" } else { "inside" }.to_owned();
    calls
        .map(|event| (text(&event, "step"), side(&event), text(&event, "name"), text(&event, "why")))
        .collect()
}

#[test]
fn what_is_planned_is_what_is_done_and_in_that_order() {
    for who in who() {
        for step in parts().filter(|step| !step.limits() || has_limits(who)) {
            let number = step.number.to_string();
            assert_eq!(planned(who, &number), told(who, &number), "step {number} as {who:?}");
        }
    }
}

#[test]
fn a_plan_is_the_same_whoever_asks_and_nothing_is_done_for_it() {
    let by_run = run(workshop(Who::User)
        .args(["run", "--plan", "--step", "3", "--format", "json", "--", "sh", "-c", "read _"]));
    let by_plan = run(workshop(Who::User).args(["plan", "3", "--format", "json"]));
    assert_eq!(by_run.status, 0, "{}", by_run.stderr);
    assert_eq!(by_run.stdout, by_plan.stdout);
    // By a process that may not even make a namespace.
    for call in [libc::SYS_unshare, libc::SYS_clone3] {
        let mut asked = workshop(Who::User);
        asked.args(["plan", "3"]);
        let ran = run(&mut filtered(asked, call, libc::EPERM));
        assert_eq!(ran.status, 0, "{}", ran.stderr);
    }
}

#[test]
fn what_builds_beside_the_container_is_refused_where_a_container_is_meant() {
    for step in STEPS.iter().filter(|step| !step.is_part) {
        for name in [&step.number.to_string(), step.slug] {
            for args in [
                &["plan", name][..],
                &["run", "--step", name, "true"],
                &["run", "--step", name, "--plan", "true"],
                &["check", name, "--", "true"],
            ] {
                let ran = run(workshop(Who::User).args(["--lang", "en"]).args(args));
                assert_eq!(ran.status, 2, "{args:?}: {}", ran.stderr);
                assert!(ran.stderr.contains("makes no container"), "{args:?}: {}", ran.stderr);
            }
        }
    }
}

#[test]
fn run_takes_any_step_of_the_container_by_number_and_by_name() {
    for step in parts() {
        let plan = |name: &str| {
            let ran = run(workshop(Who::User).args(["run", "--no-net", "--plan", "--step", name, "true"]));
            assert_eq!(ran.status, 0, "{}", ran.stderr);
            ran.stdout
        };
        assert_eq!(plan(&step.number.to_string()), plan(step.slug), "{}", step.slug);
    }
}

/// Makes the experiments of a step and holds both outcomes.
fn experiment(who: Who, args: &[&str]) {
    let ran = run(workshop(who).args(["break"]).args(args).args(["--format", "json"]));
    assert_eq!(ran.status, 0, "{args:?}: {}{}", ran.stdout, ran.stderr);
    let made: Vec<_> =
        events(&ran.stdout).into_iter().filter(|event| event["event"] == "experiment").collect();
    assert!(made.len() >= 2 && made.iter().all(|event| event["ok"] == true), "{made:?}");
    assert!(made.iter().any(|event| event["variant"] == "without"));
    assert!(made.iter().any(|event| event["variant"] == "with"));
}

#[test]
fn experiments_come_out_as_they_say_and_the_host_keeps_its_name() {
    let name = nix::unistd::gethostname().expect("a name");
    for who in who().into_iter().filter(|who| has_limits(*who)) {
        for args in [&["1"][..], &["2"], &["3", "no-uts-namespace"], &["4"]] {
            experiment(who, args);
        }
    }
    assert_eq!(nix::unistd::gethostname().expect("a name"), name);
}

#[test]
fn what_the_lab_is_not_enough_for_is_made_in_a_machine() {
    if has_machines(Who::Root) {
        experiment(Who::Root, &["3", "no-mount-namespace"]);
    }
}

#[test]
fn what_can_not_be_sealed_is_not_tried() {
    if who().contains(&Who::User) && !common::gets_limits(Who::User) {
        let ran = run(workshop(Who::User).args(["break", "1", "--lang", "en"]));
        assert_eq!(ran.status, 3, "{}{}", ran.stdout, ran.stderr);
    }
}

#[test]
fn every_experiment_is_listed_and_no_other_is_known() {
    let list = run(workshop(Who::User).args(["break", "--list", "--lang", "en"]));
    assert_eq!(list.status, 0);
    assert!(list.stdout.contains("namespace-too-early"), "{}", list.stdout);
    for (args, words) in
        [(&["break", "1", "no-such"][..], "new-privileges"), (&["break", "7"], "no experiment")]
    {
        let ran = run(workshop(Who::User).args(args).args(["--lang", "en"]));
        assert_eq!(ran.status, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
    }
}
