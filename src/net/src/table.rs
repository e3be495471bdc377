//! The connections of one reactor: ids, slots, and how connections come and go.

use crate::close::CloseReason;
use crate::connection::Connection;
use crate::context::Context;
use crate::control::{Accepted, Upgraded};
use crate::deadline::{Span, Tick};
use crate::peer::PeerAddress;
use crate::token;
use logic::ConnId;
use mio::Interest;
use slab::Slab;
use std::sync::atomic::Ordering;
use std::time::Duration;
use wire::UserId;

/// Surplus connections without a login that are closed in a turn.
const SURPLUS_PER_TURN: usize = 64;
/// Ticks without reading after which a client's connection may be closed to free memory.
const UNREAD_TICKS: u32 = 10;
/// The least time between two log lines about surplus connections.
const SURPLUS_LOG_INTERVAL: Duration = Duration::from_secs(10);

pub(crate) struct ConnectionTable {
    /// The index of the reactor; part of the connections' ids.
    reactor: usize,
    slots: Slab<Connection>,
    /// Counts connections, so that no two users of a slot share an id.
    generation: u32,
    /// When closed pending logins were logged last.
    surplus_logged: Option<Tick>,
}

impl ConnectionTable {
    pub fn new(reactor: usize) -> ConnectionTable {
        ConnectionTable { reactor, slots: Slab::new(), generation: 0, surplus_logged: None }
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
    pub fn adopt(
        &mut self,
        Accepted { mut transport, peer }: Accepted,
        context: &mut Context,
    ) -> Option<ConnId> {
        let slot = self.slots.vacant_key();
        self.generation = self.generation.wrapping_add(1);
        let id = ConnId::new(self.reactor, slot, self.generation);
        if let Err(error) =
            context.registry.register(transport.socket_mut(), token::of(id), Interest::READABLE)
        {
            log::warn!("cannot register the connection from {peer} with epoll: {error}");
            context.pending_logins.arrive();
            context.pending_logins.open.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let mut conn = Connection::new(id, transport, peer, context);
        conn.start(context);
        context.pending_logins.arrive();
        context.counters.opened(None, conn.transport_kind());
        self.slots.insert(conn);
        Some(id)
    }

    /// Takes in a connection that was upgraded to WebSocket.
    pub fn adopt_websocket(&mut self, upgraded: Upgraded, context: &mut Context) {
        let Upgraded { accepted, session, received, output } = upgraded;
        let id = self.adopt(accepted, context);
        if let Some(conn) = id.and_then(|id| self.find_open(id)) {
            conn.upgrade(session, received, output, context);
        }
    }

    pub fn log_in(&mut self, id: ConnId, user: UserId, context: &mut Context) {
        if let Some(conn) = self.find_open(id) {
            conn.log_in(user, context);
        }
    }

    pub fn log_out(&mut self, id: ConnId, context: &mut Context) {
        if let Some(conn) = self.find_open(id).filter(|conn| conn.is_logged_in()) {
            conn.log_out(context);
        }
    }

    /// Closes connections that have not logged in while there are too many of them, some in each turn.
    ///
    /// A connection is closed only if its input, which is read once more, holds no complete request.
    pub fn close_surplus(&mut self, context: &mut Context, buffer: &mut [u8]) {
        for _ in 0..SURPLUS_PER_TURN {
            // While logic takes no input, nothing is read.
            if context.pending_logins.surplus() == 0 || context.inbox_full {
                return;
            }
            let Some(id) = context.pending_logins.first(self.reactor) else { return };
            let conn = self.find(id).expect("a listed connection is in its slot");
            let peer = conn.peer();
            let read = if conn.is_open() { conn.service_unasked(context, buffer) } else { Ok(()) };
            match read {
                Ok(()) if !conn.is_pending_login() => {}
                Ok(()) => {
                    self.report_surplus(peer, context);
                    self.close(id, CloseReason::TooManyPendingLogins, context);
                }
                Err(reason) => self.close(id, reason, context),
            }
        }
    }

    /// Logs once in a while that pending logins are closed.
    fn report_surplus(&mut self, peer: PeerAddress, context: &Context) {
        let quiet = Span::of(SURPLUS_LOG_INTERVAL);
        if self.surplus_logged.is_none_or(|last| last.after(quiet) < context.now) {
            log::warn!(
                "too many connections have not logged in; closing the oldest of the address with most of them: {peer}"
            );
            self.surplus_logged = Some(context.now);
        }
    }

    /// While output takes too much memory, closes connections whose clients do not read, in the order of how long they
    /// have not. Call it once a tick.
    pub fn close_unread(&mut self, context: &mut Context) {
        if !context.output_budget.is_exhausted() {
            return;
        }
        let unread_before = Tick(context.now.0.saturating_sub(UNREAD_TICKS));
        let unread = self.slots.iter().filter_map(|(_, conn)| Some((conn.unread_since()?, conn.id())));
        let mut unread: Vec<(Tick, ConnId)> = unread.filter(|&(since, _)| since <= unread_before).collect();
        unread.sort_unstable_by_key(|&(since, _)| since);
        for (_, id) in unread {
            if !context.output_budget.is_exhausted() {
                return;
            }
            if let Some(conn) = self.find(id) {
                log::warn!("closing the connection of {}: {}", conn.peer(), CloseReason::OutputMemory);
            }
            self.close(id, CloseReason::OutputMemory, context);
        }
    }

    /// Closes a connection. If the reason allows, output is flushed first and a second call ends it; otherwise it is
    /// closed at once.
    pub fn close(&mut self, id: ConnId, reason: CloseReason, context: &mut Context) {
        let Some(conn) = self.find(id) else { return };
        if conn.is_open() {
            log::debug!("closing connection {id:?} from {}: {reason}", conn.peer());
            conn.end(context);
            if reason.is_gentle() && !conn.is_finished() {
                conn.begin_flush(reason, context);
                return;
            }
        }
        self.slots.remove(id.slot()).recycle(context);
        context.pending_logins.open.fetch_sub(1, Ordering::Relaxed);
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
    pub fn abandon(self, context: &Context) -> usize {
        let left = self.slots.len();
        context.pending_logins.open.fetch_sub(left, Ordering::Relaxed);
        left
    }
}
