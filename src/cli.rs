//! The command line: clap types and nothing else.
//!
//! Every step is a command too. Those are not listed here but made from the table of steps.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::course::STEPS;
use crate::course::language::Lang;
use crate::course::lesson;
use crate::render::When;
use crate::vm::Accelerator;

/// Where the steps' own commands stand in the help: after `list` and `step`, in the order of the course.
const STEP_ORDER: usize = 2;

/// Assemble a real Linux container in numbered steps, with the real system calls told as they are made.
#[derive(Debug, Parser)]
#[command(name = "workshop", version, max_term_width = 100, disable_help_subcommand = true)]
#[command(after_help = "Start with `workshop step 1`, or see everything at once: `workshop tour`.")]
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
            cli.subcommand(StepOptions::augment_args(named))
        })
    }

    /// Parses the process's arguments; a step's own name stands for `step NAME`.
    pub fn parse_arguments() -> Result<Cli, clap::Error> {
        let matches = Cli::definition().try_get_matches()?;
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

/// A step's number is plain digits: `+3`, which Rust would read as 3, names no step.
fn step_name(given: &str) -> Result<String, &'static str> {
    if given.starts_with('+') { Err("a step's number is plain digits") } else { Ok(given.into()) }
}

/// Options that every command takes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Language of all text [default: from LC_ALL, LC_MESSAGES, LANG]
    #[arg(long, value_enum, global = true, value_name = "LANG")]
    pub lang: Option<Lang>,
    /// Text for people, or JSON Lines for programs
    #[arg(long, global = true, default_value = "text", value_parser = Format::common())]
    pub format: Format,
    /// Colour: auto means on a terminal (NO_COLOR and CLICOLOR_FORCE are honoured)
    #[arg(long, value_enum, global = true, default_value_t = When::Auto, value_name = "WHEN")]
    pub color: When,
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
    /// Run a program in the finished container, without a word
    #[command(display_order = 21)]
    Run(RunOptions),
    /// Run a program in a real virtual machine, with a kernel of its own
    #[command(display_order = 22)]
    Vm(VmOptions),
    /// The virtual machine's init
    #[command(hide = true)]
    Guest,
    /// Judge a container runtime, in whatever language it is written, by what the kernel knows of its containers
    #[command(display_order = 30)]
    Check(CheckOptions),
    /// Measure the same program as a plain process, in a container and in a virtual machine
    #[command(display_order = 23)]
    Compare(CompareOptions),
    /// Say what this host allows, and what mends what it doesn't
    #[command(display_order = 24)]
    Doctor,
    /// Undo what a killed run left behind, and nothing else
    #[command(display_order = 25)]
    Clean {
        /// Only say what would be undone
        #[arg(long)]
        dry_run: bool,
    },
    /// Print the completion script for a shell
    #[command(display_order = 26)]
    Completions {
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a directory
    #[command(display_order = 27)]
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
    /// Use this directory as the image instead of one made from the host's programs; it is not written to
    #[arg(long, value_name = "DIR", alias = "image")]
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
    /// Leave it without a network
    #[arg(long)]
    pub no_net: bool,
    /// Run the program under a small init that reaps and passes signals on
    #[arg(long)]
    pub init: bool,
    /// The program to run in the container, and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub program: Vec<OsString>,
}

#[derive(Clone, Debug, Args)]
pub struct CheckOptions {
    /// Number or name of the step that it is judged as, 0 to 6, or all
    #[arg(value_name = "N|all")]
    pub step: String,
    /// The program to judge, and its first arguments; `run [OPTIONS] CMD` is added to them
    #[arg(last = true, required = true, value_name = "PROGRAM")]
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
