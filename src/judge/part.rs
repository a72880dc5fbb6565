//! What a judged program is asked to run: our own executable, in one of a few parts. It is recognised by its
//! arguments, plays its part, and is looked at from outside meanwhile; its words are never asked for.
//!
//! ```text
//! PROGRAM run [OPTIONS] workshop __act TOKEN PART [ARGS…]
//! ```

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{ForkResult, Pid, fork, pipe2, read};

use claims::contents::{ADDED, CHANGED, DELETED};
use kernel::child::guarded;

/// The word on the command line that makes our program play a part; nobody types it by accident.
pub const ACT: &str = "__act";

/// What a talker says on standard error.
pub const ASIDE: &str = "said on standard error\n";

/// The status that a talker ends with.
pub const STATUS: i32 = 42;

/// How many orphans are left at a time: more than one for each signal that tells of them.
pub const ORPHANS: usize = 8;

/// How long a part is played, whatever happens outside.
const LIFE: Duration = Duration::from_secs(60);

/// The parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Waits for SIGTERM.
    Rest,
    /// Copies standard input to standard output, says [`ASIDE`], ends with [`STATUS`].
    Talk,
    /// Leaves [`ORPHANS`] that end at once, and rests.
    Orphan,
    /// Takes more memory, processes and CPU time than it is to get.
    Strain,
    /// Adds, changes and deletes a file, and rests.
    Write,
    /// Ends with the status that it is given.
    End,
    /// Is killed by a signal that comes from nobody, SIGSYS.
    Die,
}

impl Part {
    const ALL: [Part; 7] =
        [Part::Rest, Part::Talk, Part::Orphan, Part::Strain, Part::Write, Part::End, Part::Die];

    /// Its word on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Part::Rest => "rest",
            Part::Talk => "talk",
            Part::Orphan => "orphan",
            Part::Strain => "strain",
            Part::Write => "write",
            Part::End => "end",
            Part::Die => "die",
        }
    }
}

/// Whether this process was started to play a part, be it in words that were joined on the way.
pub fn is_asked(mut arguments: impl Iterator<Item = OsString>) -> bool {
    arguments.nth(1).is_some_and(|word| word.to_string_lossy().starts_with(ACT))
}

/// Plays the part that the arguments name and returns the exit status. A part that was not understood, since the
/// judged program changed the arguments, is a rest: there is something to look at all the same.
pub fn run() -> i32 {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let named = |part: &Part| arguments.get(3).is_some_and(|word| word == part.name());
    let number = |nth: usize| -> usize {
        arguments.get(nth).and_then(|word| word.to_str()?.parse().ok()).unwrap_or(0)
    };
    match Part::ALL.into_iter().find(named).unwrap_or(Part::Rest) {
        Part::Rest => rest(),
        Part::Talk => talk(),
        Part::Orphan => {
            leave_orphans();
            rest()
        }
        Part::Strain => strain(number(4), number(5)),
        Part::Write => {
            write();
            rest()
        }
        Part::End => i32::try_from(number(4)).unwrap_or(1),
        Part::Die => die(),
    }
}

/// Waits for SIGTERM. As a namespace's PID 1 it would not get the signal without being ready for it
/// (pid_namespaces(7)).
fn rest() -> i32 {
    let set: SigSet = [Signal::SIGTERM, Signal::SIGCHLD].into_iter().collect();
    let _ = set.thread_block();
    let until = Instant::now() + LIFE;
    while Instant::now() < until {
        reap();
        if next_signal(&set, Duration::from_millis(500)) == Some(libc::SIGTERM) {
            return 0;
        }
    }
    1
}

/// Takes what PID 1 inherits: everybody whose parent has ended.
fn reap() {
    while waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)).is_ok_and(|status| status.pid().is_some()) {}
}

/// sigtimedwait(2), which nix does not have.
fn next_signal(set: &SigSet, patience: Duration) -> Option<i32> {
    let time = libc::timespec { tv_sec: 0, tv_nsec: patience.subsec_nanos().into() };
    // SAFETY: set and time are live; no siginfo is asked for.
    let signal = unsafe { libc::sigtimedwait(set.as_ref(), std::ptr::null_mut(), &time) };
    (signal > 0).then_some(signal)
}

/// By read(2) and write(2), which hold nothing back.
fn talk() -> i32 {
    let said = io::stderr().write_all(ASIDE.as_bytes());
    let copied = copy(io::stdin().as_fd(), io::stdout().as_fd());
    if copied.is_ok() && said.is_ok() { STATUS } else { 1 }
}

