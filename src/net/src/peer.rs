//! The address of a client, kept by each connection: for the log, and for limits that count by address. The kernel
//! forgets the address of a connection that was reset.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// An address and a port in 18 bytes, because idle connections hold one too.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct PeerAddress {
    /// An IPv4 address is mapped (RFC 4291, section 2.5.5.2).
    ip: [u8; 16],
    port: u16,
}

impl PeerAddress {
    pub fn ip(self) -> IpAddr {
        Ipv6Addr::from(self.ip).to_canonical()
    }
}

impl From<SocketAddr> for PeerAddress {
    fn from(address: SocketAddr) -> PeerAddress {
        let ip = match address.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        PeerAddress { ip: ip.octets(), port: address.port() }
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.ip(), self.port).fmt(f)
    }
}

impl fmt::Debug for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_its_family_and_a_mapped_one_is_shown_as_ipv4() {
        for (address, shown) in [
            ("192.0.2.7:56324", "192.0.2.7:56324"),
            ("[2001:db8::7]:1", "[2001:db8::7]:1"),
            ("[::ffff:192.0.2.7]:9", "192.0.2.7:9"),
        ] {
            let peer = PeerAddress::from(address.parse::<SocketAddr>().unwrap());
            assert_eq!(peer.to_string(), shown);
            assert_eq!(SocketAddr::new(peer.ip(), peer.port), shown.parse().unwrap());
        }
    }
}
