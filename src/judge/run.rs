//! One run of the judged program in a cell: started, followed, fed, listened to, and ended in time whatever it does.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid, pipe2};

use super::cell::{Cell, Launch, nonblocking};
use super::part::ASIDE;
use super::reason;
use super::refusals::Refusals;
use super::tracer::Tracer;
use claims::fate::{Excess, FLOOD, Fate, LIFE, MEMORY, PATIENCE, Quote};
use engine::Exit;
use fault::{Doing, Fault};
use kernel::process;
use kernel::wait::Wait;
use lab::Lab;

/// How much of each output stream is kept, in bytes.
const KEPT: usize = 1 << 20;

/// How many characters of PROGRAM's words are repeated.
const SAID: usize = 200;

/// How long CMD may take to be there when PROGRAM is not any more.
const LINGER: Duration = Duration::from_secs(2);

/// Our ends of a program's standard streams.
pub struct Streams {
    stdin: Option<File>,
    to_write: Vec<u8>,
    /// More is to be written than that.
    unfinished: bool,
    stdout: Ear,
    stderr: Ear,
}

/// What is heard of one output stream.
struct Ear {
    file: Option<File>,
    text: Vec<u8>,
    total: u64,
}

impl Streams {
    /// Pipes for a program: our ends, and what it is launched with. INPUT is written to it, and then its standard
    /// input ends.
    pub fn new(argv: Vec<OsString>, input: Vec<u8>) -> Result<(Streams, Launch), Fault> {
        let pipe = || pipe2(OFlag::O_CLOEXEC).doing("make a pipe");
        let ((stdin_r, stdin), (stdout, stdout_w), (stderr, stderr_w)) = (pipe()?, pipe()?, pipe()?);
        for fd in [&stdin, &stdout, &stderr] {
            nonblocking(fd)?;
        }
        let ear = |fd: OwnedFd| Ear { file: Some(fd.into()), text: Vec::new(), total: 0 };
        let streams = Streams {
            stdin: Some(stdin.into()),
            to_write: input,
            unfinished: false,
            stdout: ear(stdout),
            stderr: ear(stderr),
        };
        Ok((streams, Launch { argv, streams: [stdin_r, stdout_w, stderr_w] }))
    }

    /// The same, but standard input stays open for what is to be said later: [`Run::say_last`].
    pub fn unfinished(self) -> Streams {
        Streams { unfinished: true, ..self }
    }

    /// Writes and reads what can be without waiting.
    fn exchange(&mut self) {
        if let Some(stdin) = &mut self.stdin {
            match stdin.write(&self.to_write) {
                Ok(n) => drop(self.to_write.drain(..n)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                // Nobody reads it.
                Err(_) => self.to_write.clear(),
            }
        }
        if self.to_write.is_empty() && !self.unfinished {
            self.stdin = None;
        }
        self.stdout.hear();
        self.stderr.hear();
    }
}

impl Ear {
    fn hear(&mut self) {
        let mut chunk = [0; 1 << 16];
        // A flood must not keep us from looking at the clock.
        for _ in 0..16 {
            let Some(file) = &mut self.file else { return };
            match file.read(&mut chunk) {
                Ok(0) => self.file = None,
                Ok(n) => {
                    self.total += n as u64;
                    let room = KEPT.saturating_sub(self.text.len());
                    self.text.extend(chunk.iter().take(n.min(room)));
                }
                Err(_) => return,
            }
        }
    }
}

/// A program that runs in a cell.
pub struct Run<'r> {
    pub cell: &'r mut Cell,
    pub tracer: Tracer,
    streams: Streams,
    lab: &'r Lab,
    ends: SignalFd,
    began: Instant,
    weighed: Instant,
    pub excess: Option<Excess>,
    /// What the cell had been refused before.
    before: Refusals,
}

