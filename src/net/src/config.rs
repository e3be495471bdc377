//! The settings of the network.

use ipnet::IpNet;
use std::time::Duration;
use tls::{Acceptor, TlsRequired};
use wire::legacy::Style;

/// Time between two objects written to one legacy connection.
pub const PACE: Duration = Duration::from_millis(2);

#[derive(Clone, Debug)]
pub struct NetConfig {
    /// Reactor threads, 1 to [`logic::ConnId::REACTORS_MAX`].
    pub threads: usize,
    /// Open connections; a connection accepted above this is closed at once, unless one that has not logged in can be
    /// closed instead. Connections that have not logged in take at most half of them.
    pub connections: usize,
    /// Bytes of a frame's value after login.
    pub frame_bytes: usize,
    /// Unwritten bytes of a connection above which it is not read.
    pub high_water: usize,
    /// Unwritten bytes of a connection above which it is closed; fewer while all connections together have many.
    pub output_bytes: usize,
    /// Unwritten bytes of all connections together, as far as a connection has more than a small share.
    pub output_total_bytes: usize,
    /// Addresses whose PROXY headers are trusted.
    pub proxies: Vec<IpNet>,
    /// With a certificate, a connection can be encrypted; `None`: none is.
    pub tls: Option<TlsConfig>,
    pub timeouts: Timeouts,
    /// How legacy objects are written.
    pub style: Style,
    /// Minimum time between two legacy objects to one connection; zero disables pacing.
    pub pace: Duration,
}

impl Default for NetConfig {
    fn default() -> NetConfig {
        NetConfig {
            threads: 1,
            connections: 100_000,
            frame_bytes: wire::limits::FRAME_BYTES,
            high_water: 256 * 1024,
            output_bytes: 8 * 1024 * 1024,
            output_total_bytes: 256 * 1024 * 1024,
            proxies: Vec::new(),
            tls: None,
            timeouts: Timeouts::default(),
            style: Style::default(),
            pace: PACE,
        }
    }
}

/// Who may encrypt, and who must.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    pub acceptor: Acceptor,
    pub required: TlsRequired,
    /// Legacy clients, which know no TLS, are accepted without it whatever `required` says.
    pub legacy_plain: bool,
}

/// Every time limit of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a trusted proxy to complete its PROXY header.
    pub proxy_handshake: Duration,
    /// For a client to complete its TLS handshake, from its first byte on.
    pub tls_handshake: Duration,
    /// For a client to log in.
    pub login: Duration,
    /// Silence of a logged-in connection after which it is probed.
    pub silence: Duration,
    /// For a client to answer a probe.
    pub probe: Duration,
    /// For a peer to take at least one byte of its unwritten output.
    pub stall: Duration,
    /// How long input is still discarded after FIN was sent: closing a socket with unread input makes the kernel send
    /// a reset, which may destroy output that the peer has not read yet.
    pub linger: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            proxy_handshake: Duration::from_secs(5),
            tls_handshake: Duration::from_secs(10),
            login: Duration::from_secs(120),
            silence: Duration::from_secs(60),
            probe: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            linger: Duration::from_secs(2),
        }
    }
}
