//! What the connections of one loop share: the time, the lists of what is to be done this turn, the limits.

pub(crate) mod legacy;

use crate::connection::Connection;
use crate::context::legacy::local_time::LocalTime;
use crate::context::legacy::pace::Pace;
use crate::context::legacy::synthetic_acks::SyntheticAcks;
use crate::deadline::{Spans, Tick};
use crate::moderation::Moderation;
use crate::output::Pool;
use crate::wheel::Wheel;
use ipnet::IpNet;
use logic::{ConnId, Input};
use mio::Registry;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use wire::Command;
use wire::legacy::Style;
use wire::timeline;

/// Connections of those who are logged in that one turn goes on with, where they wait for one.
const TALKING: usize = 128;
/// The same of those that nobody has logged in on, or that have ended.
pub(crate) const PASSING: usize = 64;

/// One per sub-reactor, handed to each connection that is worked on.
pub(crate) struct Context {
    /// Read once a turn.
    pub now: Tick,
    /// What logic is told at the end of the turn.
    pub inputs: Vec<Input>,
    /// When sockets are looked at.
    pub moderation: Moderation,
    /// What it is told of messages to legacy connections before that, when it is time.
    pub synthetic_acks: SyntheticAcks,
    /// Whether logic's inbox was full: `inputs` wait, and nothing is read that would add to them.
    pub stalled: bool,
    /// Connections with output to flush at the end of the turn, each once.
    pub dirty: Vec<ConnId>,
    /// The same, where the output is answers: they are flushed after what others wait for.
    pub answered: Vec<ConnId>,
    /// Connections with input to go on with in the next turns, each once.
    pub ready: Ready,
    /// One entry for the next deadline of each connection, and some that no longer mean anything.
    pub wheel: Wheel<ConnId>,
    /// Output buffers that nobody needs at the moment.
    pub pool: Pool,
    /// How legacy objects are written.
    pub style: Style,
    /// How fast legacy objects are written.
    pub pace: Pace,
    /// What they say the time is.
    pub local_time: LocalTime,
    /// Who is believed when it says whose connection it passes on.
    pub proxies: Arc<[IpNet]>,
    /// To watch sockets with.
    pub registry: Registry,
    /// What each connection may do.
    pub limits: Limits,
}

/// Connections that wait for a turn: they have more to read, say, or have ended. Where thousands come or go at once,
/// those who talk do not wait for them.
#[derive(Debug, Default)]
pub(crate) struct Ready {
    /// Those of users who are there.
    talking: VecDeque<ConnId>,
    /// Those that nobody has logged in on yet, and those that have ended.
    passing: VecDeque<ConnId>,
}

impl Ready {
    fn push(&mut self, id: ConnId, is_talking: bool) {
        if is_talking { self.talking.push_back(id) } else { self.passing.push_back(id) }
    }

    /// Those whose turn is next, the longest waiting first; empty only where none waits.
    pub fn take_turn(&mut self) -> Vec<ConnId> {
        let talking = self.talking.drain(..self.talking.len().min(TALKING));
        talking.chain(self.passing.drain(..self.passing.len().min(PASSING))).collect()
    }
}

/// The limits of each connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of a frame's value after login.
    pub frame_bytes: usize,
    /// Unwritten bytes past which a connection is not read: its requests would only make more of them.
    pub high_water: usize,
    /// Unwritten bytes past which it is closed.
    pub output_bytes: usize,
    pub spans: Spans,
}

impl Context {
    /// Whether this peer is a proxy that is believed.
    pub fn is_proxy(&self, peer: IpAddr) -> bool {
        self.proxies.iter().any(|network| network.contains(&peer))
    }

    /// Tells logic of a request at the end of this turn.
    pub fn request(&mut self, conn: ConnId, request: u32, command: Command) {
        // Receipts lead to nothing that anybody waits for.
        if !matches!(
            command,
            Command::Timeline(timeline::Request::Ack(_)) | Command::Timeline(timeline::Request::Read(_))
        ) {
            self.moderation.count(request != 0);
        }
        self.inputs.push(Input::Request { conn, request, command });
    }

    /// Has the connection's input gone on with in the next turn.
    pub fn list(&mut self, conn: &mut Connection) {
        if !conn.listed {
            conn.listed = true;
            self.ready.push(conn.id, conn.user().is_some() && !conn.hung_up);
        }
    }

    /// Has the connection's output flushed at the end of this turn.
    pub fn mark(&mut self, conn: &mut Connection) {
        if !conn.dirty {
            conn.dirty = true;
            self.dirty.push(conn.id);
        }
    }

    /// Has the connection's output, which is an answer, flushed at the end of this turn, after what is delivered. Somebody
    /// waits for a message; its sender has seen it already.
    pub fn mark_answered(&mut self, conn: &mut Connection) {
        if !conn.dirty {
            conn.dirty = true;
            self.answered.push(conn.id);
        }
    }

    /// Makes sure that the connection is looked at by its deadline. A later deadline costs nothing.
    pub fn arm(&mut self, conn: &mut Connection) {
        let due = conn.deadline(&self.limits.spans);
        if due < conn.due {
            conn.due = due;
            self.wheel.insert(conn.id, due);
        }
    }
}
