//! What each command takes.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args};

use super::{Format, Tongue, step_name};
use crate::learner::Language;
use crate::vm::Accelerator;

#[derive(Clone, Debug, Args)]
pub struct StepAsked {
    /// Number or name of the step, or its lesson's folder: 3, pivot-root or 03-pivot-root
    #[arg(value_name = "N|NAME", value_parser = step_name)]
    pub step: String,
    #[command(flatten)]
    pub options: StepOptions,
}

#[derive(Clone, Debug, Args)]
pub struct NewOptions {
    /// The folder to make; one that is there must be empty
    pub dir: PathBuf,
    /// Language to write it in, and with a second --lang that of all text
    #[arg(long, value_name = "LANG", action = ArgAction::Append, value_parser = Tongue::or_of(&Language::ALL))]
    pub lang: Vec<Tongue>,
}

#[derive(Clone, Debug, Args)]
pub struct HintOptions {
    /// Number or name of the step [default: the one that you work on]
    #[arg(value_name = "N|NAME", value_parser = step_name)]
    pub step: Option<String>,
    /// Show the hints so far again, and no new one
    #[arg(long)]
    pub again: bool,
}

#[derive(Clone, Debug, Args)]
pub struct ResetOptions {
    /// Number or name of the step [default: the one that you work on]
    #[arg(value_name = "N|NAME", value_parser = step_name)]
    pub step: Option<String>,
    /// Put the source back too, to how it was when the step began; what it is now is kept under other names
    #[arg(long)]
    pub source: bool,
    /// Don't ask
    #[arg(long)]
    pub yes: bool,
}

#[derive(Clone, Debug, Args)]
pub struct PlanOptions {
    /// Number or name of the step
    #[arg(value_name = "N|NAME", value_parser = step_name)]
    pub step: String,
    /// Use this directory as the root filesystem instead of one made from the host's programs
    #[arg(long, value_name = "DIR")]
    pub rootfs: Option<PathBuf>,
    /// Print the calls too that only make room for others, and are not told when a step runs
    #[arg(long)]
    pub verbose: bool,
    /// The program that would run in it, and its arguments
    #[arg(last = true, value_name = "CMD")]
    pub program: Vec<OsString>,
}

#[derive(Clone, Debug, Args)]
pub struct BreakOptions {
    /// Number or name of the step [default: every step]
    #[arg(value_name = "N|NAME", value_parser = step_name)]
    pub step: Option<String>,
    /// The experiment [default: all of the step's]
    #[arg(value_name = "EXPERIMENT", requires = "step")]
    pub experiment: Option<String>,
    /// Only list the experiments
    #[arg(long)]
    pub list: bool,
    /// Make them in a virtual machine [default: those that may be made in a sealed lab are made there]
    #[arg(long)]
    pub vm: bool,
}

