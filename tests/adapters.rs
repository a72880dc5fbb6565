//! Other runtimes before the judge: what each of them makes of each step, and where it stops.
//!
//! What fails here is the runtime's own doing, and is explained beside each table.

#![cfg(test)]

mod common;

use std::fs;
use std::io::Write;
use std::path::Path;

use common::child::command;
use common::guest::Guest;
use common::steps;
use common::{Who, am_root, events, have, run, skip, workshop};

/// The runtimes, by what they are called on the command line, with their packages.
const RUNTIMES: [(&str, &str); 5] = [
    ("workshop", ""),
    ("runc", "runc"),
    ("crun", "crun"),
    ("bwrap", "bubblewrap"),
    ("unshare", "util-linux"),
];

/// What came of one runtime's trial as each step: a cell for each.
fn cells(json: &str) -> Vec<String> {
    let mut cells: Vec<String> = Vec::new();
    for event in events(json) {
        let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
        let passed = event["passed"] == true;
        match (text("event").as_str(), cells.last_mut()) {
            ("step", _) => cells.push("not judged".into()),
            ("check", Some(cell)) if passed && cell == "not judged" => *cell = "ok".into(),
            ("check", Some(cell)) if !passed && cell.starts_with("FAIL") => {
                *cell += &format!(", {}", text("name"))
            }
            ("check", Some(cell)) if !passed => *cell = format!("FAIL: {}", text("name")),
            ("error", Some(cell)) if event["code"] == 3 => *cell = format!("cannot: {}", text("message")),
            ("error", _) => panic!("{json}"),
            _ => {}
        }
    }
    assert!(!cells.is_empty(), "{json}");
    cells
}

/// A table with a line for each step of each runtime; equal neighbours share one.
fn table(rows: &[(&str, Vec<String>)]) -> String {
    let mut text = String::new();
    let numbers: Vec<u32> = steps::exercise_numbers().collect();
    for (name, cells) in rows {
        let mut from = 0;
        while from < cells.len() {
            let same = cells[from..].iter().take_while(|cell| **cell == cells[from]).count();
            let (first, last) = (numbers[from], numbers[from + same - 1]);
            let steps = if same == 1 { first.to_string() } else { format!("{first}-{last}") };
            text += &format!("{name:<9} {steps:<4} {}\n", cells[from]);
            from += same;
        }
    }
    text
}

/// util-linux before 2.39 can't end as its child did if that was killed by SIGKILL, which no handler can be set
/// for: what is counted as a failure there is none later.
fn without_mended(name: &str, cells: Vec<String>) -> Vec<String> {
    let mended = |cell: String| match cell.as_str() {
        "FAIL: death-status" if name == "unshare" => "ok".to_owned(),
        _ => cell,
    };
    cells.into_iter().map(mended).collect()
}

/// Judges runtimes as every step, as `who`.
fn rows(who: Who) -> Vec<(&'static str, Vec<String>)> {
    let judged = |(name, _): &(&'static str, &str)| {
        let ran = run(workshop(who).args(["check", "all", "--format", "json", "--adapter", name]));
        // 3: this host can judge none of it.
        assert!([0, 1, 3].contains(&ran.status), "{name}: {}{}", ran.stdout, ran.stderr);
        let cells = cells(&ran.stdout);
        assert_eq!(cells.len(), steps::exercise_numbers().count(), "{}", ran.stdout);
        (*name, without_mended(name, cells))
    };
    RUNTIMES.iter().map(judged).collect()
}

fn all_are_here() -> bool {
    let missing = RUNTIMES.iter().filter(|(name, package)| *name != "workshop" && !have(name, package));
    missing.count() == 0
}

