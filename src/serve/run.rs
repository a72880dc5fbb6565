//! A step that a page has asked for: a child that writes events, a line each.

use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{Child, ChildStdout, Command, Stdio};

use fault::{Doing, Fault};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub struct Run {
    child: Child,
    /// Until its end.
    output: Option<ChildStdout>,
    is_asked: bool,
}

impl Run {
    /// Starts it with no terminal to ask on; what it says goes to us alone.
    ///
    /// # Errors
    ///
    /// If there can be no such child.
    pub fn start(mut command: Command) -> Result<Run, Fault> {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = kernel::signals::reset_in(command).spawn().doing("start the step")?;
        let output = child.stdout.take();
        if let Some(output) = &output {
            fcntl(output, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).doing("read without waiting")?;
        }
        Ok(Run { child, output, is_asked: false })
    }

    /// What to wait for.
    pub fn output(&self) -> Option<BorrowedFd<'_>> {
        self.output.as_ref().map(AsFd::as_fd)
    }

    /// Hands on what it has said since, a piece of it at a time.
    pub fn read(&mut self, mut to: impl FnMut(&[u8])) {
        let mut piece = [0; 16 << 10];
        let Some(output) = &mut self.output else { return };
        match output.read(&mut piece) {
            Ok(0) => self.output = None,
            Ok(count) => to(piece.get(..count).unwrap_or_default()),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => self.output = None,
        }
    }

    /// Whether all is said, and it is over.
    pub fn has_ended(&mut self) -> bool {
        self.output.is_none() && !matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it, once, to undo what it has done and end.
    pub fn ask_to_end(&mut self) {
        if !self.is_asked {
            self.is_asked = true;
            // It is ours and not waited for yet, so the number is still its own.
            let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
        }
    }

    /// Asks it to end, and waits until it has.
    pub fn end(mut self) {
        self.ask_to_end();
        // It may wait for a reader of what it says.
        self.output = None;
        let _ = self.child.wait();
    }
}
