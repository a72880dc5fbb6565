//! Containers of ours that send packets: to each other, and to a third network (step 6).

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::sched::CloneFlags;

use super::Scene;
use claims::evidence::Pair;
use claims::sight::Ping;
use engine::network::Endpoint;
use engine::op::{Call, Ops};
use engine::parts::veth_bridge::SLUG;
use engine::plan::Stage;
use engine::template::SECOND;
use engine::{Container, OnHost, Plan, Process, Program, Site, Spec, Stdio, create};
use fault::{Doing, Fault, errno_name};
use kernel::icmp;
use kernel::netlink::route::{self, LinkChange, Peer, link_set};
use kernel::netlink::{Cidr, Device, Family, Name, NetNs, NetlinkSocket};
use kernel::told::Silence;
use kernel::undo::Reversal;

/// The port that two containers listen on at once.
pub const PORT: u16 = 8080;

/// The lab's end of the cable to the third network.
const TO_WORLD: &str = "to-world";

/// How long a packet may take on a machine that is busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// The container's place in the network; there is one in every container with this part.
pub fn endpoint(container: &Container) -> Result<Endpoint, Fault> {
    container
        .on_host
        .endpoint
        .clone()
        .ok_or_else(|| Fault::broken("look at the container's link", "it has none"))
}

/// Whom a packet seemed to come from, and whom it was to come from.
type Masqueraded = (String, String);

/// What came of a ping from where we are.
fn ping(address: Ipv4Addr) -> Ping {
    match icmp::ping(address, PATIENCE) {
        Ok(_) => Ping::Answers,
        Err(e) => e.raw_os_error().map_or(Ping::Silent, |errno| Ping::Refused(errno_name(&errno))),
    }
}

/// A second container beside the step's own: they ping, and listen on one port. Then a packet goes to a third network,
/// while the second is there still: the bridge takes its hardware address from its ports, and when one of them goes, what
/// the others know of it may be old for a while.
pub fn neighbours(scene: &Scene) -> Result<(Pair, Masqueraded), Fault> {
    let (other, _held) = scene.template.resident(SECOND, &mut Silence)?;
    let (one, two) = (endpoint(scene.container)?, endpoint(&other)?);
    let gateway = other.look(|| ping(two.gateway()))?;
    let there = scene.container.look(|| ping(two.address()))?;
    let back = other.look(|| ping(one.address()))?;
    let said = ["one", "two"].map(String::from).into();
    let pair = Pair { pings: [gateway, there, back], heard: same_port(scene, &other, &one, &two)?, said };
    Ok((pair, masqueraded(scene)?))
}

/// Both containers listen on one port, and each is asked at its own address.
fn same_port(scene: &Scene, other: &Container, one: &Endpoint, two: &Endpoint) -> Result<Vec<String>, Fault> {
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
    Ok(answers.into())
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
fn masqueraded(scene: &Scene) -> Result<Masqueraded, Fault> {
    let (lab, world) = (Ipv4Addr::new(203, 0, 113, 1), Ipv4Addr::new(203, 0, 113, 2));
    let outside = World::make(scene, lab, world)?;
    let received = outside.receive(scene, world)?;
    Ok((received, lab.to_string()))
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
fn plug(name: &Name, address: Ipv4Addr) -> Result<(), kernel::netlink::NetlinkError> {
    let device = Device::find(name)?;
    let mut socket = NetlinkSocket::open(Family::Route)?;
    let request = route::address(&mut socket.sequence, &device, Cidr::new(address, 24)?);
    socket.send(&request)?;
    let up = LinkChange { up: Some(true), ..LinkChange::default() };
    let request = link_set(&mut socket.sequence, &device, &up);
    socket.send(&request).map(drop)
}
