//! What a network plugin does (CNI, <https://www.cni.dev/docs/spec/>): a network namespace with a cable to a
//! bridge, which a low-level runtime is then told to join.

use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, pipe2, read};

use fault::{Doing, Fault};
use kernel::child::{guarded, pidfd_open};
use kernel::netlink::route::{self, LinkChange, Peer, link_set};
use kernel::netlink::{Cidr, Device, Family, Name, NetNs, NetlinkError, NetlinkSocket, Request, Sequence};
use kernel::visit::visit;

const BRIDGE: &str = "adapt0";
const NEAR: &str = "adapt1";
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 1);
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 2);
const PREFIX: u8 = 24;

/// A network namespace, and what leads to it. Taken down when dropped.
pub struct Network {
    /// A process that does nothing but keep the namespace.
    keeper: Pid,
    /// The keeper lives until this closes, whatever happens to us.
    _hold: OwnedFd,
}

impl Network {
    /// Makes all of it.
    pub fn new() -> Result<Network, Fault> {
        let network = Network::keep()?;
        let pidfd = pidfd_open(network.keeper).doing("pidfd_open")?;
        network.connect().doing("make a bridge")?;
        let inside = || set_up().map_err(|problem| problem.to_string());
        visit(&pidfd, CloneFlags::CLONE_NEWNET, inside)?.doing("set up eth0")?;
        Ok(network)
    }

    /// A namespace is there as long as somebody is in it.
    fn keep() -> Result<Network, Fault> {
        let pipe = || pipe2(OFlag::O_CLOEXEC).doing("make a pipe");
        let ((end, hold), (ready, ready_w)) = (pipe()?, pipe()?);
        // SAFETY: one thread.
        match unsafe { fork() }.doing("fork a keeper of the network")? {
            ForkResult::Child => {
                drop((hold, ready));
                guarded(|| {
                    let made =
                        unshare(CloneFlags::CLONE_NEWNET).and_then(|()| nix::unistd::write(&ready_w, b"r"));
                    drop(ready_w);
                    let _ = read(&end, &mut [0; 1]);
                    i32::from(made.is_err())
                })
            }
            ForkResult::Parent { child } => {
                drop((end, ready_w));
                let network = Network { keeper: child, _hold: hold };
                match read(&ready, &mut [0; 1]) {
                    Ok(1) => Ok(network),
                    _ => Err(Fault::broken(
                        "make a network namespace",
                        "the kernel refused unshare(CLONE_NEWNET)",
                    )),
                }
            }
        }
    }

    /// The bridge, and a cable from it into the namespace.
    fn connect(&self) -> Result<(), NetlinkError> {
        let mut socket = NetlinkSocket::open(Family::Route)?;
        let (bridge, near, eth0) = (Name::new(BRIDGE)?, Name::new(NEAR)?, Name::new("eth0")?);
        let up = LinkChange { up: Some(true), ..LinkChange::default() };
        ask(&mut socket, |n| route::bridge(n, &bridge))?;
        let bridge = Device::find(&bridge)?;
        let address = Cidr::new(GATEWAY, PREFIX)?;
        ask(&mut socket, |n| route::address(n, &bridge, address))?;
        ask(&mut socket, |n| link_set(n, &bridge, &up))?;
        let peer = Peer { name: &eth0, netns: Some(NetNs::Pid(self.keeper)) };
        ask(&mut socket, |n| route::veth(n, &near, &peer))?;
        let near = Device::find(&near)?;
        let plugged = LinkChange { master: Some(&bridge), ..up };
        ask(&mut socket, |n| link_set(n, &near, &plugged))
    }

    /// What stands for it in a `config.json`.
    pub fn path(&self) -> PathBuf {
        format!("/proc/{}/ns/net", self.keeper).into()
    }
}

/// Sends a request and waits for the kernel's answer.
fn ask(socket: &mut NetlinkSocket, make: impl FnOnce(&mut Sequence) -> Request) -> Result<(), NetlinkError> {
    let request = make(&mut socket.sequence);
    socket.send(&request).map(drop)
}

/// Inside: addresses and a way out.
fn set_up() -> Result<(), NetlinkError> {
    let mut socket = NetlinkSocket::open(Family::Route)?;
    let (lo, eth0) = (Device::find(&Name::new("lo")?)?, Device::find(&Name::new("eth0")?)?);
    let up = LinkChange { up: Some(true), ..LinkChange::default() };
    ask(&mut socket, |n| link_set(n, &lo, &up))?;
    ask(&mut socket, |n| link_set(n, &eth0, &up))?;
    let address = Cidr::new(ADDRESS, PREFIX)?;
    ask(&mut socket, |n| route::address(n, &eth0, address))?;
    ask(&mut socket, |n| route::default_route(n, GATEWAY, &eth0))
}

impl Drop for Network {
    fn drop(&mut self) {
        let remove = |name: &str| -> Result<(), NetlinkError> {
            let mut socket = NetlinkSocket::open(Family::Route)?;
            let device = Device::find(&Name::new(name)?)?;
            ask(&mut socket, |n| route::delete_link(n, &device))
        };
        // The other end of the cable goes with this one.
        let _ = remove(NEAR);
        let _ = remove(BRIDGE);
        let _ = kill(self.keeper, Signal::SIGKILL);
        let _ = waitpid(self.keeper, None);
    }
}
