//! What the tests in `src` and those in `tests` share: how they start programs, and how they skip.
//!
//! Programs start alike, whatever the test runner inherited from whoever started it.
//! A script's background job ignores SIGINT, nohup(1) ignores SIGHUP, and some supervisors ignore SIGCHLD or block
//! signals. Ignored signals and the mask outlive execve(2), so without this the program under test would ignore them
//! as well, and a test that sends it one would wait in vain.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};

/// Says aloud that a test was skipped, on the real standard error, which the test runner does not hold
/// back. With WORKSHOP_NO_SKIP set, as in CI, it is a failure.
pub fn skip(reason: &str, install: &str) {
    let words = format!("SKIPPED {}: {reason}. {install}\n", std::thread::current().name().unwrap_or("?"));
    assert!(std::env::var_os("WORKSHOP_NO_SKIP").is_none(), "{words}");
    let _ = std::io::stderr().write_all(words.as_bytes());
}

/// What else a caller's environment may have that changes what programs say or shells do.
const HABITS: [&str; 7] = ["LANGUAGE", "BASH_ENV", "ENV", "CDPATH", "POSIXLY_CORRECT", "COLUMNS", "LINES"];

/// A program that will start with the default action for every signal, none blocked, the usual umask(2), and no words
/// of the caller's language or orders for its shells. Tests start all their programs through this.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    // SAFETY: only system calls, between fork and exec.
    unsafe { command.pre_exec(usual_start) };
    let named =
        |name: &OsStr| name.as_encoded_bytes().starts_with(b"LC_") || HABITS.iter().any(|n| name == *n);
    for (name, _) in std::env::vars_os().filter(|(name, _)| named(name)) {
        command.env_remove(name);
    }
    command.env("LANG", "C.UTF-8");
    command
}

fn usual_start() -> io::Result<()> {
    // A `struct sigaction` as the kernel has it, all zero: SIG_DFL, no flags. The C library's sigaction(3) keeps two
    // signals to itself, which a caller may have ignored as well.
    const DEFAULT: [usize; 4] = [0; 4];
    for number in 1..=libc::SIGRTMAX() {
        // SIGKILL and SIGSTOP are refused, and are as they should be.
        // SAFETY: no handler is installed; the kernel reads the structure and writes nothing.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, number, &DEFAULT, std::ptr::null::<usize>(), 8) };
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
    // SAFETY: umask(2) can't fail.
    unsafe { libc::umask(0o022) };
    Ok(())
}

/// Where SIGCHLD is ignored, the kernel reaps children itself, and nobody learns how they ended (wait(2), NOTES). Our own
/// children are those of the tests, and of what they call in this process; so it is undone before the first test.
extern "C" fn children_can_be_waited_for() {
    // SAFETY: no handler is installed.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
}

/// What the C library calls before `main`.
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = children_can_be_waited_for;