#[derive(Clone, Debug, Args)]
pub struct CleanOptions {
    /// Only say what would be undone
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Clone, Debug, Args)]
pub struct CompletionsOptions {
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

#[derive(Clone, Debug, Args)]
pub struct ManOptions {
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}

#[derive(Clone, Debug, Default, Args)]
pub struct StepOptions {
    /// Wait for Enter before each call
    #[arg(long)]
    pub pause: bool,
    /// Open a shell inside the container so far
    #[arg(long, conflicts_with = "program")]
    pub shell: bool,
    /// Use this directory as the root filesystem instead of one made from the host's programs
    #[arg(long, value_name = "DIR")]
    pub rootfs: Option<PathBuf>,
    /// Tell the earlier steps' calls too
    #[arg(long)]
    pub verbose: bool,
    /// Run the program under a small init that reaps and passes signals on
    #[arg(long)]
    pub init: bool,
    /// Write the run to this file too, as JSON Lines, with what each call has changed
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// The program to run in the container, and its arguments
    #[arg(last = true, value_name = "CMD")]
    pub program: Vec<OsString>,
}

impl StepOptions {
    /// Whether the learner's own program or shell runs in the container.
    pub fn has_program(&self) -> bool {
        self.shell || !self.program.is_empty()
    }
}

#[derive(Clone, Debug, Default, Args)]
pub struct TourOptions {
    /// Use this directory as the root filesystem instead of one made from the host's programs
    #[arg(long, value_name = "DIR")]
    pub rootfs: Option<PathBuf>,
    /// Tell the earlier steps' calls again in each step
    #[arg(long)]
    pub verbose: bool,
}

#[derive(Clone, Debug, Args)]
pub struct CompareOptions {
    /// How many times each is run [default: 10, and 3 for a virtual machine in software emulation]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub runs: Option<u16>,
    /// Text for people, JSON Lines for programs, or Markdown for a page
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Boot this kernel in the virtual machine [default: $WORKSHOP_KERNEL, the host's own, or another one that is installed]
    #[arg(long, value_name = "FILE", conflicts_with = "no_vm")]
    pub kernel: Option<PathBuf>,
    /// Leave the virtual machine out
    #[arg(long)]
    pub no_vm: bool,
    /// Draw it too, into this file
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}

#[derive(Clone, Debug, Default, Args)]
pub struct BookOptions {
    /// Listen on this port of the loopback address [default: 7410, or any that is free]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// Answer to this name too: that of a host which forwards a port to here (Lima, WSL, Codespaces)
    #[arg(long, value_name = "NAME")]
    pub allow_host: Vec<String>,
}

#[derive(Clone, Debug, Default, Args)]
pub struct SolutionOptions {
    /// Number or name of the step [default: the one that you work on]
    #[arg(value_name = "N|NAME", value_parser = step_name)]
    pub step: Option<String>,
    /// Show only what changes from the step before, as `patch -p1` takes it
    #[arg(long)]
    pub diff: bool,
    /// Language of the program, and with a second --lang that of all text [default: the project's, or rust]
    #[arg(long, value_name = "LANG", action = ArgAction::Append,
          value_parser = Tongue::or_of(&[Language::Rust, Language::Sh]))]
    pub lang: Vec<Tongue>,
    /// Don't ask, even if the step isn't done
    #[arg(long)]
    pub yes: bool,
}

#[derive(Clone, Debug, Default, Args)]
pub struct VmOptions {
    /// Boot this kernel [default: $WORKSHOP_KERNEL, the host's own, or another one that is installed]
    #[arg(long, value_name = "FILE")]
    pub kernel: Option<PathBuf>,
    /// The machine's memory, in bytes or with K, M, G behind the number [default: 512M]
    #[arg(long, value_name = "BYTES")]
    pub memory: Option<String>,
    /// Use this directory as the root filesystem instead of one made from the host's programs; it is not written to
    #[arg(long, value_name = "DIR")]
    pub rootfs: Option<PathBuf>,
    /// Take a file or a directory of the host's along, to /root or to DEST
    #[arg(long, value_name = "SRC[:DEST]")]
    pub copy: Vec<String>,
    /// Run the program as an ordinary user with a delegated cgroup, instead of as root
    #[arg(long, value_name = "UID", num_args = 0..=1, require_equals = true, default_missing_value = "1000",
          value_parser = clap::value_parser!(u32).range(1..4_294_967_295))]
    pub user: Option<u32>,
    /// Use the processor's own virtualisation, or software emulation [default: the first that works]
    #[arg(long, value_enum, value_name = "HOW")]
    pub accel: Option<Accelerator>,
    /// Switch the machine off after so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub timeout: Option<u64>,
    /// Show what the kernel says on its console, on standard error
    #[arg(long)]
    pub console: bool,
    /// The program to run in the machine, and its arguments [default: a shell]
    #[arg(last = true, value_name = "CMD")]
    pub program: Vec<OsString>,
}

#[derive(Clone, Debug, Args)]
pub struct PlayOptions {
    /// What `step N --record FILE` has written
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Write it to this file instead, for asciinema: what the terminal showed, with the recorded times
    #[arg(long, value_name = "OUT")]
    pub cast: Option<PathBuf>,
}
