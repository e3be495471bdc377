//! Has the kernel find out that a peer is gone, where no deadline of ours may: its client may be silent for as long as it
//! likes.

use rustix::io::Result;
use rustix::net::sockopt::{
    set_socket_keepalive, set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl, set_tcp_user_timeout,
};
use std::os::fd::AsFd;
use std::time::Duration;

/// Silence after which the kernel asks.
const IDLE: Duration = Duration::from_secs(60);
/// How often it asks.
const INTERVAL: Duration = Duration::from_secs(10);
/// How often it asks in vain.
const TIMES: u32 = 6;
/// How long what was sent may stay unacknowledged (`TCP_USER_TIMEOUT`, tcp(7)); for probes it stands above their number.
const UNACKNOWLEDGED: Duration = Duration::from_secs(60);

/// Watches over a connection from here on.
pub(crate) fn keep_alive(socket: impl AsFd) -> Result<()> {
    let socket = socket.as_fd();
    set_tcp_keepidle(socket, IDLE)?;
    set_tcp_keepintvl(socket, INTERVAL)?;
    set_tcp_keepcnt(socket, TIMES)?;
    set_tcp_user_timeout(socket, UNACKNOWLEDGED.as_millis() as u32)?;
    set_socket_keepalive(socket, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::sockopt::{socket_keepalive, tcp_keepidle, tcp_user_timeout};
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn the_kernel_was_asked() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(socket_keepalive(&stream), Ok(false));
        keep_alive(&stream).unwrap();
        assert_eq!(socket_keepalive(&stream), Ok(true));
        assert_eq!((tcp_keepidle(&stream), tcp_user_timeout(&stream)), (Ok(IDLE), Ok(60_000)));
    }
}
