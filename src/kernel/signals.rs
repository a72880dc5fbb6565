//! Signals to the workshop, taken as they come instead of through handlers: they are blocked and
//! read from a signalfd(2), so that nothing is ever interrupted half done.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicI32, Ordering};

use nix::sys::signal::{
    SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, raise, sigaction, signal,
};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// The signals that we take: those that are passed on to the container's program, and those that stop a job.
const TAKEN: [Signal; 10] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGWINCH,
    Signal::SIGTSTP,
    Signal::SIGTTIN,
    Signal::SIGTTOU,
];

/// The signals that ask a program to end.
pub const ENDING: [i32; 4] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT];

/// The signals that stop a job: Ctrl-Z's, and those for a job in the background that reads from the terminal or
/// changes it.
pub const STOPPING: [i32; 3] = [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];

/// A signal that has come.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    pub signal: i32,
    /// A key on the terminal sent it (`SI_KERNEL`, sigaction(2)), to every process of the foreground job.
    pub by_terminal: bool,
}

/// The workshop's inbox.
pub struct Signals(SignalFd);

impl Signals {
    /// Blocks the signals and opens the inbox. (With SIGTTOU blocked, we may take the terminal back from the
    /// background, where a shell in the container put us: tcsetpgrp(3).) What we were told to ignore, as nohup(1) does with SIGHUP,
    /// we go on ignoring; a blocked signal would come all the same.
    pub fn take() -> nix::Result<Signals> {
        let mut set = SigSet::empty();
        TAKEN.iter().filter(|s| !ignored(**s)).for_each(|s| set.add(*s));
        set.thread_block()?;
        SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).map(Signals)
    }

    /// The next signal that has come, if any.
    pub fn next(&self) -> Option<Sent> {
        let info = self.0.read_signal().ok().flatten()?;
        Some(Sent { signal: info.ssi_signo as i32, by_terminal: info.ssi_code == libc::SI_KERNEL })
    }

    /// The next signal that asks us to end, if any has come. One that asks us to stop is heeded on the way.
    pub fn end_asked(&self) -> Option<i32> {
        std::iter::from_fn(|| self.next())
            .map(|sent| sent.signal)
            .inspect(|signal| {
                if STOPPING.contains(signal) {
                    stop(*signal);
                }
            })
            .find(|signal| ENDING.contains(signal))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Stops us as one of [`STOPPING`] does, and returns when we are continued. The signal's own action is used,
/// since the kernel leaves it out where no shell could continue us (an orphaned process group, setpgid(2)).
pub fn stop(signal: i32) {
    let Ok(signal) = Signal::try_from(signal) else { return };
    let _ = raise(signal);
    let _ = SigSet::from(signal).thread_unblock();
    let _ = SigSet::from(signal).thread_block();
}

/// Whether a signal is ignored (sigaction(2)).
fn ignored(signal: Signal) -> bool {
    // SAFETY: a plain structure, for which all zeros is a value.
    let mut now: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: nothing is changed; the present action is written to a live structure.
    unsafe { libc::sigaction(signal as i32, std::ptr::null(), &mut now) };
    now.sa_sigaction == libc::SIG_IGN
}

/// The first signal that came during [`breakable`]; 0 for none.
static CAME: AtomicI32 = AtomicI32::new(0);

extern "C" fn note(signal: i32) {
    let _ = CAME.compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst);
    // It may have come just before the wait for a key began, and then breaks nothing off: another one does.
    // SAFETY: alarm(2) may be called in a handler (signal-safety(7)).
    unsafe { libc::alarm(1) };
}

extern "C" fn only_wake(_: i32) {}

/// Waits for a key by means that know nothing of our inbox. A signal that asks us to end breaks the wait
/// off (`EINTR`, signal(7)) instead of ending us there and then, with the terminal in raw mode.
pub fn breakable<T>(wait: impl FnOnce() -> T) -> Result<T, i32> {
    let signals: SigSet =
        TAKEN.into_iter().filter(|s| ENDING.contains(&(*s as i32)) && !ignored(*s)).collect();
    CAME.store(0, Ordering::SeqCst);
    let handler = SigAction::new(SigHandler::Handler(note), SaFlags::empty(), SigSet::empty());
    for signal in signals.iter() {
        // SAFETY: the handler does nothing but set an atomic number.
        let _ = unsafe { sigaction(signal, &handler) };
    }
    let alarm = SigAction::new(SigHandler::Handler(only_wake), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler does nothing.
    let _ = unsafe { sigaction(Signal::SIGALRM, &alarm) };
    // Those that stop a job stop us here as they do any program.
    let stopping = STOPPING.iter().filter_map(|s| Signal::try_from(*s).ok());
    let unblocked: SigSet = signals.iter().chain(stopping).collect();
    let mask = unblocked.thread_swap_mask(SigmaskHow::SIG_UNBLOCK);
    // One that was waiting has come by now.
    let outcome = if CAME.load(Ordering::SeqCst) == 0 { Some(wait()) } else { None };
    let _ = mask.map(|mask| mask.thread_set_mask());
    // SAFETY: no pointers.
    unsafe { libc::alarm(0) };
    for number in signals.iter().chain([Signal::SIGALRM]) {
        // SAFETY: SIG_DFL is no handler of ours.
        let _ = unsafe { signal(number, SigHandler::SigDfl) };
    }
    match (CAME.load(Ordering::SeqCst), outcome) {
        (0, Some(outcome)) => Ok(outcome),
        (signal, _) => Err(signal),
    }
}

/// Puts signals back to how a program expects them: nothing blocked, nothing ignored. (The Rust
/// runtime ignores SIGPIPE, and execve(2) keeps what is ignored.)
pub fn reset() {
    // SAFETY: SIG_DFL is no handler of ours.
    let _ = unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) };
    let _ = SigSet::empty().thread_set_mask();
}
