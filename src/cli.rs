//! The command line: clap types and nothing else.
//!
//! Every step is a command too. Those are not listed here but made from the table of steps.

mod judged;

use std::ffi::OsString;
use std::mem::ManuallyDrop;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

pub use judged::{AdaptOptions, CheckOptions, Contract};

use crate::course::STEPS;
use crate::course::language::Lang;
use crate::course::lesson;
use crate::course::words::REPOSITORY;
use crate::learner::Language;
use crate::render::When;
use crate::vm::Accelerator;

/// Where the steps' own commands stand in the help: after `list` and `step`, in the order of the course.
const STEP_ORDER: usize = 2;

/// Assemble a real Linux container in numbered steps, with the real system calls told as they are made.
#[derive(Debug, Parser)]
#[command(name = "workshop", version, max_term_width = 100, disable_help_subcommand = true)]
#[command(after_help = after_help(REPOSITORY))]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Option<Command>,
}

impl Cli {
    /// The definition of the command line: each step is a command of its own too, by its name.
    pub fn definition() -> clap::Command {
        STEPS.iter().fold(Cli::command(), |cli, step| {
            let about = format!("Step {}: {}", step.number, lesson::adds(step, Lang::En));
            let named =
                clap::Command::new(step.slug).about(about).display_order(STEP_ORDER + step.number as usize);
            // Its options are made when they are looked at.
            cli.subcommand(named.defer(StepOptions::augment_args))
        })
    }

    /// Parses the process's arguments; a step's own name stands for `step NAME`.
    pub fn parse_arguments() -> Result<Cli, clap::Error> {
        // To take it apart again would be a third of all the work on it, and we end soon enough.
        let mut definition = ManuallyDrop::new(Cli::definition());
        let matches = definition.try_get_matches_from_mut(std::env::args_os())?;
        match matches.subcommand() {
            Some((name, options)) if STEPS.iter().any(|step| step.slug == name) => Ok(Cli {
                global: Global::from_arg_matches(options)?,
                command: Some(Command::Step {
                    step: name.into(),
                    options: StepOptions::from_arg_matches(options)?,
                }),
            }),
            _ => Cli::from_arg_matches(&matches),
        }
    }
}

/// The last words of `--help` and of the manual.
fn after_help(repository: &str) -> String {
    let mut text = String::from("Start with `workshop step 1`, or see everything at once: `workshop tour`.");
    if !repository.is_empty() {
        text += &format!("\n\nSource, releases, and where to report a fault: {repository}");
    }
    text
}

/// A step's number is plain digits: `+3`, which Rust would read as 3, names no step.
fn step_name(given: &str) -> Result<String, &'static str> {
    if given.starts_with('+') { Err("a step's number is plain digits") } else { Ok(given.into()) }
}

/// Options that every command takes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Language of all text [default: from LC_ALL, LC_MESSAGES, LANG]
    #[arg(long, global = true, value_name = "LANG", action = ArgAction::Set, value_parser = Tongue::of_text())]
    pub lang: Vec<Tongue>,
    /// Text for people, or JSON Lines for programs
    #[arg(long, global = true, default_value = "text", value_parser = Format::common())]
    pub format: Format,
    /// Colour: auto means on a terminal (NO_COLOR and CLICOLOR_FORCE are honoured)
    #[arg(long, value_enum, global = true, default_value_t = When::Auto, value_name = "WHEN")]
    pub color: When,
}

impl Global {
    /// The language of all text, if it was asked for.
    pub fn text(&self) -> Option<Lang> {
        self.lang.iter().rev().find_map(|tongue| match tongue {
            Tongue::Text(lang) => Some(*lang),
            Tongue::Program(_) => None,
        })
    }
}

/// What `--lang` names: the language of all text, and where a command is about programs, theirs too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tongue {
    Text(Lang),
    Program(Language),
}

impl Tongue {
    /// The languages that every command takes.
    fn of_text() -> impl TypedValueParser<Value = Tongue> {
        Tongue::or_of(&[])
    }

    /// Languages of programs, and those of text.
    fn or_of(programs: &[Language]) -> impl TypedValueParser<Value = Tongue> + use<> {
        let names = programs.iter().map(|language| language.name()).chain(["en", "ko"]);
        PossibleValuesParser::new(names.collect::<Vec<_>>()).map(|name| match Language::named(&name) {
            Some(language) => Tongue::Program(language),
            None if name == "ko" => Tongue::Text(Lang::Ko),
            None => Tongue::Text(Lang::En),
        })
    }

