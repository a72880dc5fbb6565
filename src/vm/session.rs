//! A program in the guest as its user sees it: streams go in and out, a terminal is a terminal, and the status
//! is the program's.

use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::poll::{PollFd, PollFlags};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcdrain, tcgetattr, tcsetattr};
use nix::unistd::{getpgrp, read, tcgetpgrp};

use super::machine::{Event, Machine};
use super::wire::{FromGuest, Job, Size, Stream, ToGuest, WINDOW};
use engine::{Exit, null_device};
use fault::{Doing, Fault};
use kernel::breakable::{self, breakable};
use kernel::signals::{ENDING, STOPPING, Signals, stop};

/// Where the program's input comes from and what it says goes to.
pub struct Streams {
    pub input: OwnedFd,
    pub out: Box<dyn Write>,
    pub error: Box<dyn Write>,
}

impl Streams {
    /// Our own.
    pub fn ours() -> Result<Streams, Fault> {
        let input = std::io::stdin().as_fd().try_clone_to_owned().doing("duplicate standard input")?;
        Ok(Streams {
            input,
            out: Box::new(breakable::Stream::output()),
            error: Box::new(breakable::Stream::errors()),
        })
    }

    /// No input, and what it says is kept nowhere.
    pub fn none() -> Result<Streams, Fault> {
        let null = null_device()?;
        Ok(Streams { input: null.into(), out: Box::new(std::io::sink()), error: Box::new(std::io::sink()) })
    }
}

/// One program's run in a machine.
pub struct Session<'s> {
    machine: &'s mut Machine,
    signals: &'s Signals,
    streams: Streams,
    /// With a terminal, while it is the guest's.
    raw: Option<RawTerminal>,
    /// More input may come.
    open: bool,
    /// Bytes on their way that the program has not taken.
    sent: usize,
}

impl<'s> Session<'s> {
    pub fn new(machine: &'s mut Machine, signals: &'s Signals, streams: Streams) -> Session<'s> {
        Session { machine, signals, streams, raw: None, open: true, sent: 0 }
    }

    /// Runs the program to its end. With a terminal, ours is raw meanwhile: each key is for the guest.
    ///
    /// # Errors
    /// `Interrupted` when a signal asks us to end; the machine is to be switched off then.
    pub fn run(mut self, job: Job) -> Result<Exit, Fault> {
        self.raw = job.terminal.map(|_| RawTerminal::enter()).transpose()?;
        self.machine.say(&ToGuest::Run(job))?;
        loop {
            let event = {
                let mut yours = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
                if self.open && self.sent < WINDOW {
                    yours.push(PollFd::new(self.streams.input.as_fd(), PollFlags::POLLIN));
                }
                self.machine.next(&yours)?
            };
            match event {
                Event::Yours => self.serve()?,
                Event::Word(FromGuest::Output(Stream::Out, bytes)) => {
                    self.streams
                        .out
                        .write_all(&bytes)
                        .and_then(|()| self.streams.out.flush())
                        .map_err(Fault::output)?;
                }
                // If nobody reads what went wrong, the status still tells that something did.
                Event::Word(FromGuest::Output(Stream::Error, bytes)) => {
                    let _ = self.streams.error.write_all(&bytes).and_then(|()| self.streams.error.flush());
                }
                Event::Word(FromGuest::Taken(bytes)) => self.sent = self.sent.saturating_sub(bytes),
                Event::Word(FromGuest::Ended(exit)) => return Ok(exit),
                Event::Word(FromGuest::Failed(fault)) => return Err(fault),
                Event::Word(_) => {}
            }
        }
    }

    /// A signal, or input.
    fn serve(&mut self) -> Result<(), Fault> {
        while let Some(sent) = self.signals.next() {
            if ENDING.contains(&sent.signal) {
                return Err(Fault::Interrupted(sent.signal));
            }
            if STOPPING.contains(&sent.signal) {
                self.stop(sent.signal)?;
            }
            if sent.signal == libc::SIGWINCH {
                self.resize()?;
            }
        }
        if self.open && self.sent < WINDOW {
            self.send_input()?;
        }
        Ok(())
    }

    /// Stops us until we are continued. The terminal is not the guest's meanwhile.
    fn stop(&mut self, signal: i32) -> Result<(), Fault> {
        let lent = self.raw.take().is_some();
        stop(signal);
        if lent {
            self.raw = Some(RawTerminal::enter()?);
            self.resize()?;
        }
        Ok(())
    }

    fn resize(&mut self) -> Result<(), Fault> {
        terminal_size().map_or(Ok(()), |size| self.machine.say(&ToGuest::Resize(size)))
    }

    fn send_input(&mut self) -> Result<(), Fault> {
        let input = self.streams.input.as_fd();
        let mut ready = [PollFd::new(input, PollFlags::POLLIN)];
        if !matches!(nix::poll::poll(&mut ready, nix::poll::PollTimeout::ZERO), Ok(1..)) {
            return Ok(());
        }
        let mut bytes = vec![0; WINDOW - self.sent];
        // In the background we are not to read from a terminal, and stop (SIGTTIN).
        let n = breakable(|| read(input, &mut bytes)).map_err(Fault::Interrupted)?.unwrap_or(0);
        if n == 0 {
            self.open = false;
            return self.machine.say(&ToGuest::InputEnds);
        }
        bytes.truncate(n);
        self.sent += n;
        self.machine.say(&ToGuest::Input(bytes))
    }
}

/// The size of the terminal that standard output is, if it is one (TIOCGWINSZ, ioctl_tty(2)).
pub fn terminal_size() -> Option<Size> {
    // SAFETY: a structure of integers, which the call fills.
    let mut size: libc::winsize = unsafe { std::mem::zeroed() };
    // SAFETY: a live structure of the right type.
    let done = unsafe { libc::ioctl(std::io::stdout().as_raw_fd(), libc::TIOCGWINSZ, &mut size) };
    (done == 0 && size.ws_col > 0).then_some(Size { rows: size.ws_row, columns: size.ws_col })
}

/// Our terminal without a mind of its own, until this is dropped.
struct RawTerminal(Termios);

impl RawTerminal {
    /// In the background we stop first, until `fg`, as any program does that changes the terminal.
    fn enter() -> Result<RawTerminal, Fault> {
        let stdin = std::io::stdin();
        // It changes nothing, but the kernel minds it as much as a change, and tells us so by SIGTTOU. The modes
        // that are there afterwards are those that the shell has given us.
        breakable(|| tcdrain(&stdin)).map_err(Fault::Interrupted)?.doing("tcdrain")?;
        let before = tcgetattr(&stdin).doing("tcgetattr")?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(&stdin, SetArg::TCSADRAIN, &raw).doing("tcsetattr")?;
        Ok(RawTerminal(before))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        let stdin = std::io::stdin();
        // Somebody else's, if we were put in the background. One that isn't our controlling terminal is nobody's.
        if tcgetpgrp(&stdin).is_ok_and(|foreground| foreground != getpgrp()) {
            return;
        }
        let _ = tcsetattr(stdin, SetArg::TCSADRAIN, &self.0);
    }
}
