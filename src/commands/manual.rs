//! Shell completions and manual pages, made from the same definitions as the command line.

use std::fs;
use std::io;
use std::path::Path;

use clap_complete::Shell;

use crate::cli::Cli;
use crate::fault::Fault;
use crate::folders::reachable;
use crate::kernel::breakable::Stream;

use super::Output;

/// Prints a completion script on standard output.
pub fn completions(shell: Shell) -> Result<i32, Fault> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::definition(), "workshop", &mut script);
    io::Write::write_all(&mut Stream::output(), &script).map_err(Fault::output)?;
    Ok(0)
}

/// Writes `workshop.1` and a page for each subcommand.
pub fn pages(out: &mut Output, dir: &Path) -> Result<i32, Fault> {
    reachable(dir)?;
    let refused = |e: std::io::Error| {
        let with = [("path", &*dir.display().to_string()), ("problem", &e.to_string())];
        Fault::usage("man-not-writable", &with)
    };
    fs::create_dir_all(dir).map_err(refused)?;
    clap_mangen::generate_to(definition(), dir).map_err(refused)?;
    let count = fs::read_dir(dir).map(|entries| entries.count()).unwrap_or(0).to_string();
    out.note(&out.words.fill("man-written", &[("count", &count), ("dir", &dir.display().to_string())]))?;
    Ok(0)
}

/// The command line as the pages show it. Left alone they would leave `--` and `...` out of their synopses, so each
/// is given the usage line of `--help`.
fn definition() -> clap::Command {
    let mut cli = Cli::definition();
    // Only now does a subcommand know its whole name, `workshop step`.
    cli.build();
    for command in cli.get_subcommands_mut() {
        *command = with_usage(command.clone());
    }
    with_usage(cli)
}

fn with_usage(mut command: clap::Command) -> clap::Command {
    let usage = command.render_usage().to_string();
    command
        .override_usage(usage.trim_start_matches("Usage: ").to_owned())
        .mut_args(|arg| if arg.is_last_set() { arg.value_name("CMD...") } else { arg })
}
