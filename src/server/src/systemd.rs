//! The service manager: notifications to it (sd_notify(3)) and the listening sockets it passes in (sd_listen_fds(3)).
//!
//! Without a service manager all of this does nothing; environment variables announce one.

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::sockopt::socket_acceptconn;
use sd_notify::NotifyState;
use std::io;
use std::net::{SocketAddr, TcpListener};

/// Takes the listening sockets that the service manager holds for this process. They survive a restart, so that clients
/// that connect meanwhile are not refused. Call it once, before any thread starts.
pub fn listeners() -> io::Result<Vec<TcpListener>> {
    let inherited = sd_listen_fds::get().map_err(io::Error::other)?;
    let take = |(_, socket): (Option<String>, sd_listen_fds::OwnedFd)| {
        let listener = TcpListener::from(socket);
        fcntl_setfd(&listener, FdFlags::CLOEXEC)?;
        if socket_acceptconn(&listener)? {
            Ok(listener)
        } else {
            Err(io::Error::other("one of them is not a listening socket"))
        }
    };
    inherited.into_iter().map(take).collect()
}

/// Announces that the server is up, serving clients at `address`.
pub fn ready(address: SocketAddr) {
    notify(&[NotifyState::Ready, NotifyState::Status(&format!("serving chat on {address}"))]);
}

/// Announces a reload, which ends with [`ready`].
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => log::warn!("cannot notify the service manager of the reload: {error}"),
    }
}

pub fn stopping() {
    notify(&[NotifyState::Stopping, NotifyState::Status("draining")]);
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::warn!("cannot notify the service manager: {error}");
    }
}
