//! What the network namespace of this thread holds: links, addresses, routes, firewall tables.
//!
//! Each reader opens a socket, asks for a dump (`NLM_F_DUMP`: all there are, in as many messages as it takes) and
//! closes it. Results come in the kernel's order and can be compared before and after.

use std::ffi::CStr;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, AsRawFd};

use libc::NLM_F_DUMP;
use netlink_bindings::nftables::{Nfgenmsg, OpGettableDump};
use netlink_bindings::rt_addr::{Ifaddrmsg, OpGetaddrDump};
use netlink_bindings::rt_link::{Ifinfomsg, OpGetlinkDump};
use netlink_bindings::rt_route::{OpGetrouteDump, Rtmsg};
use netlink_bindings::rt_rule::{FibRuleHdr, OpGetruleDump};
use netlink_bindings::traits::NetlinkRequest;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, sendto};

use super::nft::nftables;
use super::request::push_message;
use super::socket::Reply;
use super::{Cidr, Family, NetlinkError, NetlinkSocket, kernel_address};

/// How often a dump is asked for again when what it lists changed under it.
const ATTEMPTS: usize = 10;

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub index: u32,
    pub name: String,
    /// Switched on (`IFF_UP`); whether anything is at the other end is another question.
    pub up: bool,
    /// `bridge`, `veth`, …; `None` for a device that is no software of this kind, such as `lo`.
    pub kind: Option<String>,
    /// The index of the bridge that it is a port of.
    pub master: Option<u32>,
    /// The index of the other end of a veth, in the namespace where that is.
    pub peer: Option<u32>,
    /// The number that this namespace has for the one where the other end of a veth is; `None` if it is in this one.
    pub link_netnsid: Option<i32>,
}

/// An IPv4 address of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// The link's index.
    pub index: u32,
    pub cidr: Cidr,
}

/// An IPv4 route of the main table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// `0.0.0.0/0` for the default route.
    pub destination: Cidr,
    /// The next hop; `None` when the destination is on the link itself.
    pub gateway: Option<Ipv4Addr>,
    /// The index of the link that packets leave by.
    pub index: Option<u32>,
}

/// All links, as `ip link` lists them.
///
/// # Errors
///
/// Those of the socket; `EINTR` when links come and go so fast that no complete list is to be had.
pub fn links() -> Result<Vec<Link>, NetlinkError> {
    let replies = dump(Family::Route, libc::RTM_GETLINK, |body| {
        OpGetlinkDump::encode_request(body, &Ifinfomsg::new());
    })?;
    Ok(replies.iter().filter_map(link).collect())
}

fn link(reply: &Reply) -> Option<Link> {
    let (header, attributes) = OpGetlinkDump::decode_reply(reply.body());
    let text = |text: &CStr| text.to_string_lossy().into_owned();
    let kind = attributes.get_linkinfo().and_then(|info| info.get_kind());
    Some(Link {
        index: u32::try_from(header.ifi_index).ok()?,
        name: attributes.get_ifname().map(text).ok()?,
        up: header.ifi_flags & libc::IFF_UP as u32 != 0,
        kind: kind.map(text).ok(),
        master: attributes.get_master().ok(),
        peer: attributes.get_link().ok(),
        link_netnsid: attributes.get_link_netnsid().ok(),
    })
}

/// All IPv4 addresses, as `ip -4 address` lists them.
///
/// # Errors
///
/// As for [`links`].
pub fn addresses() -> Result<Vec<Address>, NetlinkError> {
    let mut header = Ifaddrmsg::new();
    header.ifa_family = libc::AF_INET as u8;
    let replies = dump(Family::Route, libc::RTM_GETADDR, |body| {
        OpGetaddrDump::encode_request(body, &header);
    })?;
    Ok(replies.iter().filter_map(address).collect())
}

fn address(reply: &Reply) -> Option<Address> {
    let (header, attributes) = OpGetaddrDump::decode_reply(reply.body());
    let IpAddr::V4(local) = attributes.get_local().ok()? else {
        return None;
    };
    Some(Address { index: header.ifa_index, cidr: Cidr::new(local, header.ifa_prefixlen).ok()? })
}

/// The IPv4 routes of the main table, as `ip -4 route` lists them.
///
/// # Errors
///
/// As for [`links`].
pub fn routes() -> Result<Vec<Route>, NetlinkError> {
    let mut header = Rtmsg::new();
    header.rtm_family = libc::AF_INET as u8;
    let replies = dump(Family::Route, libc::RTM_GETROUTE, |body| {
        OpGetrouteDump::encode_request(body, &header);
    })?;
    Ok(replies.iter().filter_map(route).collect())
}

fn route(reply: &Reply) -> Option<Route> {
    let (header, attributes) = OpGetrouteDump::decode_reply(reply.body());
    // The kernel lists its local and broadcast routes too, in a table of their own.
    if header.rtm_table != libc::RT_TABLE_MAIN {
        return None;
    }
    let v4 = |address| match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    };
    let destination = attributes.get_dst().ok().and_then(v4);
    let destination = destination.unwrap_or(Ipv4Addr::UNSPECIFIED);
    Some(Route {
        destination: Cidr::new(destination, header.rtm_dst_len).ok()?,
        gateway: attributes.get_gateway().ok().and_then(v4),
        index: attributes.get_oif().ok(),
    })
}

