//! Messages to the network as data: what a netlink request says, before there is a socket to send it on or an index
//! for the links that it names.

use std::net::Ipv4Addr;

use nix::unistd::Pid;

use kernel::netlink::nft::nft_masquerade;
use kernel::netlink::route::{self, LinkChange, Peer, link_set};
use kernel::netlink::{Cidr, Device, Name, NetNs, NetlinkError, Request, Sequence};

/// A request to the kernel. Links are named by their names in the namespace of the socket that it is sent on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A bridge: `RTM_NEWLINK`.
    NewBridge(Name),
    /// A pair of links: `RTM_NEWLINK`. The far end is made in the first process's network namespace if `inside`.
    NewVeth { near: Name, far: Name, inside: bool },
    /// `RTM_SETLINK`.
    SetLink { link: Name, change: Change },
    /// `RTM_NEWADDR`.
    NewAddress { link: Name, address: Cidr },
    /// `RTM_NEWROUTE`: where packets go that no other route fits.
    DefaultRoute { gateway: Ipv4Addr, link: Name },
    /// A batch of nf_tables: packets from `source` that don't leave by `bridge` get the host's address.
    Masquerade { table: Name, source: Cidr, bridge: Name },
}

/// What `RTM_SETLINK` changes; the rest stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    pub up: bool,
    /// The bridge to become a port of.
    pub master: Option<Name>,
    /// See [`LinkChange::no_ipv6_address`].
    pub no_ipv6_address: bool,
}

impl Message {
    /// The request, with the numbers that its names stand for. `find` looks a link up, and `child` is the first process
    /// once there is one.
    ///
    /// # Errors
    ///
    /// What `find` fails with: `ENODEV` when no link has the name.
    pub fn request(
        &self,
        sequence: &mut Sequence,
        child: Option<Pid>,
        mut find: impl FnMut(&Name) -> Result<Device, NetlinkError>,
    ) -> Result<Request, NetlinkError> {
        Ok(match self {
            Message::NewBridge(name) => route::bridge(sequence, name),
            Message::NewVeth { near, far, inside } => {
                let netns = child.filter(|_| *inside).map(NetNs::Pid);
                route::veth(sequence, near, &Peer { name: far, netns })
            }
            Message::SetLink { link, change } => {
                let device = find(link)?;
                let master = change.master.as_ref().map(find).transpose()?;
                let change = LinkChange {
                    up: change.up.then_some(true),
                    master: master.as_ref(),
                    no_ipv6_address: change.no_ipv6_address,
                    ..LinkChange::default()
                };
                link_set(sequence, &device, &change)
            }
            Message::NewAddress { link, address } => route::address(sequence, &find(link)?, *address),
            Message::DefaultRoute { gateway, link } => route::default_route(sequence, *gateway, &find(link)?),
            Message::Masquerade { table, source, bridge } => nft_masquerade(sequence, table, *source, bridge),
        })
    }

    /// As ip(8) and nft(8) would say it.
    pub fn brief(&self) -> String {
        match self {
            Message::NewBridge(name) => format!("RTM_NEWLINK {name} type bridge"),
            Message::NewVeth { near, far, inside } => {
                let netns = if *inside { " netns PID" } else { "" };
                format!("RTM_NEWLINK {near} type veth peer {far}{netns}")
            }
            Message::SetLink { link, change } => {
                let mut brief = format!("RTM_SETLINK {link}");
                if let Some(master) = &change.master {
                    brief += &format!(" master {master}");
                }
                if change.no_ipv6_address {
                    brief += " addrgenmode none";
                }
                if change.up {
                    brief += " up";
                }
                brief
            }
            Message::NewAddress { link, address } => format!("RTM_NEWADDR {address} dev {link}"),
            Message::DefaultRoute { gateway, link } => {
                format!("RTM_NEWROUTE default via {gateway} dev {link}")
            }
            Message::Masquerade { table, source, bridge } => {
                format!(
                    "NFT_MSG_NEWTABLE {table}, NFT_MSG_NEWCHAIN nat postrouting, \
                     NFT_MSG_NEWRULE ip saddr {source} oifname != {bridge} masquerade"
                )
            }
        }
    }
}
