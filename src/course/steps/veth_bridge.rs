//! Step 6: a place on a network. Packets really arrive.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::language::Phrase;
use crate::{Build, Part, Row, Step};
use checks::{Fact, PATIENCE, PORT, Scene, endpoint};
use claims::task::Asked;
use claims::{KERNELS, Need, claim, network, own_namespace, unchanged};
use engine::network::{Endpoint, Network};
use engine::parts;
use engine::template::FIRST;
use fault::Fault;
use kernel::icmp::ping;
use kernel::netlink::facts as net;

/// Both sides have one then.
const NETWORK: Phrase = Phrase::new("network", "네트워크");

/// Why PROGRAM's network is tried by one container alone.
const ONE_ALONE: &str = "the exercise asks for one container, and not for what two have to agree on";

pub const STEP: Step = Step {
    number: 6,
    slug: parts::veth_bridge::SLUG,
    builds: Build::Part(Part {
        wants: |wanted, _| {
            wanted.spec.network = Some(Endpoint { network: Network::default(), number: FIRST });
        },
        facts,
        row: Row { host: NETWORK, own: NETWORK },
        owns: &["part-network"],
        options: &["--net"],
        way_on: Some("run-without-net"),
    }),
    permit: Some(parts::veth_bridge::permitted),
    claims: &[
        claim("own-network", Need::Look, |evidence| own_namespace(evidence, "net")),
        claim("loopback", Need::Look, network::loopback),
        claim("eth0", Need::Look, network::eth0),
        claim("default-route", Need::Look, network::default_route),
        claim("bridged", Need::Look, network::bridged),
        claim("one-place", Need::Look, network::one_place).ours(KERNELS),
        claim("gateway", Need::Look, network::gateway),
        claim("each-other", Need::Neighbours, network::each_other).ours(ONE_ALONE),
        claim("same-port", Need::Neighbours, network::same_port).ours(ONE_ALONE),
        claim("masquerade", Need::Neighbours, network::masquerade)
            .ours("the exercise asks for a way to the gateway; what lies behind it is not PROGRAM's"),
        claim("links-gone", Need::Left, network::links_gone),
        claim("network-same", Need::Left, |evidence| unchanged(evidence, |o| &o.traces.network)),
    ],
    exercise: Some(Asked { network: true, ..Asked::NOTHING }),
};

/// A namespace's network as a visitor sees it.
#[derive(Serialize, Deserialize)]
struct View {
    links: Vec<String>,
    addresses: Vec<String>,
    route: String,
}

fn view() -> View {
    let links = net::links().unwrap_or_default();
    let name = |index: u32| links.iter().find(|l| l.index == index).map_or("?", |l| &l.name);
    let addresses = net::addresses().unwrap_or_default();
    let default = net::default_route().ok().flatten();
    View {
        addresses: addresses.iter().filter(|a| name(a.index) != "lo").map(|a| a.cidr.to_string()).collect(),
        route: default.and_then(|r| r.gateway).map_or("none".into(), |gateway| format!("via {gateway}")),
        links: links.iter().map(|l| l.name.clone()).collect(),
    }
}

fn reached(outcome: io::Result<Duration>) -> String {
    outcome.map_or_else(|e| e.to_string(), |_| "answers".into())
}

pub fn facts(scene: &Scene) -> Result<Vec<Fact>, Fault> {
    let (outside, inside) = scene.namespaces("net");
    let (here, there) = (view(), scene.container.look(view)?);
    let endpoint = endpoint(scene.container)?;
    let (gateway, address) = (endpoint.gateway(), endpoint.address());
    let trip = scene.container.look(|| reached(ping(gateway, PATIENCE)))?;
    let list = |items: &[String]| if items.is_empty() { "none".into() } else { items.join(" ") };
    let listening = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).is_ok();
    let as_well = scene.container.look(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).is_ok())?;
    let free = |yes| if yes { "free" } else { "taken" };
    Ok(vec![
        Fact::new("namespace", outside, inside),
        Fact::new("links", list(&here.links), list(&there.links)),
        Fact::new("address", list(&here.addresses), list(&there.addresses)),
        Fact::new("route", here.route, there.route),
        Fact::new("gateway", reached(ping(address, PATIENCE)), trip),
        Fact::new("port", free(listening), free(as_well)),
    ])
}
