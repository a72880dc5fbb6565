//! `workshop doctor`: what this host allows, step by step. It asks by doing: each step's container is
//! really made, in a lab, and taken back.

use std::io;

use crate::course::words::{Failure, Words};
use crate::course::{STEPS, Step};
use crate::fault::Fault;
use crate::image::{host_search_path, survey};
use crate::kernel::cgroup::{Controller, hierarchy};
use crate::lab::Lab;
use crate::vm;

use super::attempt::attempt as make;
use super::{Output, enter_lab};

/// The oldest kernel that has all that is used: close_range(2) with `CLOSE_RANGE_CLOEXEC` and overlayfs
/// in user namespaces, both of Linux 5.11.
const OLDEST: (u32, u32) = (5, 11);

/// Tells what is there, then tries every step. Exit status 3 if one can't be run.
pub fn run(out: &mut Output) -> Result<i32, Fault> {
    let words = out.words;
    let rows = [host(out), machine(out)].concat();
    out.show.table(words.say("doctor-title"), &[], &rows).map_err(Fault::output)?;
    let lab = match enter_lab(true) {
        Ok(lab) => lab,
        Err(fault) => {
            remedies(out, [&fault].into_iter()).map_err(Fault::output)?;
            return Ok(fault.status());
        }
    };
    let mut rows = Vec::new();
    let mut faults = Vec::new();
    for step in STEPS {
        let outcome = attempt(&lab, step);
        report(out, step, outcome.as_ref().err())?;
        let can = words.say(if outcome.is_ok() { "doctor-yes" } else { "doctor-no" });
        rows.push(vec![step.number.to_string(), step.slug.into(), can.into()]);
        faults.extend(outcome.err().map(|fault| (step, fault)));
    }
    let head = ["list-number", "list-slug", "doctor-runs"].map(|key| words.say(key));
    out.show.table("", &head, &rows).map_err(Fault::output)?;
    remedies(out, faults.iter().map(|(_, fault)| fault)).map_err(Fault::output)?;
    let steps: Vec<String> = faults.iter().map(|(step, _)| step.number.to_string()).collect();
    out.note(&match faults.is_empty() {
        true => words.say("doctor-ready").to_owned(),
        false => words.fill("doctor-not-ready", &[("steps", &steps.join(", "))]),
    })?;
    if out.json {
        out.done()?;
    }
    Ok(if faults.is_empty() { 0 } else { 3 })
}

/// Says what is wrong, each once, and each remedy once, below all that it mends.
fn remedies<'a>(out: &mut Output, faults: impl Iterator<Item = &'a Fault>) -> io::Result<()> {
    let mut failures: Vec<Failure> = Vec::new();
    for mut failure in faults.filter_map(|fault| out.words.failure(fault)) {
        failure.hint = without_doctor(out.words, &failure.hint);
        // In JSON each step has an error of its own.
        if out.json || !failures.contains(&failure) {
            failures.push(failure);
        }
    }
    let mut rest = &failures[..];
    while let [failure, below @ ..] = rest {
        rest = below;
        let same = |other: &Failure| (&other.cause, &other.hint) == (&failure.cause, &failure.hint);
        let told_below = !out.json && below.iter().any(same);
        let (cause, hint) = match told_below {
            true => (String::new(), String::new()),
            false => (failure.cause.clone(), failure.hint.clone()),
        };
        out.show.failure(&Failure { cause, hint, ..failure.clone() })?;
    }
    Ok(())
}

/// A hint without the sentences that send the reader here.
fn without_doctor(words: &Words, hint: &str) -> String {
    let sentences = hint.split_inclusive(". ").filter(|sentence| !sentence.contains("`workshop doctor`"));
    let rest = sentences.collect::<String>();
    if rest.is_empty() { words.say("doctor-report").to_owned() } else { rest.trim_end().to_owned() }
}

/// Makes the step's container and lets it go again. What a host may refuse is tried by its own step only.
/// A machine takes seconds to boot: whether there is all that it takes has to do.
fn attempt(lab: &Lab, step: &'static Step) -> Result<(), Fault> {
    if step.part().is_none() {
        return step.permitted(lab);
    }
    let below = step.builds_on().into_iter().filter(|below| !below.can_be_missed());
    make(lab, below.chain([step]))
}

/// Tells and counts whether the step can be run.
fn report(out: &mut Output, step: &Step, fault: Option<&Fault>) -> Result<(), Fault> {
    match fault {
        None => out.tally.passed += 1,
        Some(_) => out.tally.failed += 1,
    }
    let failure = fault.and_then(|fault| out.words.failure(fault));
    out.show.runnable(step, failure.as_ref()).map_err(Fault::output)
}

/// What can be read off without building anything.
fn host(out: &Output) -> Vec<Vec<String>> {
    let words = out.words;
    let row = |key: &'static str, value: String| vec![words.say(key).to_owned(), value];
    let versions = Controller::ALL.map(|c| {
        let version = hierarchy(c).map_or(words.say("doctor-no"), |h| h.version.name());
        format!("{} {version}", c.name())
    });
    let survey = survey(&host_search_path());
    let programs = if survey.missing.is_empty() {
        words.fill("doctor-programs-found", &[("count", &survey.found.len().to_string())])
    } else {
        let missing = words.fill("doctor-programs-missing", &[("names", &survey.missing.join(" "))]);
        format!("{missing} {}", words.say("doctor-programs-hint"))
    };
    let user = nix::unistd::geteuid();
    let who = if user.is_root() { "doctor-root" } else { "doctor-user" };
    vec![
        row("doctor-kernel", kernel(out)),
        row("doctor-caller", words.fill(who, &[("uid", &user.to_string())])),
        row("doctor-cgroup", versions.join(", ")),
        row("doctor-programs", programs),
        row("doctor-folders", folders()),
        row("doctor-by-hand", super::by_hand::programs(words)),
    ]
}

/// What a virtual machine takes. That /dev/kvm is there says little, so a kernel is started under it.
fn machine(out: &Output) -> Vec<Vec<String>> {
    let words = out.words;
    let (qemu, kernel) = (vm::find_qemu(), vm::Kernel::find(None));
    let kvm = match (&qemu, &kernel) {
        (Ok(qemu), Ok(kernel)) => match vm::Machine::runs_under_kvm(qemu, kernel) {
            Ok(true) => words.say("doctor-kvm-works"),
            _ => words.say("doctor-kvm-fails"),
        },
        _ => words.say("doctor-kvm-untried"),
    };
    let no = |_| words.say("doctor-no").to_owned();
    let qemu = qemu.map_or_else(no, |path| path.display().to_string());
    let kernel = kernel.map_or_else(no, |kernel| format!("{}, {}", kernel.release, kernel.image.display()));
    let rows = [("doctor-qemu", qemu), ("doctor-vm-kernel", kernel), ("doctor-kvm", kvm.to_owned())];
    rows.map(|(key, value)| vec![words.say(key).to_owned(), value]).into()
}

fn kernel(out: &Output) -> String {
    let release =
        nix::sys::utsname::uname().map(|u| u.release().to_string_lossy().into_owned()).unwrap_or_default();
    let mut numbers = release.split(['.', '-']).map_while(|n| n.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= OLDEST { release } else { out.words.fill("doctor-kernel-old", &[("release", &release)]) }
}

fn folders() -> String {
    crate::folders::Folders::find()
        .map_or_else(|fault| fault.to_string(), |f| format!("{}, {}", f.cache.display(), f.state.display()))
}
