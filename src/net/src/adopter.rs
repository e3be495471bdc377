//! [`Adopter`]: connections that another listener hands over.

use crate::control::{Accepted, Control, Upgraded};
use crate::listen::limit_unsent;
use crate::pending_logins::PendingLogins;
use crate::transport::{Tcp, Transport};
use mio::net::TcpStream;
use runtime::queue::Outbox;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tls::{Layer, Server};
use wire::session::CookieToken;

/// A connection that was upgraded to WebSocket. It is registered with no poll.
#[derive(Debug)]
pub struct WebSocket {
    pub stream: TcpStream,
    pub tls: Option<Box<Layer<Server>>>,
    /// The client, which a proxy may have named.
    pub peer: SocketAddr,
    /// What LOGIN without credentials logs in by.
    pub session: Option<CookieToken>,
    /// What the client has sent since the upgrade.
    pub received: Vec<u8>,
    /// What it has not been sent yet, the answer to the upgrade at the end.
    pub output: Vec<u8>,
}

/// Hands connections to the reactors, from any thread. It waits while the queue of a reactor is full; that wait ends,
/// because a reactor waits for no other thread.
#[derive(Debug)]
pub struct Adopter {
    pub(crate) reactors: Vec<Outbox<Control>>,
    /// The reactor that gets the next connection.
    pub(crate) next: AtomicUsize,
    pub(crate) pending_logins: Arc<PendingLogins>,
    pub(crate) is_accepting: Arc<AtomicBool>,
}

impl Adopter {
    /// Whether there is room for another connection: where the server is full, only while the reactors keep up with
    /// closing connections that have not logged in.
    pub fn has_room(&self) -> bool {
        let is_accepting = self.is_accepting.load(Ordering::Relaxed);
        is_accepting && self.pending_logins.have_room() && !self.pending_logins.is_exceeded()
    }

    /// Serves a connection from now on. Once the reactors have ended, it is closed.
    pub fn adopt(&self, WebSocket { stream, tls, peer, session, received, output }: WebSocket) {
        if let Err(error) = limit_unsent(&stream) {
            log::debug!("the connection of {peer} is gone: {error}");
            return;
        }
        self.pending_logins.accept();
        let transport = Transport::new(Tcp::accepted(stream), tls);
        let accepted = Accepted { transport, peer: peer.into() };
        let upgraded = Box::new(Upgraded { accepted, session, received, output });
        let next = self.next.fetch_add(1, Ordering::Relaxed) % self.reactors.len();
        if self.reactors[next].send(Control::AdoptWebSocket(upgraded)).is_err() {
            self.pending_logins.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
