//! The program in the guest: started with three pipes or with a terminal, fed and listened to.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::SigSet;
use nix::unistd::{
    ForkResult, Gid, Pid, Uid, chdir, dup2_stderr, dup2_stdin, dup2_stdout, fork, pipe2, setsid,
};

use super::super::wire::{Job, Size, Stream};
use super::setup;
use engine::{Exit, PATH, explain_refusal, find_program};
use fault::{Doing, Fault};
use kernel::child::guarded;
use kernel::signals;

/// A program that runs, and our ends of what it speaks and hears through.
pub struct Running {
    pub pid: Pid,
    out: Option<OwnedFd>,
    /// `None` with a terminal, which has one stream for both.
    error: Option<OwnedFd>,
    input: Option<OwnedFd>,
    /// With a terminal: what `out` and `input` are ends of.
    terminal: bool,
    /// Input that the program has not taken yet.
    pending: Vec<u8>,
    /// No more input comes; it ends once `pending` is taken.
    last: bool,
    exit: Option<Exit>,
    /// Once it has ended: how many bytes of each stream, output and error output, may still be its own.
    left: [usize; 2],
}

/// The program's own ends.
struct Theirs {
    input: OwnedFd,
    out: OwnedFd,
    error: OwnedFd,
}

impl Running {
    /// Starts the program, and returns when it was executed, or could not be.
    pub fn start(job: &Job) -> Result<Running, Fault> {
        let (theirs, mut ours) = match job.terminal {
            Some(size) => on_terminal(size)?,
            None => on_pipes()?,
        };
        let (hear, say) = pipe2(OFlag::O_CLOEXEC).doing("make a pipe")?;
        // SAFETY: one thread.
        match unsafe { fork() }.doing("fork the program")? {
            ForkResult::Child => guarded(|| {
                let fault = become_it(job, &theirs);
                let _ = File::from(say).write_all(&serde_json::to_vec(&fault).unwrap_or_default());
                fault.status()
            }),
            ForkResult::Parent { child } => ours.pid = child,
        }
        drop((theirs, say));
        let mut fault = Vec::new();
        File::from(hear).read_to_end(&mut fault).doing("hear from the program")?;
        match serde_json::from_slice(&fault) {
            Ok(fault) => Err(fault),
            // The pipe was closed by execve(2).
            Err(_) => Ok(ours),
        }
    }

    /// The ends that something may come from or go to: output, error output, input.
    pub fn ends(&self) -> (Option<&OwnedFd>, Option<&OwnedFd>, Option<&OwnedFd>) {
        let hungry = !self.pending.is_empty();
        (self.out.as_ref(), self.error.as_ref(), self.input.as_ref().filter(|_| hungry))
    }

    /// What the program has said on a stream; `None` when there is nothing, now or ever again.
    pub fn said(&mut self, stream: Stream, most: usize) -> Option<Vec<u8>> {
        let (end, left) = match stream {
            Stream::Out => (&mut self.out, &mut self.left[0]),
            Stream::Error => (&mut self.error, &mut self.left[1]),
        };
        let mut chunk = vec![0; most];
        match nix::unistd::read(end.as_ref()?, &mut chunk) {
            Ok(n @ 1..) => {
                chunk.truncate(n);
                *left = left.saturating_sub(n);
                return Some(chunk);
            }
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            // The end of a pipe; EIO is a terminal's (ioctl_tty(2)).
            _ => *end = None,
        }
        None
    }

    pub fn input(&mut self, bytes: Vec<u8>) {
        self.pending.extend(bytes);
    }

    /// No more input: a pipe is closed, a terminal gets what its user would type, Ctrl-D.
    pub fn input_ends(&mut self) {
        if self.terminal {
            self.pending.push(4);
        }
        self.last = true;
        self.close_if_done();
    }

    /// Gives the program as much input as it takes. Returns how much that was.
    pub fn feed(&mut self) -> usize {
        let Some(input) = &self.input else { return 0 };
        let taken = match nix::unistd::write(input, &self.pending) {
            Ok(n) => n,
            Err(Errno::EAGAIN | Errno::EINTR) => 0,
            // It has closed its standard input and will never take the rest.
            Err(_) => {
                self.input = None;
                self.pending.len()
            }
        };
        self.pending.drain(..taken);
        self.close_if_done();
        taken
    }

    fn close_if_done(&mut self) {
        if self.last && self.pending.is_empty() && !self.terminal {
            self.input = None;
        }
    }

    /// TIOCSWINSZ (ioctl_tty(2)); the kernel tells the foreground job by SIGWINCH.
    pub fn resize(&self, size: Size) {
        let (Some(terminal), true) = (&self.out, self.terminal) else { return };
        let size = winsize(size);
        // SAFETY: an open descriptor and a live structure.
        let _ = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &size) };
    }

    pub fn ended(&mut self, exit: Exit) {
        self.exit = Some(exit);
        self.left = [&self.out, &self.error].map(|end| end.as_ref().map_or(0, capacity));
    }

    /// How it ended, once all that it has said was heard. What a child that outlives it may say later is lost,
    /// as it is when a terminal closes: such a child may never be quiet.
    pub fn over(&self) -> Option<Exit> {
        let exit = self.exit?;
        let heard = |end: &Option<OwnedFd>, left: usize| left == 0 || end.as_ref().is_none_or(quiet);
        (heard(&self.out, self.left[0]) && heard(&self.error, self.left[1])).then_some(exit)
    }
}

