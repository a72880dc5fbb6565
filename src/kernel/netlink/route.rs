//! rtnetlink messages: links, addresses and routes (rtnetlink(7),
//! <https://docs.kernel.org/netlink/specs/rt_link.html>).

use std::ffi::c_int;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::path::Path;

use libc::{NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL};
use netlink_bindings::rt_addr::{Ifaddrmsg, OpNewaddrDo};
use netlink_bindings::rt_link::{
    Ifinfomsg, OpDellinkDo, OpNewlinkDo, OpSetlinkDo, PushLinkAttrs, PushLinkinfoAttrs,
};
use netlink_bindings::rt_route::{OpNewrouteDo, Rtmsg};
use netlink_bindings::traits::Pusher;
use netlink_bindings::utils::{finalize_nested_header, push_nested_header};

use super::request::push_message;
use super::{Cidr, Device, Family, Name, NetNs, Request, Sequence};

/// Make something new, say whether it worked, and fail with `EEXIST` if it is there already.
const NEW: c_int = NLM_F_ACK | NLM_F_EXCL | NLM_F_CREATE;

/// The only attribute inside a veth's `IFLA_INFO_DATA`: the other end (`linux/veth.h`).
const VETH_INFO_PEER: u16 = 1;

/// No automatic IPv6 address (`linux/if_link.h`).
const IN6_ADDR_GEN_MODE_NONE: u8 = 1;

/// Whether this kernel speaks IPv6, told by the file in which one that does lists its addresses (proc_net(5)).
pub fn has_ipv6() -> bool {
    Path::new("/proc/self/net/if_inet6").exists()
}

/// A bridge named `name`: a switch in software, to which other links become ports. `ip link add br0 type bridge`.
///
/// The kernel answers `EEXIST` if the name is taken, `EOPNOTSUPP` if it has no bridges, `EPERM` without
/// `CAP_NET_ADMIN`.
pub fn bridge(sequence: &mut Sequence, name: &Name) -> Request {
    let mut bytes = Vec::new();
    push_message(&mut bytes, libc::RTM_NEWLINK, NEW, sequence.next(), |body| {
        push_plain_link(OpNewlinkDo::encode_request(body, &Ifinfomsg::new()), name)
            .nested_linkinfo()
            .push_kind(c"bridge")
            .end_nested();
    });
    Request::new(Family::Route, bytes, format!("RTM_NEWLINK {name} type bridge"), &[])
}

/// The far end of a veth pair.
#[derive(Debug, Clone)]
pub struct Peer<'a> {
    pub name: &'a Name,
    /// Where it is made; `None` for the namespace of the near end. A pair whose ends are in two namespaces is how
    /// packets get from one to the other.
    pub netns: Option<NetNs<'a>>,
}

/// Two links joined like the ends of a cable (veth(4)): `ip link add ve-1 type veth peer name eth0 netns PID`.
///
/// Deleting one end deletes both. The kernel answers `EEXIST` if a name is taken, `ESRCH` or `EBADF` if `peer.netns`
/// is no namespace, `EOPNOTSUPP` if it has no veth.
pub fn veth(sequence: &mut Sequence, name: &Name, peer: &Peer<'_>) -> Request {
    let mut bytes = Vec::new();
    push_message(&mut bytes, libc::RTM_NEWLINK, NEW, sequence.next(), |body| {
        let info = push_plain_link(OpNewlinkDo::encode_request(body, &Ifinfomsg::new()), name)
            .nested_linkinfo()
            .push_kind(c"veth");
        push_peer(info, peer).end_nested();
    });
    let netns = peer.netns.map_or(String::new(), |netns| format!(" {netns}"));
    let brief = format!("RTM_NEWLINK {name} type veth peer {}{netns}", peer.name);
    Request::new(Family::Route, bytes, brief, &[])
}

