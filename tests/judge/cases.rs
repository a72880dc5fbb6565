//! The judge against small runtimes that were made to be judged wrongly: right ones in odd ways, and wrong ones that
//! look right from where a check could stand. For each check there are those that would pass if it looked at less.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::Deserialize;

use crate::common::child::command;
use crate::common::{Who, am_root, have, place, run, skip};
use crate::korean::assert_told_in_korean;
use crate::{ask_again, check_in, each};

/// Programs that come to the same.
#[derive(Deserialize)]
struct Case {
    step: usize,
    names: Vec<String>,
    fails: Vec<String>,
}

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

/// Programs that a case's own need, with their packages.
const NEEDED: [(&str, &str); 6] = [
    ("cc", "gcc"),
    ("python3", "python3"),
    ("ip", "iproute2"),
    ("iptables-nft", "iptables"),
    ("iptables-legacy", "iptables"),
    ("perl", "perl"),
];

/// Where the sources are.
fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judge/cases")
}

/// Makes each program that is named in a folder that everybody may read.
fn programs(names: &[&str]) -> PathBuf {
    let dir = place().dir.join("cases");
    fs::create_dir_all(&dir).expect("a folder for programs");
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).expect("open it to others");
    let base = dir.join("base");
    let mut compiler = command("cc");
    compiler.args(["-w", "-O1", "-o"]).arg(&base).arg(sources().join("base.c"));
    let built = run(&mut compiler);
    assert_eq!(built.status, 0, "{}", built.stderr);
    for name in names {
        let from = if name.contains('.') { sources().join(name) } else { base.clone() };
        let to = dir.join(name);
        fs::copy(&from, &to).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
        fs::set_permissions(&to, fs::Permissions::from_mode(0o755)).expect("let others run it");
    }
    dir
}

#[test]
fn each_small_runtime_gets_the_verdict_that_reading_it_gives() {
    let all: Cases = toml::from_str(include_str!("cases.toml")).expect("cases.toml");
    if !am_root() {
        return skip("limits need root on some hosts", "Run the tests as root");
    }
    if !NEEDED.into_iter().all(|(program, package)| have(program, package)) {
        return;
    }
    let names: Vec<&str> = all.case.iter().flat_map(|case| &case.names).map(String::as_str).collect();
    let dir = programs(&names);
    let rows: Vec<(usize, &str, &[String])> = all
        .case
        .iter()
        .flat_map(|case| case.names.iter().map(|name| (case.step, name.as_str(), &case.fails[..])))
        .collect();
    let judge = |step: usize, name: &str| {
        let verdict = check_in("ko", Who::Root, &step.to_string(), &dir.join(name));
        assert_told_in_korean(name, &verdict.events);
        verdict.failed
    };
    let found = Mutex::new(BTreeMap::new());
    each(&rows, |(step, name, _)| {
        let failed = judge(*step, name);
        found.lock().expect("a list").insert((*step, *name), failed);
    });
    let mut found = found.into_inner().expect("a list");
    for (step, name, fails) in &rows {
        ask_again(&mut found, (*step, *name), fails, || judge(*step, name));
    }
    let table: Vec<String> = rows
        .iter()
        .map(|(step, name, _)| {
            format!("{step}  {name:<20}{}", found[&(*step, *name)].join(", ")).trim_end().into()
        })
        .collect();
    let wrong: Vec<_> = rows.iter().filter(|(step, name, fails)| found[&(*step, *name)] != *fails).collect();
    assert!(wrong.is_empty(), "step, name, expected: {wrong:#?}\n{}", table.join("\n"));
    insta::assert_snapshot!("small_runtimes", table.join("\n"));
}
