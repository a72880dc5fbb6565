//! What the messages do: links that exist, packets that arrive.

use std::fs;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;

use super::*;
use crate::icmp::ping;
use crate::netlink::facts::{self, Link};
use crate::netlink::nft::{nft_delete_table, nft_masquerade};
use crate::netlink::route::{Peer, address, bridge, default_route, delete_link, has_ipv6, veth};
use crate::netlink::{Cidr, NetNs};

const PATIENCE: Duration = Duration::from_secs(2);
const BRIDGE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const UPLINK: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const WORLD: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

fn container_address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, number)
}

fn slash24(address: Ipv4Addr) -> Cidr {
    Cidr::new(address, 24).unwrap()
}

/// br0 with 10.77.0.1/24, as step 6 makes it.
fn make_bridge(socket: &mut NetlinkSocket) {
    let request = bridge(&mut socket.sequence, &name("br0"));
    socket.send(&request).unwrap();
    let br0 = device("br0");
    quiet(socket, &br0);
    let request = address(&mut socket.sequence, &br0, slash24(BRIDGE));
    socket.send(&request).unwrap();
    up(socket, &br0);
}

/// No IPv6 address when the link is switched on.
fn quiet(socket: &mut NetlinkSocket, device: &Device) {
    let change = LinkChange { no_ipv6_address: has_ipv6(), ..LinkChange::default() };
    let request = link_set(&mut socket.sequence, device, &change);
    socket.send(&request).unwrap();
}

/// The links of this namespace that have an IPv6 address.
fn ipv6_links() -> Vec<String> {
    let list = fs::read_to_string("/proc/thread-self/net/if_inet6").unwrap_or_default();
    let names = list.lines().filter_map(|line| line.split_whitespace().last());
    names.map(str::to_owned).collect()
}

/// A room with eth0, whose other end is a port of br0: a pair is made, one end plugged in, the other moved.
fn make_container(socket: &mut NetlinkSocket, number: u8) -> Room {
    let room = Room::new();
    let (near, far) = (name(&format!("ve-{number}")), name(&format!("far-{number}")));
    let peer = Peer { name: &far, netns: None };
    let request = veth(&mut socket.sequence, &near, &peer);
    socket.send(&request).unwrap();
    let plug = LinkChange {
        up: Some(true),
        master: Some(&device("br0")),
        no_ipv6_address: has_ipv6(),
        ..LinkChange::default()
    };
    let request = link_set(&mut socket.sequence, &Device::find(&near).unwrap(), &plug);
    socket.send(&request).unwrap();
    let eth0 = name("eth0");
    let move_in = LinkChange {
        rename: Some(&eth0),
        netns: Some(NetNs::Fd(room.as_fd())),
        no_ipv6_address: has_ipv6(),
        ..LinkChange::default()
    };
    let request = link_set(&mut socket.sequence, &Device::find(&far).unwrap(), &move_in);
    socket.send(&request).unwrap();
    room.run(move || configure("eth0", slash24(container_address(number)), Some(BRIDGE)));
    room
}

/// In the room: address, up, default route.
fn configure(link: &str, cidr: Cidr, gateway: Option<Ipv4Addr>) {
    let mut socket = route_socket();
    let link = device(link);
    let request = address(&mut socket.sequence, &link, cidr);
    socket.send(&request).unwrap();
    up(&mut socket, &link);
    if let Some(gateway) = gateway {
        let request = default_route(&mut socket.sequence, gateway, &link);
        socket.send(&request).unwrap();
    }
}

/// A raw socket that hears each ICMP packet from now on.
fn listen() -> OwnedFd {
    let flags = SockFlag::SOCK_CLOEXEC;
    let ear = socket(AddressFamily::Inet, SockType::Raw, flags, SockProtocol::Icmp).unwrap();
    setsockopt(&ear, sockopt::ReceiveTimeout, &TimeVal::new(2, 0)).unwrap();
    ear
}

/// Where the next ICMP packet came from.
fn heard_from(ear: &OwnedFd) -> Ipv4Addr {
    let mut packet = [0; 256];
    let length = recv(ear.as_raw_fd(), &mut packet, MsgFlags::empty()).unwrap();
    assert!(length > 20);
    let source: [u8; 4] = packet[12..16].try_into().unwrap();
    source.into()
}

