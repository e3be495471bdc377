//! Messages of legacy clients. No answer could refuse them, so what cannot be stored now waits in its connection's line
//! and is tried again, in order, until it is; its sub-reactor reads no further meanwhile. After a minute the connection
//! closes, which is the only refusal that such a client understands.

use crate::conn::ConnId;
use crate::contract::Written;
use crate::contract::message::StreamId;
use crate::effect::{CloseReason, Effects, Order};
use crate::limits::LINE_MS;
use crate::parked::{Asked, Sending};
use crate::state::{GOING_AWAY, State};
use crate::{Now, message};
use std::collections::VecDeque;
use wire::Errno;
use wire::kind::request;
use wire::message::Send;

/// Room that an empty line keeps.
const ROOM_KEPT: usize = 4;

/// The messages of one connection that are not stored yet, in the order in which they came. The first `with_storage` of
/// them are on their way; those behind them wait.
#[derive(Debug, Default)]
pub(crate) struct Line {
    messages: VecDeque<Waiting>,
    with_storage: usize,
    /// Of those that are with storage, `None` where none is: it gives back all that follow one that it gave back, and
    /// remembers those flights for a while only.
    flight: Option<StreamId>,
    /// Storage gave one back. Nothing is tried until it has answered all, and then everything again in order, in
    /// another flight.
    failed: bool,
    /// On the list of those to be tried again at the next tick.
    listed: bool,
}

#[derive(Debug)]
struct Waiting {
    /// With its `cid`, so that each try is the same message.
    send: Send,
    since: u64,
}

/// A message has come.
pub(crate) fn arrive(state: &mut State, now: Now, conn: ConnId, send: Send, fx: &mut Effects) {
    if state.draining {
        // As if it had come after the end: otherwise that would never be.
        return state.refuse(now, asked(conn), Errno::Busy, GOING_AWAY, fx);
    }
    let send = Send { cid: Some(state.next_cid()), ..send };
    let Some(line) = line_of(state, conn) else { return };
    line.messages.push_back(Waiting { send, since: now.monotonic });
    go_on(state, now, conn, fx);
}

/// Sends to storage what waits, oldest first, as far as the rules let it.
fn go_on(state: &mut State, now: Now, conn: ConnId, fx: &mut Effects) {
    // Without a session its connection is about to close.
    let Some(session) = state.session_of(conn) else { return };
    let asked = asked(conn);
    while let Some(line) = line_of(state, conn) {
        let (at, failed, flight) = (line.with_storage, line.failed, line.flight);
        let Some(waiting) = line.messages.get(at) else { return };
        let send = waiting.send.clone();
        if failed || (!state.draining && state.refusal_to_begin().is_some()) {
            return list(state, conn);
        }
        let flight = flight.unwrap_or_else(|| state.next_flight());
        let refused = message::store(state, now, asked, session, send, Some(flight), fx).err();
        let Some(line) = line_of(state, conn) else { return };
        match refused {
            None => (line.with_storage, line.flight) = (at + 1, Some(flight)),
            Some(refusal) if refusal.retry_after_ms.is_some() => return list(state, conn),
            Some(refusal) => {
                line.messages.remove(at);
                state.answer(now, asked, refusal, fx);
            }
        }
    }
}

/// Tries all lines again that could not go on.
pub(crate) fn retry_all(state: &mut State, now: Now, fx: &mut Effects) {
    for conn in std::mem::take(&mut state.lines) {
        retry(state, now, conn, fx);
    }
}

/// Storage has answered for a message: whom to tell what became of it, unless it is to be tried again.
pub(crate) fn answered(
    state: &mut State,
    asked: Option<Asked>,
    sending: &Sending,
    written: &Written,
) -> Option<Asked> {
    let asked = asked?;
    let Some(line) = line_of(state, asked.conn) else { return Some(asked) };
    // Storage answers in order, so it is the first one, unless an earlier one was given back.
    let is_it = |waiting: &Waiting| waiting.send.cid.as_ref() == Some(&sending.cid);
    let Some(at) = line.messages.iter().position(is_it) else { return Some(asked) };
    line.with_storage -= 1;
    if line.with_storage == 0 {
        line.flight = None;
    }
    if matches!(written, Written::Unavailable) {
        line.failed = true;
        list(state, asked.conn);
        return None;
    }
    line.messages.remove(at);
    if line.messages.is_empty() {
        line.messages.shrink_to(ROOM_KEPT);
    }
    Some(asked)
}

fn retry(state: &mut State, now: Now, conn: ConnId, fx: &mut Effects) {
    let Some(line) = line_of(state, conn) else { return };
    line.listed = false;
    let Some(oldest) = line.messages.front() else { return };
    if oldest.since + LINE_MS <= now.monotonic {
        return give_up(state, conn, fx);
    }
    if line.failed && line.with_storage == 0 {
        line.failed = false;
    }
    go_on(state, now, conn, fx);
}

/// A message has waited too long. Should it be stored yet, it is delivered all the same.
pub(crate) fn give_up(state: &mut State, conn: ConnId, fx: &mut Effects) {
    if let Some(line) = line_of(state, conn) {
        *line = Line::default();
        fx.order(conn, Order::Close { conn, reason: CloseReason::Unstored });
    }
}

fn list(state: &mut State, conn: ConnId) {
    if let Some(line) = line_of(state, conn)
        && !std::mem::replace(&mut line.listed, true)
    {
        state.lines.push(conn);
    }
}

/// A message of a legacy client, as an answer that it never sees needs it.
fn asked(conn: ConnId) -> Asked {
    Asked { conn, kind: request::SEND, request: 0 }
}

fn line_of(state: &mut State, conn: ConnId) -> Option<&mut Line> {
    state.connections.get_mut(conn)?.line.as_deref_mut()
}
