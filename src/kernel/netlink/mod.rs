//! Links, addresses, routes and NAT, asked of the kernel by netlink messages (netlink(7), rtnetlink(7)).
//!
//! The network has few system calls of its own. A program that makes a bridge writes a message and sends it on a
//! socket: that `sendto` is all that `ip link add br0 type bridge` does. So this module keeps two things apart:
//!
//! * builders ([`route`], [`nft`]) make a [`Request`]: the bytes, and the same bytes as strace prints them. They make
//!   no system call.
//! * [`NetlinkSocket`] is where a request goes, by a `sendto` that the caller makes and tells, and where the kernel's
//!   answer is read.
//!
//! Readers that only look ([`facts`]) do both at once and tell nothing.
//!
//! A socket belongs to the network namespace that its thread was in when it was opened, for as long as it lives. To
//! work in another namespace, enter that one first (setns(2)) and open a new socket.

mod address;
mod device;
pub mod facts;
pub mod nft;
mod request;
pub mod route;
pub mod socket;
mod strace;
#[cfg(test)]
mod tests;

pub use address::Cidr;
pub use device::link_up;
pub use request::{Device, Name, NetNs, Request, Sequence};
pub use socket::{Family, NetlinkError, NetlinkSocket, kernel_address};
