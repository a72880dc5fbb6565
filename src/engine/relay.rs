//! Signals that come to us while a container runs, and are meant for it.

use std::time::Duration;

use nix::unistd::{getpgid, getpgrp};

use super::Container;
use fault::Fault;
use kernel::process;
use kernel::signals::{self, ENDING, STOPPING, Sent};

impl Container {
    /// Passes one signal on. `ended_by` is the one that ends the container, once there is one.
    pub(super) fn pass_on(&self, sent: Sent, ended_by: &mut Option<i32>) -> Result<(), Fault> {
        let Sent { signal, by_terminal } = sent;
        if STOPPING.contains(&signal) {
            return self.stop_with_us(signal);
        }
        // A key reached the program too, unless that left our process group.
        let by_key = by_terminal && getpgid(Some(self.pid)) == Ok(getpgrp());
        if by_key && process::ignores_signal(self.pid, signal) {
            return Ok(());
        }
        // What it is told for it.
        let told = if signal == libc::SIGTERM { self.stop.signal } else { signal };
        if ENDING.contains(&signal) && (ended_by.is_some() || !self.takes_signal(told, by_key)) {
            *ended_by = Some(signal);
            return self.signal(libc::SIGKILL);
        }
        if signal == libc::SIGTERM {
            *ended_by = Some(signal);
        }
        if by_key { Ok(()) } else { self.signal(told) }
    }

    /// A signal that stops a job is ignored by PID 1 of a namespace, as others are: it is stopped with one that
    /// it can't ignore, and goes on when we do.
    fn stop_with_us(&self, signal: i32) -> Result<(), Fault> {
        self.signal(libc::SIGSTOP)?;
        signals::stop(signal);
        self.signal(libc::SIGCONT)
    }

    /// Whether a signal will do anything to the first process. After a key, which it gets at the same time as
    /// we do, it may just be waking up in sigwait(3) and can't be told from one that runs: looked at again.
    fn takes_signal(&self, signal: i32, by_key: bool) -> bool {
        let look = || process::takes_signal(self.pid, signal);
        let again = || {
            std::thread::sleep(Duration::from_millis(2));
            look()
        };
        self.init || look() || (by_key && (0..5).any(|_| again()))
    }
}
