//! What a builder makes, and what it is given: names, devices, namespaces, sequence numbers.

use std::ffi::c_int;
use std::fmt;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use netlink_bindings::builtin::Nlmsghdr;
use netlink_bindings::utils::align;
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::unistd::Pid;

use super::{Family, NetlinkError, strace};

/// A message, or a batch of them, ready for one `sendto` on a [`NetlinkSocket`](super::NetlinkSocket).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What the kernel is to receive.
    pub bytes: Vec<u8>,
    /// [`bytes`](Self::bytes) as strace 6.1 prints them with its default options: read back from the bytes, not told
    /// from memory. Strings of bytes that strace does not understand end in `...` after 32 bytes, as they do there.
    pub shown: String,
    /// The same for a person in a hurry: `RTM_NEWADDR 10.77.0.1/24 dev br0`.
    pub brief: String,
}

impl Request {
    /// Decodes `bytes`, in which interface numbers of `devices` may occur.
    pub(super) fn new(family: Family, bytes: Vec<u8>, brief: String, devices: &[&Device]) -> Self {
        let shown = strace::decode(family, &bytes, devices, strace::DEFAULT_LIMIT);
        Self { bytes, shown, brief }
    }

    /// The six arguments of the `sendto` that sends this request on `socket`, as strace prints them.
    pub fn args(&self, socket: RawFd) -> [String; 6] {
        [
            socket.to_string(),
            self.shown.clone(),
            self.bytes.len().to_string(),
            "0".to_owned(),
            "{sa_family=AF_NETLINK, nl_pid=0, nl_groups=00000000}".to_owned(),
            size_of::<libc::sockaddr_nl>().to_string(),
        ]
    }
}

/// Appends one message to `bytes`: the header of netlink(7) around what `body` appends.
///
/// `flags` come on top of `NLM_F_REQUEST`, without which the kernel ignores a message.
pub(super) fn push_message(
    bytes: &mut Vec<u8>,
    kind: u16,
    flags: c_int,
    seq: u32,
    body: impl FnOnce(&mut Vec<u8>),
) {
    let start = bytes.len();
    let header = Nlmsghdr { len: 0, r#type: kind, flags: (libc::NLM_F_REQUEST | flags) as u16, seq, pid: 0 };
    bytes.extend(header.as_slice());
    body(bytes);
    // Messages and attributes start at multiples of four bytes (NLMSG_ALIGN, NLA_ALIGN).
    align(bytes);
    let len = (bytes.len() - start) as u32;
    for (place, byte) in bytes.iter_mut().skip(start).zip(len.to_ne_bytes()) {
        *place = byte;
    }
}

/// Numbers for messages, so that an answer can be matched to its question (`nlmsg_seq`).
#[derive(Debug)]
pub struct Sequence(u32);

impl Sequence {
    /// Starts at 1: the kernel numbers what it says unasked 0.
    pub fn new() -> Self {
        Self(0)
    }

    pub(super) fn next(&mut self) -> u32 {
        self.0 = self.0.checked_add(1).unwrap_or(1);
        self.0
    }
}

impl Default for Sequence {
    fn default() -> Self {
        Self::new()
    }
}

/// The name of an interface or of a firewall table: 1 to 15 printable ASCII bytes (`IFNAMSIZ` less the final NUL).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name(String);

impl Name {
    /// Accepts what the kernel accepts for an interface, and no characters that would need quoting.
    ///
    /// # Errors
    ///
    /// `EINVAL` for an empty or too long name, `.`, `..`, and names with spaces, `/`, `:`, `"` or `\`.
    pub fn new(name: &str) -> Result<Self, NetlinkError> {
        let fits = (1..libc::IFNAMSIZ).contains(&name.len());
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"/:\"\\".contains(&byte);
        if !fits || matches!(name, "." | "..") || !name.bytes().all(plain) {
            let text = format!("{name:?} is no name for a network interface");
            return Err(NetlinkError::new(Errno::EINVAL, text));
        }
        Ok(Self(name.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name in a field of `IFNAMSIZ` bytes, the rest zero, as the kernel compares names.
    pub(super) fn padded(&self) -> [u8; libc::IFNAMSIZ] {
        let mut field = [0; libc::IFNAMSIZ];
        for (byte, slot) in self.0.bytes().zip(&mut field) {
            *slot = byte;
        }
        field
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An interface that exists: messages name it by its index, people by its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Device {
    pub index: u32,
    pub name: Name,
}

impl Device {
    /// Looks `name` up in the network namespace of this thread (if_nametoindex(3)).
    ///
    /// # Errors
    ///
    /// `ENODEV` when no interface has that name.
    pub fn find(name: &Name) -> Result<Self, NetlinkError> {
        // It makes a socket for this, and doesn't say so where that fails.
        socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
        let index = if_nametoindex(name.as_str())
            .map_err(|errno| NetlinkError::new(errno, format!("no interface named {name}")))?;
        Ok(Self { index, name: name.clone() })
    }
}

/// The network namespace that an interface is made in or moved to.
#[derive(Debug, Clone, Copy)]
pub enum NetNs<'fd> {
    /// The one that this process is in (`IFLA_NET_NS_PID`).
    Pid(Pid),
    /// The one that this open file of `/proc/PID/ns/net` stands for (`IFLA_NET_NS_FD`). The message carries only the
    /// number, so the file has to stay open until the message is sent.
    Fd(BorrowedFd<'fd>),
}

impl fmt::Display for NetNs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pid(pid) => write!(f, "netns {pid}"),
            Self::Fd(fd) => write!(f, "netns fd {}", fd.as_raw_fd()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_the_kernel_refuses_are_refused() {
        for good in ["br0", "eth0", "a", "fifteen-letters", "ve.1@x"] {
            assert_eq!(Name::new(good).unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", "sixteen-letters-", "a b", "a/b", "a:b", "a\"b", "br\u{e9}", "a\0"] {
            assert_eq!(Name::new(bad).unwrap_err().errno, Errno::EINVAL, "{bad:?}");
        }
    }

    #[test]
    fn sequence_numbers_skip_zero() {
        let mut sequence = Sequence(u32::MAX - 1);
        assert_eq!([sequence.next(), sequence.next(), sequence.next()], [u32::MAX, 1, 2]);
    }
}
