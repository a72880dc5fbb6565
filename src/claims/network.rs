//! Claims about the network (step 6).

use std::net::Ipv4Addr;

use super::finding::Seen;
use super::sight::{Link, Ping};
use super::{Evidence, Finding, is_apart, left_of, looked};

pub fn loopback(evidence: &Evidence) -> Option<Finding> {
    let network = &looked(evidence).filter(|looked| is_apart(looked, "net"))?.view.network;
    let up = network.links.iter().any(|l| l.name == "lo" && l.up);
    let is = |key| Seen::found(key, [("link", &"lo")]);
    Some(Finding::holds(up, is("link-up"), is("link-down")))
}

pub fn eth0(evidence: &Evidence) -> Option<Finding> {
    let links = &looked(evidence).filter(|looked| is_apart(looked, "net"))?.view.network.links;
    let of_eth0 = |key| Some(Seen::found(key, [("link", &"eth0")]));
    let wrong = match links.iter().find(|link| link.name == "eth0") {
        None => Some(Seen::of("only", "names", Seen::facts(links.iter().map(|link| &link.name)))),
        Some(link) if !link.up => of_eth0("link-down"),
        Some(link) if link.addresses.is_empty() => of_eth0("no-address"),
        Some(_) => None,
    };
    Some(unless(wrong, Seen::words("eth0-up")))
}

/// A finding that holds where nothing is wrong.
fn unless(wrong: Option<Seen>, expected: Seen) -> Finding {
    Finding::holds(wrong.is_none(), expected.clone(), wrong.unwrap_or(expected))
}

/// The container's eth0, where there is one to judge further.
fn has_eth0(evidence: &Evidence) -> Option<&Link> {
    let looked = looked(evidence).filter(|looked| is_apart(looked, "net"))?;
    looked.view.network.links.iter().find(|link| link.name == "eth0")
}

pub fn default_route(evidence: &Evidence) -> Option<Finding> {
    has_eth0(evidence)?;
    let network = &looked(evidence)?.view.network;
    let addresses = &has_eth0(evidence)?.addresses;
    let is_own =
        |source: &Ipv4Addr| addresses.iter().any(|own| own.split('/').next() == Some(&source.to_string()));
    let all_leave = network.sources.iter().all(|source| source.as_ref().is_some_and(is_own));
    let wrong = match &network.route {
        Some((Some(_), link)) if link == "eth0" && all_leave => None,
        Some((Some(_), link)) if link == "eth0" => Some(Seen::words("other-routes-first")),
        Some((None, link)) => Some(Seen::found("route-without-gateway", [("link", link)])),
        Some((_, link)) => Some(Seen::found("route-through", [("link", link)])),
        None => Some(Seen::words("none")),
    };
    Some(unless(wrong, Seen::found("route-through", [("link", &"eth0")])))
}

pub fn bridged(evidence: &Evidence) -> Option<Finding> {
    let inside = has_eth0(evidence)?;
    let outside = &looked(evidence)?.network_outside.links;
    let peer = outside.iter().find(|link| Some(link.index) == inside.peer);
    let bridge = |index| outside.iter().any(|link| Some(link.index) == index && link.kind == "bridge");
    let is_pair =
        |peer: &Link| inside.kind == "veth" && peer.kind == "veth" && peer.peer == Some(inside.index);
    let wrong = match peer {
        Some(peer) if !is_pair(peer) => {
            Some(Seen::found("no-pair", [("kind", &inside.kind), ("link", &peer.name)]))
        }
        None => Some(Seen::words("no-other-end")),
        Some(peer) if peer.master.is_none() => Some(Seen::found("no-port", [("link", &peer.name)])),
        Some(peer) if !bridge(peer.master) => Some(Seen::found("other-port", [("link", &peer.name)])),
        Some(_) => None,
    };
    Some(unless(wrong, Seen::words("port-of-a-bridge")))
}

pub fn gateway(evidence: &Evidence) -> Option<Finding> {
    let network = &looked(evidence)?.view.network;
    let gateway = network.route.as_ref()?.0?;
    let outside = &looked(evidence)?.network_outside.links;
    let peer = has_eth0(evidence).and_then(|eth0| outside.iter().find(|link| Some(link.index) == eth0.peer));
    let bridge = peer.and_then(|peer| outside.iter().find(|link| Some(link.index) == peer.master));
    let is_bridges = |bridge: &Link| {
        bridge.addresses.iter().any(|own| own.split('/').next() == Some(&gateway.to_string()))
    };
    let (wrong, sign) = match (&network.ping, bridge) {
        (Ping::Answers, Some(bridge)) if !is_bridges(bridge) => {
            let with = [("gateway", &gateway as &dyn std::fmt::Display), ("link", &bridge.name)];
            (Some(Seen::found("answers-elsewhere", with)), "elsewhere")
        }
        (Ping::Answers, _) => (None, "silent"),
        (Ping::Silent, _) => (Some(Seen::words("no-answer")), "silent"),
        (Ping::Refused(errno), _) => (Some(Seen::found("refused", [("errno", errno)])), "silent"),
    };
    Some(unless(wrong, Seen::words("answers")).with_signs([sign]))
}

pub fn links_gone(evidence: &Evidence) -> Option<Finding> {
    let mut left = left_of(evidence, |o| &o.links)?;
    left.extend(
        left_of(evidence, |o| &o.tables)?.into_iter().map(|table| Seen::of("nft-table", "name", table)),
    );
    Some(Finding::nothing(left))
}

pub fn each_other(evidence: &Evidence) -> Option<Finding> {
    let pings = evidence.pair.as_ref()?.pings.each_ref().map(|ping| match ping {
        Ping::Answers => Seen::words("answers"),
        Ping::Silent => Seen::words("no-answer"),
        Ping::Refused(errno) => Seen::found("refused", [("errno", errno)]),
    });
    let all = pings.each_ref().map(|_| Seen::words("answers"));
    Some(Finding::same(Seen::List(all.into()), Seen::List(pings.into())))
}

pub fn same_port(evidence: &Evidence) -> Option<Finding> {
    let pair = evidence.pair.as_ref()?;
    Some(Finding::same(Seen::facts(&pair.said), Seen::facts(&pair.heard)))
}

pub fn masquerade(evidence: &Evidence) -> Option<Finding> {
    let (by, expected) = evidence.masqueraded.as_ref()?;
    Some(Finding::same(Seen::fact(expected), Seen::fact(by)))
}

/// By the names that our own containers' interfaces have: `eth0`, or `far` and a number on the way there.
pub fn one_place(evidence: &Evidence) -> Option<Finding> {
    let looked = looked(evidence)?;
    let far = |links: &[Link]| links.iter().filter(|l| l.name == "eth0" || l.name.starts_with("far")).count();
    let places = |outside: usize, inside: usize| {
        Seen::found("outside-and-inside", [("outside", &outside), ("inside", &inside)])
    };
    let (outside, inside) = (far(&looked.network_outside.links), far(&looked.view.network.links));
    Some(Finding::same(places(0, 1), places(outside, inside)))
}
