//! The network that containers on one bridge share, and a container's place in it.

use std::net::Ipv4Addr;

use fault::{Doing, Fault};
use kernel::netlink::{Cidr, Name};

/// A bridge, the addresses behind it, and the rule that lets them out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    pub bridge: &'static str,
    /// The network's own address, with all bits zero that tell its members apart.
    pub net: Ipv4Addr,
    /// Bits of an address that name the network.
    pub prefix: u8,
    /// The nftables table that holds the masquerade rule.
    pub table: &'static str,
}

impl Default for Network {
    fn default() -> Network {
        Network { bridge: "workshop0", net: Ipv4Addr::new(10, 77, 0, 0), prefix: 24, table: "workshop" }
    }
}

impl Network {
    /// The address of member `number`; 1 is the bridge's.
    pub fn address(&self, number: u16) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.net.to_bits() | u32::from(number))
    }

    /// The same with the network's prefix.
    pub fn cidr(&self, number: u16) -> Result<Cidr, Fault> {
        Cidr::new(self.address(number), self.prefix).doing("make an address")
    }
}

/// The number of the bridge in its network.
pub const GATEWAY: u16 = 1;

/// A container's place in a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub network: Network,
    /// Which member it is: from 2 on.
    pub number: u16,
}

impl Endpoint {
    /// Its own address.
    pub fn address(&self) -> Ipv4Addr {
        self.network.address(self.number)
    }

    /// The bridge's.
    pub fn gateway(&self) -> Ipv4Addr {
        self.network.address(GATEWAY)
    }

    /// The end of its cable that stays on the host.
    pub fn near_end(&self) -> Result<Name, Fault> {
        name(&format!("ve{}", self.number))
    }
}

/// A name for a link or a table.
pub fn name(text: &str) -> Result<Name, Fault> {
    Name::new(text).doing(format!("name a link {text}"))
}
