//! Messages: SEND and the push MESSAGE. A message is accepted, stored, answered and delivered, in that order.

mod append;
mod backlog;

pub(crate) use append::{Sender, admit, store_by_token};
pub(crate) use backlog::retry_all as retry_backlogs;

use crate::contract::Written;
use crate::request::Caller;
use crate::state::pending::message::{Overdue, Pending};
use crate::state::reply_to::ReplyTo;
use crate::turn::Turn;
use wire::message::Request;

/// SEND does its own load check, because a message of an ordered stream is queued instead of refused.
pub(crate) fn begins_when_busy() -> bool {
    true
}

// Every message passes through this function and `written`.
#[inline]
pub(crate) fn begin(turn: &mut Turn<'_>, reply_to: ReplyTo, caller: Caller, request: Request) {
    let Request::Send(send) = request;
    if turn.state.connections.backlog_mut(caller.conn).is_some() {
        return backlog::arrive(turn, caller.conn, send);
    }
    let stored = match turn.state.refusal_to_begin() {
        Some(refusal) => Err(refusal),
        None => append::store(turn, reply_to, caller.session(), send, None),
    };
    if let Err(refusal) = stored {
        turn.answer(reply_to, refusal);
    }
}

#[inline]
pub(crate) fn written(
    turn: &mut Turn<'_>,
    reply_to: ReplyTo,
    pending: Pending,
    since: u64,
    written: Written,
) {
    let Pending::Append(append) = pending;
    let reply_to =
        if append.in_backlog { backlog::answered(turn.state, reply_to, &append, &written) } else { reply_to };
    append::written(turn, reply_to, &append, since, written);
}

pub(crate) fn overdue(turn: &mut Turn<'_>, reply_to: ReplyTo, overdue: Overdue) {
    match overdue {
        Overdue::Answer { cid } => append::unknown(turn, reply_to, cid),
        Overdue::Close => {
            if let Some(conn) = reply_to.conn() {
                backlog::give_up(turn, conn);
            }
        }
    }
}
