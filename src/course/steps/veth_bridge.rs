//! Step 6: a place on a network. Packets really arrive.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::sched::CloneFlags;
use serde::{Deserialize, Serialize};

use crate::checks::{Fact, LabState, Memory, Report, Scene};
use crate::course::language::Phrase;
use crate::course::{Build, Part, Row, Step};
use crate::engine::network::{Endpoint, Network};
use crate::engine::op::{Call, Ops};
use crate::engine::parts;
use crate::engine::parts::veth_bridge::SLUG;
use crate::engine::plan::Stage;
use crate::engine::template::{FIRST, SECOND};
use crate::engine::{Container, OnHost, Plan, Process, Program, Site, Spec, Stdio, create};
use crate::fault::{Doing, Fault};
use crate::judge::claims::{Need, claim, network, own_namespace, unchanged};
use crate::judge::{Asked, Task};
use crate::kernel::icmp::ping;
use crate::kernel::netlink::facts as net;
use crate::kernel::netlink::route::{self, LinkChange, Peer, link_set};
use crate::kernel::netlink::{Cidr, Device, Family, Name, NetNs, NetlinkSocket};
use crate::kernel::told::Silence;
use crate::kernel::undo::Reversal;

/// Both sides have one then.
const NETWORK: Phrase = Phrase::new("network", "네트워크");

pub const STEP: Step = Step {
    number: 6,
    slug: parts::veth_bridge::SLUG,
    builds: Build::Part(Part {
        wants: |wanted, _| {
            wanted.spec.network = Some(Endpoint { network: Network::default(), number: FIRST });
        },
        facts,
        checks,
        after,
        row: Row { host: NETWORK, own: NETWORK },
        owns: &["part-network"],
        options: &["--net"],
        way_on: Some("run-without-net"),
    }),
    permit: Some(parts::veth_bridge::permitted),
    exercise: Some(Task {
        asks: Asked { network: true, ..Asked::NOTHING },
        claims: &[
            claim("own-network", Need::Look, |case| own_namespace(case, "net")),
            claim("loopback", Need::Look, network::loopback),
            claim("eth0", Need::Look, network::eth0),
            claim("default-route", Need::Look, network::default_route),
            claim("bridged", Need::Look, network::bridged),
            claim("gateway", Need::Look, network::gateway),
            claim("links-gone", Need::Talk, network::links_gone),
            claim("network-same", Need::Talk, |case| unchanged(case, |o| &o.traces.network)),
        ],
    }),
};

/// The port that two containers listen on at once.
const PORT: u16 = 8080;

/// The lab's end of the cable to the third network.
const TO_WORLD: &str = "to-world";

/// How long a packet may take on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(2);

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

/// The container's place in the network; there is one in every container with this part.
fn link(container: &Container) -> Result<Endpoint, Fault> {
    container
        .on_host
        .endpoint
        .clone()
        .ok_or_else(|| Fault::broken("look at the container's link", "it has none"))
}

fn reached(outcome: io::Result<Duration>) -> String {
    outcome.map_or_else(|e| e.to_string(), |_| "answers".into())
}

pub fn facts(scene: &Scene) -> Result<Vec<Fact>, Fault> {
    let (outside, inside) = scene.namespaces("net");
    let (here, there) = (view(), scene.container.look(view)?);
    let endpoint = link(scene.container)?;
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

pub fn checks(scene: &Scene, report: &mut Report) -> Result<(), Fault> {
    let (other, _held) = scene.template.resident(SECOND, &mut Silence)?;
    let (one, two) = (link(scene.container)?, link(&other)?);

    let first = scene.container.look(|| reached(ping(one.gateway(), PATIENCE)))?;
    let second = other.look(|| reached(ping(two.gateway(), PATIENCE)))?;
    report.equal("gateway", "answers, answers", format!("{first}, {second}"))?;
    let there = scene.container.look(|| reached(ping(two.address(), PATIENCE)))?;
    let back = other.look(|| reached(ping(one.address(), PATIENCE)))?;
    report.equal("each-other", "answers, answers", format!("{there}, {back}"))?;

    report.equal("same-port", "one, two", same_port(scene, &other, &one, &two)?)?;
    masquerade(scene, report)?;

    let (here, inside) = (view().links, scene.container.look(view)?.links);
    let far =
        |links: &[String]| links.iter().filter(|name| *name == "eth0" || name.starts_with("far")).count();
    report.equal(
        "one-place",
        "0 outside, 1 inside",
        format!("{} outside, {} inside", far(&here), far(&inside)),
    )
}

/// Both containers listen on one port, and each is asked at its own address.
fn same_port(scene: &Scene, other: &Container, one: &Endpoint, two: &Endpoint) -> Result<String, Fault> {
    let servers = [serve(scene.container, "one")?, serve(other, "two")?];
    let ask = |address: Ipv4Addr| -> io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&SocketAddrV4::new(address, PORT).into(), PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answers = [one.address(), two.address()].map(|a| ask(a).unwrap_or_else(|e| e.to_string()));
    drop(servers);
    Ok(answers.join(", "))
}

/// A server for one question in the container's network: a listening socket that is made inside and
/// handed out to a process of ours, since a socket stays in the namespace it was made in.
fn serve(container: &Container, answer: &'static str) -> Result<Server, Fault> {
    let (ready, started) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).doing("make a pipe")?;
    container
        .visitor(move || {
            let Ok(listener) = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)) else { return 1 };
            let mut started = std::fs::File::from(started);
            let _ = started.write_all(b"r");
            drop(started);
            match listener.accept() {
                Ok((mut stream, _)) => i32::from(stream.write_all(answer.as_bytes()).is_err()),
                Err(_) => 1,
            }
        })
        .and_then(|pid| {
            let mut byte = [0; 1];
            let _ = std::fs::File::from(ready).read(&mut byte).doing("wait for the server")?;
            Ok(Server(pid))
        })
}

