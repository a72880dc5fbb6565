//! One file a subcommand: gather what it needs, call down, print.

mod adapt;
mod attempt;
mod book;
mod by_hand;
mod check;
mod clean;
mod compare;
mod doctor;
mod experiment;
mod hint;
mod keyboard;
mod list;
mod machine;
mod manual;
mod menu;
mod narrator;
mod new;
mod plan;
mod play;
mod progress;
mod reset;
mod run;
mod solution;
mod step;
mod tour;
mod vm;
mod watch;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};
use std::os::fd::{AsFd, OwnedFd};

use crate::cli::{
    BreakOptions, CleanOptions, Cli, Command, CompletionsOptions, Format, Global, HintOptions, Later,
    ManOptions, NewOptions, PlanOptions, ResetOptions, StepAsked,
};
use crate::course::Step;
use crate::course::exercise;
use crate::course::language::Lang;
use crate::course::words::{Failure, Words};
use crate::engine::template::Files;
use crate::fault::{Doing, Fault};
use crate::folders::Folders;
use crate::image::{Store, host_search_path};
use crate::kernel::breakable::Stream;
use crate::kernel::cgroup::{self, Controller, Limits, Place};
use crate::kernel::ledger;
use crate::kernel::process::need_own_proc;
use crate::kernel::root::{refuse_chroot, refuse_chroot_directory};
use crate::kernel::signals::Signals;
use crate::kernel::systemd;
use crate::lab::Lab;
use crate::recording;
use crate::render::{Both, Checked, Json, Junit, Renderer, Style, Tally, Text};

/// `64M` → 67108864: powers of 1024, as Docker and systemd read them.
pub fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_uppercase().trim_end_matches('B') {
        "" => 0,
        "K" | "KI" => 10,
        "M" | "MI" => 20,
        "G" | "GI" => 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift).filter(|n| *n > 0)
}

/// The limits of the lessons' containers: small enough to run into within a second.
pub const LIMITS: Limits = Limits { memory: Some(64 << 20), pids: Some(64), cpus: Some(0.5), ..Limits::NONE };

/// Where a command's words go.
pub struct Output {
    pub show: Box<dyn Renderer>,
    pub lang: Lang,
    pub words: &'static Words,
    pub json: bool,
    /// How text on standard output looks.
    pub style: Style,
    /// Both standard input and output are terminals, so that questions can be asked.
    pub terminal: bool,
    pub tally: Tally,
    /// The exit status is the learner's program's, so ours must be told apart from it.
    pub passes_status: bool,
    /// In text, checks that hold are counted and not told.
    pub only_failures: bool,
    began: std::time::Instant,
}

impl Output {
    /// An output as the global options ask for it.
    pub fn new(global: &Global) -> Output {
        let lang = Lang::choose(global.text());
        // Whoever reads it has standard output to himself.
        let json = matches!(global.format, Format::Json | Format::Junit);
        let style = |term: &console::Term| Style::detect(lang, global.color, term);
        let out = style(&console::Term::stdout());
        // The questions are painted by a crate that has its own idea of when to.
        console::set_colors_enabled(out.colour);
        console::set_colors_enabled_stderr(out.colour);
        let stream = Box::new(Stream::output()) as Box<dyn Write>;
        let show: Box<dyn Renderer> = match global.format {
            Format::Json => Box::new(Json::new(stream)),
            Format::Junit => Box::new(Junit::new(stream)),
            Format::Text | Format::Markdown => {
                Box::new(Text::new(stream, out).with_errors(style(&console::Term::stderr())))
            }
        };
        Output {
            show,
            lang,
            words: Words::of(lang),
            json,
            style: out,
            terminal: io::stdin().is_terminal() && io::stdout().is_terminal() && !json,
            tally: Tally::default(),
            passes_status: false,
            only_failures: false,
            began: std::time::Instant::now(),
        }
    }

    /// Tells a fault, unless there is nobody to tell it to, and returns the exit status for it.
    pub fn fault(&mut self, fault: &Fault) -> i32 {
        let status = match fault.status() {
            // Docker's convention for a failure of the runtime, not of the program.
            3 | 4 if self.passes_status => 125,
            status => status,
        };
        if let Some(failure) = self.words.failure(fault) {
            let message = failure.message.clone();
            if self.show.failure(&Failure { code: status, ..failure }).is_err() {
                // Standard output is full, and JSON goes nowhere else. If this can't be written either, the
                // exit status is all that is left.
                let _ = writeln!(Stream::errors(), "{message}");
            }
        }
        status
    }

