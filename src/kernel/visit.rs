//! Visits to a container: a short-lived process of ours steps into its namespaces (setns(2)), looks
//! around there and comes back with what it saw. Nothing has to be installed inside.

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid, pipe2};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::fault::{Doing, Fault};

/// How long a visitor may take. None of them waits for anything that takes a second.
const PATIENCE: Duration = Duration::from_secs(15);

// ANCHOR: visit
/// Runs `look` in a process of its own inside the given namespaces of the process behind `pidfd`,
/// and returns what it saw. With a PID namespace among them, the visitor is a process *of* that
/// namespace, since a process that has joined one only passes it on to its children.
pub fn visit<T, F>(pidfd: &OwnedFd, namespaces: CloneFlags, look: F) -> Result<T, Fault>
where
    T: Serialize + DeserializeOwned,
    F: FnOnce() -> T,
{
    aside(|| {
        setns(pidfd, namespaces)?;
        Ok(look)
    })
}
// ANCHOR_END: visit

/// Leaves `work` running in a process of its own inside the given namespaces, and returns its PID.
/// The caller ends and reaps it; it dies with the caller in any case.
pub fn settle(pidfd: &OwnedFd, namespaces: CloneFlags, work: impl FnOnce() -> i32) -> Result<Pid, Fault> {
    let me = getpid();
    // SAFETY: the workshop has one thread.
    match unsafe { fork() }.doing("fork a visitor")? {
        ForkResult::Child => guarded(|| {
            die_with(me);
            match setns(pidfd, namespaces) {
                Ok(()) => work(),
                Err(_) => 1,
            }
        }),
        ForkResult::Parent { child } => Ok(child),
    }
}

fn aside<T, F>(way_in: impl FnOnce() -> nix::Result<F>) -> Result<T, Fault>
where
    T: Serialize + DeserializeOwned,
    F: FnOnce() -> T,
{
    let (reader, writer) = pipe2(nix::fcntl::OFlag::O_CLOEXEC).doing("make a pipe")?;
    let me = getpid();
    // SAFETY: the workshop has one thread, so the child has all that it needs.
    match unsafe { fork() }.doing("fork a visitor")? {
        ForkResult::Child => {
            drop(reader);
            guarded(|| travel(way_in, std::fs::File::from(writer), me))
        }
        ForkResult::Parent { child } => {
            drop(writer);
            let report = hear(reader);
            if !matches!(report, Ok(Some(_))) {
                let _ = kill(child, Signal::SIGKILL);
            }
            let _ = waitpid(child, None);
            let report = report?.ok_or_else(|| Fault::broken("visit the container", "no answer"))?;
            if report.is_empty() {
                return Err(Fault::broken("visit the container", "the visitor ended without a word"));
            }
            serde_json::from_slice::<Result<T, String>>(&report)
                .doing("understand a visitor's report")?
                .map_err(|problem| Fault::broken("visit the container", problem))
        }
    }
}

/// In the visitor: step in, fork into the PID namespace, look, report.
fn travel<T: Serialize, F: FnOnce() -> T>(
    way_in: impl FnOnce() -> nix::Result<F>,
    mut report: impl Write,
    parent: Pid,
) -> i32 {
    die_with(parent);
    let sorry = |mut report, words: String| {
        let words: Result<T, String> = Err(words);
        let _ = serde_json::to_writer(&mut report, &words);
        1
    };
    let look = match way_in() {
        Ok(look) => look,
        Err(e) => return sorry(report, format!("setns: {e}")),
    };
    let before = getpid();
    // SAFETY: still one thread.
    match unsafe { fork() } {
        Ok(ForkResult::Child) => guarded(|| {
            // A parent in another PID namespace has no number here.
            die_with(if getppid().as_raw() == 0 { Pid::from_raw(0) } else { before });
            let seen: Result<T, String> = Ok(look());
            let text = serde_json::to_vec(&seen).unwrap_or_default();
            i32::from(report.write_all(&text).is_err())
        }),
        Ok(ForkResult::Parent { child }) => {
            drop(report);
            i32::from(waitpid(child, None).is_err())
        }
        Err(e) => sorry(report, format!("fork: {e}")),
    }
}

/// Asks the kernel for a SIGKILL when our parent dies (prctl(2)). If it has died already, we have been
/// adopted by then, and end at once.
fn die_with(parent: Pid) {
    let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
    if getppid() != parent {
        // SAFETY: _exit(2) ends the process at once.
        unsafe { libc::_exit(1) }
    }
}

/// Runs a child's part to its end: nothing of the parent's (buffers, guards, undo) may run in it.
pub fn guarded(part: impl FnOnce() -> i32) -> ! {
    let status = std::panic::catch_unwind(std::panic::AssertUnwindSafe(part)).unwrap_or(101);
    // SAFETY: _exit(2) ends the process at once.
    unsafe { libc::_exit(status) }
}

/// Everything that a process of ours writes into a pipe until all ends of it are closed; `None` when that
/// takes too long.
pub fn hear(reader: OwnedFd) -> Result<Option<Vec<u8>>, Fault> {
    let until = Instant::now() + PATIENCE;
    let mut file = std::fs::File::from(reader);
    let (mut report, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let mut ready = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ready, PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO)) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) => continue,
            Err(e) => return Err(Fault::broken("wait for a visitor", e)),
        }
        match file.read(&mut chunk).doing("read a visitor's report")? {
            0 => return Ok(Some(report)),
            n => report.extend_from_slice(&chunk[..n]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visitor_brings_back_what_it_saw() {
        let pid = aside(|| Ok(std::process::id)).unwrap();
        assert_ne!(pid, std::process::id());
    }

    #[test]
    fn a_visitor_that_dies_is_a_fault_not_a_hang() {
        let died: Result<(), _> = aside(|| Ok(|| unsafe { libc::_exit(3) }));
        assert!(died.is_err());
    }
}