impl<'r> Run<'r> {
    /// Starts the cell's next program, which was made with STREAMS. `token` is in CMD's arguments.
    pub fn start(lab: &'r Lab, cell: &'r mut Cell, streams: Streams, token: &str) -> Result<Run<'r>, Fault> {
        // Blocked, so that each end or stop of a process wakes us instead of being missed between two looks.
        let children = SigSet::from(Signal::SIGCHLD);
        children.thread_block().doing("block SIGCHLD")?;
        let ends = SignalFd::with_flags(&children, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .doing("signalfd")?;
        let before = Refusals::of(cell);
        let tracer = Tracer::seize(cell.launch()?, token.into())?;
        cell.go()?;
        let now = Instant::now();
        Ok(Run { cell, tracer, streams, lab, ends, began: now, weighed: now, excess: None, before })
    }

    /// Lets things happen until `enough`, for as long as `patience`, or until PROGRAM has been ended for an
    /// excess. Says whether it was enough.
    pub fn until(
        &mut self,
        patience: Duration,
        mut enough: impl FnMut(&mut Run) -> bool,
    ) -> Result<bool, Fault> {
        let wait = Wait::begin(patience);
        loop {
            self.tracer.turn();
            self.streams.exchange();
            self.look_for_excess()?;
            // What is seen of one that was ended for it is not its own doing.
            if self.excess.is_some() {
                return Ok(false);
            }
            if enough(self) {
                return Ok(true);
            }
            if wait.is_over() {
                return Ok(false);
            }
            if let Some(signal) = self.lab.signals.end_asked() {
                return Err(Fault::Interrupted(signal));
            }
            self.wait_for_news();
        }
    }

    /// Sleeps until something can have changed. What is only seen by looking again is looked at each 10 ms.
    fn wait_for_news(&mut self) {
        let mut ready = vec![PollFd::new(self.ends.as_fd(), PollFlags::POLLIN)];
        ready.push(PollFd::new(self.lab.signals.as_fd(), PollFlags::POLLIN));
        for ear in [&self.streams.stdout, &self.streams.stderr] {
            ready.extend(ear.file.as_ref().map(|file| PollFd::new(file.as_fd(), PollFlags::POLLIN)));
        }
        if !self.streams.to_write.is_empty() {
            ready.extend(self.streams.stdin.as_ref().map(|f| PollFd::new(f.as_fd(), PollFlags::POLLOUT)));
        }
        let _ = poll(&mut ready, PollTimeout::from(10u8));
        while let Ok(Some(_)) = self.ends.read_signal() {}
    }

    fn look_for_excess(&mut self) -> Result<(), Fault> {
        if self.excess.is_some() {
            return Ok(());
        }
        let heard = self.streams.stdout.total + self.streams.stderr.total;
        let weigh = self.weighed.elapsed() > Duration::from_millis(50);
        if weigh {
            self.weighed = Instant::now();
        }
        self.excess = if self.tracer.crowded {
            Some(Excess::Processes)
        } else if heard > FLOOD {
            Some(Excess::Output)
        } else if weigh && self.tracer.memory() > MEMORY {
            Some(Excess::Memory)
        } else if self.began.elapsed() > LIFE {
            Some(Excess::Time)
        } else if weigh && self.cell.is_over() {
            Some(Excess::Host)
        } else {
            None
        };
        // All of the cell ends with its first process, what is not followed too.
        if self.excess.is_some() { self.cell.container.signal(libc::SIGKILL) } else { Ok(()) }
    }

    /// Waits until CMD stands before its first instruction. `false` if PROGRAM ends, or does nothing, instead.
    pub fn reach_cmd(&mut self) -> Result<bool, Fault> {
        let mut looked = Instant::now();
        self.until(PATIENCE, |run| {
            let look = looked.elapsed() > Duration::from_millis(200);
            if look {
                looked = Instant::now();
            }
            run.tracer.holds() || run.tracer.exit().is_some() || (look && run.cmd_has_got_away())
        })?;
        // One that does not wait for its child may be gone before that is CMD.
        self.until(LINGER, |run| run.tracer.holds() || run.tracer.is_deserted() || run.cmd_has_got_away())?;
        Ok(self.tracer.holds())
    }

