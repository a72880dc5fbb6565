//! Step 6: a network of its own, and a way out of it.
//!
//! A new network namespace has nothing but a loopback interface. A veth pair is a cable with two ends
//! (veth(4)): one end is on the host, in a bridge, a switch in software; the other is made in the container,
//! as its `eth0`. All of it is asked for by netlink messages (rtnetlink(7)).

use nix::sched::CloneFlags;

use crate::hands::try_out;
use crate::message::{Change, Message};
use crate::network::{Endpoint, GATEWAY, Network, name};
use crate::op::{Call, File, Op, Ops, Side};
use crate::plan::Stage;
use crate::site::Site;
use crate::spec::Spec;
use fault::Fault;
use kernel::netlink::{Family, Name};
use kernel::undo::Reversal;
use lab::Lab;

/// The step's slug.
pub const SLUG: &str = "veth-bridge";

/// The switch that packets between namespaces need; each network namespace has one of its own.
const FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";

/// What the container's end of the cable is called there.
const ETH0: &str = "eth0";

/// A cable to the host's bridge.
pub fn operations(spec: &Spec, site: &Site) -> Result<Vec<Op>, Fault> {
    let mut ops = Ops::of(SLUG);
    let Some(endpoint) = &spec.network else { return Ok(ops.list()) };
    ops.add(Stage::Prepare, "netlink", Call::Socket(Family::Route));
    if !site.has_bridge {
        make_bridge(&mut ops, &endpoint.network, site)?;
        open_the_way_out(&mut ops, &endpoint.network)?;
    }
    // ANCHOR: veth-bridge-clone
    ops.add(Stage::Clone, "clone", Call::Namespace(CloneFlags::CLONE_NEWNET));
    // ANCHOR_END: veth-bridge-clone
    make_cable(&mut ops, endpoint, site)?;
    set_up_inside(&mut ops, endpoint, site)?;
    Ok(ops.list())
}

// ANCHOR: veth-bridge-bridge
/// The bridge and its address: made for the first container, shared by the next.
fn make_bridge(ops: &mut Ops, network: &Network, site: &Site) -> Result<(), Fault> {
    let bridge = name(network.bridge)?;
    let undo = Reversal::Link(network.bridge.into());
    ops.add_with_undo(Stage::Prepare, "bridge", ask(Message::NewBridge(bridge.clone())), undo);
    let address = Message::NewAddress { link: bridge.clone(), address: network.cidr(GATEWAY)? };
    ops.add(Stage::Prepare, "bridge-address", ask(address));
    // Before it is up: address detection starts then, and on every port (RFC 4862).
    if site.has_ipv6 {
        let quiet = Change { no_ipv6_address: true, ..Change::default() };
        ops.add(Stage::Prepare, "quiet", set(&bridge, quiet));
    }
    ops.add(Stage::Prepare, "bridge-up", set(&bridge, up()));
    Ok(())
}
// ANCHOR_END: veth-bridge-bridge

// ANCHOR: veth-bridge-forward
/// Forwarding between the bridge and the host's other links, and masquerade: packets that leave
/// get the host's address, since nobody outside knows the way back to ours.
fn open_the_way_out(ops: &mut Ops, network: &Network) -> Result<(), Fault> {
    let forward = Call::Write { to: File::At(FORWARD.into()), text: "1".into() };
    let undo = Reversal::Setting { file: FORWARD.into(), before: None };
    ops.add_with_undo(Stage::Prepare, "forward", forward, undo);
    ops.add(Stage::Prepare, "netlink", Call::Socket(Family::Netfilter));
    let (table, bridge) = (name(network.table)?, name(network.bridge)?);
    let masquerade = Message::Masquerade { table, source: network.cidr(0)?, bridge };
    let undo = Reversal::Table(network.table.into());
    ops.add_with_undo(Stage::Prepare, "nat", Call::Send(Family::Netfilter, masquerade), undo);
    Ok(())
}
// ANCHOR_END: veth-bridge-forward

// ANCHOR: veth-bridge-pair
/// The cable. Its far end is made in the container, and its near end plugged into the bridge.
fn make_cable(ops: &mut Ops, endpoint: &Endpoint, site: &Site) -> Result<(), Fault> {
    let near = endpoint.near_end()?;
    let undo = Reversal::Link(near.to_string());
    let pair = Message::NewVeth { near: near.clone(), far: name(ETH0)?, inside: true };
    ops.add_with_undo(Stage::Attach, "pair", ask(pair), undo);
    let master = Some(name(endpoint.network.bridge)?);
    let plugged = Change { up: true, master, no_ipv6_address: site.has_ipv6 };
    ops.add(Stage::Attach, "plug", set(&near, plugged));
    Ok(())
}
// ANCHOR_END: veth-bridge-pair

// ANCHOR: veth-bridge-netlink-inside
/// The container's side. A socket speaks to the namespace that it was made in, so the host's is of no use here.
fn set_up_inside(ops: &mut Ops, endpoint: &Endpoint, site: &Site) -> Result<(), Fault> {
    let (lo, eth0) = (name("lo")?, name(ETH0)?);
    ops.add(Stage::Network, "netlink-inside", Call::Socket(Family::Route));
    ops.add(Stage::Network, "lo", set(&lo, up()));
    // The other end is up: an automatic IPv6 address would be announced as soon as this one is.
    let quiet = Change { no_ipv6_address: site.has_ipv6, ..Change::default() };
    if site.has_ipv6 {
        ops.add(Stage::Network, "quiet", set(&eth0, quiet));
    }
    ops.add(Stage::Network, "eth0-up", set(&eth0, up()));
    let address = endpoint.network.cidr(endpoint.number)?;
    ops.add(Stage::Network, "address", ask(Message::NewAddress { link: eth0.clone(), address }));
    let route = Message::DefaultRoute { gateway: endpoint.gateway(), link: eth0 };
    ops.add(Stage::Network, "route", ask(route));
    Ok(())
}
// ANCHOR_END: veth-bridge-netlink-inside

fn ask(message: Message) -> Call {
    Call::Send(Family::Route, message)
}

fn set(link: &Name, change: Change) -> Call {
    ask(Message::SetLink { link: link.clone(), change })
}

fn up() -> Change {
    Change { up: true, ..Change::default() }
}

/// Whether the kernel makes what a network of this kind takes. Asked by making it, in a network namespace that is
/// gone afterwards with all that is in it.
pub fn permitted(lab: &Lab) -> Result<(), Fault> {
    let network = Some(Endpoint { network: Network::default(), number: GATEWAY + 1 });
    let spec = Spec { network, ..Spec::default() };
    let site = Site { has_bridge: false, ..Site::in_lab(lab, &spec)? };
    let mut ops = operations(&spec, &site)?;
    ops.retain(|op| op.stage.side() == Side::Host && op.stage != Stage::Clone);
    try_out(CloneFlags::CLONE_NEWNET, &ops)
}
