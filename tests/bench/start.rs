//! What starting a container costs: ours, beside the least that the kernel asks for it and beside the runtimes that are
//! installed here.
//!
//! ```sh
//! cargo bench --bench start                          # as root, for the floor and for a network
//! cargo bench --bench start -- --rounds 20           # sooner, and less exact
//! cargo bench --bench start -- --strict              # exits with 1 where a figure is above what it may be at most
//! cargo bench --bench start -- --record              # for the book: book/LANG/runs/start.txt
//! ```

#![cfg(test)]

#[path = "mod.rs"]
mod bench;
#[path = "../common/mod.rs"]
mod common;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use bench::report::LANGS;
use clap::Parser;

/// Measure what starting a container costs: ours, the floor and the runtimes that are installed
#[derive(Parser)]
struct Arguments {
    /// How many times each is started, in turn
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// The pause between two starts, in milliseconds: what the kernel takes back later is gone by then
    #[arg(long, value_name = "MS", default_value_t = 40)]
    gap: u64,
    /// How many containers are alive at the same time in the end
    #[arg(long, value_name = "N", default_value_t = 200)]
    alive: usize,
    /// How many are alive in one lab, on one bridge
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u16).range(2..=1000))]
    together: u16,
    /// The program to measure
    #[arg(long, value_name = "FILE", default_value = env!("CARGO_BIN_EXE_workshop"))]
    program: PathBuf,
    /// Language of the table
    #[arg(long, value_name = "LANG", default_value = "en", value_parser = LANGS)]
    lang: String,
    /// Write the tables of all languages into the book
    #[arg(long)]
    record: bool,
    /// Exit with 1 where a figure is above what it may be at most
    #[arg(long)]
    strict: bool,
    /// What cargo says to each benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let asked = Arguments::parse();
    let plan = bench::Plan {
        program: asked.program,
        rounds: asked.rounds as usize,
        warm: 5,
        gap: Duration::from_millis(asked.gap),
        alive: asked.alive,
        together: asked.together,
    };
    let measured = match bench::measure(&plan) {
        Ok(measured) => measured,
        Err(problem) => {
            eprintln!("nothing was measured: {problem}");
            return ExitCode::from(3);
        }
    };
    print!("{}", measured.table(&asked.lang));
    if asked.record {
        let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("book");
        for lang in LANGS {
            let file = book.join(lang).join("runs/start.txt");
            if let Err(error) = std::fs::write(&file, measured.table(lang)) {
                eprintln!("{}: {error}", file.display());
                return ExitCode::from(4);
            }
        }
    }
    let holds = measured.claims.iter().all(bench::report::Claim::holds);
    ExitCode::from(u8::from(asked.strict && !holds))
}