    /// Whether CMD runs unfollowed: PROGRAM started it with `CLONE_UNTRACED` (clone(2)), so that what it starts with
    /// can't be seen.
    fn cmd_has_got_away(&self) -> bool {
        let followed = |pid: i32| process::status(Path::new("/proc"), &pid.to_string(), "TracerPid");
        let away = |pid: &i32| followed(*pid).is_some_and(|tracer| tracer == "0");
        self.cell.processes().into_iter().filter(away).any(|pid| self.tracer.is_cmd(Pid::from_raw(pid)))
    }

    /// Writes the rest to standard input, and ends it.
    pub fn say_last(&mut self, text: &[u8]) {
        self.streams.to_write.extend_from_slice(text);
        self.streams.unfinished = false;
    }

    /// Lets CMD run.
    pub fn release(&mut self) {
        self.tracer.release();
    }

    /// What was seen while CMD was held, if it was there to be seen all the time: somebody may have killed it.
    pub fn while_held<T>(&self, seen: Result<T, Fault>) -> Result<Option<T>, Fault> {
        if self.tracer.still_holds() && !self.cell.is_over() { seen.map(Some) } else { Ok(None) }
    }

    /// Waits until PROGRAM has ended by itself.
    pub fn finish(&mut self, patience: Duration) -> Result<Option<Exit>, Fault> {
        let ended = self.until(patience, |run| run.tracer.exit().is_some())?;
        // What it said last.
        self.streams.exchange();
        Ok(self.tracer.exit().filter(|_| ended))
    }

    /// Sends a signal to PROGRAM, which can't have been given another's PID: nobody but us reaps what we follow.
    pub fn signal_program(&self, signal: Signal) {
        if self.tracer.exit().is_none() {
            let _ = kill(self.tracer.program(), signal);
        }
    }

    /// Sends a signal to CMD, from outside its PID namespace.
    pub fn signal_cmd(&self, signal: Signal) {
        if let Some(pid) = self.tracer.cmd().filter(|_| self.tracer.cmd_alive()) {
            let _ = kill(pid, signal);
        }
    }

    /// What was heard on standard output and standard error, up to [`KEPT`] bytes of each.
    pub fn heard(&self) -> (&[u8], &[u8]) {
        (&self.streams.stdout.text, &self.streams.stderr.text)
    }

    /// CMD's PID, if it was ever there.
    pub fn cmd(&self) -> Option<Pid> {
        self.tracer.cmd()
    }

    /// What PROGRAM is known to have done instead of what was waited for.
    pub fn fate(&self) -> Fate {
        let (said, now) = (self.said(), Refusals::of(self.cell));
        let killed = (now.kills > self.before.kills).then_some(Excess::Memory);
        let astray = self.tracer.astray().filter(|_| self.tracer.cmd().is_none());
        match (self.excess.or(killed), self.tracer.exit()) {
            (Some(excess), _) => Fate::Exceeded(excess),
            (None, Some(_)) if astray.is_some() => Fate::Astray(astray.unwrap_or_default().into()),
            (None, Some(exit)) if now.forks > self.before.forks => Fate::Crowded(exit, said),
            (None, Some(exit)) => Fate::Ended(exit, said),
            (None, None) if self.cmd_has_got_away() => Fate::Untraced,
            (None, None) => Fate::Idle(said),
        }
    }

    /// What PROGRAM was ended for, if it was.
    pub fn exceeded(&self) -> Option<Fate> {
        self.excess.map(Fate::Exceeded)
    }

    /// The reason that PROGRAM gave, without what CMD itself had to say.
    fn said(&self) -> Quote {
        let said = String::from_utf8_lossy(self.heard().1).replace(ASIDE, "");
        reason::of(&said).map(|words| words.chars().take(SAID).collect())
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        self.cell.thaw();
        self.tracer.end();
    }
}
