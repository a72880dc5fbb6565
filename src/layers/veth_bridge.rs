//! Step 6: a network of its own, and a way out of it.
//!
//! A new network namespace has nothing but a loopback interface. A veth pair is a cable with two ends
//! (veth(4)): one end stays on the host and goes into a bridge, a switch in software; the other moves
//! into the container and becomes its `eth0`. All of it is asked for by netlink messages (rtnetlink(7)).

use std::fs;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::unistd::Pid;

use super::{Host, Inside, Layer, Link, Stage};
use crate::fault::{Doing, Fault};
use crate::kernel::caller::{Caller, open_for_writing};
use crate::kernel::lacks;
use crate::kernel::netlink::nft::nft_masquerade;
use crate::kernel::netlink::route::{self, LinkChange, Peer, has_ipv6, link_set};
use crate::kernel::netlink::{Cidr, Device, Family, Name, NetNs, NetlinkSocket};
use crate::kernel::told::{Actor, Silence};
use crate::kernel::undo::Reversal;
use crate::lab::Lab;

/// The switch that packets between namespaces need; each network namespace has one of its own.
const FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";

/// The network that containers on one bridge share.
#[derive(Clone, Debug)]
pub struct Network {
    pub bridge: &'static str,
    /// The first three bytes of every address in it, a /24. The bridge is number 1.
    pub net: [u8; 3],
    /// The nftables table that holds the masquerade rule.
    pub table: &'static str,
}

impl Default for Network {
    fn default() -> Network {
        Network { bridge: "workshop0", net: [10, 77, 0], table: "workshop" }
    }
}

impl Network {
    /// Bits of an address that name the network.
    pub const PREFIX: u8 = 24;

    /// The address of seat `n`; 1 is the bridge's.
    pub fn address(&self, n: u8) -> Ipv4Addr {
        let [a, b, c] = self.net;
        Ipv4Addr::new(a, b, c, n)
    }

    fn cidr(&self, n: u8) -> Result<Cidr, Fault> {
        Cidr::new(self.address(n), Self::PREFIX).doing("make an address")
    }
}

/// A cable to the host's bridge.
pub struct VethBridge {
    network: Network,
    /// Which address of the network the container gets.
    seat: u8,
    socket: Option<NetlinkSocket>,
}

impl VethBridge {
    /// A place on `network` for the container in seat 2 to 254.
    pub fn new(network: Network, seat: u8) -> VethBridge {
        VethBridge { network, seat, socket: None }
    }

    /// The end of the cable that moves, until it is called eth0.
    fn far_end(&self) -> Result<Name, Fault> {
        name(&format!("far{}", self.seat))
    }

    fn near_end(&self) -> Result<Name, Fault> {
        name(&format!("ve{}", self.seat))
    }

    // ANCHOR: veth-bridge-bridge
    /// The bridge, its address, forwarding and NAT: made for the first container, shared by the next.
    fn make_bridge(&self, host: &mut Host, socket: &mut NetlinkSocket) -> Result<Device, Fault> {
        let bridge = name(self.network.bridge)?;
        if let Ok(device) = Device::find(&bridge) {
            return Ok(device);
        }
        host.undo.before(Reversal::Link(bridge.to_string()))?;
        let request = route::bridge(&mut socket.sequence, &bridge);
        host.calls.send("bridge", socket, &request)?;
        let device = Device::find(&bridge).doing("find the bridge")?;
        let request = route::address(&mut socket.sequence, &device, self.network.cidr(1)?);
        host.calls.send("bridge-address", socket, &request)?;
        // Before it is up: address detection starts then, and on every port (RFC 4862).
        if has_ipv6() {
            let quiet = LinkChange { no_ipv6_address: true, ..LinkChange::default() };
            let request = link_set(&mut socket.sequence, &device, &quiet);
            host.calls.send("quiet", socket, &request)?;
        }
        let up = LinkChange { up: Some(true), ..LinkChange::default() };
        let request = link_set(&mut socket.sequence, &device, &up);
        host.calls.send("bridge-up", socket, &request)?;
        self.open_the_way_out(host, &bridge)?;
        Ok(device)
    }
    // ANCHOR_END: veth-bridge-bridge

    // ANCHOR: veth-bridge-forward
    /// Forwarding between the bridge and the host's other links, and masquerade: packets that leave
    /// get the host's address, since nobody outside knows the way back to ours.
    fn open_the_way_out(&self, host: &mut Host, bridge: &Name) -> Result<(), Fault> {
        let file = Path::new(FORWARD);
        let fd = forward()?;
        let before = fs::read_to_string(file).doing(format!("read {FORWARD}"))?;
        host.undo.before(Reversal::Setting { file: file.into(), before })?;
        host.calls.write("forward", fd.as_fd(), file, "1")?;

        let mut firewall = host.calls.netlink("netlink", Family::Netfilter)?;
        host.undo.before(Reversal::Table(self.network.table.into()))?;
        let (table, source) = (name(self.network.table)?, self.network.cidr(0)?);
        let request = nft_masquerade(&mut firewall.sequence, &table, source, bridge);
        host.calls.send("nat", &firewall, &request)
    }
    // ANCHOR_END: veth-bridge-forward

