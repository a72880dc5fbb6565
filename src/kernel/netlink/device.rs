//! The one thing that is asked of a link without a message: that it is up. An ioctl(2) needs no answer to be read, and every
//! lab has a link that must be up (netdevice(7)).

use std::ffi::CStr;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// Brings a link up in the network namespace of this thread.
///
/// # Errors
///
/// `ENODEV` when no link has the name.
pub fn link_up(name: &CStr) -> nix::Result<()> {
    let any = socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    // SAFETY: a structure of integers and a union of such.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // The last byte stays 0.
    let room = request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1);
    room.zip(name.to_bytes()).for_each(|(to, from)| *to = *from as libc::c_char);
    // SAFETY: the kernel writes to a structure that lives as long as the call.
    Errno::result(unsafe { libc::ioctl(any.as_raw_fd(), libc::SIOCGIFFLAGS, &raw mut request) })?;
    // SAFETY: the flags are what the kernel has just written there.
    unsafe { request.ifr_ifru.ifru_flags |= libc::IFF_UP as libc::c_short };
    // SAFETY: the kernel reads it.
    Errno::result(unsafe { libc::ioctl(any.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) }).map(drop)
}
