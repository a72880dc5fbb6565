//! `box run [OPTIONS] CMD [ARGS…]`: runs CMD. Step by step it becomes a container runtime.

use std::ffi::CString;
use std::os::unix::ffi::OsStringExt;
use std::process::exit;

use nix::errno::Errno;
use nix::sys::signal::{SigHandler, SigSet, Signal, kill, signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, execvp, fork};

/// What the command line asks for.
#[derive(Default)]
struct Options {
    command: Vec<CString>,
}

fn main() {
    let status = match parse() {
        Some(options) => run(&options).unwrap_or_else(|errno| fail("box", errno.desc(), 125)),
        None => fail("usage", "box run [OPTIONS] CMD [ARGS...]", 2),
    };
    exit(status)
}

fn fail(what: &str, why: &str, status: i32) -> i32 {
    eprintln!("{what}: {why}");
    status
}

/// Reads the command line; `None` if it is wrong.
fn parse() -> Option<Options> {
    let mut options = Options::default();
    let mut words = std::env::args_os()
        .skip(1)
        .map(|word| CString::new(word.into_vec()).unwrap())
        .peekable();
    words.next_if(|word| word.as_bytes() == b"run")?;
    while let Some(option) = words.next_if(|word| word.as_bytes().starts_with(b"-")) {
        match option.to_str().ok()? {
            // An option with a value: "--name" => options.name = Some(words.next()?),
            _ => return None,
        }
    }
    // The first word that is no option is CMD, and all behind it is CMD's.
    options.command = words.collect();
    (!options.command.is_empty()).then_some(options)
}

/// Runs CMD and returns the exit status to end with.
fn run(options: &Options) -> nix::Result<i32> {
    // Blocked signals wait until they are asked for, so none is lost between fork and wait.
    let signals = SigSet::from_iter([Signal::SIGCHLD, Signal::SIGTERM]);
    signals.thread_block()?;
    // SAFETY: there is one thread.
    let ForkResult::Parent { child } = (unsafe { fork()? }) else {
        signals.thread_unblock()?;
        exit(start(&options.command))
    };
    loop {
        match signals.wait()? {
            Signal::SIGCHLD => match waitpid(child, Some(WaitPidFlag::WNOHANG))? {
                WaitStatus::Exited(_, status) => return Ok(status),
                WaitStatus::Signaled(_, signal, _) => return Ok(128 + signal as i32),
                _ => {}
            },
            other => kill(child, other)?,
        }
    }
}

/// Becomes CMD. Where that fails, the exit status says how, as a shell's does.
fn start(command: &[CString]) -> i32 {
    // Rust ignores SIGPIPE, and what is ignored stays so through execve(2).
    // SAFETY: the default action is no code of ours.
    let _ = unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) };
    let Err(errno) = execvp(&command[0], command);
    fail(
        &command[0].to_string_lossy(),
        errno.desc(),
        if errno == Errno::ENOENT { 127 } else { 126 },
    )
}
