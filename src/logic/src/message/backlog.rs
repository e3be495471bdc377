//! The legacy backlog. No reply could refuse a message of a legacy client, so one that cannot be stored now is kept and
//! retried, in order, until it is; its sub-reactor reads no further meanwhile. After a minute the connection closes,
//! which is the only refusal that such a client understands.

use super::append;
use crate::conn::ConnId;
use crate::contract::Written;
use crate::effect::{CloseReason, Order};
use crate::limits::{BACKLOG_MS, GOING_AWAY};
use crate::state::State;
use crate::state::backlog::Backlog;
use crate::state::pending::message::PendingAppend;
use crate::state::reply_to::ReplyTo;
use crate::turn::Turn;
use wire::Errno;
use wire::message::{Send, request};

/// A message has come.
pub(super) fn arrive(turn: &mut Turn<'_>, conn: ConnId, send: Send) {
    if turn.state.draining {
        // Refused like any message that comes after the server began to drain; else draining would never end.
        return turn.refuse(reply_to(conn), Errno::Busy, GOING_AWAY);
    }
    let send = Send { cid: Some(turn.state.next_cid()), ..send };
    let Some(backlog) = turn.state.connections.backlog_mut(conn) else { return };
    backlog.push(send, turn.now.monotonic);
    go_on(turn, conn);
}

/// Sends to storage what waits, oldest first, until a limit stops it.
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

/// Retries all backlogs that could not go on.
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

/// Storage has answered for a message: where its outcome goes, which is nowhere if it is retried.
pub(super) fn answered(
    state: &mut State,
    reply_to: ReplyTo,
    append: &PendingAppend,
    written: &Written,
) -> ReplyTo {
    let Some(conn) = reply_to.conn() else { return reply_to };
    let Some(backlog) = state.connections.backlog_mut(conn) else { return reply_to };
    let is_over = !matches!(written, Written::Unavailable);
    if backlog.answered(&append.cid, is_over) && !is_over {
        list(state, conn);
        return ReplyTo::Nowhere;
    }
    reply_to
}

/// A message has waited too long: the connection closes. If the message is stored later, it is still delivered.
pub(super) fn give_up(turn: &mut Turn<'_>, conn: ConnId) {
    if let Some(backlog) = turn.state.connections.backlog_mut(conn) {
        *backlog = Backlog::default();
        turn.effects.order(conn, Order::Close { conn, reason: CloseReason::Unstored });
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

/// Where the outcome of a legacy message goes: it writes nothing, but counts the request as answered.
fn reply_to(conn: ConnId) -> ReplyTo {
    ReplyTo::Request { conn, kind: request::SEND, request: 0 }
}
