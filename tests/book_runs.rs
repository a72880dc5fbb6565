//! What the book's pages show as the program's output is what it really prints. Other commands: tests/blocks.rs.
//!
//! `WORKSHOP_RECORD=1 cargo test --test book_runs` records all of it anew, but for the benchmark, which is recorded by
//! `cargo bench --bench start -- --record`. Read the differences before you commit
//! them, as a reader of the page would.

#![cfg(test)]

#[path = "bench/mod.rs"]
mod bench;
mod common;
#[path = "book_runs/recordings.rs"]
mod recordings;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use std::time::Duration;

use common::guest::{Guest, kernel};
use common::{Ran, Who, am_root, child, filters, have, place, run, skip, stand_ins};
use regex::Regex;
use serde::Deserialize;

/// An entry of book/runs.toml, which says what its fields mean.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recorded {
    #[serde(default)]
    command: Vec<String>,
    typed: Option<String>,
    #[serde(rename = "where", default)]
    place: String,
    #[serde(default)]
    machine: bool,
    #[serde(default)]
    quick: Vec<String>,
}

fn book() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("book")
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn recording() -> bool {
    std::env::var_os("WORKSHOP_RECORD").is_some()
}

/// A shell script that gives a command a home of the usual name, with the kernel for machines in it, in a mount
/// namespace: the book shall not name folders of the machine that it was recorded on. Without KVM, so that it tells
/// the same wherever it is repeated.
const AT_HOME: &str = "
    set -e
    mount --make-rprivate /
    if [ -e /dev/kvm ]; then mount --bind /dev/null /dev/kvm; fi
    mkdir -p \"$1/kernel\"
    if [ -n \"$2\" ]; then mount --bind \"$2\" \"$1/kernel\"; fi
    mount -t tmpfs tmpfs /home
    mkdir /home/you
    mount --rbind \"$1\" /home/you
    shift 2
    exec env -i HOME=/home/you PATH=\"$PATH\" LANG=C.UTF-8 \"$@\"";

/// The program as root with colours, as the book shows it.
fn on_the_host(command: &[String], lang: &str) -> Ran {
    let kernel = kernel();
    // A distribution's modules are found beside it: boot/vmlinuz-VERSION, lib/modules/VERSION.
    let package = kernel.ancestors().nth(2).unwrap_or(Path::new(""));
    let below = kernel.strip_prefix(package).unwrap_or(&kernel);
    let mut unshare = child::command("unshare");
    unshare.args(["--mount", "sh", "-c", AT_HOME, "sh"]).arg(place().dir.join("root")).arg(package);
    unshare.arg(format!("WORKSHOP_KERNEL=/home/you/kernel/{}", below.display())).arg(&place().program);
    run(unshare.args(command).args(["--lang", lang, "--color", "always"]))
}

fn in_a_guest(command: &[String]) -> [(&'static str, Ran); 2] {
    let line = |lang: &str| {
        (lang.to_owned(), format!("workshop {} --lang {lang} --color always", command.join(" ")))
    };
    let said = Guest::new(Who::Root).script(&[line("en"), line("ko")]);
    let mut said = said.into_iter().map(|(_, stdout, status)| Ran { status, stdout, stderr: String::new() });
    ["en", "ko"].map(|lang| (lang, said.next().expect("both languages")))
}

fn judge(name: &str, lang: &str, ran: &Ran) {
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{name} {lang}: {}", ran.stdout);
    let file = book().join(lang).join("runs").join(name).with_extension("txt");
    if recording() {
        return fs::write(&file, stand_ins::readable(&ran.stdout)).expect("write the run");
    }
    let recorded = read(&file);
    assert_eq!(recorded, stand_ins::readable(&recorded), "{}: it names its machine", file.display());
    // Both have gone through the same: what is recorded did when it was.
    let [recorded, now] =
        [recorded, stand_ins::readable(&ran.stdout)].map(|text| filters::plain(name, &text));
    let differs = recorded.lines().zip(now.lines()).find(|(one, other)| one != other);
    assert!(recorded == now, "{}: the first line that differs: {differs:#?}", file.display());
}

fn repeat(name: &str) {
    let runs: BTreeMap<String, Recorded> = toml::from_str(&read(&book().join("runs.toml"))).expect("runs");
    let recorded = &runs[name];
    if !am_root() {
        return skip("the book's runs are root's", "Run the tests as root");
    }
    if recorded.typed.is_some() {
        return measure_again(name);
    }
    if (recorded.machine || recorded.place == "guest") && !Guest::possible() {
        return;
    }
    if recorded.place == "guest" {
        return in_a_guest(&recorded.command).iter().for_each(|(lang, ran)| judge(name, lang, ran));
    }
    if !have("unshare", "util-linux") {
        return;
    }
    let quick = if recording() { &[] } else { &recorded.quick[..] };
    let command = [&recorded.command[..], quick].concat();
    for lang in ["en", "ko"] {
        judge(name, lang, &on_the_host(&command, lang));
    }
}

/// The benchmark in a short form: its figures are worth nothing, but it measures all that is recorded.
fn measure_again(name: &str) {
    let needed = [("busybox", "busybox-static"), ("cc", "gcc"), ("bwrap", "bubblewrap"), ("crun", "crun")];
    if !needed.iter().chain(&[("runc", "runc")]).all(|(program, package)| have(program, package)) {
        return;
    }
    let plan = bench::Plan {
        program: place().program.clone(),
        rounds: 1,
        warm: 0,
        gap: Duration::ZERO,
        alive: 2,
        together: 2,
    };
    let measured = bench::measure(&plan).expect("measure");
    for lang in bench::report::LANGS {
        let recorded = read(&book().join(lang).join("runs").join(name).with_extension("txt"));
        let [recorded, now] = [recorded, measured.table(lang)].map(|table| without_figures(&table));
        let differs = recorded.lines().zip(now.lines()).find(|(one, other)| one != other);
        assert!(recorded == now, "{lang}: the first line that differs: {differs:#?}");
    }
}

/// A table without what is measured: the machine in the first line, the method in the second, figures and marks.
fn without_figures(table: &str) -> String {
    let figures = Regex::new(r"[ \d.–]+[✓✗]?$|\d+").expect("a pattern");
    table.lines().skip(2).map(|line| figures.replace_all(line, "#").into_owned() + "\n").collect()
}

/// One test for each run, so that they run side by side and each is named if it fails.
macro_rules! runs {
    ($($test:ident $name:literal)*) => {
        $(#[test]
        fn $test() {
            repeat($name);
        })*

        #[test]
        fn every_run_of_the_book_is_repeated() {
            let runs: BTreeMap<String, Recorded> =
                toml::from_str(&read(&book().join("runs.toml"))).expect("runs");
            assert_eq!(runs.keys().map(String::as_str).collect::<Vec<_>>(), [$($name),*]);
        }
    };
}

runs! {
    compare_is_as_recorded "compare"
    doctor_is_as_recorded "doctor"
    the_benchmark_is_as_recorded "start"
    step_1_is_as_recorded "step-1"
    step_2_is_as_recorded "step-2"
    step_3_is_as_recorded "step-3"
    step_4_is_as_recorded "step-4"
    step_5_is_as_recorded "step-5"
    step_6_is_as_recorded "step-6"
    step_7_is_as_recorded "step-7"
    step_8_is_as_recorded "step-8"
}
