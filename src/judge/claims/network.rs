//! Claims about the network (step 6).

use std::net::Ipv4Addr;

use super::{Case, Finding, holds, is_apart, left_of, nothing, same};
use crate::judge::sight::Link;

pub fn loopback(case: &Case) -> Option<Finding> {
    let network = &case.looked().filter(|looked| is_apart(looked, "net"))?.view.network;
    holds(network.links.iter().any(|l| l.name == "lo" && l.up), "lo is up", "lo is down")
}

pub fn eth0(case: &Case) -> Option<Finding> {
    let links = &case.looked().filter(|looked| is_apart(looked, "net"))?.view.network.links;
    let found = links.iter().find(|link| link.name == "eth0");
    let actual = match found {
        None => format!("only {}", links.iter().map(|l| l.name.as_str()).collect::<Vec<_>>().join(", ")),
        Some(link) if !link.up => "eth0 is down".into(),
        Some(link) if link.addresses.is_empty() => "eth0 has no address".into(),
        Some(_) => String::new(),
    };
    holds(actual.is_empty(), "eth0, up, with an address", &actual)
}

/// The container's eth0, where there is one to judge further.
fn has_eth0<'c>(case: &Case<'c>) -> Option<&'c Link> {
    let looked = case.looked().filter(|looked| is_apart(looked, "net"))?;
    looked.view.network.links.iter().find(|link| link.name == "eth0")
}

pub fn default_route(case: &Case) -> Option<Finding> {
    has_eth0(case)?;
    let network = &case.looked()?.view.network;
    let addresses = &has_eth0(case)?.addresses;
    let is_own =
        |source: &Ipv4Addr| addresses.iter().any(|own| own.split('/').next() == Some(&source.to_string()));
    let all_leave = network.sources.iter().all(|source| source.as_ref().is_some_and(is_own));
    let actual = match &network.route {
        Some((Some(_), link)) if link == "eth0" && all_leave => String::new(),
        Some((Some(_), link)) if link == "eth0" => "one, but other routes come before it".into(),
        Some((None, link)) => format!("one without a gateway, through {link}"),
        Some((_, link)) => format!("one through {link}"),
        None => "none".into(),
    };
    holds(actual.is_empty(), "a default route through eth0", &actual)
}

pub fn bridged(case: &Case) -> Option<Finding> {
    let inside = has_eth0(case)?;
    let outside = &case.looked()?.network_outside.links;
    let peer = outside.iter().find(|link| Some(link.index) == inside.peer);
    let bridge = |index| outside.iter().any(|link| Some(link.index) == index && link.kind == "bridge");
    let is_pair =
        |peer: &Link| inside.kind == "veth" && peer.kind == "veth" && peer.peer == Some(inside.index);
    let actual = match peer {
        Some(peer) if !is_pair(peer) => {
            format!("eth0 is a {}, and {} is not its other end", inside.kind, peer.name)
        }
        None => "eth0 has no other end outside".to_owned(),
        Some(peer) if peer.master.is_none() => format!("{} is no port of a bridge", peer.name),
        Some(peer) if !bridge(peer.master) => format!("{} is a port of something else", peer.name),
        Some(_) => String::new(),
    };
    holds(actual.is_empty(), "eth0's other end is a port of a bridge outside", &actual)
}

pub fn gateway(case: &Case) -> Option<Finding> {
    let network = &case.looked()?.view.network;
    let gateway = network.route.as_ref()?.0?;
    let outside = &case.looked()?.network_outside.links;
    let peer = has_eth0(case).and_then(|eth0| outside.iter().find(|link| Some(link.index) == eth0.peer));
    let bridge = peer.and_then(|peer| outside.iter().find(|link| Some(link.index) == peer.master));
    let is_bridges = |bridge: &Link| {
        bridge.addresses.iter().any(|own| own.split('/').next() == Some(&gateway.to_string()))
    };
    match bridge {
        Some(bridge) if network.ping == "answers" && !is_bridges(bridge) => {
            holds(false, "answers", format!("answers, but {gateway} is not an address of {}", bridge.name))
        }
        _ => same("answers", &network.ping),
    }
}

pub fn links_gone(case: &Case) -> Option<Finding> {
    let mut names = left_of(case, |o| &o.links)?;
    names.extend(left_of(case, |o| &o.tables)?.iter().map(|table| format!("nftables table {table}")));
    nothing(&names)
}
