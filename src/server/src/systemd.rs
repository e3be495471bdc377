//! The service manager: notifications to it (sd_notify(3)) and the listening sockets it passes in (sd_listen_fds(3)).
//!
//! Without a service manager all of this does nothing; environment variables announce one.

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::sockopt::socket_acceptconn;
use sd_notify::NotifyState;
use std::io;
use std::net::{SocketAddr, TcpListener};

/// Takes the listening sockets that the manager holds for this process. They outlive it: who connects between two
/// lives of the server waits in them. To be called once, before there are threads.
pub fn listeners() -> io::Result<Vec<TcpListener>> {
    let inherited = sd_listen_fds::get().map_err(io::Error::other)?;
    let take = |(_, socket): (Option<String>, sd_listen_fds::OwnedFd)| {
        let listener = TcpListener::from(socket);
        fcntl_setfd(&listener, FdFlags::CLOEXEC)?;
        if socket_acceptconn(&listener)? {
            Ok(listener)
        } else {
            Err(io::Error::other("one of them does not listen"))
        }
    };
    inherited.into_iter().map(take).collect()
}

/// Everything is up: clients are served at `address`.
pub fn ready(address: SocketAddr) {
    notify(&[NotifyState::Ready, NotifyState::Status(&format!("serving chat on {address}"))]);
}

/// The configuration is read again, until [`ready`].
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => log::warn!("the service manager cannot be told of the reload: {error}"),
    }
}

/// The end has begun.
pub fn stopping() {
    notify(&[NotifyState::Stopping, NotifyState::Status("draining")]);
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::warn!("the service manager cannot be told: {error}");
    }
}
