//! The destination and source addresses of connections.
//!
//! A source address has about 28,000 ephemeral ports for each server address, and the kernel's search for a free port
//! gets slow when half of them are in use. After every [`PORTS`] connections, connections to loopback servers use the
//! next source address: 127.0.0.2, 127.0.0.3 and so on.

use crate::args::{Address, TlsArgs};
use crate::error::Error;
use crate::stream::Stream;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::IpBindAddressNoPort;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;
use tls::{Client, Layer, Trust};
use websocket::Tunnel;
use wire::frame::frame_length;
use wire::limits::{FRAME_BYTES, HEADER_BYTES};

/// Connections from one source address. With 20,000, each reconnect cost the generator up to 0.1 ms.
pub const PORTS: u64 = 8_000;
/// The number of loopback source addresses.
const SOURCES: u64 = 200;
/// The timeout of blocking connects, reads and writes.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
pub struct Endpoints {
    addresses: Vec<Address>,
    /// Who vouches for the servers; `None` without TLS.
    trust: Option<Trust>,
    /// The number of this process's first connection among those of all processes.
    first: u64,
}

impl Endpoints {
    /// Connections go to `addresses` in turn; `first` is the number of the first one.
    pub fn new(addresses: &[Address], first: u64, tls: &TlsArgs) -> Result<Endpoints, Error> {
        if addresses.is_empty() {
            return Err(Error::Usage("--address is required".to_owned()));
        }
        Ok(Endpoints { addresses: addresses.to_vec(), trust: tls.trust(addresses)?, first })
    }

    /// The destination of connection `number`.
    pub fn address(&self, number: u64) -> SocketAddr {
        self.target(number).socket
    }

    fn target(&self, number: u64) -> &Address {
        &self.addresses[(number % self.addresses.len() as u64) as usize]
    }

    /// A new TLS session for connection `number`.
    fn layer(&self, number: u64) -> io::Result<Option<Layer<Client>>> {
        let connect = |trust| Layer::connect(trust, &self.target(number).host);
        self.trust.as_ref().map(connect).transpose()
    }

    /// A new WebSocket for connection `number`.
    fn tunnel(&self, number: u64) -> Option<Tunnel> {
        let Address { socket, host, is_websocket, .. } = self.target(number);
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_string() };
        let authority = format!("{host}:{}", socket.port());
        is_websocket
            .then(|| Tunnel::new(&authority, "/ws", "chat.1", frame_length, HEADER_BYTES + FRAME_BYTES))
    }

    /// The source of connection `number`; `None` lets the kernel choose.
    fn source(&self, number: u64) -> Option<SocketAddr> {
        let block = (self.first + number) / PORTS;
        (block > 0 && self.address(number).ip().is_loopback() && self.address(number).is_ipv4()).then(|| {
            let last = 1 + (block - 1) % SOURCES + 1;
            (IpAddr::V4(Ipv4Addr::new(127, 0, 0, last as u8)), 0).into()
        })
    }

    fn socket(&self, number: u64) -> io::Result<Socket> {
        let domain = Domain::for_address(self.address(number));
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        if let Some(source) = self.source(number) {
            // The port is chosen by connect(2): bind(2) would need a port that is free for every destination, whose
            // search took 0.5 ms with thousands in use.
            setsockopt(&socket, IpBindAddressNoPort, &true)?;
            socket.bind(&source.into())?;
        }
        socket.set_tcp_nodelay(true)?;
        Ok(socket)
    }

    /// Makes connection `number`, blocking.
    pub fn connect(&self, number: u64) -> Result<Stream<TcpStream>, Error> {
        let connect = || {
            let socket = self.socket(number)?;
            socket.connect_timeout(&self.address(number).into(), PATIENCE)?;
            let stream = TcpStream::from(socket);
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            let mut stream = Stream::new(stream, self.layer(number)?, self.tunnel(number));
            stream.shake_hands()?;
            Ok(stream)
        };
        connect().map_err(|error| Error::io(format!("connect to {}", self.address(number)), error))
    }

    /// Starts connection `number`; it is connected, or has failed, when it becomes writable.
    pub fn begin(&self, number: u64) -> io::Result<Stream<mio::net::TcpStream>> {
        let socket = self.socket(number)?;
        socket.set_nonblocking(true)?;
        match socket.connect(&self.address(number).into()) {
            Err(error) if error.raw_os_error() != Some(IN_PROGRESS) => return Err(error),
            _ => {}
        }
        let socket = mio::net::TcpStream::from_std(socket.into());
        Ok(Stream::new(socket, self.layer(number)?, self.tunnel(number)))
    }
}

/// EINPROGRESS, see connect(2).
const IN_PROGRESS: i32 = rustix::io::Errno::INPROGRESS.raw_os_error();

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(addresses: &[SocketAddr], first: u64) -> Result<Endpoints, Error> {
        let addresses: Vec<Address> = addresses.iter().map(|address| (*address).into()).collect();
        Endpoints::new(&addresses, first, &TlsArgs::default())
    }

    #[test]
    fn further_loopback_addresses_are_used_when_ports_run_out() {
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let by_default = endpoints(&[server.local_addr().unwrap()], 0).unwrap();
        for (number, from) in [(0, "127.0.0.1"), (PORTS, "127.0.0.2"), (2 * PORTS + 1, "127.0.0.3")] {
            let stream = by_default.connect(number).unwrap();
            assert_eq!(stream.socket.local_addr().unwrap().ip().to_string(), from);
        }
        let other = endpoints(&["192.0.2.1:1".parse().unwrap()], PORTS).unwrap();
        assert_eq!(other.source(0), None);
    }

    #[test]
    fn several_addresses_are_used_in_turn() {
        let addresses = ["127.0.0.1:1", "127.0.0.1:2"].map(|address| address.parse().unwrap());
        let in_turn = endpoints(&addresses, 5).unwrap();
        assert_eq!([0, 1, 2].map(|number| in_turn.address(number).port()), [1, 2, 1]);
        assert!(endpoints(&[], 0).is_err());
    }
}