/// What all our new links have: a name, and one queue each way (the default may be one for each CPU).
fn push_plain_link<P: Pusher>(link: PushLinkAttrs<P>, name: &Name) -> PushLinkAttrs<P> {
    link.push_ifname_bytes(name.as_str().as_bytes()).push_num_tx_queues(1).push_num_rx_queues(1)
}

/// `IFLA_INFO_DATA` of a veth: a whole link description, with a `struct ifinfomsg` of its own in front.
///
/// The crate's specification has no veth, hence the headers by hand.
fn push_peer<P: Pusher>(mut info: PushLinkinfoAttrs<P>, peer: &Peer<'_>) -> PushLinkinfoAttrs<P> {
    let bytes = info.as_vec_mut();
    let data_start = push_nested_header(bytes, libc::IFLA_INFO_DATA);
    let peer_start = push_nested_header(bytes, VETH_INFO_PEER);
    bytes.extend(Ifinfomsg::new().as_slice());
    let link = push_plain_link(PushLinkAttrs::new(&mut *bytes), peer.name);
    drop(push_netns(link, peer.netns));
    finalize_nested_header(bytes, peer_start);
    finalize_nested_header(bytes, data_start);
    info
}

fn push_netns<P: Pusher>(link: PushLinkAttrs<P>, netns: Option<NetNs<'_>>) -> PushLinkAttrs<P> {
    match netns {
        None => link,
        // Both are never negative here, and the kernel reads them back as the signed numbers they are.
        Some(NetNs::Pid(pid)) => link.push_net_ns_pid(pid.as_raw() as u32),
        Some(NetNs::Fd(fd)) => link.push_net_ns_fd(fd.as_raw_fd() as u32),
    }
}

/// What [`link_set`] changes; what is `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct LinkChange<'a> {
    /// Whether packets pass (`IFF_UP`).
    pub up: Option<bool>,
    /// The bridge to become a port of.
    pub master: Option<&'a Device>,
    pub rename: Option<&'a Name>,
    /// The namespace to move to. The link leaves this one, is down afterwards and may have another index there.
    pub netns: Option<NetNs<'a>>,
    /// No automatic IPv6 address (`IFLA_INET6_ADDR_GEN_MODE`). A link with one greets each neighbour with duplicate
    /// address detection and router solicitations (RFC 4862), and a bridge carries those to all its ports.
    ///
    /// It can't go where the link is made: newer kernels refuse it there with `EAFNOSUPPORT`. In one message with `up`
    /// it comes too late, since the kernel switches the link on first; that does no harm to an end of a veth whose
    /// other end is still down. With `netns` it takes effect in the new namespace. A kernel that doesn't speak IPv6
    /// ([`has_ipv6`]) answers `EAFNOSUPPORT` always.
    pub no_ipv6_address: bool,
}

/// Changes a link: `ip link set dev ve-1 master br0 up`.
///
/// The kernel answers `ENODEV` if the link is gone, `EEXIST` if the new name is taken, `EBUSY` for a link that can't
/// get the new name or master now.
pub fn link_set(sequence: &mut Sequence, device: &Device, change: &LinkChange<'_>) -> Request {
    let up_flag = libc::IFF_UP as u32;
    let mut header = Ifinfomsg::new();
    // An index is a positive int in the kernel.
    header.ifi_index = device.index as i32;
    if let Some(up) = change.up {
        // ifi_change says which bits of ifi_flags count.
        header.ifi_change = up_flag;
        header.ifi_flags = if up { up_flag } else { 0 };
    }
    let mut bytes = Vec::new();
    push_message(&mut bytes, libc::RTM_SETLINK, NLM_F_ACK, sequence.next(), |body| {
        let mut link = OpSetlinkDo::encode_request(body, &header);
        if let Some(master) = change.master {
            link = link.push_master(master.index);
        }
        if let Some(name) = change.rename {
            link = link.push_ifname_bytes(name.as_str().as_bytes());
        }
        let link = push_netns(link, change.netns);
        if change.no_ipv6_address {
            link.nested_af_spec().nested_inet6().push_addr_gen_mode(IN6_ADDR_GEN_MODE_NONE);
        }
    });
    let mut brief = format!("RTM_SETLINK {}", device.name);
    if let Some(master) = change.master {
        brief += &format!(" master {}", master.name);
    }
    if let Some(name) = change.rename {
        brief += &format!(" name {name}");
    }
    if let Some(netns) = change.netns {
        brief += &format!(" {netns}");
    }
    if change.no_ipv6_address {
        brief += " addrgenmode none";
    }
    if let Some(up) = change.up {
        brief += if up { " up" } else { " down" };
    }
    let devices: Vec<&Device> = std::iter::once(device).chain(change.master).collect();
    Request::new(Family::Route, bytes, brief, &devices)
}