    /// Tells and counts a check.
    pub fn check(&mut self, check: &Checked) -> Result<(), Fault> {
        let held = check.found.map(|found| found.held);
        match held {
            Some(true) => self.tally.passed += 1,
            Some(false) => self.tally.failed += 1,
            None => self.tally.skipped += 1,
        }
        if held == Some(true) && self.only_failures && !self.json {
            return Ok(());
        }
        self.show.check(check).map_err(Fault::output)
    }

    /// In place of a program's standard output: JSON has ours to itself, so it gets standard error.
    pub fn program_stdout(&self) -> Result<Option<OwnedFd>, Fault> {
        let errors = || io::stderr().as_fd().try_clone_to_owned().doing("duplicate standard error");
        self.json.then(errors).transpose()
    }

    /// From here on all that is told is written to this file too, if there is one.
    pub fn record(&mut self, step: &Step, path: Option<&Path>) -> Result<(), Fault> {
        let Some(path) = path else { return Ok(()) };
        let file = recording::begin(path, step.slug, self.lang.code())?;
        let shown = std::mem::replace(
            &mut self.show,
            Box::new(Json::new(Box::new(std::io::sink()) as Box<dyn Write>)),
        );
        self.show = Box::new(Both::new(shown, file, path.into()));
        Ok(())
    }

    pub fn note(&mut self, text: &str) -> Result<(), Fault> {
        self.show.note(text).map_err(Fault::output)
    }

    /// Says what was built without a step that this host can't do.
    pub fn left_out(&mut self, missing: &Step, fault: &Fault) -> Result<(), Fault> {
        let Some(reason) = self.words.failure(fault) else { return Ok(()) };
        let number = missing.number.to_string();
        let with = [("number", number.as_str()), ("slug", missing.slug), ("reason", &reason.message)];
        self.note(&self.words.fill("without", &with))
    }

    /// Thinking time doesn't count.
    pub fn restart_clock(&mut self) {
        self.began = std::time::Instant::now();
    }

    /// The last line, and the exit status that goes with it.
    pub fn done(&mut self) -> Result<i32, Fault> {
        self.tally.seconds = self.began.elapsed().as_secs_f64();
        self.show.done(&self.tally).map_err(Fault::output)?;
        Ok(i32::from(self.tally.failed > 0))
    }
}

/// Runs the command and returns the exit status.
pub fn dispatch(cli: Cli, out: &mut Output) -> Result<i32, Fault> {
    match cli.command {
        None if menu::can_ask(out) => menu::run(out),
        None | Some(Command::List) => list::run(out),
        Some(Command::Step(Later(StepAsked { step, options }))) => {
            step::run(out, find_step(&step)?, &options)
        }
        Some(Command::Plan(Later(PlanOptions { step, rootfs, verbose, program }))) => {
            let asked = plan::Asked { rootfs: rootfs.as_deref(), verbose, program };
            plan::run(out, find_step(&step)?, asked)
        }
        Some(Command::Break(Later(BreakOptions { step, experiment, list, vm }))) => {
            let (step, experiment) = (step.as_deref(), experiment.as_deref());
            experiment::run(out, &experiment::Asked { step, experiment, list, vm })
        }
        Some(Command::Tour(Later(options))) => tour::run(out, &options),
        Some(Command::Run(options)) => run::run(out, options.0),
        Some(Command::Adapt(Later(options))) => adapt::run(out, options),
        Some(Command::New(NewOptions { dir, lang })) => new::run(out, &dir, &lang),
        Some(Command::Hint(Later(HintOptions { step, again }))) => hint::run(out, step.as_deref(), again),
        Some(Command::Solution(options)) => solution::run(out, &options),
        Some(Command::Progress) => progress::run(out),
        Some(Command::Reset(Later(ResetOptions { step, source, yes }))) => {
            reset::run(out, step.as_deref(), source, yes)
        }
        Some(Command::Watch) => watch::run(out),
        Some(Command::Check(options)) => check::run(out, &options),
        Some(Command::Compare(options)) => compare::run(out, &options),
        Some(Command::Vm(Later(options))) => vm::run(out, options),
        Some(Command::Guest) => crate::vm::guest::run(),
        Some(Command::Book(Later(options))) => book::run(out, &options),
        Some(Command::Play(Later(options))) => play::run(out, &options),
        Some(Command::Doctor) => doctor::run(out),
        Some(Command::Clean(Later(CleanOptions { dry_run }))) => clean::run(out, dry_run),
        Some(Command::Completions(Later(CompletionsOptions { shell }))) => manual::completions(shell),
        Some(Command::Man(Later(ManOptions { dir }))) => manual::pages(out, &dir),
    }
}

