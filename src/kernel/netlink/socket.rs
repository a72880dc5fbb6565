//! The socket that requests go to, and the kernel's answers.

use std::ffi::c_int;
use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::setsockopt_impl;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, sendto,
    setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;

use super::strace::{self, HEADER, attributes, messages, u16_at, u32_at};
use super::{Request, Sequence};

/// How long we wait for an answer. The kernel answers before `sendto` returns, so this is for faults only.
const PATIENCE: Duration = Duration::from_secs(5);

/// Room for one datagram in bytes: a dump comes in pieces of at most 32 KiB.
const BUFFER: usize = 64 * 1024;

/// The attribute of an error message that holds the kernel's explanation (`linux/netlink.h`).
const NLMSGERR_ATTR_MSG: u16 = 1;

/// Acknowledgements quote only the header of the message that they answer (netlink(7)). nix has no type for it.
#[derive(Clone, Copy)]
struct CapAck;
setsockopt_impl!(CapAck, libc::SOL_NETLINK, libc::NETLINK_CAP_ACK, bool, sockopt::SetBool);

/// Acknowledgements come with the kernel's own words, where it has any (netlink(7)).
#[derive(Clone, Copy)]
struct ExtAck;
setsockopt_impl!(ExtAck, libc::SOL_NETLINK, libc::NETLINK_EXT_ACK, bool, sockopt::SetBool);

/// Which part of the kernel a socket speaks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// Links, addresses, routes (`NETLINK_ROUTE`).
    Route,
    /// The firewall (`NETLINK_NETFILTER`).
    Netfilter,
}

impl Family {
    /// The third argument of socket(2).
    pub fn protocol(self) -> SockProtocol {
        match self {
            Self::Route => SockProtocol::NetlinkRoute,
            Self::Netfilter => SockProtocol::NetlinkNetFilter,
        }
    }
}

/// What the kernel, or the way to it, said no with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct NetlinkError {
    pub errno: Errno,
    /// The kernel's own words (extended acknowledgement), or ours where the kernel has none.
    pub text: Option<String>,
    /// The type of the message that was refused, where there was one: it tells apart the messages of a batch.
    pub message: Option<&'static str>,
}

impl NetlinkError {
    pub(super) fn new(errno: Errno, text: impl Into<String>) -> Self {
        Self { errno, text: Some(text.into()), message: None }
    }
}

impl fmt::Display for NetlinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(message) = &self.message {
            write!(f, "{message}: ")?;
        }
        write!(f, "{}", self.errno)?;
        match &self.text {
            Some(text) => write!(f, " ({text})"),
            None => Ok(()),
        }
    }
}

impl From<Errno> for NetlinkError {
    fn from(errno: Errno) -> Self {
        Self { errno, text: None, message: None }
    }
}

/// The kernel's yes to one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// The number of the message that it answers.
    pub seq: u32,
    /// A warning, if the kernel has one.
    pub text: Option<String>,
    /// The answer as strace prints it.
    pub shown: String,
}

/// One message from the kernel.
#[derive(Debug)]
pub(super) struct Reply {
    pub kind: c_int,
    pub flags: c_int,
    pub seq: u32,
    pub bytes: Vec<u8>,
}

impl Reply {
    /// What follows the header.
    pub fn body(&self) -> &[u8] {
        self.bytes.get(HEADER..).unwrap_or_default()
    }
}

/// An open netlink socket, closed on exec, and the numbers for the messages sent on it.
#[derive(Debug)]
pub struct NetlinkSocket {
    fd: OwnedFd,
    family: Family,
    /// Where builders take their message numbers from.
    pub sequence: Sequence,
}

