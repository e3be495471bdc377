//! The connections of one reactor: ids, slots, and how connections come and go.

use crate::close::CloseReason;
use crate::connection::Connection;
use crate::context::Context;
use crate::control::Accepted;
use crate::deadline::Tick;
use crate::pending_logins::PendingLogins;
use crate::token;
use logic::ConnId;
use mio::Interest;
use slab::Slab;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use wire::UserId;

pub(crate) struct ConnectionTable {
    /// The index of the reactor; part of the connections' ids.
    reactor: usize,
    slots: Slab<Connection>,
    /// Counts connections, so that no two users of a slot share an id.
    generation: u32,
    /// Open connections of the whole server.
    open: Arc<AtomicUsize>,
    pending_logins: PendingLogins,
}

impl ConnectionTable {
    pub fn new(reactor: usize, open: Arc<AtomicUsize>, pending_logins: PendingLogins) -> ConnectionTable {
        ConnectionTable { reactor, slots: Slab::new(), generation: 0, open, pending_logins }
    }

    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The connection with this id, unless it is gone; its slot may have another one.
    pub fn find(&mut self, id: ConnId) -> Option<&mut Connection> {
        self.slots.get_mut(id.slot()).filter(|conn| conn.id() == id)
    }

    /// The connection with this id, unless it is gone or being closed and so accepts no orders.
    pub fn find_open(&mut self, id: ConnId) -> Option<&mut Connection> {
        self.find(id).filter(|conn| conn.is_open())
    }

    /// Takes in a connection that was accepted.
    pub fn adopt(&mut self, Accepted { mut transport, peer }: Accepted, context: &mut Context) {
        let slot = self.slots.vacant_key();
        self.generation = self.generation.wrapping_add(1);
        let id = ConnId::new(self.reactor, slot, self.generation);
        if let Err(error) = context.registry.register(&mut transport, token::of(id), Interest::READABLE) {
            log::warn!("cannot register the connection from {peer} with epoll: {error}");
            self.open.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let mut conn = Connection::new(id, transport, peer, context.is_proxy(peer.ip()), context.now);
        conn.arm(context);
        self.pending_logins.join(id, context.now);
        self.slots.insert(conn);
    }

    pub fn log_in(&mut self, id: ConnId, user: UserId, context: &mut Context) {
        let Some(conn) = self.find_open(id) else { return };
        let was_logged_in = conn.is_logged_in();
        conn.log_in(user, context);
        if !was_logged_in {
            self.pending_logins.leave();
        }
    }

    pub fn log_out(&mut self, id: ConnId, context: &mut Context) {
        let Some(conn) = self.find_open(id).filter(|conn| conn.is_logged_in()) else { return };
        conn.log_out(context);
        self.pending_logins.join(id, context.now);
    }

    /// When to call [`ConnectionTable::close_surplus`] next; `None`: no login is pending.
    pub fn next_surplus(&self, now: Tick) -> Option<Tick> {
        self.pending_logins.next(now)
    }

    /// Closes the oldest of too many connections without a login.
    pub fn close_surplus(&mut self, context: &mut Context) {
        let slots = &self.slots;
        let is_pending = |id: ConnId, since| {
            slots.get(id.slot()).is_some_and(|conn| conn.id() == id && conn.awaits_login_since(since))
        };
        for id in self.pending_logins.surplus(context.now, is_pending) {
            self.close(id, CloseReason::TooManyPendingLogins, context);
        }
    }

    /// Closes a connection. If the reason allows, output is flushed first and a second call ends it; otherwise it is
    /// closed at once.
    pub fn close(&mut self, id: ConnId, reason: CloseReason, context: &mut Context) {
        let Some(conn) = self.find(id) else { return };
        if conn.is_open() {
            log::debug!("closing connection {id:?} from {}: {reason}", conn.peer());
            conn.end(context);
            let was_logged_in = conn.is_logged_in();
            let flushes = reason.is_gentle() && !conn.is_finished();
            if flushes {
                conn.begin_flush(context);
            }
            if !was_logged_in {
                self.pending_logins.leave();
            }
            if flushes {
                return;
            }
        }
        self.slots.remove(id.slot()).recycle(context);
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// Begins to close every connection.
    pub fn shut_down(&mut self, context: &mut Context) {
        let open: Vec<ConnId> =
            self.slots.iter().filter(|(_, conn)| conn.is_open()).map(|(_, conn)| conn.id()).collect();
        for id in open {
            self.close(id, CloseReason::Shutdown, context);
        }
    }

    /// Gives up every connection; returns how many there were.
    pub fn abandon(self) -> usize {
        let left = self.slots.len();
        self.open.fetch_sub(left, Ordering::Relaxed);
        left
    }
}
