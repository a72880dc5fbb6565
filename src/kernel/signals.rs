//! Signals to the workshop, taken as they come instead of through handlers: they are blocked and
//! read from a signalfd(2), so that nothing is ever interrupted half done.
//!
//! What a process ignores and blocks, the programs that it becomes and starts ignore and block as well (execve(2),
//! fork(2)). So we may have been started with anything, and decide three times, all of them here:
//!
//! | who | ignores | blocks |
//! |---|---|---|
//! | we, by [`begin`] | what we were told to, as nohup(1) does with SIGHUP, but never SIGCHLD | nothing, until an inbox is opened |
//! | a program that is run for somebody (CMD), by [`pass_on`] | what we were told to, but never SIGCHLD | what was blocked when we were started |
//! | a program that we need for our own ends, by [`reset`] | nothing | nothing |
//!
//! Whoever ignores SIGCHLD has the kernel wait for its children (wait(2), NOTES). That is a wish about children of its
//! own, and in any other program `wait` then fails: neither we nor CMD are to hear of it.

use std::os::fd::{AsFd, BorrowedFd};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{SigSet, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// The signals that we take: those that are passed on to the container's program, and those that stop a job.
pub(super) const TAKEN: [Signal; 10] = [
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

/// Whether there is an inbox: signals then wait until somebody looks into it.
static IS_OPEN: AtomicBool = AtomicBool::new(false);

/// Whether a signal that asks us to end waits until somebody looks for it.
pub(super) fn wait_to_be_read() -> bool {
    IS_OPEN.load(Ordering::Relaxed)
}

impl Signals {
    /// Blocks the signals and opens the inbox. (With SIGTTOU blocked, we may take the terminal back from the
    /// background, where a shell in the container put us: tcsetpgrp(3).) What we were told to ignore, as nohup(1) does with SIGHUP,
    /// we go on ignoring; a blocked signal would come all the same.
    pub fn take() -> nix::Result<Signals> {
        // Signals that ask for nothing but to be passed on are for the program to ignore.
        let wanted = |signal: &Signal| {
            let number = *signal as i32;
            !ignored(number) || !(ENDING.contains(&number) || STOPPING.contains(&number))
        };
        let set: SigSet = TAKEN.into_iter().filter(wanted).collect();
        set.thread_block()?;
        IS_OPEN.store(true, Ordering::Relaxed);
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

/// How signals were when we were started.
struct Given {
    /// Those that were ignored, by number.
    ignored: Vec<i32>,
    blocked: SigSet,
}

static GIVEN: OnceLock<Given> = OnceLock::new();

/// The last of the real-time signals (signal(7)).
const LAST: i32 = 64;

/// Whether SIGPIPE was ignored when we were started. The Rust runtime ignores it before `main`, so the program's
/// loader is asked to look before that (`.init_array`, System V ABI, "Initialization and Termination Functions").
static SIGPIPE_IGNORED: AtomicBool = AtomicBool::new(false);

#[used]
#[unsafe(link_section = ".init_array")]
static LOOK_FIRST: extern "C" fn() = look_at_sigpipe;

extern "C" fn look_at_sigpipe() {
    SIGPIPE_IGNORED.store(ignored(libc::SIGPIPE), Ordering::Relaxed);
}

/// Remembers how signals were when we were started, and takes back what we rely on: children that can be waited for,
/// signals that arrive. A file that may not grow (setrlimit(2), `RLIMIT_FSIZE`) becomes an error of write(2), as a full
/// disk is, in place of a signal that would end us with things to undo.
pub fn begin() {
    let ignored = (1..=LAST).filter(|signal| match *signal {
        libc::SIGPIPE => SIGPIPE_IGNORED.load(Ordering::Relaxed),
        signal => ignored(signal),
    });
    let blocked = SigSet::thread_get_mask().unwrap_or_else(|_| SigSet::empty());
    let _ = GIVEN.set(Given { ignored: ignored.collect(), blocked });
    act(libc::SIGCHLD, libc::SIG_DFL);
    act(libc::SIGXFSZ, libc::SIG_IGN);
    let _ = SigSet::empty().thread_set_mask();
}

/// In a child that is to become a program of somebody's: puts signals back to what they were for us, but for SIGCHLD.
pub fn pass_on() {
    all_by_default();
    let Some(given) = GIVEN.get() else { return };
    for signal in given.ignored.iter().filter(|signal| **signal != libc::SIGCHLD) {
        act(*signal, libc::SIG_IGN);
    }
    let _ = given.blocked.thread_set_mask();
}

/// In a child that is to become a program that we need: nothing is ignored, nothing blocked.
pub fn reset() {
    all_by_default();
    let _ = SigSet::empty().thread_set_mask();
}

/// As [`reset`], in the child that a command starts.
pub fn reset_in(command: &mut Command) -> &mut Command {
    use std::os::unix::process::CommandExt;
    let reset = || {
        reset();
        Ok(())
    };
    // SAFETY: what is called in the child is async-signal-safe.
    unsafe { command.pre_exec(reset) }
}

/// In the workshop, once nothing is left to undo: a signal that asks us to end does so by itself again.
pub fn close() {
    IS_OPEN.store(false, Ordering::Relaxed);
    let _ = SigSet::empty().thread_set_mask();
}

fn all_by_default() {
    (1..=LAST).for_each(|signal| act(signal, libc::SIG_DFL));
}

/// A signal's action, as the kernel has it: what is done, flags, where a handler returns to, what is blocked meanwhile.
type Action = [u64; 4];

/// rt_sigaction(2). The C library's functions leave out the two signals that it has for itself (nptl(7)), and these are
/// inherited as well. It fails for those that nobody may change, SIGKILL and SIGSTOP.
fn rt_sigaction(signal: i32, new: Option<&Action>) -> Action {
    let mut old: Action = [0; 4];
    let new = new.map_or(std::ptr::null(), |new| new.as_ptr());
    // SAFETY: both point to structures of the kernel's size, if to anything, and no handler of ours is set.
    unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, new, old.as_mut_ptr(), size_of::<u64>()) };
    old
}

/// Sets one of the two actions that are no handlers: `SIG_DFL` or `SIG_IGN`.
fn act(signal: i32, action: libc::sighandler_t) {
    rt_sigaction(signal, Some(&[action as u64, 0, 0, 0]));
}

/// Whether a signal is ignored.
pub fn ignored(signal: i32) -> bool {
    rt_sigaction(signal, None)[0] == libc::SIG_IGN as u64
}
