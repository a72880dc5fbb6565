//! `workshop`: assemble a real Linux container in numbered steps.
//!
//! Parse, dispatch, words for an error, exit status; nothing else happens here.

mod cli;
mod commands;

use std::process::ExitCode;

// The rooms that are crates of their own, by the names that they have in this one.
pub(crate) use ::{
    adapt, checks, claims, compare, course, engine, fault, image, judge, kernel, lab, learner, recording,
    render, vm,
};
pub(crate) use lab::folders;

use kernel::breakable::Stream;

fn main() -> ExitCode {
    // First of all: what `compare` measures is the time until here.
    if compare::probe::is_asked(std::env::args_os()) {
        return ExitCode::from(compare::probe::run() as u8);
    }
    // CMD in a judged container, where nothing but its part matters.
    if judge::part::is_asked(std::env::args_os()) {
        return ExitCode::from(judge::part::run() as u8);
    }
    kernel::signals::begin();
    let cli = match cli::Cli::parse_arguments() {
        Ok(cli) => cli,
        Err(words) => return usage(&words),
    };
    let mut output = commands::Output::new(&cli.global);
    let status = commands::dispatch(cli, &mut output).unwrap_or_else(|fault| {
        // All is undone, and whoever reads this may stand still.
        kernel::signals::close();
        if let fault::Fault::Interrupted(_) = fault {
            kernel::breakable::hurry();
        }
        output.fault(&fault)
    });
    ExitCode::from(status as u8)
}

/// Help and version are answers (0), anything else is wrong usage (2).
fn usage(words: &clap::Error) -> ExitCode {
    if words.use_stderr() && asks_for_json() {
        // What was wrong comes in the first line, how it is meant below.
        let text = words.to_string();
        let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
        let message = first.trim_start_matches("error: ").to_owned();
        let hint = rest.split_whitespace().collect::<Vec<_>>().join(" ");
        let failure = render::Failure { code: 2, message, quote: Vec::new(), cause: String::new(), hint };
        // A closed pipe is no fault of the user's.
        let _ = render::Renderer::failure(
            &mut render::Json::new(Box::new(Stream::output()) as Box<dyn std::io::Write>),
            &failure,
        );
    } else {
        let _ = words.print();
    }
    ExitCode::from(if words.use_stderr() { 2 } else { 0 })
}

/// Whether JSON was asked for in a command line that can't be parsed.
fn asks_for_json() -> bool {
    let args: Vec<_> = std::env::args_os().collect();
    args.windows(2).any(|pair| pair == ["--format", "json"]) || args.iter().any(|arg| arg == "--format=json")
}
