//! Builds the course's book: one site for each language, with mdBook's crates as libraries.
//!
//! The pages are Markdown under `book/LANG/src`. What this adds to mdBook: figures, recorded terminal runs, parts
//! of the lessons, quizzes and the sum of minutes ([`expand`]); a link to the same page in the other language and
//! the words of the page's frame ([`frame`]); an index for searching ([`search`]); and checks of the result
//! ([`check`]).

mod book;
mod check;
mod contents;
mod expand;
mod frame;
mod html;
mod paper;
mod prose;
mod search;
mod serve;
mod shown;
mod warnings;
mod words;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use book::Repository;

/// Builds the course's book in English and Korean
#[derive(Parser)]
struct Arguments {
    /// The repository that the book is in [default: the one that this program was built in]
    #[arg(long, global = true, value_name = "DIR")]
    repository: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build both languages
    Build {
        /// Where to; `en` and `ko` are made in it
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Build, serve over loopback, and build again whenever a file changes
    Serve {
        #[arg(long, default_value_t = 3000)]
        port: u16,
    },
    /// Build, then check links, fragments, sizes, how much a page shows, and that nothing is loaded from elsewhere
    Check {
        /// Print how many words each page shows while its folds are closed
        #[arg(long)]
        words: bool,
    },
}

fn main() -> ExitCode {
    let outcome = run(&Arguments::parse());
    if let Err(error) = &outcome {
        eprintln!("{error:#}");
    }
    if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let repository = arguments.repository.as_deref().map_or_else(Repository::here, Repository::at);
    match &arguments.command {
        Command::Build { out } => {
            let out = out.clone().unwrap_or_else(|| repository.output());
            book::build(&repository, &out)?;
            println!("{}", out.join("index.html").display());
            Ok(())
        }
        Command::Serve { port } => serve::serve(&repository, *port),
        Command::Check { words } => {
            let out = repository.output();
            book::build(&repository, &out)?;
            check::check(&out, *words)
        }
    }
}