    // ANCHOR: veth-bridge-pair
    /// The cable, with its near end plugged into the bridge.
    fn make_cable(&self, host: &mut Host, socket: &mut NetlinkSocket, bridge: &Device) -> Result<(), Fault> {
        let (near, far) = (self.near_end()?, self.far_end()?);
        host.undo.before(Reversal::Link(near.to_string()))?;
        let peer = Peer { name: &far, netns: None };
        let request = route::veth(&mut socket.sequence, &near, &peer);
        host.calls.send("pair", socket, &request)?;
        let device = Device::find(&near).doing("find the near end of the pair")?;
        let plugged = LinkChange {
            up: Some(true),
            master: Some(bridge),
            no_ipv6_address: has_ipv6(),
            ..LinkChange::default()
        };
        let request = link_set(&mut socket.sequence, &device, &plugged);
        host.calls.send("plug", socket, &request)
    }
    // ANCHOR_END: veth-bridge-pair
}

impl Layer for VethBridge {
    fn slug(&self) -> &'static str {
        "veth-bridge"
    }

    // ANCHOR: veth-bridge-clone
    fn namespaces(&self) -> CloneFlags {
        CloneFlags::CLONE_NEWNET
    }
    // ANCHOR_END: veth-bridge-clone

    // ANCHOR: veth-bridge-netlink
    fn prepare(&mut self, host: &mut Host) -> Result<(), Fault> {
        let mut socket = host.calls.netlink("netlink", Family::Route)?;
        let bridge = self.make_bridge(host, &mut socket)?;
        self.make_cable(host, &mut socket, &bridge)?;
        host.made.link =
            Some(Link { address: self.network.address(self.seat), gateway: self.network.address(1) });
        self.socket = Some(socket);
        Ok(())
    }
    // ANCHOR_END: veth-bridge-netlink

    // ANCHOR: veth-bridge-move
    fn attach(&mut self, host: &mut Host, child: Pid) -> Result<(), Fault> {
        let far = Device::find(&self.far_end()?).doing("find the far end of the pair")?;
        let Some(socket) = &mut self.socket else { return Ok(()) };
        let change = LinkChange {
            netns: Some(NetNs::Pid(child)),
            no_ipv6_address: has_ipv6(),
            ..LinkChange::default()
        };
        let request = link_set(&mut socket.sequence, &far, &change);
        host.calls.send("move", socket, &request)
    }
    // ANCHOR_END: veth-bridge-move

    // ANCHOR: veth-bridge-netlink-inside
    fn enter(&self, stage: Stage, inside: &mut Inside) -> Result<(), Fault> {
        if stage != Stage::Network {
            return Ok(());
        }
        // A socket speaks to the namespace that it was made in, so the host's is of no use here.
        let mut socket = inside.calls.netlink("netlink-inside", Family::Route)?;
        let up = LinkChange { up: Some(true), ..LinkChange::default() };
        let lo = Device::find(&name("lo")?).doing("find lo")?;
        let request = link_set(&mut socket.sequence, &lo, &up);
        inside.calls.send("lo", &socket, &request)?;

        let far = Device::find(&self.far_end()?).doing("find the link that was moved here")?;
        let eth0 = name("eth0")?;
        let change = LinkChange { rename: Some(&eth0), ..LinkChange::default() };
        let request = link_set(&mut socket.sequence, &far, &change);
        inside.calls.send("rename", &socket, &request)?;

        let device = Device { index: far.index, name: eth0 };
        let request = link_set(&mut socket.sequence, &device, &up);
        inside.calls.send("eth0-up", &socket, &request)?;
        let request = route::address(&mut socket.sequence, &device, self.network.cidr(self.seat)?);
        inside.calls.send("address", &socket, &request)?;
        let request = route::default_route(&mut socket.sequence, self.network.address(1), &device);
        inside.calls.send("route", &socket, &request)
    }
    // ANCHOR_END: veth-bridge-netlink-inside
}

/// The switch for forwarding, open for writing.
fn forward() -> Result<OwnedFd, Fault> {
    open_for_writing(Path::new(FORWARD)).map_err(|errno| {
        let key = if errno == Errno::ENOENT { "sysctl-missing" } else { "sysctl-read-only" };
        Fault::unable(key, &[("path", FORWARD)])
    })
}

/// Whether the kernel makes what a network of this kind takes. Asked by making it, in a network namespace that is
/// gone afterwards with all that is in it.
pub fn permitted(_: &Lab) -> Result<(), Fault> {
    let slug = VethBridge::new(Network::default(), 1).slug();
    lacks::aside(|| try_out(slug))?
}

fn try_out(slug: &'static str) -> Result<(), Fault> {
    let mut silence = Silence;
    let mut calls = Caller::new(Actor::Host, &mut silence);
    calls.speak_for(slug);
    calls.unshare("clone", CloneFlags::CLONE_NEWNET)?;
    let network = Network::default();
    let (bridge, near, far, table) =
        (name(network.bridge)?, name("near")?, name("far")?, name(network.table)?);
    let mut socket = calls.netlink("netlink", Family::Route)?;
    let request = route::bridge(&mut socket.sequence, &bridge);
    calls.send("bridge", &socket, &request)?;
    let request = route::veth(&mut socket.sequence, &near, &Peer { name: &far, netns: None });
    calls.send("pair", &socket, &request)?;
    forward()?;
    let mut firewall = calls.netlink("netlink", Family::Netfilter)?;
    let request = nft_masquerade(&mut firewall.sequence, &table, network.cidr(0)?, &bridge);
    calls.send("nat", &firewall, &request)
}

fn name(text: &str) -> Result<Name, Fault> {
    Name::new(text).doing(format!("name a link {text}"))
}
