//! The gate before execve(2): where a container that is made, and not started, waits for the word.
//!
//! A container that is tied to us has none: it waits on the wire. One that is to outlive us waits at something that has a
//! name, so that another process can give the word: a Unix socket, over which it also says why it could not become its program, or
//! a FIFO, over which it says nothing.

use std::io::{ErrorKind, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::wire::{FromInside, Wire};
use fault::{Doing, Fault};

/// What a gate with a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Socket,
    Fifo,
}

/// The container's side of it.
pub enum Gate {
    /// A listening socket.
    Socket(OwnedFd),
    /// The reading end of a FIFO.
    Fifo(OwnedFd),
}

impl Gate {
    /// Makes a gate in a directory, before there is a process. It is inherited, so no path has to lead to it from
    /// inside.
    pub fn make(dir: &Path, kind: Kind) -> Result<Gate, Fault> {
        let path = path(dir);
        let doing = || format!("make {}", path.display());
        match kind {
            Kind::Socket => {
                let listener = UnixListener::bind(short(dir).doing(doing())?.path()).doing(doing())?;
                Ok(Gate::Socket(listener.into()))
            }
            Kind::Fifo => {
                mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).doing(doing())?;
                // It need not have a writer yet (fifo(7)).
                let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
                open(&path, flags, Mode::empty()).map(Gate::Fifo).doing(doing())
            }
        }
    }

    /// The descriptor that it waits at.
    pub fn descriptor(&self) -> RawFd {
        let (Gate::Socket(fd) | Gate::Fifo(fd)) = self;
        fd.as_raw_fd()
    }

    /// As the first process: waits for the word, and returns the wire that is there from then on.
    pub fn wait(self) -> Result<Wire, Fault> {
        match self {
            Gate::Socket(listener) => {
                let (stream, _) = UnixListener::from(listener).accept().doing("wait at the gate")?;
                let wire = Wire::over(stream.into());
                wire.wait().map(|()| wire)
            }
            Gate::Fifo(fifo) => {
                wait_at_fifo(&fifo).doing("wait at the gate")?;
                // Nobody hears what it says.
                Wire::pair().map(|(_, ours)| ours)
            }
        }
    }
}

/// Where the gate of a container is that has its state in this directory.
fn path(dir: &Path) -> PathBuf {
    dir.join("gate")
}

/// A way to the gate that fits into the 108 bytes of a socket's address (unix(7)).
struct Short(OwnedFd);

impl Short {
    fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/gate", self.0.as_raw_fd()))
    }
}

fn short(dir: &Path) -> nix::Result<Short> {
    open(dir, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()).map(Short)
}

fn wait_at_fifo(fifo: &OwnedFd) -> nix::Result<()> {
    loop {
        match poll(&mut [PollFd::new(fifo.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
            Ok(_) => break,
        }
    }
    nix::unistd::read(fifo, &mut [0; 1]).map(drop)
}

/// Gives the word at the gate of the container whose state is in `dir`. At a socket it hears why the container could not
/// become its program.
///
/// # Errors
/// What kept it from that; that nobody waits at the gate any more.
pub fn open_gate(dir: &Path) -> Result<(), Fault> {
    let path = path(dir);
    let doing = || format!("open the gate {}", path.display());
    match UnixStream::connect(short(dir).doing(doing())?.path()) {
        Ok(stream) => {
            let wire = Wire::over(stream.into());
            wire.go()?;
            while let Some(said) = wire.receive()? {
                if let FromInside::Failed(fault) = said {
                    return Err(fault);
                }
            }
            Ok(())
        }
        // It is no socket, or nobody listens at it any more.
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => give_word(&path).doing(doing()),
        Err(error) => Err(error).doing(doing()),
    }
}

fn give_word(path: &Path) -> std::io::Result<()> {
    let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let fifo = open(path, flags, Mode::empty())?;
    std::fs::File::from(fifo).write_all(b"g")
}
