//! A plain TCP socket.

use mio::event::Source;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustix::net::sockopt::{
    set_socket_keepalive, set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl, set_tcp_user_timeout,
};
use std::io::{Read, Result, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::time::Duration;

/// Silence after which the kernel sends the first keep-alive probe.
const KEEP_ALIVE_IDLE: Duration = Duration::from_secs(60);
/// Time between two keep-alive probes.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// Unanswered keep-alive probes after which the kernel drops the connection.
const KEEP_ALIVE_PROBES: u32 = 6;
/// How long sent data may stay unacknowledged. `TCP_USER_TIMEOUT` overrides the number of keep-alive probes (tcp(7)),
/// so it equals the time that those take.
const UNACKNOWLEDGED: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Tcp(TcpStream);

impl Tcp {
    /// A socket that was just accepted.
    pub fn accepted(stream: TcpStream) -> Tcp {
        // Output is written whole, once a turn, so Nagle's algorithm could only delay it. The call fails only if the
        // peer is gone, which the first read reports.
        let _ = stream.set_nodelay(true);
        Tcp(stream)
    }

    pub fn close_write(&self) -> Result<()> {
        self.0.shutdown(Shutdown::Write)
    }

    pub fn keep_alive(&self) -> Result<()> {
        Ok(keep_alive(&self.0)?)
    }
}

impl Read for Tcp {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Tcp {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> Result<()> {
        self.0.flush()
    }
}

impl Source for Tcp {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> Result<()> {
        self.0.register(registry, token, interests)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> Result<()> {
        self.0.reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> Result<()> {
        self.0.deregister(registry)
    }
}

fn keep_alive(socket: impl AsFd) -> rustix::io::Result<()> {
    let socket = socket.as_fd();
    set_tcp_keepidle(socket, KEEP_ALIVE_IDLE)?;
    set_tcp_keepintvl(socket, KEEP_ALIVE_INTERVAL)?;
    set_tcp_keepcnt(socket, KEEP_ALIVE_PROBES)?;
    set_tcp_user_timeout(socket, UNACKNOWLEDGED.as_millis() as u32)?;
    set_socket_keepalive(socket, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::sockopt::{socket_keepalive, tcp_keepidle, tcp_user_timeout};
    use std::net::TcpListener;

    #[test]
    fn keep_alive_sets_the_socket_options() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(socket_keepalive(&stream), Ok(false));
        keep_alive(&stream).unwrap();
        assert_eq!(socket_keepalive(&stream), Ok(true));
        assert_eq!((tcp_keepidle(&stream), tcp_user_timeout(&stream)), (Ok(KEEP_ALIVE_IDLE), Ok(60_000)));
    }
}
