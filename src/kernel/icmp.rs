//! A ping: proof that packets really go there and back.
//!
//! RFC 792: an Echo message is answered with an Echo Reply that carries the same identifier, sequence number and data.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, recv, sendto, socket,
};

/// Message types of RFC 792.
const ECHO_REPLY: u8 = 0;
const DESTINATION_UNREACHABLE: u8 = 3;
const ECHO: u8 = 8;

/// Length in bytes of the ICMP header: type, code, checksum, identifier, sequence number.
const HEADER: usize = 8;

/// What an Echo carries to come back with the reply.
const DATA: &[u8; 16] = b"workshop echo 16";

/// Tells one ping of this process from another.
static NEXT: AtomicU16 = AtomicU16::new(1);

/// Sends one Echo to `destination` and waits for its reply; returns the time there and back.
///
/// Uses the network namespace of this thread and a raw socket, which needs `CAP_NET_RAW` there (raw(7), icmp(7)).
///
/// # Errors
///
/// `EPERM` without that capability; `ENETUNREACH` without a route; `EHOSTUNREACH` when a router, or this host, reports
/// that it can't reach `destination`; kind `TimedOut` when no reply comes within `timeout`.
pub fn ping(destination: Ipv4Addr, timeout: Duration) -> io::Result<Duration> {
    let socket = socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Icmp)?;
    // Every raw socket gets every ICMP packet, so the reply is known by these two numbers only.
    let identifier = process::id() as u16;
    let sequence = NEXT.fetch_add(1, Ordering::Relaxed);
    let message = echo(identifier, sequence);
    let start = Instant::now();
    let address = SockaddrIn::from(std::net::SocketAddrV4::new(destination, 0));
    sendto(socket.as_raw_fd(), &message, &address, MsgFlags::empty())?;
    loop {
        let left = timeout.saturating_sub(start.elapsed());
        let packet = receive(&socket, left)?;
        match answer(&packet, destination, identifier, sequence) {
            Some(Answer::Reply) => return Ok(start.elapsed()),
            Some(Answer::Unreachable) => return Err(Errno::EHOSTUNREACH.into()),
            None => {}
        }
    }
}

/// An Echo message with its checksum.
fn echo(identifier: u16, sequence: u16) -> Vec<u8> {
    let with = |sum: u16| {
        let mut message = vec![ECHO, 0];
        message.extend(sum.to_be_bytes());
        message.extend(identifier.to_be_bytes());
        message.extend(sequence.to_be_bytes());
        message.extend(DATA);
        message
    };
    with(checksum(&with(0)))
}

/// The Internet checksum (RFC 1071): the one's complement of the one's complement sum of all 16-bit words.
///
/// Over a message that contains its own checksum it is 0.
fn checksum(message: &[u8]) -> u16 {
    let words = message.chunks(2).map(|word| {
        let byte = |at: usize| word.get(at).copied().unwrap_or(0);
        u64::from(u16::from_be_bytes([byte(0), byte(1)]))
    });
    let mut sum: u64 = words.sum();
    // A carry out of the top goes back in at the bottom.
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Waits for one packet, IP header and all.
fn receive(socket: &OwnedFd, timeout: Duration) -> io::Result<Vec<u8>> {
    // Rounded up: waiting 0 ms for what is left of the last one would spin.
    let millis = timeout.as_micros().div_ceil(1000);
    let millis = PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX);
    let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    match poll(&mut fds, millis) {
        Ok(0) => return Err(io::Error::new(io::ErrorKind::TimedOut, "no echo reply")),
        // A signal came. What the caller makes of an empty packet is to wait again.
        Err(Errno::EINTR) => return Ok(Vec::new()),
        Err(errno) => return Err(errno.into()),
        Ok(_) => {}
    }
    let mut packet = vec![0; 2048];
    let length = recv(socket.as_raw_fd(), &mut packet, MsgFlags::MSG_DONTWAIT);
    match length {
        Ok(length) => packet.truncate(length),
        Err(Errno::EAGAIN | Errno::EINTR) => packet.clear(),
        Err(errno) => return Err(errno.into()),
    }
    Ok(packet)
}

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Reply,
    Unreachable,
}

