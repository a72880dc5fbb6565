//! `workshop check` of a part of a container, and for build servers.

#![cfg(test)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use common::{Who, am_root, events, have, place, run, workshop};

fn somebody() -> Who {
    if am_root() { Who::Root } else { Who::User }
}

/// Steps whose claims were judged, and those that were left out with a reason.
fn judged(args: &[&str]) -> (i32, BTreeSet<String>, Vec<String>) {
    let ran = run(workshop(somebody()).args(["--lang", "en", "check", "--format", "json"]).args(args));
    let events = events(&ran.stdout);
    let text = |event: &serde_json::Value, field: &str| event[field].as_str().unwrap_or_default().to_owned();
    let of = |kind: &'static str| events.iter().filter(move |event| event["event"] == kind);
    let steps = of("check").map(|event| text(event, "step")).collect();
    (ran.status, steps, of("error").map(|event| text(event, "message")).collect())
}

#[test]
fn a_program_is_asked_only_for_what_is_judged() {
    let dir = tempfile::Builder::new().prefix("only-").tempdir_in(&place().dir).expect("a directory");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).expect("open it to others");
    let wrapper = dir.path().join("wrapper");
    // It fails where it is asked for what its first argument names, or not for what its second does.
    let script = format!(
        "#!/bin/sh\nnever=$1 always=$2; shift 2\n\
         for word; do case $word in */workshop|t????????????????) break;; --memory|--pids|--cpus|--userns|$never) exit 99;; esac; done\n\
         case \" $* \" in *\" $always \"*) exec {} adapt workshop \"$@\";; esac\nexit 98\n",
        place().program.display()
    );
    fs::write(&wrapper, script).expect("write it");
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).expect("make it a program");
    let program = wrapper.to_str().expect("a path");
    let asked = |only: &str, never: &str, always: &str| {
        let (status, steps, errors) = judged(&["6", "--only", only, "--", program, never, always]);
        assert_eq!((status, errors), (0, vec![]), "{only}");
        steps
    };
    let names = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<BTreeSet<_>>();
    assert_eq!(asked("network", "--rootfs", "--net"), names(&["veth-bridge"]));
    assert_eq!(asked("files", "--net", "--image"), names(&["mount-proc", "pivot-root", "overlay"]));
    assert_eq!(asked("processes", "--net", "--image"), names(&["run", "unshare-pid"]));
}

#[test]
fn what_a_runtime_can_not_be_asked_for_is_not_judged_and_stops_nothing() {
    if !have("bwrap", "bubblewrap") {
        return;
    }
    let (_, steps, reasons) = judged(&["6", "--only", "limits,files,network", "--adapter", "bwrap"]);
    assert!(steps.contains("pivot-root") && !steps.contains("veth-bridge"), "{steps:?}");
    assert!(!steps.contains("overlay") && !steps.contains("run"), "{steps:?}");
    assert!(reasons.len() >= 2 && reasons.iter().all(|reason| reason.contains("bwrap")), "{reasons:?}");
    let (status, steps, reasons) = judged(&["6", "--only", "network", "--adapter", "bwrap"]);
    assert_eq!((status, steps.len(), reasons.len()), (3, 0, 1));
}

#[test]
fn groups_are_those_that_there_are() {
    for (args, words) in [
        (&["6", "--only", "security", "--", "true"][..], "nothing of security"),
        (&["3", "--only", "network,limits", "--", "true"], "nothing of network, limits"),
        (&["3", "--only", "walls", "--", "true"], "processes, files, limits, network, security"),
        (&["3", "--only", "", "--", "true"], "processes, files"),
    ] {
        let ran = run(workshop(Who::User).args(["--lang", "en", "check"]).args(args));
        assert_eq!(ran.status, 2, "{args:?}: {}", ran.stdout);
        assert!(ran.stderr.contains(words), "{args:?}: {}", ran.stderr);
    }
}

/// A document's suites, with each case and what came of it.
fn cases(text: &str) -> Vec<(String, String, String)> {
    let document = roxmltree::Document::parse(text).unwrap_or_else(|problem| panic!("{problem}: {text}"));
    let root = document.root_element();
    assert_eq!(root.tag_name().name(), "testsuites");
    let mut found = Vec::new();
    for suite in root.children().filter(|node| node.has_tag_name("testsuite")) {
        for case in suite.children().filter(|node| node.has_tag_name("testcase")) {
            let name = |attribute: &str| case.attribute(attribute).expect(attribute).to_owned();
            let came_of_it = case.children().find(|node| node.is_element());
            assert_eq!(case.attribute("classname"), suite.attribute("name"));
            found.push((
                name("classname"),
                name("name"),
                came_of_it.map_or("held", |node| node.tag_name().name()).into(),
            ));
        }
    }
    for (attribute, kind) in [("failures", "failure"), ("errors", "error"), ("skipped", "skipped")] {
        let count = found.iter().filter(|(.., came_of_it)| came_of_it == kind).count();
        assert_eq!(root.attribute(attribute), Some(count.to_string().as_str()), "{text}");
    }
    assert_eq!(root.attribute("tests"), Some(found.len().to_string().as_str()));
    found
}

#[test]
fn a_build_server_reads_each_claim_as_a_case() {
    let junit = |args: &[&str]| {
        let ran = run(workshop(somebody()).args(["--lang", "en", "check", "--format", "junit"]).args(args));
        assert_eq!(ran.stderr, "", "{args:?}");
        (ran.status, cases(&ran.stdout), ran.stdout)
    };
    let (status, held, _) = junit(&["1", "--adapter", "workshop"]);
    assert_eq!(status, 0);
    assert!(held.iter().all(|(.., came_of_it)| came_of_it == "held") && held.len() > 6, "{held:?}");
    assert!(held.iter().any(|(suite, name, _)| suite == "1 unshare-pid" && name == "pid-1"), "{held:?}");
    // A program that makes no container.
    let (status, failed, text) = junit(&["1", "--only", "processes", "--", "/bin/true"]);
    assert_eq!(status, 1);
    assert!(
        failed.iter().any(|(_, name, came_of_it)| name == "starts" && came_of_it == "failure"),
        "{failed:?}"
    );
    assert!(text.contains("expected: ") && text.contains("seen: "), "{text}");
    let (status, none, _) = junit(&["1", "--", "/nonexistent"]);
    assert_eq!((status, none.len(), none[0].2.as_str()), (2, 1, "error"));
    if have("bwrap", "bubblewrap") {
        let (status, left_out, _) = junit(&["6", "--only", "network", "--adapter", "bwrap"]);
        assert_eq!((status, left_out[0].2.as_str()), (3, "skipped"));
    }
}
