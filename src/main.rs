//! `workshop`: assemble a real Linux container in numbered steps.
//!
//! Parse, dispatch, words for an error, exit status; nothing else happens here.

mod checks;
mod cli;
mod commands;
mod container;
mod course;
mod fault;
mod folders;
mod image;
mod kernel;
mod lab;
mod layers;
mod render;

use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match cli::Cli::parse_arguments() {
        Ok(cli) => cli,
        Err(words) => return usage(&words),
    };
    let mut output = commands::Output::new(&cli.global);
    let status = commands::dispatch(cli, &mut output).unwrap_or_else(|fault| output.fault(&fault));
    ExitCode::from(status as u8)
}

/// Help and version are answers (0), anything else is wrong usage (2).
fn usage(words: &clap::Error) -> ExitCode {
    // A closed pipe is no fault of the user's.
    let _ = words.print();
    ExitCode::from(if words.use_stderr() { 2 } else { 0 })
}