impl NetlinkSocket {
    /// Opens a socket in the network namespace of this thread.
    ///
    /// # Errors
    ///
    /// `EPROTONOSUPPORT` when the kernel lacks that part, and what [`from_fd`](Self::from_fd) says.
    pub fn open(family: Family) -> Result<Self, NetlinkError> {
        let fd = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, family.protocol())?;
        Self::from_fd(fd, family)
    }

    /// Makes `fd`, an `AF_NETLINK` socket of `family`, ready for requests: answers short and with explanations, and
    /// no waiting for ever.
    ///
    /// The kernel would bind the socket by itself at the first `sendto`. It is bound here because until then strace
    /// can't tell which family it is, and prints the first message as bytes.
    ///
    /// # Errors
    ///
    /// What setsockopt(2) and bind(2) fail with, `ENOPROTOOPT` before Linux 4.12.
    pub fn from_fd(fd: OwnedFd, family: Family) -> Result<Self, NetlinkError> {
        let patience = TimeVal::new(PATIENCE.as_secs() as i64, 0);
        setsockopt(&fd, CapAck, &true)?;
        setsockopt(&fd, ExtAck, &true)?;
        setsockopt(&fd, sockopt::ReceiveTimeout, &patience)?;
        bind(fd.as_raw_fd(), &kernel_address())?;
        Ok(Self { fd, family, sequence: Sequence::new() })
    }

    /// Sends `request` and waits for its acknowledgements, telling nobody.
    ///
    /// # Errors
    ///
    /// Those of sendto(2) and of [`acks`](Self::acks).
    pub fn send(&self, request: &Request) -> Result<Vec<Ack>, NetlinkError> {
        sendto(self.fd.as_raw_fd(), &request.bytes, &kernel_address(), MsgFlags::empty())?;
        self.acks(request)
    }

    /// Waits until the kernel has acknowledged each message of `request` that asks for it (`NLM_F_ACK`).
    ///
    /// # Errors
    ///
    /// The errno of the first message that the kernel refuses; `ETIMEDOUT` after five seconds of silence; `ENOBUFS`
    /// when answers were lost.
    pub fn acks(&self, request: &Request) -> Result<Vec<Ack>, NetlinkError> {
        let numbers = |message: &[u8]| Some((u32_at(message, 8)?, u16_at(message, 6)?));
        let sent: Vec<(u32, u16)> = messages(&request.bytes).filter_map(numbers).collect();
        let awaited = sent.iter().filter(|(_, flags)| c_int::from(*flags) & libc::NLM_F_ACK != 0).count();
        let mut acks = Vec::new();
        while acks.len() < awaited {
            for reply in self.receive()? {
                // What answers an earlier question whose other answers nobody read any more is skipped. The kernel
                // may refuse a message that asks for no acknowledgement, such as the beginning of a batch.
                let ours = sent.iter().any(|(seq, _)| *seq == reply.seq);
                if ours && reply.kind == libc::NLMSG_ERROR {
                    acks.push(self.ack(&reply)?);
                }
            }
        }
        Ok(acks)
    }

    /// Reads an `NLMSG_ERROR`, which with error 0 is an acknowledgement.
    pub(super) fn ack(&self, reply: &Reply) -> Result<Ack, NetlinkError> {
        let body = reply.body();
        let error = u32_at(body, 0).ok_or(Errno::EBADMSG)? as i32;
        let text = if reply.flags & libc::NLM_F_ACK_TLVS == 0 {
            None
        } else {
            explanation(body.get(4 + HEADER..).unwrap_or_default())
        };
        if error != 0 {
            let refused = u16_at(body, 4 + 4).unwrap_or_default();
            return Err(NetlinkError {
                errno: Errno::from_raw(error.wrapping_neg()),
                text,
                message: strace::type_name(self.family, refused),
            });
        }
        Ok(Ack {
            seq: reply.seq,
            text,
            shown: strace::decode(self.family, &reply.bytes, &[], strace::DEFAULT_LIMIT),
        })
    }

    /// Reads one datagram and cuts it into messages.
    pub(super) fn receive(&self) -> Result<Vec<Reply>, NetlinkError> {
        let mut buffer = vec![0; BUFFER];
        loop {
            match recvfrom::<NetlinkAddr>(self.fd.as_raw_fd(), &mut buffer) {
                // Port 0 is the kernel. Another process may write to this socket, but it isn't asked.
                Ok((_, Some(sender))) if sender.pid() != 0 => continue,
                Ok((length, _)) => {
                    let datagram = buffer.get(..length).unwrap_or_default();
                    return Ok(messages(datagram).filter_map(reply).collect());
                }
                Err(Errno::EINTR) => continue,
                Err(Errno::EAGAIN) => {
                    let text = format!("no answer from the kernel in {} s", PATIENCE.as_secs());
                    return Err(NetlinkError::new(Errno::ETIMEDOUT, text));
                }
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

impl AsFd for NetlinkSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Where requests are sent to: port 0, the kernel itself.
pub fn kernel_address() -> NetlinkAddr {
    NetlinkAddr::new(0, 0)
}

fn reply(message: &[u8]) -> Option<Reply> {
    Some(Reply {
        kind: c_int::from(u16_at(message, 4)?),
        flags: c_int::from(u16_at(message, 6)?),
        seq: u32_at(message, 8)?,
        bytes: message.to_vec(),
    })
}

/// The kernel's words among the attributes after an error.
fn explanation(bytes: &[u8]) -> Option<String> {
    let (_, _, text) = attributes(bytes).find(|(kind, ..)| *kind == NLMSGERR_ATTR_MSG)?;
    let text = text.strip_suffix(&[0]).unwrap_or(text);
    Some(String::from_utf8_lossy(text).into_owned())
}
