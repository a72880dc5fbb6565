//! The guard: a small process of ours that ends a container when the workshop has been killed.
//!
//! The first process asks to be killed when we end (prctl(2), `PR_SET_PDEATHSIG`). But the kernel drops that
//! wish when the process changes its user or group, or gains capabilities by execve(2), and any program may
//! take it back. The guard needs no such wish. It is outside the container, where no program's doings reach
//! it, and waits for either of two ends: ours and the container's.
//!
//! - It is there before the first process gets the word to become its program. Until then that is ours,
//!   and ends when its wire does.
//! - If somebody kills the guard, we notice while we wait for the container, and post another
//!   ([`Container::wait`](super::Container::wait)).
//! - If both are killed at once, the ledger still names the first process
//!   ([`Undo::EndProcess`](kernel::undo::Undo::EndProcess)).

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_name;
use nix::sys::signal::SigSet;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, getpid, setsid};

use fault::{Doing, Fault};
use kernel::child::{self, close_all_but, guarded, pidfd_open, pidfd_send_signal};

/// A guard at its post. It is a child of ours, known by its descriptor; to drop that is not to end it.
pub struct Guard(OwnedFd);

impl Guard {
    /// Posts a guard for the container whose first process is behind `container`.
    pub fn post(container: &OwnedFd) -> Result<Guard, Fault> {
        let me = getpid();
        // Opened here and not by the guard, whose parent may have been killed and another be in its place.
        let workshop = pidfd_open(me).doing("pidfd_open")?;
        match child::fork().doing("fork the container's guard")? {
            Some(guard) => Ok(Guard(guard)),
            None => guarded(|| {
                settle_down(me, &workshop, container);
                keep_watch(&workshop, container)
            }),
        }
    }

    /// Reaps it, once there is nothing left to guard or somebody else has ended it.
    pub fn dismiss(self) {
        // It ends by itself when the container does, unless it was stopped (SIGSTOP).
        let _ = pidfd_send_signal(&self.0, libc::SIGKILL);
        let _ = waitid(Id::PIDFd(self.0.as_fd()), WaitPidFlag::WEXITED);
    }
}

impl AsFd for Guard {
    /// Readable when the guard has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Lets go of all that the workshop's end would take along: keys, the terminal, the job, open files.
///
/// The name is not the workshop's, so that `killall workshop` and `pkill workshop` don't end both. It says
/// whose guard it is: `guard-4711`.
fn settle_down(workshop: Pid, ours: &OwnedFd, container: &OwnedFd) {
    // None of these may fail for a child that has just been born, and without one of them it still guards.
    let _ = SigSet::all().thread_set_mask();
    let _ = setsid();
    // Standard streams included: a pipe that the guard holds open would never end for its reader.
    // SAFETY: what owned these descriptors is never used or dropped again, since the guard ends by _exit(2).
    unsafe { close_all_but(&[ours.as_raw_fd(), container.as_raw_fd()]) };
    let _ = CString::new(format!("guard-{workshop}")).map(|name| set_name(&name));
}

/// Waits for the first of two ends. If it is ours, the container follows.
fn keep_watch(workshop: &OwnedFd, container: &OwnedFd) -> i32 {
    let mut ends = [container, workshop].map(|end| PollFd::new(end.as_fd(), PollFlags::POLLIN));
    while poll(&mut ends, PollTimeout::NONE) == Err(Errno::EINTR) {}
    // A guard that can't wait would leave the container without one: it is ended then too.
    if ends[0].any() != Some(true) {
        let _ = pidfd_send_signal(container, libc::SIGKILL);
    }
    0
}