fn find_step(name: &str) -> Result<&'static Step, Fault> {
    let last = crate::course::STEPS.len().to_string();
    Step::find(name).ok_or_else(|| match Step::closest(name) {
        Some(step) => Fault::usage("step-meant", &[("name", name), ("meant", step.slug)]),
        None => Fault::usage("step-unknown", &[("name", name), ("last", &last)]),
    })
}

/// The exercise that is meant, or the one that is worked on.
fn find_exercise(name: Option<&str>, current: u32) -> Result<u32, Fault> {
    name.map_or(Ok(current), |name| exercise_named(name, "own-step-unknown"))
}

/// The exercise of this name. That there is no such step is said by the fault with the key `unknown`.
fn exercise_named(name: &str, unknown: &'static str) -> Result<u32, Fault> {
    let last = exercise::last().to_string();
    exercise::find(name).ok_or_else(|| match Step::find(name).filter(|step| step.exercise.is_none()) {
        Some(step) => step.must_make_a_container().err().unwrap_or_else(|| {
            let number = step.number.to_string();
            Fault::usage("step-has-no-exercise", &[("step", &number), ("slug", step.slug), ("last", &last)])
        }),
        None => Fault::usage(unknown, &[("name", name), ("last", &last)]),
    })
}

/// What every command that builds something does first: clean up after the dead, get a place for limits
/// if they are `limited`, and move into a lab.
pub fn enter_lab(limited: bool) -> Result<Lab, Fault> {
    move_in(if limited { &Controller::ALL } else { &[] }, Lab::enter)
}

/// The same for a container that is not looked at, with limits on some of what can be limited.
pub fn enter_lab_for(limits: &[Controller], on_hosts_network: bool) -> Result<Lab, Fault> {
    move_in(limits, if on_hosts_network { Lab::enter_on_hosts_network } else { Lab::enter_unwitnessed })
}

fn move_in(
    limits: &[Controller],
    enter: impl FnOnce(Folders, Signals) -> Result<Lab, Fault>,
) -> Result<Lab, Fault> {
    refuse_chroot_directory()?;
    // In a chroot that is why.
    let chroot = |fault| refuse_chroot().err().unwrap_or(fault);
    need_own_proc().map_err(chroot)?;
    let folders = Folders::find().map_err(chroot)?;
    if !limits.is_empty() && wants_scope(&cgroup::places(limits)) {
        // If there is none for us, root goes on with what it has, and the step that needs it tells others.
        systemd::scope_of_our_own();
    }
    // Where we stand in a chroot nothing is touched.
    let lab = enter(folders, Signals::take().doing("open an inbox for signals")?)?;
    for leftover in ledger::leftovers(&lab.folders.ledger) {
        // What can't be undone now is tried again next time, and named by `clean`.
        let _ = leftover.undo();
    }
    Ok(lab)
}

/// Whether systemd should be asked for a group: an ordinary user's login has none to make others in, and one
/// further up, which root could take, is systemd's.
fn wants_scope(places: &Result<Vec<Place>, Fault>) -> bool {
    match places {
        Ok(places) => places.iter().any(Place::is_above_us),
        Err(fault) => matches!(fault, Fault::Unable { key, .. } if key.starts_with("cgroup-v2-")),
    }
}

/// The container's files: the learner's directory, or the image of the host's programs.
pub fn files(folders: &Folders, rootfs: Option<&Path>) -> Result<Files, Fault> {
    if let Some(dir) = rootfs {
        return directory(folders, dir).map(Files::Directory);
    }
    let store = Store::new(folders.cache.join("images"));
    Ok(Files::Image(store.host_image(&host_search_path())?))
}

/// A directory of the learner's that can be a root filesystem.
pub fn directory(folders: &Folders, dir: &Path) -> Result<PathBuf, Fault> {
    let path = dir.display().to_string();
    let wrong = |key| Fault::usage(key, &[("path", &path), ("cache", &folders.cache.display().to_string())]);
    let dir = dir.canonicalize().ok().filter(|dir| dir.is_dir()).ok_or_else(|| wrong("rootfs-not-found"))?;
    if access(&dir, AccessFlags::R_OK | AccessFlags::X_OK).is_err() {
        return Err(wrong("rootfs-not-readable"));
    }
    if folders.cache.starts_with(&dir) {
        return Err(wrong("rootfs-holds-cache"));
    }
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_are_powers_of_1024() {
        assert_eq!(bytes("64M"), Some(64 << 20));
        assert_eq!(bytes("1GiB"), Some(1 << 30));
        assert_eq!(bytes("4096"), Some(4096));
        for wrong in ["", "M", "-1", "0", "1.5G", "7X", "99999999999G"] {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
    }
}
