//! Listening sockets, and the limit of open files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use thiserror::Error;

/// Connections that the kernel completes while the acceptor is busy; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// Bytes of a connection that the kernel takes and does not send, because the client reads too slowly. By default they
/// grow to megabytes.
const UNSENT_BYTES: u32 = 128 * 1024;

/// The number of following ports that are tried when suggesting a free one.
const PORTS_TRIED: u16 = 100;

/// Why an address cannot be listened on.
#[derive(Debug, Error)]
pub enum BindError {
    /// There is no free port near it.
    #[error("{address} is already in use by another program; choose another port")]
    InUse { address: SocketAddr },
    #[error("{address} is already in use by another program; {free} is free")]
    InUseButNext { address: SocketAddr, free: SocketAddr },
    /// For example, the address is not one of this machine, or the port is reserved for root.
    #[error("cannot listen on {address}: {source}")]
    Other { address: SocketAddr, source: io::Error },
}

/// Listens on `address`; port 0 means any free port.
pub fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    match listen(address) {
        Ok(listener) => Ok(listener),
        Err(source) if source.kind() == ErrorKind::AddrInUse => match next_free(address) {
            Some(free) => Err(BindError::InUseButNext { address, free }),
            None => Err(BindError::InUse { address }),
        },
        Err(source) => Err(BindError::Other { address, source }),
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restarted server must not wait for the connections of its previous run to leave TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Prepares a listener for the acceptor.
pub(crate) fn prepare(listener: &TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    // Accepted sockets inherit it (tcp(7)).
    SockRef::from(listener).set_tcp_notsent_lowat(UNSENT_BYTES)
}

/// Bounds what the kernel takes of a connection that another listener has accepted.
pub(crate) fn limit_unsent(stream: &mio::net::TcpStream) -> io::Result<()> {
    SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_BYTES)
}

fn next_free(address: SocketAddr) -> Option<SocketAddr> {
    let after = address.port().checked_add(1)?;
    (after..=after.saturating_add(PORTS_TRIED))
        .map(|port| SocketAddr::new(address.ip(), port))
        .find(|&next| listen(next).is_ok())
}

/// Raises the soft limit of open files to the hard one and returns it. It bounds the number of connections.
pub fn raise_fd_limit() -> io::Result<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    }
    Ok(maximum.unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_for_a_port_in_use_suggests_a_free_one() {
        let first = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = first.local_addr().unwrap();
        let error = bind(address).unwrap_err();
        match &error {
            BindError::InUseButNext { free, .. } => {
                assert!(free.port() > address.port());
                assert!(error.to_string().contains(&address.to_string()));
                assert!(error.to_string().contains(&free.to_string()));
            }
            // All of the next hundred ports are in use, or it was the last one.
            BindError::InUse { .. } => {}
            BindError::Other { .. } => panic!("{error}"),
        }
    }

    #[test]
    fn an_address_of_another_machine_is_refused_with_its_name() {
        let error = bind("192.0.2.1:6000".parse().unwrap()).unwrap_err();
        assert!(error.to_string().starts_with("cannot listen on 192.0.2.1:6000: "), "{error}");
    }
}
