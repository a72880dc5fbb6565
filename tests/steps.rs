//! Each step as its user sees it, in both languages and as JSON, against a snapshot of it.
//!
//! After a change that is meant, `INSTA_UPDATE=always cargo test --test steps` writes the snapshots anew.

#![cfg(test)]

mod common;
#[path = "steps/events.rs"]
mod events;
#[path = "steps/in_guest.rs"]
mod in_guest;

use std::path::Path;

use common::steps::{self, STEPS, Step};
use common::{Ran, Who, filters, has_machines, may_be_refused, run, skip, who, workshop};

/// A run of a step in words, which must have worked, but where a host may refuse it.
fn tell(who: Who, step: &Step, options: &[&str]) -> Ran {
    let number = step.number;
    let ran = run(workshop(who).args(["step", &number.to_string()]).args(options));
    let refused = ran.status == 3 && may_be_refused(who, step);
    assert!(
        ran.status == 0 || refused,
        "step {number} as {who:?}: {}\n{}{}",
        ran.status,
        ran.stdout,
        ran.stderr
    );
    assert_eq!(ran.stderr.is_empty(), ran.status == 0, "{}", ran.stderr);
    ran
}

/// Which version has the controllers: `v1`, `v2`, or `mixed`.
fn cgroup_version() -> &'static str {
    let ran = run(workshop(Who::User).args(["doctor", "--lang", "en"]));
    let line = ran.stdout.lines().find(|line| line.trim_start().starts_with("cgroups")).unwrap_or_default();
    match (line.contains(" v1"), line.contains(" v2")) {
        (true, false) => "v1",
        (false, true) => "v2",
        _ => "mixed",
    }
}

/// On v2: whether it gets limits at all, and whether somebody had the controllers handed on already, which is a
/// call less to tell. `told` is the step as JSON.
fn v2_variant(told: &str) -> &'static str {
    if cgroup_version() != "v2" {
        return "";
    }
    match common::events(told).iter().find(|event| event["event"] == "call") {
        None => "_refused",
        Some(first) if first["name"] == "mkdir" => "_handed_on",
        Some(_) => "",
    }
}

/// What the names of a step's snapshots end with, where they depend on the host. `told` is the step as JSON.
fn variant(who: Who, step: &Step, told: &str) -> String {
    let limits = steps::of_limits();
    if step.limits() {
        // Its calls depend on the version.
        format!("_{}{}", cgroup_version(), v2_variant(told))
    } else if step.users() && who == Who::Root {
        // By mounts, where kernel and filesystem can do it.
        if told.contains("\"a copy\"") { "_copied".into() } else { String::new() }
    } else if !step.is_part {
        format!("_{}", accelerator(told))
    } else if step.number > limits.number && who == Who::User && events::worked(who, limits) {
        // An ordinary user's containers have limits where a group was delegated to them.
        "_limited".into()
    } else {
        String::new()
    }
}

/// What runs machines here, `kvm` or `tcg`, and whether with the host's own kernel.
fn accelerator(told: &str) -> String {
    let told = common::events(told);
    let boot = told.iter().find(|e| e["event"] == "boot").expect("a boot");
    let accelerator = boot["accelerator"].as_str().expect("a name").to_lowercase();
    // With the file that the host itself has booted, the table says that both kernels are of one release.
    let release = nix::sys::utsname::uname().expect("uname").release().to_string_lossy().into_owned();
    if boot["kernel"] == release.as_str() { accelerator + "_own" } else { accelerator }
}

fn compare(name: &str, text: &str) {
    let file = format!("{}/tests/snapshots/{name}.snap", env!("CARGO_MANIFEST_DIR"));
    if !Path::new(&file).exists() && std::env::var_os("INSTA_UPDATE").is_none() {
        let make = "Make it: INSTA_UPDATE=always cargo test --test steps";
        return skip(&format!("no snapshot {name}: the others are of another kind of host"), make);
    }
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for (pattern, with) in filters::of_group(name) {
        settings.add_filter(pattern, with);
    }
    for (pattern, with) in filters::filters() {
        settings.add_filter(pattern.as_str(), with.as_str());
    }
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// The step's text in English and Korean, and its JSON in English, for everybody whom this host can play.
fn is_as_in_its_snapshots(step: &Step) {
    let number = step.number;
    for who in who().into_iter().filter(|who| step.is_part || has_machines(*who)) {
        let json = events::json(who, step);
        let (variant, who_name) = (variant(who, step, json), who.name());
        // Why depends on the systemd that runs here, if one does. Its absence is in a snapshot, made in a guest.
        if variant == "_v2_refused" {
            continue;
        }
        for lang in ["en", "ko"] {
            let ran = tell(who, step, &["--lang", lang]);
            let text = filters::even_columns(&format!("{}{}", ran.stdout, ran.stderr));
            compare(&format!("step_{number}_{lang}_{who_name}{variant}"), &text);
        }
        compare(&format!("step_{number}_json_{who_name}{variant}"), json);
    }
}

// Half of the steps each, to be run side by side.
#[test]
fn each_odd_step_is_told_as_in_its_snapshots() {
    STEPS.iter().step_by(2).for_each(is_as_in_its_snapshots);
}

#[test]
fn each_even_step_is_told_as_in_its_snapshots() {
    STEPS.iter().skip(1).step_by(2).for_each(is_as_in_its_snapshots);
}
