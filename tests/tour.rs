//! The README's first command: every step in order, on a page of 80 columns, and quiet when nobody listens.

#![cfg(test)]

mod common;

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::steps::{STEPS, Step};
use common::watch::PATIENCE;
use common::{Who, am_root, events, gets_limits, home, may_be_refused, run, skip, who, workshop};

#[test]
fn root_is_shown_every_step_and_all_of_it_holds() {
    if !am_root() {
        return skip("root's tour", "Run the tests as root");
    }
    let ran = run(workshop(Who::Root).args(["tour", "--format", "json"]));
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let events = events(&ran.stdout);
    let steps: Vec<_> = events.iter().filter(|e| e["event"] == "step").map(|e| e["number"].clone()).collect();
    assert_eq!(steps, STEPS.iter().map(|step| step.number).collect::<Vec<_>>());
    let checks = events.iter().filter(|e| e["event"] == "check" && e["passed"] == true).count();
    let done = events.last().expect("events");
    let refused = STEPS.iter().filter(|step| may_be_refused(Who::Root, step)).count();
    let counts = ["passed", "failed", "skipped"].map(|field| done[field].as_u64());
    assert_eq!(counts, [Some(checks as u64), Some(0), Some(refused as u64)]);
    assert!(checks >= 40, "{checks}");
}

#[test]
fn an_ordinary_user_misses_only_what_the_host_refuses_and_is_told_why() {
    let ran = run(workshop(Who::User).args(["tour", "--format", "json"]));
    assert_eq!(ran.status, 0, "{}{}", ran.stdout, ran.stderr);
    let events = events(&ran.stdout);
    let limited = gets_limits(Who::User);
    let done = events.last().expect("events");
    let can = |step: &Step| if step.limits() { limited } else { !may_be_refused(Who::User, step) };
    let refused = STEPS.iter().filter(|step| !can(step)).count();
    assert_eq!((&done["failed"], &done["skipped"]), (&0.into(), &refused.into()));
    let errors: Vec<_> = events.iter().filter(|e| e["event"] == "error").collect();
    assert_eq!(errors.len(), refused, "{errors:?}");
    assert!(errors.iter().all(|e| e["code"] == 3), "{errors:?}");
    for Step { slug, .. } in STEPS.iter().filter(|step| can(step)) {
        let checks = events.iter().filter(|e| e["event"] == "check" && e["step"] == *slug).count();
        assert!(checks >= 5, "{slug}: {checks}");
    }
}

#[test]
fn no_line_is_wider_than_80_columns() {
    for who in who() {
        for lang in ["en", "ko"] {
            let ran = run(workshop(who).args(["tour", "--verbose", "--lang", lang]));
            assert_eq!(ran.status, 0, "{}", ran.stderr);
            for line in ran.stdout.lines().chain(ran.stderr.lines()) {
                let columns = console::measure_text_width(line);
                assert!(columns <= 80, "{who:?} {lang}: {columns} columns: {line}");
                assert!(!line.ends_with(' '), "{who:?} {lang}: space at the end of: {line:?}");
            }
            assert!(ran.stdout.lines().count() > 200, "{}", ran.stdout);
        }
    }
}

/// Runs the tour, reads lines up to one that has `until` in it, and closes the pipe.
fn reader_goes_away(who: Who, format: &str, until: &str) {
    let mut command = workshop(who);
    command.args(["tour", "--format", format]).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().expect("start");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let found = lines.by_ref().map_while(Result::ok).any(|line| line.contains(until));
    assert!(found, "no line has {until}");
    drop(lines);
    let status = child.wait().expect("wait");
    let mut errors = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut errors).expect("read standard error");
    assert_eq!(errors, "", "{who:?} {until}");
    // 128 and SIGPIPE, as a shell gives it for a program that the signal ended.
    assert_eq!(status.code(), Some(141), "{who:?} {until}");
    nothing_is_left_of(who, child.id());
}

/// No process of its process group, no cgroup and no page in the ledger, after a while at most.
fn nothing_is_left_of(who: Who, pid: u32) {
    let ledger = home(who).join(".local/state/workshop/ledger");
    let until = Instant::now() + PATIENCE;
    loop {
        // SAFETY: signal 0 only asks whether there is anybody.
        let alone = unsafe { libc::kill(-(pid as i32), 0) } == -1;
        let groups = below(Path::new("/sys/fs/cgroup"), &format!("workshop-{pid}-"), 8);
        let pages = below(&ledger, &format!("{pid}-"), 1);
        if alone && groups.is_empty() && pages.is_empty() {
            return;
        }
        assert!(Instant::now() < until, "{who:?}: alone {alone}, {groups:?}, {pages:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The paths below a directory, so many levels deep, whose names begin with `prefix`.
fn below(dir: &Path, prefix: &str, levels: u32) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            found.push(entry.path().display().to_string());
        }
        if levels > 1 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(below(&entry.path(), prefix, levels - 1));
        }
    }
    found
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly_and_nothing_is_left() {
    for who in who() {
        reader_goes_away(who, "text", "");
        reader_goes_away(who, "json", r#""name":"pivot_root""#);
    }
}

#[test]
fn a_reader_that_goes_away_while_there_is_a_cgroup_leaves_none() {
    if !am_root() {
        return skip("limits need root on many hosts", "Run the tests as root");
    }
    let slug = common::steps::of_limits().slug;
    reader_goes_away(Who::Root, "json", &format!(r#""step":"{slug}","actor":"host","name":"mkdir""#));
}
