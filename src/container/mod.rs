//! A container: layers put together, and a program that runs in them.

mod guard;
mod init;
mod message;
mod own;
mod program;
pub mod recipe;
mod terminal;
mod walk;

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Pid, getpgid, getpgrp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use guard::Guard;
use own::Known;
pub use own::{OwnFiles, OwnMounts, Proof, Root};
pub use program::{
    PATH, Program, Stdio, explain as explain_refusal, find as find_program, lacks_libraries, null_device,
};
pub use terminal::Tty;
pub use walk::{close_on_exec, create};

use crate::fault::{Doing, Fault};
use crate::kernel::signals::{self, ENDING, STOPPING, Sent, Signals};
use crate::kernel::told::{Call, Listener};
use crate::kernel::undo::Undos;
use crate::kernel::visit::{settle, visit};
use crate::kernel::{pidfd, process};
use crate::layers::{Layer, Made};

/// What to build, and what to run in it.
pub struct Plan<'p> {
    /// In the order of their steps.
    pub layers: Vec<Box<dyn Layer>>,
    pub program: Program<'p>,
    /// Run the program under a small init, as `docker run --init` does.
    pub init: bool,
    pub stdio: Stdio,
    pub tty: Tty,
    /// The program is somebody's, and inherits which signals we were told to ignore and block.
    pub passes_signals_on: bool,
}

/// How a container ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    Code(i32),
    Signal(i32),
}

impl Exit {
    /// As a shell gives it: 128 + n for a signal.
    pub fn status(self) -> i32 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal(signal) => 128 + signal,
        }
    }
}

/// A part of a container's start that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Milestone {
    /// What the host needs before there is a process.
    Prepared,
    /// clone3(2).
    Cloned,
    /// What the host does once there is a PID.
    Attached,
    /// What the first process does inside.
    Entered,
    /// execve(2).
    Executed,
}

/// A container that was made. Dropping it ends it and takes back what it changed on the host.
pub struct Container {
    /// Its first process, as the host sees it.
    pub pid: Pid,
    pidfd: OwnedFd,
    /// What ends it if we are killed; posted before its program runs.
    guard: Option<Guard>,
    /// The namespaces that it does not share with the lab.
    namespaces: CloneFlags,
    /// What its layers made on the host's side.
    pub made: Made,
    channel: Option<message::Channel>,
    /// execve(2), told before and not yet known to have worked.
    becoming: Option<Call>,
    /// Whether the first process itself becomes the program.
    executes: bool,
    /// What would explain a status of 127: execve(2) works for a program whose libraries are missing, and it
    /// is the loader that gives up.
    suspicion: Option<Fault>,
    undo: Undos,
    exit: Option<Exit>,
    /// The first process is our init, which takes every signal.
    init: bool,
    /// Ours, if it was lent to the program.
    terminal: Option<terminal::Terminal>,
    /// When each part of its start was over, in order.
    pub timeline: Vec<(Milestone, Instant)>,
}

impl Container {
    /// Lets the first process become its program, and waits until it has.
    pub fn start(&mut self, listener: &mut dyn Listener) -> Result<(), Fault> {
        let Some(channel) = self.channel.take() else { return Ok(()) };
        channel.go()?;
        loop {
            match channel.receive()? {
                Some(message::FromInside::About(call)) => {
                    listener.about(&call).map_err(Fault::output)?;
                    self.becoming = Some(call);
                    channel.go()?;
                }
                Some(message::FromInside::Suspect(fault)) => self.suspicion = Some(fault),
                Some(message::FromInside::Failed(fault)) => return Err(fault),
                Some(_) => {}
                // The other end was closed by execve(2) itself: the program runs.
                None => break,
            }
        }
        self.reached(Milestone::Executed);
        // Or by death. (An init never calls execve(2), and neither does a function of ours.)
        if self.executes && process::never_executed(self.pid) {
            return Err(Fault::unable("died-before-exec", &[]));
        }
        if let Some(call) = self.becoming.take() {
            listener.told(Call { result: "0".into(), ..call });
        }
        listener.heard().map_err(Fault::output)
    }

    fn reached(&mut self, milestone: Milestone) {
        self.timeline.push((milestone, Instant::now()));
    }

    /// Looks around inside, in all of its namespaces.
    pub fn look<T: Serialize + DeserializeOwned>(&self, look: impl FnOnce() -> T) -> Result<T, Fault> {
        visit(&self.pidfd, self.namespaces, look)
    }

    /// Changes something inside, once it is proved there that it is the container's alone.
    pub fn change<P: Proof, T: Serialize + DeserializeOwned>(
        &self,
        change: impl FnOnce(&P) -> T,
    ) -> Result<T, Fault> {
        let known = Known::gather(self.made.root.clone())?;
        let changed: Result<T, String> = self.look(|| P::prove(&known).map(|proof| change(&proof)))?;
        changed.doing("prove that only the container is written to")
    }

    /// Leaves a process of ours working in its network, until it is ended by the caller.
    pub fn visitor(&self, work: impl FnOnce() -> i32) -> Result<Pid, Fault> {
        settle(&self.pidfd, CloneFlags::CLONE_NEWNET, work)
    }

