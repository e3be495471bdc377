//! The service manager: what it is told (sd_notify(3)), the listening sockets it hands over (sd_listen_fds(3)), and how its
//! journal is written to (sd-daemon(3)).
//!
//! All of it does nothing where there is no such manager: a variable of the environment says that there is one.

use log::Level;
use rustix::fs::fstat;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::sockopt::socket_acceptconn;
use sd_notify::NotifyState;
use std::env;
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

/// Whether stderr leads to the journal, which knows the time of each line and is told how bad it is (`JOURNAL_STREAM` in
/// systemd.exec(5)).
pub fn has_journal() -> bool {
    let Ok(stream) = env::var("JOURNAL_STREAM") else { return false };
    fstat(io::stderr()).is_ok_and(|stderr| stream == format!("{}:{}", stderr.st_dev, stderr.st_ino))
}

/// What stands as `<N>` before a line in the journal (syslog(3)).
pub fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
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
