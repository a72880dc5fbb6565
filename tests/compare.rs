//! `workshop compare` as its user sees it: what it measures and says, in every form, and what it leaves behind.

#![cfg(test)]

mod common;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use common::screen::{Screen, word};
use common::watch::{Desk, Session, groups_of, pages, wait_until};
use common::{Who, events, home, run, skip, who, workshop};
use nix::sys::signal::Signal;
use serde_json::Value;

/// The shortest comparison: without the machine that takes seconds to boot.
const SHORT: [&str; 4] = ["compare", "--no-vm", "--runs", "1"];

/// What is measured of every subject.
const FIGURES: [&str; 8] =
    ["first-instruction", "exit", "memory", "disk", "system-call", "page-fault", "file-read", "cpu-loop"];

const PROCESS_STAGES: [&str; 3] = ["fork", "exec", "load"];
const CONTAINER_STAGES: [&str; 6] = ["prepare", "clone", "attach", "enter", "exec", "load"];

/// The measurements of a subject.
fn measured<'e>(events: &'e [Value], subject: &str) -> Vec<&'e Value> {
    events.iter().filter(|e| e["event"] == "measurement" && e["subject"] == subject).collect()
}

/// The median of one of a subject's figures.
fn median(events: &[Value], subject: &str, figure: &str) -> f64 {
    let found = measured(events, subject).into_iter().find(|e| e["name"] == figure);
    found.and_then(|e| e["median"].as_f64()).unwrap_or_else(|| panic!("no {figure} of {subject}: {events:?}"))
}

/// The names of a subject's stages, and their sum in seconds.
fn stages(events: &[Value], subject: &str) -> (Vec<String>, f64) {
    let stages = measured(events, subject).into_iter().filter(|e| e["name"] == "stage");
    let named = stages.map(|e| (e["stage"].as_str().expect("a name").to_owned(), e["median"].as_f64()));
    let (names, took): (Vec<_>, Vec<_>) = named.unzip();
    (names, took.into_iter().flatten().sum())
}

/// Holds for every subject: all figures are there, and make sense.
fn makes_sense(events: &[Value], subject: &str, runs: u64) {
    let all = measured(events, subject);
    let names: Vec<_> = all.iter().filter_map(|e| e["name"].as_str()).filter(|n| *n != "stage").collect();
    assert_eq!(names, FIGURES, "{subject}");
    for event in all {
        let of = |key: &str| event[key].as_f64().unwrap_or_else(|| panic!("no {key}: {event}"));
        assert!(of("low") <= of("median") && of("median") <= of("high"), "{event}");
        assert!(of("median") > 0.0 && event["runs"] == runs, "{event}");
        let bytes = event["name"] == "memory" || event["name"] == "disk";
        assert_eq!(event["unit"], if bytes { "bytes" } else { "seconds" }, "{event}");
    }
    assert!(median(events, subject, "exit") >= median(events, subject, "first-instruction"));
    // A dynamic program with nothing in it has some hundred KiB.
    assert!(median(events, subject, "memory") > 65536.0);
}

fn subject<'e>(events: &'e [Value], name: &str) -> &'e Value {
    let found = events.iter().find(|e| e["event"] == "subject" && e["subject"] == name);
    found.unwrap_or_else(|| panic!("no {name}: {events:?}"))
}

#[test]
fn process_and_container_are_measured_as_root_and_as_an_ordinary_user() {
    let release = nix::sys::utsname::uname().expect("uname").release().to_string_lossy().into_owned();
    for who in who() {
        let ran = run(workshop(who).args(SHORT).args(["--format", "json"]));
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{who:?}: {}", ran.stdout);
        let events = events(&ran.stdout);
        assert_eq!(events[0]["event"], "host");
        assert_eq!(events[0]["kernel"], release.as_str());
        assert!(events[0]["cores"].as_u64() > Some(0) && events[0]["cpu"] != "", "{}", events[0]);
        let done = events.last().expect("events");
        assert_eq!(
            (&done["event"], &done["passed"], &done["skipped"]),
            (&"done".into(), &2.into(), &0.into())
        );

        for name in ["process", "container"] {
            makes_sense(&events, name, 1);
            assert_eq!(subject(&events, name)["kernel"], release.as_str(), "one kernel for both");
            assert_eq!(subject(&events, name)["processes_on_host"], 1);
        }
        assert_eq!(subject(&events, "container")["processes_inside"], 1, "it sees itself alone");
        assert!(subject(&events, "process")["processes_inside"].as_u64() > Some(1), "it sees the host's");
        for (name, wanted) in [("process", &PROCESS_STAGES[..]), ("container", &CONTAINER_STAGES[..])] {
            let (names, sum) = stages(&events, name);
            assert_eq!(names, wanted);
            let first = median(&events, name, "first-instruction");
            assert!((sum - first).abs() < 1e-6, "the stages of {name} add up: {sum} {first}");
        }
    }
}

fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let release = nix::sys::utsname::uname().expect("uname").release().to_string_lossy().into_owned();
    settings.add_filter(&regex::escape(&release), "[release]");
    for (pattern, with) in common::filters::COMPARED {
        settings.add_filter(pattern, with);
    }
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn text_and_markdown_are_as_in_their_snapshots() {
    let who = who()[0];
    for lang in ["en", "ko"] {
        for format in ["text", "markdown"] {
            let ran = run(workshop(who).args(SHORT).args(["--lang", lang, "--format", format]));
            assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
            let widest = ran.stdout.lines().map(console::measure_text_width).max();
            assert!(format == "markdown" || widest < Some(80), "{}", ran.stdout);
            snapshot(&format!("compare_{format}_{lang}"), &ran.stdout);
        }
    }
}

#[test]
fn the_drawing_is_well_formed_and_says_in_words_what_it_shows() {
    let who = who()[0];
    for (lang, first) in [("en", "container"), ("ko", "컨테이너")] {
        let file = home(who).join(format!("compare-{lang}.svg"));
        let path = file.to_str().expect("UTF-8");
        let ran = run(workshop(who).args(SHORT).args(["--lang", lang, "--svg", path]));
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        let text = fs::read_to_string(&file).expect("the drawing");
        let drawing = roxmltree::Document::parse(&text).expect("XML");
        let root = drawing.root_element();
        assert_eq!((root.tag_name().name(), root.attribute("lang")), ("svg", Some(lang)));
        let named = |name: &str| root.children().find(|node| node.tag_name().name() == name);
        let words = |name: &str| named(name).and_then(|node| node.text()).unwrap_or_default().to_owned();
        assert!(words("title").contains(first), "{}", words("title"));
        assert!(words("desc").contains(first) && words("desc").contains(&word(lang, "compare-memory")));
        assert!(words("style").contains("prefers-color-scheme:dark"), "it can be read on a dark page");
        for class in ["process", "container"] {
            let bars = root.descendants().filter(|node| node.attribute("class") == Some(class));
            let wide = bars.map(|bar| bar.attribute("width").and_then(|w| w.parse::<f64>().ok()));
            let wide: Vec<f64> = wide.map(|w| w.expect("a width")).collect();
            assert_eq!(wide.len(), FIGURES.len(), "a bar for each figure");
            assert!(wide.iter().all(|w| (1.0..200.0).contains(w)), "{wide:?}");
        }
    }
}

#[test]
fn progress_is_shown_on_a_terminal_and_nowhere_else() {
    let desk = Desk::new(who()[0], "progress");
    let mut screen = Screen::open(&desk, 80, &SHORT);
    screen.wait_for("/4");
    assert_eq!(screen.end(), 0, "{}", screen.text());
    assert!(screen.shows_cursor());
    // That nothing is in a pipe is held against every other run here.
}

#[test]
fn it_fits_a_narrow_and_a_wide_terminal() {
    let desk = Desk::new(who()[0], "widths");
    for columns in [40, 60, 120] {
        for lang in ["en", "ko"] {
            let mut screen = Screen::open(&desk, columns, &[&SHORT[..], &["--lang", lang]].concat());
            assert_eq!(screen.end(), 0, "{}", screen.text());
            assert_eq!(screen.too_wide(), Vec::<String>::new(), "{columns} {lang}");
        }
    }
}

#[test]
fn an_interrupted_or_killed_comparison_leaves_nothing() {
    for who in who() {
        let desk = Desk::new(who, "compare");
        desk.must(&SHORT);
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGKILL] {
            for patience in [50, 400, 900] {
                let mut session =
                    Session::start(&mut desk.workshop(&["compare", "--no-vm", "--runs", "1000"]));
                wait_until("a probe", || session.processes().len() > 1);
                std::thread::sleep(Duration::from_millis(patience));
                session.signal(signal);
                assert_eq!(session.end(), 128 + signal as i32, "{who:?} {signal}");
                session.gone();
                if signal == Signal::SIGKILL {
                    desk.must(&["clean"]);
                }
                assert!(groups_of(session.pid()).is_empty(), "{who:?} {signal}");
                assert_eq!(pages(&desk.state), Vec::<PathBuf>::new(), "{who:?} {signal}");
            }
        }
        let lab = home(who).join(".cache/workshop/lab");
        assert_eq!(fs::read_dir(&lab).expect("the lab's place").count(), 0, "the lab was the run's own");
    }
}

