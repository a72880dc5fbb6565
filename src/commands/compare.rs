//! `workshop compare`: the same program as process, container and virtual machine, measured here.

use std::io::{self, Write};
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::{CompareOptions, Format};
use crate::compare::{self, Comparison, Contestant, Host, PROGRAM, Process, pss, take_turns};
use crate::container::recipe::{Files, Recipe};
use crate::course::STEPS;
use crate::fault::{Doing, Fault};
use crate::image::{Image, Store, host_search_path};
use crate::kernel::cgroup::{self, Limits};
use crate::lab::Lab;
use crate::render::measured;

use super::{Output, enter_lab};

/// How often each is run, if nothing else is said.
const RUNS: usize = 10;

/// Measures, shows, and says what could not be measured.
pub fn run(out: &mut Output, options: &CompareOptions) -> Result<i32, Fault> {
    if let Some(file) = &options.svg {
        can_be_written(file)?;
    }
    let mut host = Host::here();
    let lab = enter_lab(true)?;
    let image = image(&lab)?;
    host.limits = cgroup::places().is_ok();
    let runs = options.runs.map_or(RUNS, usize::from);
    let mut contestants = contestants(&lab, &image, &host, runs)?;
    measure(out, &lab, &mut contestants)?;
    host.workshop = pss(std::process::id() as i32)?;
    let comparison = Comparison::of(host, &contestants, Vec::new());
    show(out, options, &comparison)?;
    Ok(0)
}

/// The root filesystem of all subjects: the image of the steps, and our own executable in it.
fn image(lab: &Lab) -> Result<Image, Fault> {
    let store = Store::new(lab.folders.cache.join("images"));
    let image = store.host_image(&host_search_path());
    image
        .and_then(|image| store.with_own_binary(image, Path::new(PROGRAM)))
        .map_err(|e| Fault::unable("no-image", &[("problem", &e.to_string())]))
}

fn contestants<'l>(
    lab: &'l Lab,
    image: &Image,
    host: &Host,
    runs: usize,
) -> Result<Vec<Contestant<'l>>, Fault> {
    let program = Path::new(PROGRAM);
    // They are to be there, not to be felt: the file that the probe reads must fit.
    let limits = Limits { memory: 512 << 20, pids: 64, cpus: host.cores as f64 };
    let layers = STEPS.iter().filter(|step| host.limits || step.slug != "cgroup-limit");
    let layers = layers.map(|step| (step.slug, step.layer)).collect();
    let recipe = Recipe::new(lab, layers, limits, || Ok(Files::Image(image.clone())))?;
    Ok(vec![
        Contestant::new(Process::new(lab, image, program)?, runs),
        Contestant::new(compare::Container::new(recipe, program, image.bytes), runs),
    ])
}

/// Runs them all, and says on a terminal how far that is.
fn measure(out: &Output, lab: &Lab, contestants: &mut [Contestant]) -> Result<(), Fault> {
    let all: usize = contestants.iter().map(|c| c.wanted + 1).sum();
    // It is drawn on standard error, and only on a terminal. It draws when it is told to: a thread that does so
    // by itself would be a second one.
    let bar = ProgressBar::new(all as u64);
    if let Ok(style) = ProgressStyle::with_template(" {msg:12} {bar:40} {pos}/{len} {elapsed}") {
        bar.set_style(style);
    }
    let measured = take_turns(contestants, &lab.signals, |kind| {
        bar.set_message(measured::subject(out.words, kind).to_owned());
        bar.inc(1);
    });
    bar.finish_and_clear();
    measured
}

fn show(out: &mut Output, options: &CompareOptions, comparison: &Comparison) -> Result<(), Fault> {
    if let Some(file) = &options.svg {
        let text = measured::svg(out.words, out.lang, comparison);
        std::fs::write(file, text).doing(format!("write {}", file.display()))?;
    }
    if options.format == Format::Markdown {
        let text = measured::markdown(out.words, comparison);
        let mut stdout = io::stdout().lock();
        return stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(Fault::output);
    }
    out.show.measured(comparison).map_err(Fault::output)?;
    if out.json {
        // People see what was measured and what was not.
        out.tally.passed = comparison.subjects.len() as u32;
        out.tally.skipped = comparison.absent.len() as u32;
    }
    out.done().map(drop)
}

/// Better now than after a minute of measuring.
fn can_be_written(file: &Path) -> Result<(), Fault> {
    use nix::unistd::{AccessFlags, access};
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let target = if file.exists() { file } else { dir };
    if !file.is_dir() && access(target, AccessFlags::W_OK).is_ok() {
        return Ok(());
    }
    Err(Fault::usage("svg-not-writable", &[("path", &file.display().to_string())]))
}
