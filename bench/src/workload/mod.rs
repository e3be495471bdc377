//! The workloads, one a file, and what they share.

pub mod idle;
pub mod pairs;

use crate::connection::Connection;
use std::collections::BTreeMap;
use std::time::SystemTime;
use wire::frame::put_frame;
use wire::kind::{push, request};
use wire::{Frame, Heartbeat, Push, Refusal, UnixMillis, UserId};

/// What went wrong besides messages, by name: refusals by their error, lost connections, pushes that end a session.
#[derive(Clone, Debug, Default)]
pub struct Trouble(BTreeMap<&'static str, u64>);

impl Trouble {
    /// A connection ended before the run did.
    pub const DISCONNECTED: &'static str = "disconnected";
    /// A heartbeat came back wrong.
    pub const WRONG_HEARTBEAT: &'static str = "wrong_heartbeat";
    /// A frame came that this side can make nothing of.
    pub const UNEXPECTED_FRAME: &'static str = "unexpected_frame";
    /// More was outstanding than the generator keeps account of.
    pub const OVERRUN: &'static str = "overrun";

    /// Counts one.
    pub fn note(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    /// Counts a refusal.
    pub fn note_refusal(&mut self, refusal: &Refusal) {
        self.note(refusal.errno.name());
    }

    /// Whether there was none.
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Each with its count.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(name, count)| (*name, *count))
    }

    /// A hint for the person at the keyboard, where there is one.
    pub fn hint(&self) -> Option<&'static str> {
        let has = |name| self.0.contains_key(name);
        if has("RATE_LIMITED") {
            Some("RATE_LIMITED: start the server with limits.messages_per_second=0")
        } else if has(Trouble::OVERRUN) {
            Some(
                "the server could not keep up with this rate: too much was outstanding, and the load was ended",
            )
        } else {
            None
        }
    }
}

/// Appends a heartbeat of `user`, as a request that wants its answer.
pub fn put_heartbeat(out: &mut Vec<u8>, user: UserId, sequence: u32) {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let beat = Heartbeat { sequence, time: UnixMillis(since_epoch.as_millis() as u64), user };
    put_frame(out, request::HEARTBEAT, sequence.max(1), |out| out.extend_from_slice(&beat.encode()));
}

/// Does what a push asks of `user`'s connection that is not a message; counts it where it is trouble.
fn handle_push(frame: Frame<'_>, user: UserId, connection: &mut Vec<u8>, trouble: &mut Trouble) {
    match frame.kind {
        push::PROBE => put_heartbeat(connection, user, 1),
        push::KICKED => trouble.note("kicked"),
        push::GOING_AWAY => trouble.note("going_away"),
        push::ERROR => match Push::decode(frame.kind, frame.value) {
            Ok(Some(Push::Error(refusal))) => trouble.note_refusal(&refusal),
            _ => trouble.note(Trouble::UNEXPECTED_FRAME),
        },
        // Receipts and presence are the server's work like any other, and nothing that a load must answer. CHANGED is
        // a hint that something may be missing; whether something is, the ledgers know.
        kind if (push::FIRST..push::ERROR).contains(&kind) && kind != push::MESSAGE => {}
        _ => trouble.note(Trouble::UNEXPECTED_FRAME),
    }
}

/// Gives up a connection that ended before the run did.
fn lose(connection: &mut Connection, trouble: &mut Trouble) {
    if connection.is_open() {
        connection.close();
        trouble.note(Trouble::DISCONNECTED);
    }
}