/// The route for what no other route fits, if there is one.
///
/// # Errors
///
/// As for [`links`].
pub fn default_route() -> Result<Option<Route>, NetlinkError> {
    let mut routes = routes()?.into_iter();
    Ok(routes.find(|route| route.destination.prefix() == 0))
}

/// All addresses of both Internet protocols, each with the number of its link, as ip-address(8) has them:
/// `10.0.0.1/24 dev 3`.
///
/// # Errors
///
/// As for [`links`].
pub fn every_address() -> Result<Vec<String>, NetlinkError> {
    let replies = dump(Family::Route, libc::RTM_GETADDR, |body| {
        OpGetaddrDump::encode_request(body, &Ifaddrmsg::new());
    })?;
    let told = |reply: &Reply| {
        let (header, attributes) = OpGetaddrDump::decode_reply(reply.body());
        let address = attributes.get_local().or_else(|_| attributes.get_address()).ok()?;
        Some(format!("{address}/{} dev {}", header.ifa_prefixlen, header.ifa_index))
    };
    Ok(replies.iter().filter_map(told).collect())
}

/// All routes of both Internet protocols and all tables, the kernel's own among them, much as ip-route(8) has them.
///
/// # Errors
///
/// As for [`links`].
pub fn every_route() -> Result<Vec<String>, NetlinkError> {
    let replies = dump(Family::Route, libc::RTM_GETROUTE, |body| {
        OpGetrouteDump::encode_request(body, &Rtmsg::new());
    })?;
    let told = |reply: &Reply| {
        let (header, attributes) = OpGetrouteDump::decode_reply(reply.body());
        let to =
            attributes.get_dst().map_or("default".to_owned(), |dst| format!("{dst}/{}", header.rtm_dst_len));
        let via = attributes.get_gateway().map_or(String::new(), |gateway| format!(" via {gateway}"));
        let link = attributes.get_oif().map_or(String::new(), |index| format!(" dev {index}"));
        // Type 6 is `blackhole` (rtnetlink(7)).
        format!("{to}{via}{link} type {} table {}", header.rtm_type, header.rtm_table)
    };
    Ok(replies.iter().map(told).collect())
}

/// All rules that choose a routing table, much as ip-rule(8) has them.
///
/// # Errors
///
/// As for [`links`].
pub fn every_rule() -> Result<Vec<String>, NetlinkError> {
    let replies = dump(Family::Route, libc::RTM_GETRULE, |body| {
        OpGetruleDump::encode_request(body, &FibRuleHdr::new());
    })?;
    let told = |reply: &Reply| {
        let (header, attributes) = OpGetruleDump::decode_reply(reply.body());
        let priority = attributes.get_priority().unwrap_or(0);
        format!("{priority}: family {} table {}", header.family, header.table)
    };
    Ok(replies.iter().map(told).collect())
}

/// The names of the firewall's tables, as `nft list tables` lists them.
///
/// # Errors
///
/// As for [`links`], and `EPROTONOSUPPORT` or `EINVAL` on a kernel without nf_tables, `EPERM` without `CAP_NET_ADMIN`.
pub fn nft_tables() -> Result<Vec<String>, NetlinkError> {
    let kind = nftables(libc::NFT_MSG_GETTABLE);
    let replies = dump(Family::Netfilter, kind, |body| {
        OpGettableDump::encode_request(body, &Nfgenmsg::new());
    })?;
    let name = |reply: &Reply| {
        let (_, attributes) = OpGettableDump::decode_reply(reply.body());
        let name = attributes.get_name().ok()?;
        Some(name.to_string_lossy().into_owned())
    };
    Ok(replies.iter().filter_map(name).collect())
}

/// Asks for everything of a kind, again if it changed while it was listed.
fn dump(family: Family, kind: u16, body: impl Fn(&mut Vec<u8>)) -> Result<Vec<Reply>, NetlinkError> {
    let mut socket = NetlinkSocket::open(family)?;
    for _ in 0..ATTEMPTS {
        let seq = socket.sequence.next();
        let mut bytes = Vec::new();
        push_message(&mut bytes, kind, NLM_F_DUMP, seq, &body);
        let fd = socket.as_fd().as_raw_fd();
        sendto(fd, &bytes, &kernel_address(), MsgFlags::empty())?;
        let (replies, interrupted) = collect(&socket, seq)?;
        if !interrupted {
            return Ok(replies);
        }
    }
    let text = "the list changed each time while it was read";
    Err(NetlinkError::new(Errno::EINTR, text))
}

/// Reads answers to message `seq` up to the last; says whether the kernel calls them inconsistent.
fn collect(socket: &NetlinkSocket, seq: u32) -> Result<(Vec<Reply>, bool), NetlinkError> {
    let mut replies = Vec::new();
    let mut interrupted = false;
    loop {
        for reply in socket.receive()? {
            if reply.seq != seq {
                continue;
            }
            interrupted |= reply.flags & libc::NLM_F_DUMP_INTR != 0;
            match reply.kind {
                // The kernel closes a dump with its result, in the same form as an error.
                libc::NLMSG_DONE => return Ok((replies, interrupted)),
                libc::NLMSG_ERROR => {
                    socket.ack(&reply)?;
                }
                _ => replies.push(reply),
            }
        }
    }
}