fn copy(from: BorrowedFd, to: BorrowedFd) -> nix::Result<()> {
    let mut chunk = [0; 1 << 14];
    loop {
        let length = read(from, &mut chunk)?;
        let mut rest = chunk.get(..length).unwrap_or_default();
        if rest.is_empty() {
            return Ok(());
        }
        while !rest.is_empty() {
            rest = rest.get(nix::unistd::write(to, rest)?..).unwrap_or_default();
        }
    }
}

/// A child that ends before its own children do: they get a new parent (credentials(7)), and all end at once, as the
/// other end of their pipe closes with the one who had it.
fn leave_orphans() {
    // SAFETY: one thread.
    if let Ok(ForkResult::Parent { child }) = unsafe { fork() } {
        let _ = waitpid(child, None);
        return;
    }
    guarded(|| {
        let Ok((end, kept)) = pipe2(OFlag::O_CLOEXEC) else { return 1 };
        for _ in 0..ORPHANS {
            // SAFETY: still one thread.
            match unsafe { fork() } {
                Ok(ForkResult::Child) => {
                    drop(kept);
                    guarded(|| read(&end, &mut [0; 1]).is_err().into())
                }
                Ok(ForkResult::Parent { .. }) => {}
                Err(_) => break,
            }
        }
        0
    })
}

/// Dies of a filter that lets no system call through (seccomp(2)). A namespace's PID 1 that is followed survives every
/// other signal but SIGKILL from outside, a fault of its own as well (`force_sig_info_to_task` in kernel/signal.c).
fn die() -> i32 {
    let mut filter = libc::sock_filter {
        code: (libc::BPF_RET | libc::BPF_K) as u16,
        jt: 0,
        jf: 0,
        k: libc::SECCOMP_RET_KILL_PROCESS,
    };
    let program = libc::sock_fprog { len: 1, filter: &raw mut filter };
    let on: libc::c_ulong = 1;
    // SAFETY: prctl(2) with numbers, and with a program that is live. No core of this is of use to anybody, whatever
    // the host would do with one (core(5)).
    unsafe {
        libc::prctl(libc::PR_SET_DUMPABLE, 0);
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, on, 0, 0, 0);
        libc::prctl(libc::PR_SET_SECCOMP, libc::c_ulong::from(libc::SECCOMP_MODE_FILTER), &raw const program);
    }
    0
}

/// More memory than MEMORY bytes, in a child that is to be killed for it; then more processes than PIDS, which stay;
/// then, all of them, as much CPU time as there is: one alone may get less on a busy host than it is limited to.
fn strain(memory: usize, pids: usize) -> i32 {
    // SAFETY: one thread.
    match unsafe { fork() } {
        Ok(ForkResult::Child) => guarded(|| hog(memory)),
        Ok(ForkResult::Parent { child }) => drop(waitpid(child, None)),
        Err(_) => {}
    }
    let Ok((start, kept)) = pipe2(OFlag::O_CLOEXEC) else { return 1 };
    let mut kept = Some(kept);
    for _ in 0..pids + 8 {
        // SAFETY: still one thread.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => {
                // When all are there, the other end closes.
                drop(kept.take());
                guarded(|| read(&start, &mut [0; 1]).map_or(1, |_| spin()))
            }
            Ok(ForkResult::Parent { .. }) => {}
            Err(_) => break,
        }
    }
    drop(kept);
    spin()
}

fn spin() -> i32 {
    let until = Instant::now() + LIFE;
    while Instant::now() < until {
        std::hint::spin_loop();
    }
    0
}

/// Takes twice as much memory as the limit is, piece by piece. Written to, since memory that is only asked for
/// costs nothing.
fn hog(limit: usize) -> i32 {
    const PIECE: usize = 1 << 20;
    let pieces: Vec<Vec<u8>> = (0..2 * limit / PIECE).map(|_| vec![1; PIECE]).collect();
    std::hint::black_box(&pieces);
    0
}

/// The three kinds of write. What fails here is seen by the judge: it isn't there.
fn write() {
    let _ = fs::write(format!("/{ADDED}"), "here\n");
    let _ = fs::remove_file(format!("/{DELETED}"));
    let file = File::options().append(true).open(format!("/{CHANGED}"));
    let _ = file.and_then(|mut file| file.write_all(b"changed\n"));
}

/// Whether a file is the executable that we are: the one that a part is played by, by size and beginning.
pub fn is_ours(path: &std::path::Path) -> bool {
    let beginning = |path: &std::path::Path| -> io::Result<(u64, Vec<u8>)> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut bytes = Vec::new();
        file.take(1 << 14).read_to_end(&mut bytes)?;
        Ok((length, bytes))
    };
    match (beginning(path), beginning("/proc/self/exe".as_ref())) {
        (Ok(theirs), Ok(ours)) => theirs == ours,
        _ => false,
    }
}
