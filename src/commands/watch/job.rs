//! A build or a check that runs while we wait for keys and saves.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{Winsize, openpty};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::kernel::child::pidfd_open;
use crate::kernel::signals::reset_in;

/// The most of its output that is kept, in bytes.
const MOST: usize = 1 << 20;

/// How long a job may take to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(3);

/// A child in a process group of its own, so that what it has started can be ended with it.
pub struct Job {
    child: Child,
    ended: OwnedFd,
    output: OwnedFd,
    /// What it has said so far.
    pub said: Vec<u8>,
    /// Whether it may say more.
    pub is_open: bool,
    errors: Option<File>,
}

impl Job {
    /// Starts a build on a terminal of this size, a pseudo-terminal (pty(7)): compilers then print as they do for people.
    pub fn build(mut command: Command, rows: u16, columns: u16) -> io::Result<Job> {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None)?;
        command.stdout(pty.slave.try_clone()?).stderr(pty.slave);
        Job::start(command, pty.master, None)
    }

    /// Starts a program whose standard output is to be read, and whose errors are kept apart.
    pub fn read(program: &OsStr, args: &[OsString], dir: &Path) -> io::Result<Job> {
        let (output, to) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
        let errors = File::from(memfd_create(c"errors", MFdFlags::MFD_CLOEXEC)?);
        let mut command = Command::new(program);
        command.args(args).current_dir(dir).stdout(to).stderr(errors.try_clone()?);
        Job::start(command, output, Some(errors))
    }

    fn start(mut command: Command, output: OwnedFd, errors: Option<File>) -> io::Result<Job> {
        fcntl(&output, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let child = reset_in(&mut command).stdin(Stdio::null()).process_group(0).spawn()?;
        let ended = pidfd_open(Pid::from_raw(child.id() as i32))?;
        Ok(Job { child, ended, output, said: Vec::new(), is_open: true, errors })
    }

    /// Becomes readable when it has said something.
    pub fn output(&self) -> BorrowedFd<'_> {
        self.output.as_fd()
    }

    /// Becomes readable when it has ended.
    pub fn ended(&self) -> BorrowedFd<'_> {
        self.ended.as_fd()
    }

    /// What it has said since it was last asked.
    pub fn hear(&mut self) -> Vec<u8> {
        let mut new = Vec::new();
        let mut piece = [0; 4096];
        self.is_open = loop {
            match nix::unistd::read(&self.output, &mut piece) {
                // A terminal whose other side is closed answers EIO.
                Ok(0) | Err(nix::errno::Errno::EIO) => break false,
                Ok(count) => new.extend(piece.iter().take(count)),
                Err(_) => break true,
            }
        };
        let room = MOST.saturating_sub(self.said.len()).min(new.len());
        new.truncate(room);
        self.said.extend_from_slice(&new);
        new
    }

    /// How it ended, and what it said on standard error, if that was kept. Waits for it.
    pub fn finish(mut self) -> io::Result<(ExitStatus, Vec<u8>, String)> {
        let status = self.child.wait()?;
        self.hear();
        let mut errors = Vec::new();
        if let Some(mut file) = self.errors {
            file.rewind()?;
            file.take(MOST as u64).read_to_end(&mut errors)?;
        }
        Ok((status, self.said, String::from_utf8_lossy(&errors).into_owned()))
    }

    /// Ends it: it is asked to, so that it can clean up, and if it does not within some seconds, it is made to.
    pub fn end(mut self) {
        self.signal(Signal::SIGTERM);
        let until = Instant::now() + PATIENCE;
        loop {
            // A job that waits for somebody to read what it says would not end.
            self.hear();
            let left = until.saturating_duration_since(Instant::now());
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                break;
            }
            if left.is_zero() {
                self.signal(Signal::SIGKILL);
                break;
            }
            let mut fds = [PollFd::new(self.ended.as_fd(), PollFlags::POLLIN)];
            let _ = poll(
                &mut fds,
                PollTimeout::try_from(left.min(Duration::from_millis(50))).unwrap_or(PollTimeout::ZERO),
            );
        }
        let _ = self.child.wait();
    }

    /// Sends a signal to it and to what it has started. Until it was waited for, its number is its own.
    pub fn signal(&self, signal: Signal) {
        let _ = killpg(Pid::from_raw(self.child.id() as i32), signal);
    }
}

/// The exit status as a shell has it.
pub fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_sees_a_terminal_and_all_that_it_says_is_kept() {
        let script = "test -t 1 && test -t 2 && stty size <&1; echo said >&2; exit 3";
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let job = Job::build(command, 24, 60).unwrap();
        let (status, said, _) = job.finish().unwrap();
        assert_eq!((code(status), String::from_utf8_lossy(&said).as_ref()), (3, "24 60\r\nsaid\r\n"));
    }

    #[test]
    fn output_and_errors_are_kept_apart() {
        let args = ["-c".into(), "echo out; echo err >&2; kill -9 $$".into()];
        let job = Job::read("sh".as_ref(), &args, Path::new("/")).unwrap();
        let (status, said, errors) = job.finish().unwrap();
        assert_eq!((code(status), said, errors.as_str()), (137, b"out\n".to_vec(), "err\n"));
    }

    #[test]
    fn a_job_ends_with_what_it_has_started_even_if_it_does_not_want_to() {
        let args = ["-c".into(), "trap '' TERM; sleep 600 & echo $!; while :; do wait; done".into()];
        let mut job = Job::read("sh".as_ref(), &args, Path::new("/")).unwrap();
        while !job.said.ends_with(b"\n") {
            job.hear();
        }
        let sleeper = String::from_utf8_lossy(&job.said).trim().to_owned();
        let began = Instant::now();
        job.end();
        // Less than the sleeper sleeps, and more than a busy machine takes.
        assert!(began.elapsed() < Duration::from_secs(300));
        // Its new parent may take its time to wait for it.
        let stat = || std::fs::read_to_string(format!("/proc/{sleeper}/stat")).unwrap_or_default();
        let gone = || stat().is_empty() || stat().contains(") Z ");
        let mut tries = (0..3000).inspect(|_| std::thread::sleep(Duration::from_millis(20)));
        assert!(tries.any(|_| gone()), "{}", stat());
    }
}
