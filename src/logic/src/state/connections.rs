//! Connections that have sent a byte, by reactor and slot.

use super::backlog::Backlog;
use super::capabilities::Capabilities;
use super::reply_to::ReplyTo;
use super::sessions::SessionRef;
use crate::conn::ConnId;
use std::net::IpAddr;
use wire::Command;

#[derive(Debug)]
pub(crate) struct Connection {
    pub peer: IpAddr,
    pub capabilities: Capabilities,
    pub session: Option<SessionRef>,
    /// Requests that are not answered yet.
    pub outstanding: u32,
    /// A request that waits until `outstanding` is 0.
    pub barrier: Option<Box<Barrier>>,
    /// Messages of an ordered stream that are not stored yet; `None` for a client that gets replies.
    pub backlog: Option<Box<Backlog>>,
    /// When its client was last heard of, monotonic ms.
    pub heard: u64,
    generation: u32,
}

/// A request that begins after all requests before it were answered: LOGIN or LOGOUT.
#[derive(Debug)]
pub(crate) struct Barrier {
    pub conn: ConnId,
    pub reply_to: ReplyTo,
    pub command: Command,
}

#[derive(Debug, Default)]
pub(crate) struct Connections {
    by_reactor: Vec<Vec<Option<Connection>>>,
    count: usize,
}

impl Connections {
    pub fn open(&mut self, conn: ConnId, peer: IpAddr, capabilities: Capabilities, now: u64) {
        let (reactor, slot) = (conn.reactor(), conn.slot());
        if self.by_reactor.len() <= reactor {
            self.by_reactor.resize_with(reactor + 1, Vec::new);
        }
        let slots = &mut self.by_reactor[reactor];
        if slots.len() <= slot {
            slots.resize_with(slot + 1, || None);
        }
        let before = slots[slot].replace(Connection {
            peer,
            capabilities,
            session: None,
            outstanding: 0,
            barrier: None,
            backlog: capabilities.sends_ordered_stream().then(Box::default),
            heard: now,
            generation: conn.generation(),
        });
        assert!(before.is_none(), "a slot is closed before it is opened again");
        self.count += 1;
    }

    pub fn close(&mut self, conn: ConnId) -> Option<Connection> {
        self.get_mut(conn)?;
        self.count -= 1;
        self.by_reactor[conn.reactor()][conn.slot()].take()
    }

    pub fn get(&self, conn: ConnId) -> Option<&Connection> {
        let slot = self.by_reactor.get(conn.reactor())?.get(conn.slot())?.as_ref();
        slot.filter(|connection| connection.generation == conn.generation())
    }

    pub fn get_mut(&mut self, conn: ConnId) -> Option<&mut Connection> {
        let slot = self.by_reactor.get_mut(conn.reactor())?.get_mut(conn.slot())?.as_mut();
        slot.filter(|connection| connection.generation == conn.generation())
    }

    /// When the client of a connection was last heard of, monotonic ms.
    pub fn heard(&self, conn: ConnId) -> Option<u64> {
        self.get(conn).map(|connection| connection.heard)
    }

    pub fn backlog_mut(&mut self, conn: ConnId) -> Option<&mut Backlog> {
        self.get_mut(conn)?.backlog.as_deref_mut()
    }

    pub fn len(&self) -> usize {
        self.count
    }
}
