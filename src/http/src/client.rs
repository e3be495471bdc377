//! Who has sent a request: the peer of the connection, or whom a trusted proxy names.

use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    /// The peer, or whom its PROXY header names.
    pub address: SocketAddr,
    /// Nobody else reads what it sends: its peer is this machine or a trusted proxy. A PROXY header changes nothing about
    /// that.
    pub is_near: bool,
    pub is_encrypted: bool,
}

pub(crate) fn is_among(proxies: &[IpNet], address: IpAddr) -> bool {
    proxies.iter().any(|network| network.contains(&address))
}

/// The client of a request that arrived from `peer` with these values of X-Forwarded-For, joined by commas.
///
/// Each proxy appends whom it had the request from, so only what trusted proxies have appended counts: the list is read
/// from its end, as far as each address is that of a trusted proxy.
pub(crate) fn forwarded(peer: IpAddr, values: &str, proxies: &[IpNet]) -> IpAddr {
    let mut client = peer;
    for value in values.rsplit(',') {
        if !is_among(proxies, client) {
            break;
        }
        let Some(named) = address(value.trim()) else { break };
        client = named;
    }
    client
}

/// An address; some proxies add the port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = bare.unwrap_or(text).parse::<IpAddr>().ok();
    let address = address.or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_trusted_proxies_have_appended_counts() {
        let proxies: Vec<IpNet> = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap()).into();
        for (peer, values, client) in [
            ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
            ("10.0.0.1", "", "10.0.0.1"),
            ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
            ("10.0.0.1", "1.1.1.1, 198.51.100.7", "198.51.100.7"),
            ("10.0.0.1", "1.1.1.1,198.51.100.7 , 10.0.0.2", "198.51.100.7"),
            ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
            ("10.0.0.1", "1.1.1.1, unknown, 10.0.0.2", "10.0.0.2"),
            ("10.0.0.1", "1.1.1.1, ", "10.0.0.1"),
            ("fd00::1", "2001:db8::7", "2001:db8::7"),
            ("10.0.0.1", "[2001:db8::7]:80", "2001:db8::7"),
            ("10.0.0.1", "[2001:db8::7]", "2001:db8::7"),
            ("10.0.0.1", "198.51.100.7:80", "198.51.100.7"),
            ("10.0.0.1", "::ffff:198.51.100.7", "198.51.100.7"),
        ] {
            let ip = |text: &str| text.parse::<IpAddr>().unwrap();
            assert_eq!(forwarded(ip(peer), values, &proxies), ip(client), "{peer}: {values}");
        }
    }
}
