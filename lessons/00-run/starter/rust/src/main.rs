//! `box run [OPTIONS] CMD [ARGS…]`: runs CMD. Step by step it becomes a container runtime.

use std::convert::Infallible;
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
    let Some(options) = parse() else {
        eprintln!("usage: box run [OPTIONS] CMD [ARGS...]");
        exit(2)
    };
    exit(run(&options).unwrap_or_else(|errno| {
        eprintln!("box: {errno}");
        125
    }))
}

/// Reads the command line; `None` if it is wrong.
fn parse() -> Option<Options> {
    let mut options = Options::default();
    let mut args = std::env::args_os().skip(1);
    args.next().filter(|arg| arg == "run")?;
    while let Some(arg) = args.next() {
        match arg.to_str() {
            // An option with a value: Some("--name") => options.name = Some(args.next()?),
            Some(unknown) if unknown.starts_with('-') => return None,
            // The first word that is no option is CMD, and all behind it is CMD's.
            _ => {
                let words = std::iter::once(arg).chain(args);
                options.command = words.map(|word| CString::new(word.into_vec()).ok()).collect::<Option<_>>()?;
                return Some(options);
            }
        }
    }
    None
}

/// Runs CMD and returns the exit status to end with.
fn run(options: &Options) -> nix::Result<i32> {
    // Blocked signals wait until they are asked for, so none is lost between fork and wait.
    let signals = SigSet::from_iter([Signal::SIGCHLD, Signal::SIGTERM]);
    signals.thread_block()?;
    // SAFETY: there is one thread.
    let ForkResult::Parent { child } = (unsafe { fork()? }) else {
        signals.thread_unblock()?;
        let errno = start(&options.command).unwrap_err();
        eprintln!("box: {}: {errno}", options.command[0].to_string_lossy());
        exit(if errno == Errno::ENOENT { 127 } else { 126 })
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

/// Becomes CMD.
fn start(command: &[CString]) -> nix::Result<Infallible> {
    // Rust ignores SIGPIPE, and what is ignored stays so through execve(2).
    // SAFETY: the default action is no code of ours.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl)? };
    execvp(&command[0], command)
}
