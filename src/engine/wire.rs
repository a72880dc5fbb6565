//! The wire between the workshop and a container's first process, until that becomes its program.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
use serde::{Deserialize, Serialize};

use fault::{Doing, Fault};
use kernel::signals::Signals;
use kernel::told::{Call, Listener, Unheard};

/// What the first process says.
#[derive(Serialize, Deserialize)]
pub enum FromInside {
    /// It is about to make a call, and waits for the word to go on.
    About(Call),
    /// It made one.
    Told(Call),
    /// It is set up, and waits for the word to become the program.
    Ready,
    /// It could not go on.
    Failed(Fault),
}

/// One end of the wire. It is closed by execve(2), which the other end sees as the end of it.
pub struct Wire(OwnedFd);

impl Wire {
    /// Both ends: ours and the first process's.
    pub fn pair() -> Result<(Wire, Wire), Fault> {
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)
            .doing("make a socket pair")?;
        Ok((Wire(ours), Wire(theirs)))
    }

    /// One end of a connection that is there already.
    pub fn over(connection: OwnedFd) -> Wire {
        Wire(connection)
    }

    /// The word to go on.
    pub fn go(&self) -> Result<(), Fault> {
        match send(self.0.as_raw_fd(), b"g", MsgFlags::MSG_NOSIGNAL) {
            // Gone already: what it died of comes with the next receive.
            Ok(_) | Err(Errno::EPIPE) => Ok(()),
            Err(e) => Err(Fault::broken("speak to the container", e)),
        }
    }

    /// Waits for the word to go on. An end of the wire means that the workshop has died.
    pub fn wait(&self) -> Result<(), Fault> {
        match self.fill(&mut [0; 1])? {
            0 => Err(Fault::broken("wait for the workshop", "it is gone")),
            _ => Ok(()),
        }
    }

    /// Sends a message, with its length in front: a command line may be 2 MiB, more than one packet holds.
    /// [`FromInside::Ready`], which every container says, has none.
    pub fn say(&self, message: &FromInside) -> Result<(), Fault> {
        let text = match message {
            FromInside::Ready => Vec::new(),
            message => serde_json::to_vec(message).doing("write a message")?,
        };
        let mut rest = &[&(text.len() as u64).to_ne_bytes(), &text[..]].concat()[..];
        while !rest.is_empty() {
            match send(self.0.as_raw_fd(), rest, MsgFlags::MSG_NOSIGNAL) {
                Ok(sent) => rest = rest.get(sent..).unwrap_or_default(),
                Err(Errno::EINTR) => {}
                Err(e) => return Err(Fault::broken("speak to the workshop", e)),
            }
        }
        Ok(())
    }

    /// Waits until there is something to receive, or a signal asks us to end.
    pub fn ready(&self, signals: &Signals) -> Result<(), Fault> {
        loop {
            let mut ready = [
                PollFd::new(self.0.as_fd(), PollFlags::POLLIN),
                PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut ready, PollTimeout::NONE) {
                Ok(_) if ready[0].any() == Some(true) => return Ok(()),
                Ok(_) => signals.end_asked().map_or(Ok(()), |signal| Err(Fault::Interrupted(signal)))?,
                Err(Errno::EINTR) => {}
                Err(e) => return Err(Fault::broken("wait for the container", e)),
            }
        }
    }

    /// The next message, or `None` at the end.
    pub fn receive(&self) -> Result<Option<FromInside>, Fault> {
        let mut length = [0; size_of::<u64>()];
        if self.fill(&mut length)? < length.len() {
            return Ok(None);
        }
        let length = u64::from_ne_bytes(length) as usize;
        if length == 0 {
            return Ok(Some(FromInside::Ready));
        }
        let mut text = vec![0; length];
        // A message that is cut short was the last: whoever spoke has been killed.
        if self.fill(&mut text)? < text.len() {
            return Ok(None);
        }
        serde_json::from_slice(&text).doing("understand the container").map(Some)
    }

    /// Reads until the room is full or the wire ends; returns how much was read.
    fn fill(&self, room: &mut [u8]) -> Result<usize, Fault> {
        let mut filled = 0;
        while let Some(left) = room.get_mut(filled..).filter(|left| !left.is_empty()) {
            match recv(self.0.as_raw_fd(), left, MsgFlags::empty()) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(Errno::EINTR) => {}
                // The peer ended with words of ours unread.
                Err(Errno::ECONNRESET) => break,
                Err(e) => return Err(Fault::broken("listen", e)),
            }
        }
        Ok(filled)
    }
}

impl AsRawFd for Wire {
    fn as_raw_fd(&self) -> i32 {
        self.0.as_raw_fd()
    }
}

/// The listener inside: passes on to the one outside, which may make us wait before each call.
pub struct Upward<'c> {
    wire: &'c Wire,
    /// The steps whose calls are wanted.
    wanted: Vec<&'static str>,
    unheard: Unheard,
}

impl<'c> Upward<'c> {
    pub fn new(wire: &'c Wire, wanted: Vec<&'static str>) -> Upward<'c> {
        Upward { wire, wanted, unheard: Unheard::default() }
    }
}

impl Listener for Upward<'_> {
    fn wants(&self, step: &str) -> bool {
        self.wanted.contains(&step)
    }

    fn about(&mut self, call: &Call) -> io::Result<()> {
        self.heard()?;
        let told = self.wire.say(&FromInside::About(call.clone()));
        told.and_then(|()| self.wire.wait()).map_err(io::Error::other)
    }

    fn told(&mut self, call: Call) {
        self.unheard.note(self.wire.say(&FromInside::Told(call)).map_err(io::Error::other));
    }

    fn heard(&mut self) -> io::Result<()> {
        self.unheard.heard()
    }
}