/// What `packet` says about our Echo, if it says anything about it.
fn answer(packet: &[u8], destination: Ipv4Addr, identifier: u16, sequence: u16) -> Option<Answer> {
    let (source, _, message) = split_ip(packet)?;
    let ours = |message: &[u8]| {
        message.get(4..6) == Some(&identifier.to_be_bytes())
            && message.get(6..8) == Some(&sequence.to_be_bytes())
    };
    match *message.first()? {
        ECHO_REPLY => {
            let whole = checksum(message) == 0 && message.get(HEADER..) == Some(DATA);
            (source == destination && ours(message) && whole).then_some(Answer::Reply)
        }
        DESTINATION_UNREACHABLE => {
            // Behind its own header it returns the beginning of the packet that it is about.
            let (_, target, returned) = split_ip(message.get(HEADER..)?)?;
            let ours = target == destination && returned.first() == Some(&ECHO) && ours(returned);
            ours.then_some(Answer::Unreachable)
        }
        _ => None,
    }
}

/// Source, destination and contents of an IPv4 packet (RFC 791). The header's length is in its low four bits of its
/// first byte, in words of 32 bits.
fn split_ip(packet: &[u8]) -> Option<(Ipv4Addr, Ipv4Addr, &[u8])> {
    let length = usize::from(packet.first()? & 0x0f) * 4;
    let address = |at: usize| {
        let octets: [u8; 4] = packet.get(at..at + 4)?.try_into().ok()?;
        Some(Ipv4Addr::from(octets))
    };
    Some((address(12)?, address(16)?, packet.get(length..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const THERE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

    fn ip(source: Ipv4Addr, destination: Ipv4Addr, contents: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; 12];
        packet[0] = 0x45;
        packet.extend(source.octets());
        packet.extend(destination.octets());
        packet.extend(contents);
        packet
    }

    fn reply(identifier: u16, sequence: u16) -> Vec<u8> {
        let mut message = echo(identifier, sequence);
        message[0] = ECHO_REPLY;
        message[2..4].fill(0);
        let sum = checksum(&message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        message
    }

    #[test]
    fn checksum_of_the_example_in_rfc_1071() {
        let example = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(checksum(&example), !0xddf2);
        assert_eq!(checksum(&echo(7, 9)), 0);
        assert_eq!(checksum(&[0xff]), !0xff00);
    }

    #[test]
    fn only_the_reply_to_this_echo_counts() {
        let answer = |packet: &[u8]| answer(packet, THERE, 7, 9);
        assert_eq!(answer(&ip(THERE, HERE, &reply(7, 9))), Some(Answer::Reply));
        assert_eq!(answer(&ip(THERE, HERE, &reply(7, 8))), None);
        assert_eq!(answer(&ip(THERE, HERE, &reply(6, 9))), None);
        assert_eq!(answer(&ip(HERE, HERE, &reply(7, 9))), None);
        assert_eq!(answer(&ip(THERE, HERE, &echo(7, 9))), None);
        let mut spoiled = reply(7, 9);
        spoiled[HEADER] ^= 1;
        assert_eq!(answer(&ip(THERE, HERE, &spoiled)), None);
        for length in 0..44 {
            assert_eq!(answer(&ip(THERE, HERE, &reply(7, 9))[..length]), None);
        }
    }

    #[test]
    fn a_router_that_gives_up_is_heard() {
        let mut message = vec![DESTINATION_UNREACHABLE, 1, 0, 0, 0, 0, 0, 0];
        message.extend(ip(HERE, THERE, &echo(7, 9)));
        let packet = ip(HERE, HERE, &message);
        assert_eq!(answer(&packet, THERE, 7, 9), Some(Answer::Unreachable));
        assert_eq!(answer(&packet, THERE, 7, 8), None);
        assert_eq!(answer(&packet, HERE, 7, 9), None);
    }
}
