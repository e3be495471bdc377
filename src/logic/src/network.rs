//! [`Network`]: the unit in which budgets by address are counted.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// An IPv4 address, or the /64 network of an IPv6 address: one subscriber usually has a whole /64 (RFC 6177).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network(IpAddr);

/// Keeps the network part of an IPv6 address.
const PREFIX_64: u128 = !0 << 64;

impl Network {
    pub fn of(address: IpAddr) -> Network {
        Network(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & PREFIX_64)),
            v4 => v4,
        })
    }

    /// The bytes that identify it: 4 for IPv4, 8 for IPv6.
    pub fn bytes(self) -> Box<[u8]> {
        match self.0 {
            IpAddr::V4(address) => address.octets().into(),
            IpAddr::V6(address) => address.octets()[..8].into(),
        }
    }

    /// The network with these [`Network::bytes`]; `None` if they have another length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Network> {
        if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
            return Some(Network(octets.into()));
        }
        let prefix: [u8; 8] = bytes.try_into().ok()?;
        Some(Network(Ipv6Addr::from_bits(u128::from(u64::from_be_bytes(prefix)) << 64).into()))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => write!(f, "{address}"),
            IpAddr::V6(address) => write!(f, "{address}/64"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        Network::of(text.parse().unwrap())
    }

    #[test]
    fn an_ipv6_network_has_64_bits_and_a_mapped_address_is_ipv4() {
        assert_eq!(network("2001:db8:0:1::1"), network("2001:db8:0:1:ffff:ffff:ffff:ffff"));
        assert_ne!(network("2001:db8:0:1::1"), network("2001:db8:0:2::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(network("2001:db8:0:1::1").to_string(), "2001:db8:0:1::/64");
    }

    #[test]
    fn bytes_round_trip() {
        for text in ["192.0.2.1", "2001:db8:0:1::1"] {
            assert_eq!(Network::from_bytes(&network(text).bytes()), Some(network(text)));
        }
        assert_eq!(Network::from_bytes(&[1, 2, 3]), None);
    }
}
