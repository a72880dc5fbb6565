//! `workshop compare`: the same program as process, container and virtual machine, measured here.

use std::io::Write;
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::{CompareOptions, Format};
use crate::compare::{self, Comparison, Contestant, Host, Kind, PROGRAM, Process, Runs, Vm, pss, take_turns};
use crate::course::{STEPS, wanted};
use crate::engine::template::{Files, Template, Wanted};
use crate::fault::{Doing, Fault};
use crate::folders::reachable;
use crate::image::{Image, Store, host_search_path};
use crate::kernel::breakable::Stream;
use crate::kernel::cgroup::{self, Controller, Limits};
use crate::lab::Lab;
use crate::render::measured;
use crate::vm::Kernel;

use super::vm::MEMORY;
use super::{Output, enter_lab};

/// How often each is run, if nothing else is said.
const RUNS: usize = 10;

/// Measures, shows, and says what could not be measured: then the exit status is 3, though the others are shown.
pub fn run(out: &mut Output, options: &CompareOptions) -> Result<i32, Fault> {
    if let Some(file) = &options.svg {
        can_be_written(file)?;
    }
    let mut host = Host::here();
    let lab = enter_lab(true)?;
    host.limits = cgroup::places(&Controller::ALL).is_ok();
    let mut contestants = contestants(&lab, &host, options)?;
    let plan = options.runs.map_or(Runs::Usually(RUNS), |runs| Runs::Exactly(runs.into()));
    measure(out, &lab, &plan, &mut contestants)?;
    host.workshop = pss(std::process::id() as i32)?;
    let say = |fault: &Fault| out.words.failure(fault).map(|failure| failure.message).unwrap_or_default();
    let comparison = Comparison::of(host, &contestants, say);
    show(out, options, &comparison)?;
    let faults: Vec<&Fault> = contestants.iter().filter_map(Contestant::fault).collect();
    let status = faults.into_iter().map(|fault| out.fault(fault)).max().unwrap_or(0);
    if options.format != Format::Markdown {
        finish(out, &comparison)?;
    }
    Ok(status)
}

/// The last line. People have seen what was measured and what was not.
fn finish(out: &mut Output, comparison: &Comparison) -> Result<(), Fault> {
    if out.json {
        out.tally.passed = comparison.subjects.len() as u32;
        out.tally.skipped = comparison.absent.len() as u32;
    }
    out.done().map(drop)
}

/// The subjects, all with the same root filesystem: the image of the steps, and our own executable in it.
fn contestants<'l>(
    lab: &'l Lab,
    host: &Host,
    options: &CompareOptions,
) -> Result<Vec<Contestant<'l>>, Fault> {
    let program = Path::new(PROGRAM);
    let store = Store::new(lab.folders.cache.join("images"));
    let plain = store.host_image(&host_search_path())?;
    let image = store.with_own_binary(plain.clone(), program)?;
    let process = Process::new(lab, &image, program)?;
    let container = compare::Container::new(template(lab, &image, host)?, program, image.bytes);
    let mut contestants = vec![Contestant::new(process), Contestant::new(container)];
    if !options.no_vm {
        let kernel = Kernel::find(options.kernel.as_deref());
        contestants.push(match kernel.and_then(|kernel| Vm::new(lab, &plain, program, kernel, MEMORY)) {
            Ok(vm) => Contestant::new(vm),
            Err(fault @ Fault::Unable { .. }) => Contestant::absent(Kind::Vm, fault),
            Err(fault) => return Err(fault),
        });
    }
    Ok(contestants)
}

/// The container of all steps. Its limits are to be there, not to be felt: the file that the probe reads must fit.
fn template<'l>(lab: &'l Lab, image: &Image, host: &Host) -> Result<Template<'l>, Fault> {
    let limits =
        Limits { memory: Some(MEMORY << 20), pids: Some(64), cpus: Some(host.cores as f64), ..Limits::NONE };
    // As `run` makes it unless it is asked for more.
    let mut wanted = Wanted { users: false, ..wanted(STEPS, limits) };
    wanted.spec.limits = wanted.spec.limits.filter(|_| host.limits);
    Template::new(lab, wanted, || Ok(Files::Image(image.clone())))
}

/// Runs them all, and says on a terminal how far that is.
fn measure(out: &Output, lab: &Lab, plan: &Runs, contestants: &mut [Contestant]) -> Result<(), Fault> {
    // It is drawn on standard error, and only on a terminal. It draws when it is told to: a thread that does so
    // by itself would be a second one.
    let bar = ProgressBar::new(1);
    if let Ok(style) = ProgressStyle::with_template(" {msg:12} {wide_bar} {pos}/{len} {elapsed} ") {
        bar.set_style(style);
    }
    let measured = take_turns(contestants, plan, &lab.signals, |kind, all| {
        bar.set_length(all as u64);
        bar.set_message(measured::subject(out.words, kind).to_owned());
        bar.inc(1);
    });
    bar.finish_and_clear();
    measured
}

/// In the format that was asked for, and as a drawing.
fn show(out: &mut Output, options: &CompareOptions, comparison: &Comparison) -> Result<(), Fault> {
    if let Some(file) = &options.svg {
        let text = measured::svg(out.words, out.lang, comparison);
        std::fs::write(file, text).doing(format!("write {}", file.display()))?;
    }
    if options.format != Format::Markdown {
        return out.show.measured(comparison).map_err(Fault::output);
    }
    let text = measured::markdown(out.words, comparison);
    let mut stdout = Stream::output();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(Fault::output)
}

/// Better now than after a minute of measuring.
fn can_be_written(file: &Path) -> Result<(), Fault> {
    use nix::unistd::{AccessFlags, access};
    reachable(file)?;
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let target = if file.exists() { file } else { dir };
    if !file.is_dir() && access(target, AccessFlags::W_OK).is_ok() {
        return Ok(());
    }
    Err(Fault::usage("svg-not-writable", &[("path", &file.display().to_string())]))
}