#[test]
fn containers_on_a_bridge_reach_each_other() {
    in_new_netns("effect::containers_on_a_bridge_reach_each_other", || {
        let mut socket = route_socket();
        make_bridge(&mut socket);
        let two = make_container(&mut socket, 2);
        let three = make_container(&mut socket, 3);
        let there = two.run(|| ping(container_address(3), PATIENCE)).unwrap();
        let back = three.run(|| ping(container_address(2), PATIENCE)).unwrap();
        let host = two.run(|| ping(BRIDGE, PATIENCE)).unwrap();
        let from_host = ping(container_address(3), PATIENCE).unwrap();
        println!("2 to 3 {there:?}, 3 to 2 {back:?}, 2 to host {host:?}, host to 3 {from_host:?}");
        for links in [ipv6_links(), two.run(ipv6_links), three.run(ipv6_links)] {
            assert!(links.is_empty(), "{links:?}");
        }

        let unreachable = two.run(|| ping(WORLD, Duration::from_millis(300)));
        assert!(unreachable.is_err(), "nothing forwards yet");
        let no_route = ping(WORLD, PATIENCE).unwrap_err();
        assert_eq!(no_route.raw_os_error(), Some(Errno::ENETUNREACH as i32));
    });
}

#[test]
fn masquerade_gives_packets_the_address_of_the_host() {
    in_new_netns("effect::masquerade_gives_packets_the_address_of_the_host", || {
        let mut route = route_socket();
        make_bridge(&mut route);
        let two = make_container(&mut route, 2);
        let three = make_container(&mut route, 3);
        let world = make_world(&mut route);
        fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();

        // Without NAT the request arrives under an address that the world knows no way back to.
        let ear = world.run(listen);
        let lost = two.run(|| ping(WORLD, Duration::from_millis(300)));
        assert_eq!(lost.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(heard_from(&ear), container_address(2));

        let mut netfilter = NetlinkSocket::open(Family::Netfilter).unwrap();
        let sequence = &mut netfilter.sequence;
        let table = name("workshop");
        let request = nft_masquerade(sequence, &table, slash24(BRIDGE), &name("br0"));
        assert_eq!(netfilter.send(&request).unwrap().len(), 3);
        assert_eq!(facts::nft_tables().unwrap(), ["workshop"]);

        let ear = world.run(listen);
        two.run(|| ping(WORLD, PATIENCE)).unwrap();
        assert_eq!(heard_from(&ear), UPLINK);

        // Between containers nothing is translated.
        let ear = three.run(listen);
        two.run(|| ping(container_address(3), PATIENCE)).unwrap();
        assert_eq!(heard_from(&ear), container_address(2));

        let request = nft_delete_table(&mut netfilter.sequence, &table);
        netfilter.send(&request).unwrap();
        assert!(facts::nft_tables().unwrap().is_empty());
    });
}

/// A third network, 192.0.2.0/24, that knows nothing of the containers.
fn make_world(socket: &mut NetlinkSocket) -> Room {
    let room = Room::new();
    let peer = Peer { name: &name("eth0"), netns: Some(NetNs::Fd(room.as_fd())) };
    let request = veth(&mut socket.sequence, &name("up0"), &peer);
    socket.send(&request).unwrap();
    configure("up0", slash24(UPLINK), None);
    room.run(|| configure("eth0", slash24(WORLD), None));
    room
}

#[test]
fn what_is_made_is_seen_and_what_is_deleted_is_gone() {
    in_new_netns("effect::what_is_made_is_seen_and_what_is_deleted_is_gone", || {
        let state = || {
            (
                facts::links().unwrap(),
                facts::addresses().unwrap(),
                facts::routes().unwrap(),
                facts::nft_tables().unwrap(),
            )
        };
        let before = state();
        assert_eq!(before.0.len(), 1);
        assert_eq!(before.0[0].name, "lo");

        let mut socket = route_socket();
        make_bridge(&mut socket);
        let room = make_container(&mut socket, 2);
        let br0 = device("br0");
        let links = facts::links().unwrap();
        let seen = |name: &str| -> Link {
            let found = links.iter().find(|link| link.name == name);
            found.unwrap().clone()
        };
        assert_eq!(seen("br0").kind.as_deref(), Some("bridge"));
        assert!(seen("br0").up);
        assert_eq!(seen("ve-2").kind.as_deref(), Some("veth"));
        assert_eq!(seen("ve-2").master, Some(br0.index));
        assert!(seen("ve-2").link_netnsid.is_some());
        assert_eq!(facts::addresses().unwrap()[0].cidr, slash24(BRIDGE));
        assert_eq!(facts::default_route().unwrap(), None);
        let inside = room.run(|| facts::default_route().unwrap()).unwrap();
        assert_eq!(inside.gateway, Some(BRIDGE));

        for link in ["ve-2", "br0"] {
            let request = delete_link(&mut socket.sequence, &device(link));
            socket.send(&request).unwrap();
        }
        assert_eq!(state(), before);
        assert_eq!(room.run(|| facts::links().unwrap().len()), 1);
    });
}

#[test]
fn a_link_moves_is_renamed_and_switched_on_by_one_message() {
    in_new_netns("effect::a_link_moves_is_renamed_and_switched_on_by_one_message", || {
        let mut socket = route_socket();
        let (near, far) = (name("ve-1"), name("ve-2"));
        let peer = Peer { name: &far, netns: None };
        let request = veth(&mut socket.sequence, &near, &peer);
        socket.send(&request).unwrap();
        let room = Room::new();
        let eth0 = name("eth0");
        let change = LinkChange {
            up: Some(true),
            rename: Some(&eth0),
            netns: Some(NetNs::Fd(room.as_fd())),
            ..LinkChange::default()
        };
        let request = link_set(&mut socket.sequence, &device("ve-2"), &change);
        socket.send(&request).unwrap();
        assert_eq!(Device::find(&far).unwrap_err().errno, Errno::ENODEV);
        let links = room.run(|| facts::links().unwrap());
        assert!(links.iter().any(|link| link.name == "eth0" && link.up));
    });
}

#[test]
fn refusals_come_with_errno_words_and_message() {
    in_new_netns("effect::refusals_come_with_errno_words_and_message", || {
        let mut socket = route_socket();
        make_bridge(&mut socket);
        let sequence = &mut socket.sequence;
        let again = bridge(sequence, &name("br0"));
        let far = default_route(sequence, Ipv4Addr::new(10, 99, 0, 1), &device("br0"));
        let gone = Device { index: 4711, name: name("gone") };
        let gone = delete_link(sequence, &gone);
        let refusal = |request| socket.send(request).unwrap_err();
        assert_eq!(refusal(&again).errno, Errno::EEXIST);
        let error = refusal(&far);
        assert_eq!(error.errno, Errno::ENETUNREACH);
        assert_eq!(error.message, Some("RTM_NEWROUTE"));
        assert_eq!(error.text.as_deref(), Some("Nexthop has invalid gateway"));
        assert_eq!(
            error.to_string(),
            "RTM_NEWROUTE: ENETUNREACH: Network is unreachable (Nexthop has invalid gateway)"
        );
        assert_eq!(refusal(&gone).errno, Errno::ENODEV);

        let mut netfilter = NetlinkSocket::open(Family::Netfilter).unwrap();
        let sequence = &mut netfilter.sequence;
        let masquerade = nft_masquerade(sequence, &name("t"), slash24(BRIDGE), &name("br0"));
        let delete = nft_delete_table(sequence, &name("t"));
        netfilter.send(&masquerade).unwrap();
        netfilter.send(&delete).unwrap();
        let error = netfilter.send(&delete).unwrap_err();
        assert_eq!(error.errno, Errno::ENOENT);
        assert_eq!(error.message, Some("NFT_MSG_DELTABLE"));
        // A batch that fails in its first message answers for the others too; they must not confuse the next.
        netfilter.send(&masquerade).unwrap();
        assert_eq!(netfilter.send(&masquerade).unwrap_err().errno, Errno::EEXIST);
        netfilter.send(&delete).unwrap();
    });
}

#[test]
fn silence_is_an_error() {
    in_new_netns("effect::silence_is_an_error", || {
        let mut socket = route_socket();
        let short = TimeVal::new(0, 50_000);
        setsockopt(&socket.as_fd(), sockopt::ReceiveTimeout, &short).unwrap();
        let never_sent = bridge(&mut socket.sequence, &name("br0"));
        let error = socket.acks(&never_sent).unwrap_err();
        assert_eq!(error.errno, Errno::ETIMEDOUT);
    });
}