/// Removes a link, and with it its addresses, its routes and, for a veth, its other end. `ip link delete ve-1`.
///
/// The kernel answers `ENODEV` if the link is gone.
pub fn delete_link(sequence: &mut Sequence, device: &Device) -> Request {
    let mut header = Ifinfomsg::new();
    header.ifi_index = device.index as i32;
    let mut bytes = Vec::new();
    push_message(&mut bytes, libc::RTM_DELLINK, NLM_F_ACK, sequence.next(), |body| {
        OpDellinkDo::encode_request(body, &header);
    });
    Request::new(Family::Route, bytes, format!("RTM_DELLINK {}", device.name), &[device])
}

/// Gives a link an address; the route to the address's own network comes with it.
/// `ip address add 10.77.0.1/24 dev br0`.
///
/// The kernel answers `EEXIST` if the link has the address already, `ENODEV` if the link is gone.
pub fn address(sequence: &mut Sequence, device: &Device, address: Cidr) -> Request {
    let header = Ifaddrmsg {
        ifa_family: libc::AF_INET as u8,
        ifa_prefixlen: address.prefix(),
        ifa_flags: 0,
        ifa_scope: libc::RT_SCOPE_UNIVERSE,
        ifa_index: device.index,
    };
    let mut bytes = Vec::new();
    push_message(&mut bytes, libc::RTM_NEWADDR, NEW, sequence.next(), |body| {
        // Two attributes for one address: on a point-to-point link IFA_ADDRESS would be the other side's.
        OpNewaddrDo::encode_request(body, &header)
            .push_local(address.address().into())
            .push_address(address.address().into());
    });
    let brief = format!("RTM_NEWADDR {address} dev {}", device.name);
    Request::new(Family::Route, bytes, brief, &[device])
}

/// Where packets go that no other route fits: to `gateway`, through `device`. `ip route add default via 10.77.0.1`.
///
/// The kernel answers `ENETUNREACH` if `gateway` is not in the network of an address of `device`, or `device` is down,
/// `EEXIST` if there is a default route already.
pub fn default_route(sequence: &mut Sequence, gateway: Ipv4Addr, device: &Device) -> Request {
    let header = Rtmsg {
        rtm_family: libc::AF_INET as u8,
        // A destination of no bits at all: every address fits.
        rtm_dst_len: 0,
        rtm_src_len: 0,
        rtm_tos: 0,
        rtm_table: libc::RT_TABLE_MAIN,
        rtm_protocol: libc::RTPROT_BOOT,
        rtm_scope: libc::RT_SCOPE_UNIVERSE,
        rtm_type: libc::RTN_UNICAST,
        rtm_flags: 0,
    };
    let mut bytes = Vec::new();
    push_message(&mut bytes, libc::RTM_NEWROUTE, NEW, sequence.next(), |body| {
        OpNewrouteDo::encode_request(body, &header).push_gateway(gateway.into()).push_oif(device.index);
    });
    let brief = format!("RTM_NEWROUTE default via {gateway} dev {}", device.name);
    Request::new(Family::Route, bytes, brief, &[device])
}
