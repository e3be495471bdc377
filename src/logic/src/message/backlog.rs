//! The legacy backlog. The legacy protocol has no reply that could refuse a message, so a message that cannot be stored
//! now is kept and retried, in order, until it is stored. Meanwhile its reactor reads no further input from the
//! connection. After a minute the connection closes, which is the only refusal that such a client understands.

use super::append;
use crate::conn::ConnId;
use crate::contract::Written;
use crate::effect::{DisconnectReason, Order};
use crate::limits::{BACKLOG_MS, GOING_AWAY};
use crate::state::State;
use crate::state::backlog::Backlog;
use crate::state::pending::message::PendingAppend;
use crate::state::reply_to::ReplyTo;
use crate::turn::Turn;
use wire::Errno;
use wire::message::{Send, request};

/// Adds a message to the backlog of its connection.
pub(super) fn arrive(turn: &mut Turn<'_>, conn: ConnId, send: Send) {
    if turn.state.draining {
        // Refused like any message that arrives while the server drains; otherwise draining would never end.
        return turn.refuse(reply_to(conn), Errno::Busy, GOING_AWAY);
    }
    let send = Send { cid: Some(turn.state.next_cid()), ..send };
    let Some(backlog) = turn.state.connections.backlog_mut(conn) else { return };
    backlog.push(send, turn.now.monotonic);
    go_on(turn, conn);
}

/// Sends waiting messages to storage, oldest first, until a limit is reached.
fn go_on(turn: &mut Turn<'_>, conn: ConnId) {
    // A connection without a session is about to close.
    let Some(session) = turn.state.session_of(conn) else { return };
    while let Some(backlog) = turn.state.connections.backlog_mut(conn) {
        let (has_failed, stream) = (backlog.has_failed(), backlog.stream());
        let Some(send) = backlog.next().cloned() else { return };
        if has_failed || (!turn.state.draining && turn.state.refusal_to_begin().is_some()) {
            return list(turn.state, conn);
        }
        let stream = stream.unwrap_or_else(|| turn.state.next_stream());
        let refusal = append::store(turn, reply_to(conn), session, send, Some(stream)).err();
        let Some(backlog) = turn.state.connections.backlog_mut(conn) else { return };
        match refusal {
            None => backlog.sent(stream),
            Some(refusal) if refusal.retry_after_ms.is_some() => return list(turn.state, conn),
            Some(refusal) => {
                backlog.discard_next();
                turn.answer(reply_to(conn), refusal);
            }
        }
    }
}

/// Retries all stalled backlogs.
pub(crate) fn retry_all(turn: &mut Turn<'_>) {
    for conn in std::mem::take(&mut turn.state.stalled_backlogs) {
        retry(turn, conn);
    }
}

fn retry(turn: &mut Turn<'_>, conn: ConnId) {
    let Some(backlog) = turn.state.connections.backlog_mut(conn) else { return };
    backlog.unlist();
    let Some(oldest) = backlog.oldest() else { return };
    if oldest + BACKLOG_MS <= turn.now.monotonic {
        return give_up(turn, conn);
    }
    go_on(turn, conn);
}

/// Handles the outcome of an append. Returns the destination of the answer: nowhere, if the message will be retried.
pub(super) fn answered(
    state: &mut State,
    reply_to: ReplyTo,
    append: &PendingAppend,
    written: &Written,
) -> ReplyTo {
    let Some(conn) = reply_to.conn() else { return reply_to };
    let Some(backlog) = state.connections.backlog_mut(conn) else { return reply_to };
    let is_over = !matches!(written, Written::Unavailable | Written::Failed);
    if backlog.answered(&append.cid, is_over) && !is_over {
        list(state, conn);
        return ReplyTo::Nowhere;
    }
    reply_to
}

/// Closes the connection of a message that has waited too long. If the message is stored later, it is still delivered.
pub(super) fn give_up(turn: &mut Turn<'_>, conn: ConnId) {
    if let Some(backlog) = turn.state.connections.backlog_mut(conn) {
        *backlog = Backlog::default();
        turn.effects.order(conn, Order::Close { conn, reason: DisconnectReason::Unstored });
    }
}

/// Lists a connection for the next retry.
fn list(state: &mut State, conn: ConnId) {
    if let Some(backlog) = state.connections.backlog_mut(conn)
        && backlog.list()
    {
        state.stalled_backlogs.push(conn);
    }
}

/// The destination of a legacy message's outcome: nothing is written, but the request counts as answered.
fn reply_to(conn: ConnId) -> ReplyTo {
    ReplyTo::Request { conn, kind: request::SEND, request: 0 }
}
