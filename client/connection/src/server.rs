//! [`Server`]: where a chat server is, and how to reach it.

use tls::Trust;

/// The address of a server, and whether it is reached with TLS and by WebSocket.
///
/// With TLS, every node of a cluster is too, and must have a certificate for the host that it is dialed by. So a login
/// never reaches a host that nobody vouches for.
#[derive(Clone, Debug)]
pub struct Server {
    pub(crate) address: String,
    pub(crate) trust: Option<Trust>,
    pub(crate) is_websocket: bool,
}

impl Server {
    /// Without TLS. `address` is `host:port`, the host a name or an IP address.
    pub fn plain(address: impl Into<String>) -> Server {
        Server { address: address.into(), trust: None, is_websocket: false }
    }

    /// With TLS; `trust` vouches for the certificate.
    pub fn secure(address: impl Into<String>, trust: Trust) -> Server {
        Server { address: address.into(), trust: Some(trust), is_websocket: false }
    }

    /// The same, by WebSocket (`ws://`, with TLS `wss://`): the address is that of its HTTP listener, or of a proxy before
    /// it. Other nodes that the server names are not connected to, as they name where they are reached without it.
    pub fn over_websocket(self) -> Server {
        Server { is_websocket: true, ..self }
    }
}

impl Server {
    /// Whether it is reached with TLS.
    pub fn is_secure(&self) -> bool {
        self.trust.is_some()
    }
}

impl From<String> for Server {
    fn from(address: String) -> Server {
        Server::plain(address)
    }
}

impl From<&str> for Server {
    fn from(address: &str) -> Server {
        Server::plain(address)
    }
}

/// The host of `host:port`, without the brackets of an IPv6 address.
pub(crate) fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_what_a_certificate_names() {
        for (address, expected) in
            [("chat.example:6000", "chat.example"), ("[::1]:6000", "::1"), ("127.0.0.1:6000", "127.0.0.1")]
        {
            assert_eq!(host(address), expected);
        }
    }
}