/// Whether there is nothing to hear at the moment.
fn quiet(end: &OwnedFd) -> bool {
    let mut ready = [PollFd::new(end.as_fd(), PollFlags::POLLIN)];
    !matches!(poll(&mut ready, PollTimeout::ZERO), Ok(1..))
}

/// How many bytes lie in a pipe at most (F_GETPIPE_SZ, fcntl(2)). A terminal holds less than a pipe does unasked.
fn capacity(end: &OwnedFd) -> usize {
    const USUAL: usize = 64 << 10;
    fcntl(end, FcntlArg::F_GETPIPE_SZ).map_or(USUAL, |bytes| bytes as usize)
}

fn on_pipes() -> Result<(Theirs, Running), Fault> {
    let pipe = || pipe2(OFlag::O_CLOEXEC).doing("make a pipe");
    let ((input, feed), (hear, out), (hear_error, error)) = (pipe()?, pipe()?, pipe()?);
    for end in [&feed, &hear, &hear_error] {
        fcntl(end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).doing("fcntl")?;
    }
    Ok((Theirs { input, out, error }, Running::new(hear, Some(hear_error), feed, false)))
}

fn on_terminal(size: Size) -> Result<(Theirs, Running), Fault> {
    let pty = openpty(&winsize(size), None).doing("make a terminal")?;
    for end in [&pty.master, &pty.slave] {
        fcntl(end, FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC)).doing("fcntl")?;
    }
    fcntl(&pty.master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK | OFlag::O_RDWR)).doing("fcntl")?;
    let copy = |fd: &OwnedFd| fd.try_clone().doing("duplicate a terminal's end");
    let theirs = Theirs { input: copy(&pty.slave)?, out: copy(&pty.slave)?, error: pty.slave };
    Ok((theirs, Running::new(copy(&pty.master)?, None, pty.master, true)))
}

impl Running {
    fn new(out: OwnedFd, error: Option<OwnedFd>, input: OwnedFd, terminal: bool) -> Running {
        Running {
            pid: Pid::from_raw(0),
            out: Some(out),
            error,
            input: Some(input),
            terminal,
            pending: Vec::new(),
            last: false,
            exit: None,
            left: [0; 2],
        }
    }
}

fn winsize(size: Size) -> Winsize {
    Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 }
}

/// In the child: becomes the program, or says what was wrong.
fn become_it(job: &Job, theirs: &Theirs) -> Fault {
    let environment = environment(job);
    let settled = settle(job, theirs);
    let name = job.argv.first().map(OsString::as_os_str).unwrap_or_default();
    let path = match settled.and_then(|()| find_program(name, &environment)) {
        Ok(path) => path,
        Err(fault) => return fault,
    };
    let texts =
        |list: &[OsString]| list.iter().map(|s| CString::new(s.as_bytes())).collect::<Result<Vec<_>, _>>();
    let (Ok(name), Ok(argv), Ok(envp)) =
        (CString::new(path.as_os_str().as_bytes()), texts(&job.argv), texts(&environment))
    else {
        return Fault::usage("nul-in-argument", &[]);
    };
    let Err(errno) = nix::unistd::execve(&name, &argv, &envp);
    explain_refusal(&path).unwrap_or_else(|| Fault::broken(format!("execute {}", path.display()), errno))
}

/// Streams, session, signals and user as a program expects them.
fn settle(job: &Job, theirs: &Theirs) -> Result<(), Fault> {
    setsid().doing("setsid")?;
    dup2_stdin(&theirs.input).doing("dup2")?;
    dup2_stdout(&theirs.out).doing("dup2")?;
    dup2_stderr(&theirs.error).doing("dup2")?;
    if job.terminal.is_some() {
        // SAFETY: standard input is the terminal; 0 takes it from nobody.
        Errno::result(unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) }).doing("TIOCSCTTY")?;
    }
    if let Some(user) = job.user {
        setup::join_delegated(user)?;
        nix::unistd::setgroups(&[]).doing("setgroups")?;
        nix::unistd::setgid(Gid::from_raw(user)).doing("setgid")?;
        nix::unistd::setuid(Uid::from_raw(user)).doing("setuid")?;
    }
    chdir(setup::home(job.user).as_path()).doing("chdir")?;
    signals::reset();
    SigSet::empty().thread_set_mask().doing("unblock signals")
}

/// A small environment of its own, and what the host passed on.
fn environment(job: &Job) -> Vec<OsString> {
    let pair = |name: &str, value: &OsString| {
        let mut pair = OsString::from(format!("{name}="));
        pair.push(value);
        pair
    };
    let own = [("PATH", PATH.into()), ("HOME", setup::home(job.user).into_os_string())];
    let own = own.iter().map(|(name, value)| pair(name, value));
    own.chain(job.environment.iter().map(|(name, value)| pair(name, value))).collect()
}