/// Ends its process when it is not needed any more.
struct Server(nix::unistd::Pid);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = nix::sys::signal::kill(self.0, nix::sys::signal::Signal::SIGKILL);
        let _ = nix::sys::wait::waitpid(self.0, None);
    }
}

/// A third network: a namespace that stands for the world outside, and that knows no way back to
/// the bridge's addresses. It tells whom a packet seems to come from.
fn masquerade(scene: &Scene, report: &mut Report) -> Result<(), Fault> {
    let (lab, world) = (Ipv4Addr::new(203, 0, 113, 1), Ipv4Addr::new(203, 0, 113, 2));
    let outside = World::make(scene, lab, world)?;
    let received = outside.receive(scene, world)?;
    report.equal("masquerade", lab, received)
}

/// The namespace outside, with its own cable to the lab.
struct World {
    container: Container,
    _held: OwnedFd,
}

impl Drop for World {
    fn drop(&mut self) {
        // The kernel takes a namespace and its links apart some time after its last process.
        // What could not be removed shows in the check on what is left in the lab.
        let _ = self.container.end();
        let _ = Reversal::Link(TO_WORLD.into()).carry_out();
    }
}

impl World {
    fn make(scene: &Scene, lab: Ipv4Addr, world: Ipv4Addr) -> Result<World, Fault> {
        let (stdio, held) = Stdio::quiet()?;
        let wait = || {
            let mut nothing = [0; 1];
            drop(io::stdin().read(&mut nothing));
            0
        };
        let spec = Spec { processes: true, ..Spec::default() };
        let site = Site::in_lab(scene.lab, &spec)?;
        let mut plan = Plan::new(&spec, &site)?;
        let mut network_only = Ops::of(SLUG);
        network_only.add(Stage::Clone, "clone", Call::Namespace(CloneFlags::CLONE_NEWNET));
        plan.ops.extend(network_only.list());
        plan.sort();
        let process = Process { stdio, ..Process::new(Program::Call(Box::new(wait))) };
        let mut container = create(plan, process, OnHost::new(&spec, &site)?, scene.lab, &mut Silence)?;
        container.start(&mut Silence)?;
        // By an open file: whatever becomes of the PID, this is the namespace that is meant.
        let path = format!("/proc/{}/ns/net", container.pid);
        let netns = std::fs::File::open(&path).doing(format!("open {path}"))?;
        let cable = || {
            let (near, far) = (Name::new(TO_WORLD)?, Name::new("world")?);
            let mut socket = NetlinkSocket::open(Family::Route)?;
            let peer = Peer { name: &far, netns: Some(NetNs::Fd(netns.as_fd())) };
            let request = route::veth(&mut socket.sequence, &near, &peer);
            socket.send(&request)?;
            plug(&near, lab)
        };
        cable().doing("lay a cable to the third network")?;
        container
            .look(|| plug_named("world", world))?
            .map_err(|e| Fault::broken("set up the third network", e))?;
        Ok(World { container, _held: held })
    }

    /// Has the container send a packet here, and returns its source address as it arrives.
    fn receive(&self, scene: &Scene, world: Ipv4Addr) -> Result<String, Fault> {
        let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).doing("make a pipe")?;
        let listener = self.container.visitor(move || {
            let mut writer = std::fs::File::from(writer);
            let mut listen = || -> io::Result<String> {
                let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT))?;
                socket.set_read_timeout(Some(PATIENCE))?;
                writer.write_all(b"r")?;
                let (_, sender) = socket.recv_from(&mut [0; 16])?;
                Ok(sender.ip().to_string())
            };
            let words = listen().unwrap_or_else(|e| e.to_string());
            i32::from(writer.write_all(words.as_bytes()).is_err())
        })?;
        let _server = Server(listener);
        let mut reader = std::fs::File::from(reader);
        let _ = reader.read(&mut [0; 1]).doing("wait for the third network")?;
        scene.container.look(|| {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0));
            socket.and_then(|s| s.send_to(b"hello", (world, PORT))).is_ok()
        })?;
        let mut words = String::new();
        reader.read_to_string(&mut words).doing("hear from the third network")?;
        Ok(words)
    }
}

fn plug_named(name: &str, address: Ipv4Addr) -> Result<(), String> {
    Name::new(name).and_then(|name| plug(&name, address)).map_err(|e| e.to_string())
}

/// Brings a link up and gives it an address.
fn plug(name: &Name, address: Ipv4Addr) -> Result<(), crate::kernel::netlink::NetlinkError> {
    let device = Device::find(name)?;
    let mut socket = NetlinkSocket::open(Family::Route)?;
    let request = route::address(&mut socket.sequence, &device, Cidr::new(address, 24)?);
    socket.send(&request)?;
    let up = LinkChange { up: Some(true), ..LinkChange::default() };
    let request = link_set(&mut socket.sequence, &device, &up);
    socket.send(&request).map(drop)
}

/// The lab's links, routes and tables.
pub fn after(memory: &Memory, now: &LabState, report: &mut Report) -> Result<(), Fault> {
    report.equal("lab-clean", memory.before.network(), now.network())
}
