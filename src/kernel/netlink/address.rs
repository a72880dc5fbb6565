//! An IPv4 address together with the length of its network's prefix.

use std::fmt;
use std::net::Ipv4Addr;

use nix::errno::Errno;

use super::NetlinkError;

/// An address and how many of its leading bits name the network: `10.77.0.1/24` (RFC 4632, ip-address(8)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cidr {
    address: Ipv4Addr,
    prefix: u8,
}

impl Cidr {
    /// Pairs `address` with a prefix of `prefix` bits.
    ///
    /// # Errors
    ///
    /// `EINVAL` when `prefix` is more than the 32 bits that an IPv4 address has.
    pub fn new(address: Ipv4Addr, prefix: u8) -> Result<Self, NetlinkError> {
        if prefix > 32 {
            let text = format!("an IPv4 prefix has at most 32 bits, not {prefix}");
            return Err(NetlinkError::new(Errno::EINVAL, text));
        }
        Ok(Self { address, prefix })
    }

    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The number of bits that name the network.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// A one for each bit of the prefix: `255.255.255.0` for `/24`.
    pub fn mask(&self) -> Ipv4Addr {
        // Shifting a 32-bit number by 32 is no shift in Rust but an overflow: a prefix of 0 leaves no bit set.
        let zeros = u32::from(32 - self.prefix);
        Ipv4Addr::from_bits(u32::MAX.checked_shl(zeros).unwrap_or(0))
    }

    /// The network itself, all bits after the prefix cleared: `10.77.0.0/24` for `10.77.0.1/24`.
    pub fn network(&self) -> Self {
        Self { address: self.address & self.mask(), prefix: self.prefix }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_clears_what_follows_the_prefix() {
        let cidr = |address: [u8; 4], prefix| Cidr::new(address.into(), prefix).unwrap();
        assert_eq!(cidr([10, 77, 0, 9], 24).network(), cidr([10, 77, 0, 0], 24));
        assert_eq!(cidr([10, 77, 0, 9], 30).mask(), Ipv4Addr::new(255, 255, 255, 252));
        assert_eq!(cidr([1, 2, 3, 4], 0).network(), cidr([0, 0, 0, 0], 0));
        assert_eq!(cidr([1, 2, 3, 4], 32).network().to_string(), "1.2.3.4/32");
        assert_eq!(Cidr::new(Ipv4Addr::LOCALHOST, 33).unwrap_err().errno, Errno::EINVAL);
    }
}
