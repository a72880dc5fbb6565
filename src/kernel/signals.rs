//! Signals to the workshop, taken as they come instead of through handlers: they are blocked and
//! read from a signalfd(2), so that nothing is ever interrupted half done.

use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// The signals that are passed on to the container's program.
const PASSED_ON: [Signal; 7] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGWINCH,
];

/// The signals that ask a program to end.
pub const ENDING: [i32; 4] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT];

/// The workshop's inbox.
pub struct Signals(SignalFd);

impl Signals {
    /// Blocks the signals and opens the inbox.
    pub fn take() -> nix::Result<Signals> {
        let mut set = SigSet::empty();
        PASSED_ON.iter().for_each(|s| set.add(*s));
        set.thread_block()?;
        // Giving the terminal to a container puts us in the background. Taking it back from there
        // would stop us (SIGTTOU, credentials of tcsetpgrp(3)).
        SigSet::from(Signal::SIGTTOU).thread_block()?;
        SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).map(Signals)
    }

    /// The next signal that has come, if any.
    pub fn next(&self) -> Option<i32> {
        self.0.read_signal().ok().flatten().map(|info| info.ssi_signo as i32)
    }

    /// The next signal that asks us to end, if any has come.
    pub fn end_asked(&self) -> Option<i32> {
        std::iter::from_fn(|| self.next()).find(|s| ENDING.contains(s))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Puts signals back to how a program expects them: nothing blocked, nothing ignored. (The Rust
/// runtime ignores SIGPIPE, and execve(2) keeps what is ignored.)
pub fn reset() {
    // SAFETY: SIG_DFL is no handler of ours.
    let _ = unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) };
    let _ = SigSet::empty().thread_set_mask();
}