    /// The last language of programs among these.
    pub fn program(asked: &[Tongue]) -> Option<Language> {
        asked.iter().rev().find_map(|tongue| match tongue {
            Tongue::Program(language) => Some(*language),
            Tongue::Text(_) => None,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
    /// A table for the book; only `compare` has it.
    Markdown,
}

impl Format {
    /// The formats that every command has.
    fn common() -> impl TypedValueParser<Value = Format> {
        PossibleValuesParser::new(["text", "json"])
            .map(|name| if name == "json" { Format::Json } else { Format::Text })
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the steps: what each adds, and which are done
    #[command(display_order = 0)]
    List,
    /// Run a step, by number or name: build its container, tell each call, show it, check it
    #[command(display_order = 1)]
    Step {
        /// Number or name of the step, or its lesson's folder: 3, pivot-root or 03-pivot-root
        #[arg(value_name = "N|NAME", value_parser = step_name)]
        step: String,
        #[command(flatten)]
        options: StepOptions,
    },
    /// Run every step in order, no questions asked
    #[command(display_order = 20)]
    Tour(TourOptions),
    /// Start a container runtime of your own: a folder with a program that runs another
    #[command(display_order = 30)]
    New {
        /// The folder to make; one that is there must be empty
        dir: PathBuf,
        /// Language to write it in, and with a second --lang that of all text
        #[arg(long, value_name = "LANG", action = ArgAction::Append, value_parser = Tongue::or_of(&Language::ALL))]
        lang: Vec<Tongue>,
    },
    /// In its folder: build and check it at each save, with a key for all else
    #[command(display_order = 32)]
    Watch,
    /// In its folder: show the next of three hints
    #[command(display_order = 33)]
    Hint {
        /// Number or name of the step [default: the one that you work on]
        #[arg(value_name = "N|NAME", value_parser = step_name)]
        step: Option<String>,
        /// Show the hints so far again, and no new one
        #[arg(long)]
        again: bool,
    },
    /// Show a program that does a step
    #[command(display_order = 34)]
    Solution(SolutionOptions),
    /// In its folder: show which steps are done
    #[command(display_order = 35)]
    Progress,
    /// In its folder: start a step again, as if neither it nor a later one had been done
    #[command(display_order = 36)]
    Reset {
        /// Number or name of the step [default: the one that you work on]
        #[arg(value_name = "N|NAME", value_parser = step_name)]
        step: Option<String>,
        /// Put the source back too, to how it was when the step began; what it is now is kept under other names
        #[arg(long)]
        source: bool,
        /// Don't ask
        #[arg(long)]
        yes: bool,
    },
    /// Print the operations of a step's container, in order, without making it
    #[command(display_order = 3)]
    Plan {
        /// Number or name of the step
        #[arg(value_name = "N|NAME", value_parser = step_name)]
        step: String,
        /// Use this directory as the root filesystem instead of one made from the host's programs
        #[arg(long, value_name = "DIR")]
        rootfs: Option<PathBuf>,
        /// Print the calls too that only make room for others, and are not told when a step runs
        #[arg(long)]
        verbose: bool,
        /// The program that would run in it, and its arguments
        #[arg(last = true, value_name = "CMD")]
        program: Vec<OsString>,
    },
    /// Make a step's container with one thing left out, added or moved, and see what that comes to
    #[command(display_order = 24)]
    Break {
        /// Number or name of the step [default: every step]
        #[arg(value_name = "N|NAME", value_parser = step_name)]
        step: Option<String>,
        /// The experiment [default: all of the step's]
        #[arg(value_name = "EXPERIMENT", requires = "step")]
        experiment: Option<String>,
        /// Only list the experiments
        #[arg(long)]
        list: bool,
        /// Make them in a virtual machine [default: those that may be made in a sealed lab are made there]
        #[arg(long)]
        vm: bool,
    },
    /// Run a program in the finished container, without a word
    #[command(display_order = 21)]
    Run(RunOptions),
    /// Run a program in a real virtual machine, with a kernel of its own
    #[command(display_order = 22)]
    Vm(VmOptions),
    /// The virtual machine's init
    #[command(hide = true)]
    Guest,
    /// Another runtime, made to obey the contract of `check`
    #[command(hide = true)]
    Adapt(AdaptOptions),
    /// Judge a container runtime, in whatever language it is written, by what the kernel knows of its containers
    #[command(display_order = 30)]
    Check(CheckOptions),
    /// Measure the same program as a plain process, in a container and in a virtual machine
    #[command(display_order = 23)]
    Compare(CompareOptions),
    /// Serve the course's book to a browser on this machine, where its pages can run the steps
    #[command(display_order = 25)]
    Book(BookOptions),
    /// Say what this host allows, and what mends what it doesn't
    #[command(display_order = 40)]
    Doctor,
    /// Undo what a killed run left behind, and nothing else
    #[command(display_order = 41)]
    Clean {
        /// Only say what would be undone
        #[arg(long)]
        dry_run: bool,
    },
    /// Print the completion script for a shell
    #[command(display_order = 42)]
    Completions {
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a directory
    #[command(display_order = 43)]
    Man {
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
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
pub struct RunOptions {
    /// Build the container of the steps up to this one only [default: the finished one, without limits that are not asked for]
    #[arg(long, value_name = "N|NAME", value_parser = step_name)]
    pub step: Option<String>,
    /// Use this directory as the image instead of one made from the host's programs; it is not written to
    #[arg(long, value_name = "DIR", visible_alias = "image")]
    pub rootfs: Option<PathBuf>,
    /// Limit memory, in bytes or with K, M, G behind the number
    #[arg(long, value_name = "BYTES")]
    pub memory: Option<String>,
    /// Limit processes and threads
    #[arg(long, value_name = "N")]
    pub pids: Option<String>,
    /// Limit CPU time: 0.5 is half of one CPU
    #[arg(long, value_name = "F")]
    pub cpus: Option<String>,
    /// The container's host name
    #[arg(long, value_name = "NAME", default_value = "box")]
    pub hostname: String,
    /// Give it a network of its own with a way out, as it has by default
    #[arg(long, overrides_with = "no_net")]
    pub net: bool,
    /// Leave it without a network
    #[arg(long, overrides_with = "net")]
    pub no_net: bool,
    /// Run the program under a small init that reaps and passes signals on
    #[arg(long)]
    pub init: bool,
    /// Print the operations that would make the container, and make none
    #[arg(long)]
    pub plan: bool,
    /// The program to run in the container, and its arguments; with `--` before it, it may begin with a dash
    #[arg(trailing_var_arg = true, required = true, value_name = "CMD")]
    pub program: Vec<OsString>,
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