/// Whether this host has cgroup v2 alone.
fn has_v2_alone() -> bool {
    Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

/// What fails in these tables is each runtime's own doing:
///
/// * `unshare`: with `--fork` it ignores SIGTERM while it waits (unshare(1)); `--root` is chroot(2), which leaves the
///   namespace's root where it was; it mounts a /proc and nothing else, so that there are no devices and no sysfs.
/// * `bwrap` and `unshare` have no options for limits, overlays or a network with a way out.
/// * `crun` refuses to start where cgroup v2 has controllers beside those of v1.
fn print_and_compare(name: &str, rows: &[(&str, Vec<String>)]) {
    let table = table(rows);
    // On the real standard error, which the test runner does not hold back.
    let _ = std::io::stderr().write_all(format!("{name}\n{table}").as_bytes());
    insta::assert_snapshot!(name, table);
}

#[test]
fn runtimes_as_root() {
    if !am_root() {
        return skip("the tests run as an ordinary user", "Run them as root too");
    }
    if all_are_here() {
        let name = if has_v2_alone() { "root_v2" } else { "root_v1" };
        print_and_compare(name, &rows(Who::Root));
    }
}

#[test]
fn runtimes_as_an_ordinary_user() {
    if all_are_here() {
        let limited = common::gets_limits(Who::User);
        let name = match (has_v2_alone(), limited) {
            (true, true) => "user_v2_limited",
            (true, false) => "user_v2",
            (false, _) => "user_v1",
        };
        print_and_compare(name, &rows(Who::User));
    }
}

/// podman keeps its parent group, `libpod_parent`, and the directory of its runtime, as a host that it is installed
/// on has them for good.
const KEPT_BY_PODMAN: [&str; 2] = ["FAIL: groups-gone", "FAIL: no-files"];

#[test]
fn podman_as_root() {
    if !am_root() {
        return skip("the tests run as an ordinary user", "Run them as root too");
    }
    if !have("podman", "podman") {
        return;
    }
    let judged = if has_v2_alone() {
        let ran = run(workshop(Who::Root).args(["check", "all", "--format", "json", "--adapter", "podman"]));
        steps::exercise_numbers().zip(cells(&ran.stdout)).collect()
    } else if Guest::possible() {
        // It has no place for its groups on cgroup v1, and says so.
        let ran = run(workshop(Who::Root).args(["check", "3", "--adapter", "podman"]));
        assert_eq!(ran.status, 3, "{}{}", ran.stdout, ran.stderr);
        assert!(ran.stderr.contains("podman has no place for its groups here"), "{}", ran.stderr);
        let copied = copies(&["podman", "conmon", "crun"]);
        in_guest(Guest::new(Who::Root), &copied, "workshop", "podman")
    } else {
        return;
    };
    let _ = std::io::stderr().write_all(format!("podman {judged:?}\n").as_bytes());
    let is_as_it_should_be = |cell: &String| cell == "ok" || KEPT_BY_PODMAN.contains(&cell.as_str());
    assert!(judged.iter().all(|(_, cell)| is_as_it_should_be(cell)), "{judged:?}");
}

/// Options that take programs along into a guest, with the libraries that they need.
fn copies(programs: &[&str]) -> Vec<String> {
    let mut files: Vec<String> = Vec::new();
    for program in programs {
        let found = run(command("sh").args(["-c", &format!("command -v {program}")])).stdout;
        let needs = run(command("ldd").arg(found.trim())).stdout;
        files.push(found.trim().to_owned());
        files.extend(needs.split_whitespace().filter(|word| word.starts_with('/')).map(String::from));
    }
    files.sort();
    files.dedup();
    files.iter().flat_map(|file| ["--copy".to_owned(), format!("{file}:{file}")]).collect()
}

/// What comes of a runtime's trial in a guest. `prefix` is how our program is started there.
///
/// A container of step N is asked all that those of earlier steps are asked, and a guest is slow: so it is judged as the
/// last step that asks for no limits, which not everybody gets, and as the last that others than ourselves are asked
/// for: a network.
fn in_guest(guest: Guest, copied: &[String], prefix: &str, name: &str) -> Vec<(u32, String)> {
    let options: Vec<&str> = copied.iter().map(String::as_str).collect();
    let numbers = [steps::of_limits().number - 1, steps::with_option("--net").number];
    let code = |number: u32| format!("{prefix} check {number} --format json --adapter {name} 2> /dev/null");
    let said = guest.with(&options).script(&numbers.map(|number| (number.to_string(), code(number))));
    numbers.into_iter().zip(said.iter().flat_map(|(_, json, _)| cells(json))).collect()
}

/// The cell of a table for one step of one runtime.
fn in_table<'t>(table: &'t str, name: &str, step: u32) -> Option<&'t str> {
    table.lines().find_map(|line| {
        let (steps, cell) = line.strip_prefix(name)?.trim_start().split_once(' ')?;
        let (first, last) = steps.split_once('-').unwrap_or((steps, steps));
        let covered = first.parse().ok()?..=last.parse().ok()?;
        covered.contains(&step).then(|| cell.trim())
    })
}

/// A kernel with cgroup v2 alone, where all of crun works. What it says there must be in the table that hosts of that
/// kind are held against.
#[test]
fn crun_in_a_machine_as_root_and_as_an_ordinary_user() {
    if !Guest::possible() || !have("crun", "crun") {
        return;
    }
    let copied = copies(&["crun"]);
    let nobody = "cd /; mkdir -p /tmp/home && chown 65534 /tmp/home && \
         HOME=/tmp/home setpriv --reuid 65534 --regid 65534 --clear-groups workshop";
    for (table_name, options, prefix) in [
        ("root_v2", &[][..], "workshop"),
        ("user_v2_limited", &["--user"], "workshop"),
        ("user_v2", &[], nobody),
    ] {
        let judged = in_guest(Guest::new(Who::User).with(options), &copied, prefix, "crun");
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("tests/snapshots/adapters__{table_name}.snap"));
        let whole = fs::read_to_string(&path).expect("the table");
        for (step, cell) in &judged {
            assert_eq!(in_table(&whole, "crun", *step), Some(cell.as_str()), "{table_name}, step {step}");
        }
        assert_eq!(judged.len(), 2, "{table_name}");
    }
}

#[test]
fn the_finished_run_obeys_the_contract_as_it_is() {
    let who = if am_root() { Who::Root } else { Who::User };
    let first = steps::with_option("--rootfs").number;
    for step in steps::exercise_numbers().filter(|number| *number >= first) {
        let mut command = workshop(who);
        command.args(["check", &step.to_string(), "--format", "json", "--"]).arg(&common::place().program);
        let ran = run(&mut command);
        if step == steps::of_limits().number && ran.status == 3 {
            skip("this user gets no limits on this host", "Run as root, or with a delegated cgroup v2");
            continue;
        }
        assert_eq!(ran.status, 0, "step {step}: {}{}", ran.stdout, ran.stderr);
    }
}
