//! Waits that a signal breaks off, though signals are blocked ([`Signals`](super::signals::Signals)).

use std::io::{self, LineWriter, Write};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction, signal};

use super::signals::{ENDING, STOPPING, TAKEN, ignored, wait_to_be_read};
use fault::Fault;

/// The first signal that came during [`breakable`]; 0 for none.
static CAME: AtomicI32 = AtomicI32::new(0);

/// Whether a signal that stops a job waits until somebody looks for it.
static STOPS_WAIT: AtomicBool = AtomicBool::new(false);

/// The terminal is not as a shell needs it (true), or is again: before we stop, it has to be given back.
pub fn let_stops_wait(wait: bool) {
    STOPS_WAIT.store(wait, Ordering::Relaxed);
}

extern "C" fn note(signal: i32) {
    let _ = CAME.compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst);
    // It may have come just before the wait began, and then breaks nothing off: another one does. (An alarm that
    // somebody set before we were started stays until then, and ends us as it was meant to.)
    let alarm = SigAction::new(SigHandler::Handler(only_wake), SaFlags::empty(), SigSet::empty());
    // SAFETY: both may be called in a handler (signal-safety(7)), and the one that is set does nothing.
    unsafe {
        let _ = sigaction(Signal::SIGALRM, &alarm);
        libc::alarm(1);
    }
}

extern "C" fn only_wake(_: i32) {}

/// Waits for a key, or for a reader, by means that know nothing of our inbox. A signal that asks us to end breaks the wait
/// off (`EINTR`, signal(7)) instead of ending us there and then, with the terminal in raw mode.
pub fn breakable<T>(wait: impl FnOnce() -> T) -> Result<T, i32> {
    let signals: SigSet =
        TAKEN.into_iter().filter(|s| ENDING.contains(&(*s as i32)) && !ignored(*s as i32)).collect();
    CAME.store(0, Ordering::SeqCst);
    let handler = SigAction::new(SigHandler::Handler(note), SaFlags::empty(), SigSet::empty());
    for signal in signals.iter() {
        // SAFETY: the handler does nothing but set an atomic number.
        let _ = unsafe { sigaction(signal, &handler) };
    }
    // Those that stop a job stop us here as they do any program, unless we have something to do before.
    let stops_wait = STOPS_WAIT.load(Ordering::Relaxed);
    let stopping = STOPPING.iter().filter(|_| !stops_wait).filter_map(|s| Signal::try_from(*s).ok());
    let unblocked: SigSet = signals.iter().chain(stopping).collect();
    let mask = unblocked.thread_swap_mask(SigmaskHow::SIG_UNBLOCK);
    // One that was waiting has come by now.
    let outcome = if CAME.load(Ordering::SeqCst) == 0 { Some(wait()) } else { None };
    let _ = mask.map(|mask| mask.thread_set_mask());
    let came = CAME.load(Ordering::SeqCst);
    if came != 0 {
        // SAFETY: no pointers.
        unsafe { libc::alarm(0) };
    }
    for number in signals.iter().chain((came != 0).then_some(Signal::SIGALRM)) {
        // SAFETY: SIG_DFL is no handler of ours.
        let _ = unsafe { signal(number, SigHandler::SigDfl) };
    }
    match outcome {
        Some(outcome) if came == 0 => Ok(outcome),
        _ => Err(came),
    }
}

/// A standard stream of ours, whose reader may stand still: a pager, a terminal after Ctrl-S. write(2) then waits, and
/// a signal that asks us to end must not wait with it.
pub struct Stream {
    fd: RawFd,
    /// The signal that broke a write off. Whoever reads has had its chance; the rest is told to nobody, since it would
    /// be waited for again.
    broken_off: Option<i32>,
}

impl Stream {
    /// Standard output, line by line.
    pub fn output() -> LineWriter<Stream> {
        LineWriter::new(Stream { fd: io::stdout().as_raw_fd(), broken_off: None })
    }

    /// Standard error, which nothing is kept back from.
    pub fn errors() -> Stream {
        Stream { fd: io::stderr().as_raw_fd(), broken_off: None }
    }
}

/// How long a reader is waited for, in milliseconds; negative for ever.
static PATIENCE: AtomicI32 = AtomicI32::new(-1);

/// We were asked to end, and have undone all: a reader who stands still is not waited for any longer than a moment,
/// since one signal has to be enough.
pub fn hurry() {
    PATIENCE.store(500, Ordering::Relaxed);
}

/// Whether there is room for a line, in good time.
fn has_room(fd: RawFd) -> bool {
    let patience = PATIENCE.load(Ordering::Relaxed);
    if patience < 0 {
        return true;
    }
    // SAFETY: a standard stream, which nobody closes.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    let limit = PollTimeout::try_from(patience).unwrap_or(PollTimeout::ZERO);
    let room = poll(&mut [PollFd::new(fd, PollFlags::POLLOUT)], limit) != Ok(0);
    if !room {
        PATIENCE.store(0, Ordering::Relaxed);
    }
    room
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let fd = self.fd;
        // SAFETY: a standard stream, which nobody closes, and memory that lives as long as the call.
        let write = || Errno::result(unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) });
        let written = match self.broken_off {
            Some(signal) => Err(signal),
            None if !has_room(fd) => return Err(io::ErrorKind::TimedOut.into()),
            None if wait_to_be_read() => breakable(write),
            None => Ok(write()),
        };
        match written {
            Ok(count) => Ok(count? as usize),
            Err(signal) => {
                self.broken_off = Some(signal);
                Err(io::Error::other(Fault::Interrupted(signal)))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
