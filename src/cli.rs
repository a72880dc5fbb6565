//! The command line: clap types and nothing else.
//!
//! Every step is a command too. Those are not listed here but made from the table of steps.

mod judged;
mod options;
mod run;

use std::mem::ManuallyDrop;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

pub use judged::{AdaptOptions, CheckOptions, Contract};
pub use options::*;
pub use run::RunOptions;

use crate::course::STEPS;
use crate::course::language::Lang;
use crate::course::lesson;
use crate::course::words::REPOSITORY;
use crate::learner::Language;
use crate::render::When;

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
                command: Some(Command::Step(Later(StepAsked {
                    step: name.into(),
                    options: StepOptions::from_arg_matches(options)?,
                }))),
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
    /// For build servers; only `check` has it.
    #[value(skip)]
    Junit,
}

impl Format {
    /// Those of `check`.
    fn of_checks() -> impl TypedValueParser<Value = Format> {
        PossibleValuesParser::new(["text", "json", "junit"]).map(|name| match name.as_str() {
            "json" => Format::Json,
            "junit" => Format::Junit,
            _ => Format::Text,
        })
    }

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
    Step(Later<StepAsked>),
    /// Run every step in order, no questions asked
    #[command(display_order = 20)]
    Tour(Later<TourOptions>),
    /// Start a container runtime of your own: a folder with a program that runs another
    #[command(display_order = 30)]
    New(NewOptions),
    /// In its folder: build and check it at each save, with a key for all else
    #[command(display_order = 32)]
    Watch,
    /// In its folder: show the next of three hints
    #[command(display_order = 33)]
    Hint(Later<HintOptions>),
    /// Show a program that does a step
    #[command(display_order = 34)]
    Solution(SolutionOptions),
    /// In its folder: show which steps are done
    #[command(display_order = 35)]
    Progress,
    /// In its folder: start a step again, as if neither it nor a later one had been done
    #[command(display_order = 36)]
    Reset(Later<ResetOptions>),
    /// Print the operations of a step's container, in order, without making it
    #[command(display_order = 3)]
    Plan(Later<PlanOptions>),
    /// Make a step's container with one thing left out, added or moved, and see what that comes to
    #[command(display_order = 24)]
    Break(Later<BreakOptions>),
    /// Run a program in the finished container, without a word
    #[command(display_order = 21)]
    Run(Box<Later<RunOptions>>),
    /// Run a program in a real virtual machine, with a kernel of its own
    #[command(display_order = 22)]
    Vm(Later<VmOptions>),
    /// The virtual machine's init
    #[command(hide = true)]
    Guest,
    /// Another runtime, made to obey the contract of `check`
    #[command(hide = true)]
    Adapt(Later<AdaptOptions>),
    /// Judge a container runtime, in whatever language it is written, by what the kernel knows of its containers
    #[command(display_order = 30)]
    Check(CheckOptions),
    /// Measure the same program as a plain process, in a container and in a virtual machine
    #[command(display_order = 23)]
    Compare(CompareOptions),
    /// Serve the course's book to a browser on this machine, where its pages can run the steps
    #[command(display_order = 25)]
    Book(Later<BookOptions>),
    /// Play a recorded run, forward and back on a terminal, without running anything
    #[command(display_order = 26)]
    Play(Later<PlayOptions>),
    /// Say what this host allows, and what mends what it doesn't
    #[command(display_order = 40)]
    Doctor,
    /// Undo what a killed run left behind, and nothing else
    #[command(display_order = 41)]
    Clean(Later<CleanOptions>),
    /// Print the completion script for a shell
    #[command(display_order = 42)]
    Completions(Later<CompletionsOptions>),
    /// Write the manual pages into a directory
    #[command(display_order = 43)]
    Man(Later<ManOptions>),
}

/// Options that are defined only when the command is called that has them, or when they are looked at: all of them are
/// twenty times as many as any command has. Not those that take a global option's name: when it is handed on to the
/// commands, theirs must be known.
#[derive(Clone, Debug)]
pub struct Later<T>(pub T);

impl<T: Args> Args for Later<T> {
    fn augment_args(command: clap::Command) -> clap::Command {
        command.defer(T::augment_args)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        command.defer(T::augment_args_for_update)
    }
}

impl<T: FromArgMatches> FromArgMatches for Later<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Later<T>, clap::Error> {
        T::from_arg_matches(matches).map(Later)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}
