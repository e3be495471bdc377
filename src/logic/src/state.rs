//! All state of the rules, and the few things every rule does with it.

use crate::cluster::Cluster;
use crate::conn::ConnId;
use crate::contract::message::StreamId;
use crate::contract::{Epoch, Fence, Read, Ticket, Write};
use crate::cursor::Cursors;
use crate::effect::{Effects, Order};
use crate::grace::Absences;
use crate::guard::Guard;
use crate::limits::{BUSY_RETRY_MS, WAITING_MAX};
use crate::parked::{Asked, Parking, Stage};
use crate::rate::Rates;
use crate::session::{SessionRef, Sessions};
use crate::waiting_line::Line;
use crate::{Now, Rules, request};
use std::borrow::Cow;
use std::net::IpAddr;
use wire::message::server_cid;
use wire::presence::Presence;
use wire::{Command, Dialect, Errno, Refusal, Reply, UserId};

/// All state of the rules.
#[derive(Debug)]
pub(crate) struct State {
    pub rules: Rules,
    /// Differs between any two runs; seeds the maps and the `cid`s that the server makes.
    pub boot: u64,
    /// Messages that came without a `cid`.
    pub nameless: u64,
    /// Flights that have begun.
    pub flights: u64,
    pub connections: Connections,
    pub sessions: Sessions,
    pub absences: Absences,
    pub parking: Parking,
    pub cursors: Cursors,
    pub guard: Guard,
    pub rates: Rates,
    /// Sessions with tracks, to be swept.
    pub warm: Vec<SessionRef>,
    /// Sessions whose reading failed, to be tried again at the next tick.
    pub stuck: Vec<SessionRef>,
    /// Connections with messages that could not be stored, to be tried again at the next tick.
    pub lines: Vec<ConnId>,
    pub draining: bool,
    pub cluster: Option<Box<Cluster>>,
}

/// What logic knows of a connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub peer: IpAddr,
    pub session: Option<SessionRef>,
    /// Requests that are not answered yet.
    pub outstanding: u32,
    /// LOGIN or LOGOUT, which wait until nothing is.
    pub barrier: Option<Box<(Asked, Command)>>,
    /// Messages of a legacy client that are not stored yet; `None` for any other client.
    pub line: Option<Box<Line>>,
    generation: u32,
}

/// All connections that have spoken, by sub-reactor and slot.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    by_reactor: Vec<Vec<Option<Connection>>>,
    count: usize,
}

impl Connections {
    pub fn open(&mut self, conn: ConnId, peer: IpAddr, dialect: Dialect) {
        let (reactor, slot) = (conn.reactor(), conn.slot());
        if self.by_reactor.len() <= reactor {
            self.by_reactor.resize_with(reactor + 1, Vec::new);
        }
        let slots = &mut self.by_reactor[reactor];
        if slots.len() <= slot {
            slots.resize_with(slot + 1, || None);
        }
        let generation = conn.generation();
        let before = slots[slot].replace(Connection {
            peer,
            session: None,
            outstanding: 0,
            barrier: None,
            line: (dialect == Dialect::Legacy).then(Box::default),
            generation,
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

    pub fn len(&self) -> usize {
        self.count
    }
}

impl State {
    /// The session of a connection that is logged in.
    pub fn session_of(&self, conn: ConnId) -> Option<SessionRef> {
        self.connections.get(conn)?.session
    }

    /// A `cid` for a message that came without one.
    pub fn next_cid(&mut self) -> Box<str> {
        self.nameless += 1;
        server_cid(self.boot, self.nameless)
    }

    /// A flight that begins.
    pub fn next_flight(&mut self) -> StreamId {
        self.flights += 1;
        StreamId(self.flights)
    }

    /// Whether a user has a session, with a connection or within its grace.
    pub fn is_present(&self, user: UserId) -> bool {
        self.sessions.is_online(user) || self.absences.contains(user)
    }

    /// The same, as its friends see it.
    pub fn presence(&self, user: UserId) -> Presence {
        if self.is_present(user) { Presence::Online } else { Presence::Offline }
    }

    /// A login goes on with another question.
    pub fn joins_by(&mut self, session: SessionRef, ticket: Ticket) {
        if let Some(joining) = self.sessions.get_mut(session).and_then(|live| live.joining.as_mut()) {
            joining.ticket = ticket;
        }
    }

    /// A write on behalf of a session: refused if that was superseded.
    pub fn fenced(&self, session: SessionRef, write: Write) -> Write {
        match self.sessions.get(session) {
            Some(live) if live.epoch != Epoch::NONE => {
                Write::Fenced(Fence { user: live.user, epoch: live.epoch }, Box::new(write))
            }
            _ => write,
        }
    }

    /// Whether sessions may be pushed to: a node of a cluster that was cut off may not know what has become of them.
    pub fn may_push(&mut self, now: Now) -> bool {
        self.cluster.as_mut().is_none_or(|cluster| cluster.watch.trusts(now.monotonic))
    }

    /// Answers a request, and begins what waited for it.
    pub fn answer(&mut self, now: Now, asked: Asked, reply: impl Into<Reply>, fx: &mut Effects) {
        let Asked { conn, kind, request } = asked;
        let Some(connection) = self.connections.get_mut(conn) else { return };
        fx.order(conn, Order::Reply { conn, kind, request, reply: reply.into() });
        connection.outstanding -= 1;
        if connection.outstanding == 0
            && let Some(barrier) = connection.barrier.take()
        {
            let (asked, command) = *barrier;
            request::begin(self, now, asked, command, fx);
        }
    }

    /// Answers a request that was not done.
    pub fn refuse(
        &mut self,
        now: Now,
        asked: Asked,
        errno: Errno,
        errmsg: impl Into<Cow<'static, str>>,
        fx: &mut Effects,
    ) {
        self.answer(now, asked, Refusal::new(errno, errmsg), fx);
    }

    /// Answers a request that storage could not serve.
    pub fn unavailable(&mut self, now: Now, asked: Option<Asked>, fx: &mut Effects) {
        if let Some(asked) = asked {
            self.answer(now, asked, Refusal::later(Errno::Unavailable, UNAVAILABLE, 1_000), fx);
        }
    }

    /// Parks a request and sends `write` to storage for it.
    pub fn write(&mut self, now: Now, asked: Option<Asked>, stage: Stage, write: Write, fx: &mut Effects) {
        let ticket = self.parking.park(asked, stage, now.monotonic);
        fx.writes.push((ticket, write));
    }

    /// Parks a request and sends `read` to storage for it.
    pub fn read(&mut self, now: Now, asked: Option<Asked>, stage: Stage, read: Read, fx: &mut Effects) {
        let ticket = self.parking.park(asked, stage, now.monotonic);
        fx.reads.push((ticket, read));
    }

    /// Why nothing new can be begun now, if so.
    pub fn refusal_to_begin(&self) -> Option<Refusal> {
        if self.draining {
            return Some(Refusal::later(Errno::Busy, GOING_AWAY, BUSY_RETRY_MS));
        }
        (self.parking.len() - self.parking.appends >= WAITING_MAX)
            .then(|| Refusal::later(Errno::Busy, "too many requests are waiting", BUSY_RETRY_MS))
    }
}

/// What a client is told while the server stops.
pub(crate) const GOING_AWAY: &str = "the server is going away";
/// What a client is told when storage cannot be reached.
pub(crate) const UNAVAILABLE: &str = "storage cannot be reached now; try again";