#[test]
fn our_own_program_is_kept_once_in_the_cache() {
    let who = who()[0];
    let layers = home(who).join(".cache/workshop/images/layers");
    let programs = || -> Vec<(PathBuf, u64)> {
        let entries = fs::read_dir(&layers).expect("layers").flatten();
        let files = entries.map(|entry| entry.path().join("bin/workshop"));
        files.filter_map(|file| Some((file.clone(), fs::metadata(&file).ok()?.ino()))).collect()
    };
    let compare = || assert_eq!(run(workshop(who).args(SHORT)).status, 0);
    compare();
    let first = programs();
    assert_eq!(first.len(), 1, "{first:?}");
    compare();
    assert_eq!(programs(), first);
}

#[test]
fn wrong_usage_is_told_before_anything_is_measured() {
    let wrong: [(&[&str], &str); 6] = [
        (&["compare", "--runs", "0"], "1..=1000"),
        (&["compare", "--runs", "few"], "few"),
        (&["compare", "--svg", "/nowhere/at/all.svg"], "/nowhere/at/all.svg"),
        (&["compare", "--svg", "/"], "can't be written to '/'"),
        (&["list", "--format", "markdown"], "markdown"),
        (&["compare", "--no-vm", "--kernel", "/dev/null"], "--no-vm"),
    ];
    for (args, words) in wrong {
        let ran = run(workshop(Who::User).args(args));
        assert_eq!((ran.status, ran.stdout.as_str()), (2, ""), "{args:?}");
        assert!(ran.stderr.contains(words), "{args:?}: {}", ran.stderr);
    }
    // The format may stand before the command, as for every other.
    let ran = run(workshop(Who::User).args(["--format", "json"]).args(SHORT));
    assert!(ran.status == 0 && ran.stdout.starts_with("{\"event\":\"host\""), "{}", ran.stdout);
}

/// The kernel that the tests' caller names goes to the program too.
fn with_vm(who: Who, args: &[&str]) -> &'static common::Ran {
    static RAN: OnceLock<common::Ran> = OnceLock::new();
    RAN.get_or_init(|| {
        let mut command = workshop(who);
        command.args(args);
        command.envs(std::env::var_os("WORKSHOP_KERNEL").map(|kernel| ("WORKSHOP_KERNEL", kernel)));
        run(&mut command)
    })
}

#[test]
fn a_virtual_machine_has_another_kernel_and_is_measured_beside_the_others() {
    let ran = with_vm(who()[0], &["compare", "--runs", "1", "--format", "json"]);
    let events = events(&ran.stdout);
    if ran.status == 3 {
        let error = events.iter().find(|e| e["event"] == "error").expect("an error");
        assert_eq!(error["code"], 3);
        // The other two were measured all the same.
        makes_sense(&events, "process", 1);
        makes_sense(&events, "container", 1);
        let install = "Install qemu-system-x86 and linux-image-cloud-amd64, or set WORKSHOP_KERNEL";
        return skip(&format!("no virtual machine: {}", error["message"]), install);
    }
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
    for name in ["process", "container", "vm"] {
        makes_sense(&events, name, 1);
    }
    let accelerator = events[0]["accelerator"].as_str();
    assert!(matches!(accelerator, Some("KVM" | "TCG")), "{}", events[0]);
    let vm = subject(&events, "vm");
    assert_eq!(vm["processes_on_host"], 1, "the host sees QEMU and nothing else");
    assert!(vm["processes_inside"].as_u64() > Some(10), "a kernel has threads of its own: {vm}");
    let (names, sum) = stages(&events, "vm");
    assert_eq!((names[0].as_str(), names.last().map(String::as_str)), ("hypervisor", Some("load")));
    assert!(names.iter().any(|name| name == "kernel") && names.iter().any(|name| name == "init"));
    let first = median(&events, "vm", "first-instruction");
    assert!((sum - first).abs() < 0.05, "the stages add up: {sum} {first}");
    let times = |figure| median(&events, "vm", figure) / median(&events, "container", figure);
    // A guest has memory and a kernel to start, whether it is emulated or not.
    assert!(times("memory") > 5.0 && times("first-instruction") > 2.0);
    if accelerator == Some("TCG") {
        assert!(times("cpu-loop") > 2.0, "software emulation is slower");
    }
}
