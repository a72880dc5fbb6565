//! The wire between the workshop and a container's first process, until that becomes its program.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
use serde::{Deserialize, Serialize};

use crate::fault::{Doing, Fault};
use crate::kernel::signals::Signals;
use crate::kernel::told::{Call, Listener};

/// What the first process says.
#[derive(Serialize, Deserialize)]
pub enum FromInside {
    /// It is about to make a call, and waits for the word to go on.
    About(Call),
    /// It made one.
    Told(Call),
    /// It is set up, and waits for the word to become the program.
    Ready,
    /// It is about to become a program that will not get far: what to tell if it ends with status 127.
    Suspect(Fault),
    /// It could not go on.
    Failed(Fault),
}

/// Room for one message: a netlink request in strace's words is the longest.
const LONGEST: usize = 64 * 1024;

/// One end of the wire. It is closed by execve(2), which the other end sees as the end of it.
pub struct Channel(OwnedFd);

impl Channel {
    /// Both ends: ours and the first process's.
    pub fn pair() -> Result<(Channel, Channel), Fault> {
        let (ours, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
                .doing("make a socket pair")?;
        Ok((Channel(ours), Channel(theirs)))
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
        match self.packet(&mut [0; 1])? {
            0 => Err(Fault::broken("wait for the workshop", "it is gone")),
            _ => Ok(()),
        }
    }

    pub fn say(&self, message: &FromInside) -> Result<(), Fault> {
        let text = serde_json::to_vec(message).doing("write a message")?;
        send(self.0.as_raw_fd(), &text, MsgFlags::MSG_NOSIGNAL).doing("speak to the workshop").map(drop)
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
        let mut room = vec![0; LONGEST];
        match self.packet(&mut room)? {
            0 => Ok(None),
            n => serde_json::from_slice(&room[..n]).doing("understand the container").map(Some),
        }
    }

    fn packet(&self, room: &mut [u8]) -> Result<usize, Fault> {
        loop {
            match recv(self.0.as_raw_fd(), room, MsgFlags::empty()) {
                Ok(n) => return Ok(n),
                Err(Errno::EINTR) => {}
                // The peer ended with words of ours unread.
                Err(Errno::ECONNRESET) => return Ok(0),
                Err(e) => return Err(Fault::broken("listen", e)),
            }
        }
    }
}

/// The listener inside: passes on to the one outside, which may make us wait before each call.
pub struct Upward<'c> {
    pub channel: &'c Channel,
    /// The steps whose calls are wanted.
    pub wanted: Vec<&'static str>,
}

impl Listener for Upward<'_> {
    fn wants(&self, step: &str) -> bool {
        self.wanted.contains(&step)
    }

    fn about(&mut self, call: &Call) -> std::io::Result<()> {
        let told = self.channel.say(&FromInside::About(call.clone()));
        told.and_then(|()| self.channel.wait()).map_err(std::io::Error::other)
    }

    fn told(&mut self, call: Call) -> std::io::Result<()> {
        self.channel.say(&FromInside::Told(call)).map_err(std::io::Error::other)
    }
}
