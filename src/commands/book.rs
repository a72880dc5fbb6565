//! `book`: the course's book on this machine's loopback, whose pages may run steps here.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use crate::cli::BookOptions;
use crate::course::Step;
use crate::course::words::REPOSITORY;
use crate::fault::{Doing, Fault};
use crate::kernel::signals::{Signals, reset_in};

use super::Output;

/// Where it is served unless another port is asked for, or this one is taken.
const PORT: u16 = 7410;

/// What the book is built from, in a checkout.
const SOURCES: [&str; 3] = ["book", "lessons", "src"];

/// Serves the book until we are asked to end.
pub fn run(out: &mut Output, options: &BookOptions) -> Result<i32, Fault> {
    let root = find_or_build(out)?;
    let listener = listen(options.port)?;
    let port = listener.local_addr().doing("look up the port")?.port();
    let token = serve::token()?;
    let address = format!("http://127.0.0.1:{port}/{}/index.html#token={token}", out.lang.code());
    let signals = Signals::take().doing("open an inbox for signals")?;
    out.show.served(&address, out.words.say("book-served")).map_err(Fault::output)?;
    let gate = serve::Gate { port, names: options.allow_host.clone(), token };
    serve::serve(&listener, &serve::Site { root, gate }, &signals, command)?;
    Ok(0)
}

/// The port that was asked for, or else ours, or else any.
fn listen(asked: Option<u16>) -> Result<TcpListener, Fault> {
    let at = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    match asked {
        Some(port) => at(port).map_err(|e| {
            Fault::usage("port-taken", &[("port", &port.to_string()), ("problem", &e.to_string())])
        }),
        None => at(PORT).or_else(|_| at(0)).doing("listen on the loopback address"),
    }
}

/// What a page may have run: a step, or what tells how far the learner has come, in the course and in the folder that we
/// were started in. None for what is no language or no name of these: nothing of the request gets further.
fn command(lang: &str, name: &str) -> Option<Command> {
    let lang = ["en", "ko"].into_iter().find(|known| *known == lang)?;
    let mut command = Command::new("/proc/self/exe");
    match (["list", "progress"].into_iter().find(|known| *known == name), Step::find(name)) {
        (Some(asked), _) => command.arg(asked),
        // What is recorded says with each call what it has changed, and the page shows that. Nobody keeps the file.
        (None, Some(step)) => command.args(["step", step.slug, "--record", "/dev/null"]),
        (None, None) => return None,
    };
    command.args(["--format", "json", "--lang", lang]);
    Some(command)
}

/// The folder with the built pages: beside the program, where a release has it, or else in the checkout that we were
/// built in or are run in.
fn find_or_build(out: &mut Output) -> Result<PathBuf, Fault> {
    let program = std::env::current_exe().doing("look up this program's own file")?;
    let beside = program.with_file_name("book");
    if beside.join("index.html").is_file() {
        return Ok(beside);
    }
    let here = std::env::current_dir().unwrap_or_default();
    match [program.as_path(), &here].into_iter().find_map(checkout) {
        Some(checkout) => built_in(out, checkout),
        None if REPOSITORY.is_empty() => Err(Fault::unable("no-book", &[])),
        None => Err(Fault::unable("no-book-here", &[("repository", REPOSITORY)])),
    }
}

/// The checkout of these sources that a path is in.
fn checkout(path: &Path) -> Option<&Path> {
    path.ancestors().find(|dir| dir.join("book/builder/Cargo.toml").is_file() && dir.join("lessons").is_dir())
}

/// The pages of a checkout, built again where a source is newer than they are.
fn built_in(out: &mut Output, checkout: &Path) -> Result<PathBuf, Fault> {
    let pages = checkout.join("target/book");
    let built = fs::metadata(pages.join("index.html")).and_then(|index| index.modified());
    let sources = SOURCES.iter().filter_map(|name| newest(&checkout.join(name))).max();
    if built.is_ok_and(|built| sources.is_none_or(|changed| changed <= built)) {
        return Ok(pages);
    }
    out.note(out.words.say("book-builds"))?;
    let failed = |problem: String| Fault::unable("book-not-built", &[("problem", &problem)]);
    // Cargo draws how far it has come, on standard error; standard output stays ours.
    let mut cargo = Command::new("cargo");
    cargo.args(["run", "--profile", "quick", "-p", "workshop-book", "--", "build", "--out"]).arg(&pages);
    cargo.current_dir(checkout).stdin(Stdio::null()).stdout(Stdio::null());
    let status = reset_in(&mut cargo).status().map_err(|e| failed(format!("cargo: {e}")))?;
    if status.success() { Ok(pages) } else { Err(failed(format!("cargo: {status}"))) }
}

/// When the file that changed last did, in a folder and all below it.
fn newest(folder: &Path) -> Option<SystemTime> {
    let entries = fs::read_dir(folder).ok()?.flatten();
    let times = entries.filter_map(|entry| match entry.file_type().ok()? {
        kind if kind.is_dir() && entry.file_name() != "node_modules" => newest(&entry.path()),
        kind if kind.is_file() => entry.metadata().ok()?.modified().ok(),
        _ => None,
    });
    times.max()
}
