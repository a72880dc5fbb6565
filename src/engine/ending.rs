//! A container's end, as it is seen from the host: a descriptor that becomes readable (pidfd_open(2)), and a status that
//! is fetched once (waitid(2)).

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};

use super::{Container, Exit};
use fault::{Doing, Fault};
use kernel::signals::Signals;

impl Container {
    /// Waits for the end without passing signals on; `None` if it does not come in time.
    pub fn wait_at_most(&mut self, patience: Duration) -> Result<Option<Exit>, Fault> {
        if self.exit.is_none() && !self.over(Some(Instant::now() + patience), None)? {
            return Ok(None);
        }
        self.reap().map(Some)
    }

    /// Whether the first process has ended, by `until` or (with signals) before the next one comes.
    pub(super) fn over(&mut self, until: Option<Instant>, signals: Option<&Signals>) -> Result<bool, Fault> {
        loop {
            let guard = self.guard.as_ref().map(|guard| guard.as_fd());
            let mut ready = vec![PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
            ready.extend(guard.map(|guard| PollFd::new(guard, PollFlags::POLLIN)));
            ready.extend(signals.map(|s| PollFd::new(s.as_fd(), PollFlags::POLLIN)));
            let left = until.map(|u| u.saturating_duration_since(Instant::now()));
            let patience =
                left.map_or(PollTimeout::NONE, |l| PollTimeout::try_from(l).unwrap_or(PollTimeout::MAX));
            let polled = poll(&mut ready, patience);
            let is_ready = |fd: &PollFd| fd.any() == Some(true);
            let over = ready.first().is_some_and(is_ready);
            let unguarded = guard.is_some() && ready.get(1).is_some_and(is_ready);
            match polled {
                Ok(_) if unguarded && !over => self.post_guard()?,
                Ok(_) => return Ok(over),
                Err(Errno::EINTR) => {}
                Err(e) => return Err(Fault::broken("wait for the container", e)),
            }
        }
    }

    /// How it ended. Waits for that, once.
    pub(super) fn reap(&mut self) -> Result<Exit, Fault> {
        if let Some(exit) = self.exit {
            return Ok(exit);
        }
        let exit = reap(&self.pidfd)?;
        self.exit = Some(exit);
        Ok(exit)
    }
}

/// Waits for a child of ours, and says how it ended.
fn reap(pidfd: &OwnedFd) -> Result<Exit, Fault> {
    match waitid(Id::PIDFd(pidfd.as_fd()), WaitPidFlag::WEXITED).doing("wait for the container")? {
        WaitStatus::Exited(_, code) => Ok(Exit::Code(code)),
        WaitStatus::Signaled(_, signal, _) => Ok(Exit::Signal(signal as i32)),
        other => Err(Fault::broken("wait for the container", format!("{other:?}"))),
    }
}