    /// Waits for the end, passing on the signals that come to us.
    ///
    /// A PID 1 gets only signals that it has a handler for. One that asks it to end and that it has
    /// none for would be lost, and we would wait for ever: then it is killed, and the status says
    /// which signal did it. So does a second SIGTERM to a program that took the first and stayed.
    pub fn wait(&mut self, signals: &Signals) -> Result<Exit, Fault> {
        let mut ended_by = None;
        while !self.over(None, Some(signals))? {
            while let Some(sent) = signals.next() {
                self.pass_on(sent, &mut ended_by)?;
            }
        }
        let exit = self.reap()?;
        Ok(match (exit, ended_by) {
            (Exit::Signal(libc::SIGKILL), Some(signal)) => Exit::Signal(signal),
            (exit, _) => exit,
        })
    }

    /// Passes one signal on. `ended_by` is the one that ends the container, once there is one.
    fn pass_on(&self, sent: Sent, ended_by: &mut Option<i32>) -> Result<(), Fault> {
        let Sent { signal, by_terminal } = sent;
        if STOPPING.contains(&signal) {
            return self.stop_with_us(signal);
        }
        // A key reached the program too, unless that left our process group.
        let by_key = by_terminal && getpgid(Some(self.pid)) == Ok(getpgrp());
        if by_key && process::ignores_signal(self.pid, signal) {
            return Ok(());
        }
        if ENDING.contains(&signal) && (ended_by.is_some() || !self.takes_signal(signal, by_key)) {
            *ended_by = Some(signal);
            return self.signal(libc::SIGKILL);
        }
        if signal == libc::SIGTERM {
            *ended_by = Some(signal);
        }
        if by_key { Ok(()) } else { self.signal(signal) }
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

    /// What is to be said of the program's end beyond its own words.
    pub fn explain(&mut self, exit: Exit) -> Option<Fault> {
        self.suspicion.take().filter(|_| exit == Exit::Code(127))
    }

    /// Waits for the end without passing signals on; `None` if it does not come in time.
    pub fn wait_at_most(&mut self, patience: Duration) -> Result<Option<Exit>, Fault> {
        if self.exit.is_none() && !self.over(Some(Instant::now() + patience), None)? {
            return Ok(None);
        }
        self.reap().map(Some)
    }

    /// Sends a signal to the first process. Its PID can't have been given to another.
    pub fn signal(&self, signal: i32) -> Result<(), Fault> {
        pidfd::send_signal(&self.pidfd, signal).doing("signal the container")
    }

    /// Ends it, if it has not ended, and takes back what it changed.
    pub fn end(&mut self) -> Result<(), Fault> {
        let ended = match self.exit {
            Some(_) => Ok(()),
            None => self.signal(libc::SIGKILL).and_then(|()| self.reap().map(drop)),
        };
        if let Some(terminal) = self.terminal.take() {
            terminal.take_back();
        }
        // Even if it could not be waited for: what is left then is left to the kernel alone.
        let undone = self.undo.carry_out();
        // A container that could not be ended keeps its guard. Otherwise the guard has ended meanwhile.
        if ended.is_ok() {
            self.guard.take().into_iter().for_each(Guard::dismiss);
        }
        ended.and(undone)
    }

    /// Whether the first process has ended, by `until` or (with signals) before the next one comes.
    fn over(&mut self, until: Option<Instant>, signals: Option<&Signals>) -> Result<bool, Fault> {
        loop {
            let mut ready = vec![PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
            ready.extend(self.guard.as_ref().map(|g| PollFd::new(g.as_fd(), PollFlags::POLLIN)));
            ready.extend(signals.map(|s| PollFd::new(s.as_fd(), PollFlags::POLLIN)));
            let left = until.map(|u| u.saturating_duration_since(Instant::now()));
            let patience =
                left.map_or(PollTimeout::NONE, |l| PollTimeout::try_from(l).unwrap_or(PollTimeout::MAX));
            let polled = poll(&mut ready, patience);
            let over = ready[0].any() == Some(true);
            let unguarded = self.guard.is_some() && ready[1].any() == Some(true);
            match polled {
                Ok(_) if unguarded && !over => self.post_guard()?,
                Ok(_) => return Ok(over),
                Err(Errno::EINTR) => {}
                Err(e) => return Err(Fault::broken("wait for the container", e)),
            }
        }
    }

    /// Posts a guard, in place of one that was killed if there was one.
    fn post_guard(&mut self) -> Result<(), Fault> {
        self.guard.take().into_iter().for_each(Guard::dismiss);
        self.guard = Some(Guard::post(&self.pidfd)?);
        Ok(())
    }

    fn reap(&mut self) -> Result<Exit, Fault> {
        if let Some(exit) = self.exit {
            return Ok(exit);
        }
        let status =
            waitid(Id::PIDFd(self.pidfd.as_fd()), WaitPidFlag::WEXITED).doing("wait for the container")?;
        let exit = match status {
            WaitStatus::Exited(_, code) => Exit::Code(code),
            WaitStatus::Signaled(_, signal, _) => Exit::Signal(signal as i32),
            other => return Err(Fault::broken("wait for the container", format!("{other:?}"))),
        };
        self.exit = Some(exit);
        Ok(exit)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // On the way out after another fault: that one is told, and the ledger still knows.
        let _ = self.end();
    }
}
