//! The server's address, and TLS.

use crate::error::Error;
use clap::Args;
use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;
use tls::Trust;

/// The beginnings of addresses, and whether they are reached with TLS and by WebSocket.
const SCHEMES: [(&str, bool, bool); 3] =
    [("tls://", true, false), ("ws://", false, true), ("wss://", true, true)];

/// `IP:PORT`, or `tls://HOST:PORT`, `ws://HOST:PORT` or `wss://HOST:PORT`, whose name is looked up once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub socket: SocketAddr,
    /// What the server's certificate must name.
    pub host: Box<str>,
    is_secure: bool,
    pub is_websocket: bool,
}

/// The options of TLS.
#[derive(Clone, Debug, Default, Args)]
pub struct TlsArgs {
    /// Encrypt all connections with TLS, as an address with tls:// does. The server's certificate must be good.
    #[arg(long)]
    pub tls: bool,
    /// Trust the authorities in this PEM file instead of the system's; implies --tls.
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
}

impl TlsArgs {
    /// Who vouches for the servers at these addresses; `None` without TLS.
    pub fn trust(&self, addresses: &[Address]) -> Result<Option<Trust>, Error> {
        let trust = match &self.ca {
            Some(file) => Trust::of_file("--ca", file),
            None if self.tls || addresses.iter().any(|address| address.is_secure) => Trust::of_system("--ca"),
            None => return Ok(None),
        };
        trust.map(Some).map_err(Error::Usage)
    }
}

impl From<SocketAddr> for Address {
    fn from(socket: SocketAddr) -> Address {
        Address { socket, host: socket.ip().to_string().into(), is_secure: false, is_websocket: false }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        let mut named = SCHEMES.iter().filter_map(|(scheme, is_secure, is_websocket)| {
            Some((text.strip_prefix(scheme)?, *is_secure, *is_websocket))
        });
        let Some((name, is_secure, is_websocket)) = named.next() else {
            let forms = "must be IP:PORT, tls://HOST:PORT, ws://HOST:PORT or wss://HOST:PORT";
            let socket: SocketAddr = text.parse().map_err(|_| forms.to_owned())?;
            return Ok(socket.into());
        };
        let mut found = name.to_socket_addrs().map_err(|error| format!("cannot look up {name}: {error}"))?;
        let socket = found.next().ok_or_else(|| format!("{name} has no address"))?;
        let host = name.rsplit_once(':').map_or(name, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']').into();
        Ok(Address { socket, host, is_secure, is_websocket })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_tls_keeps_the_name() {
        let parse = |text: &str| text.parse::<Address>();
        let plain = parse("127.0.0.1:6000").unwrap();
        assert_eq!((plain.socket.port(), &*plain.host, plain.is_secure), (6000, "127.0.0.1", false));
        let secure = parse("tls://localhost:6001").unwrap();
        assert_eq!((secure.socket.port(), &*secure.host, secure.is_secure), (6001, "localhost", true));
        assert_eq!(&*parse("tls://[::1]:6001").unwrap().host, "::1");
        let websocket = parse("ws://localhost:6080").unwrap();
        assert!(websocket.is_websocket && !websocket.is_secure && !secure.is_websocket);
        let both = parse("wss://localhost:6080").unwrap();
        assert!(both.is_websocket && both.is_secure);
        for bad in ["localhost:6000", "127.0.0.1", "tls://127.0.0.1", "http://127.0.0.1:6000"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
