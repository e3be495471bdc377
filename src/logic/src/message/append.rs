//! Appending a message to storage, and handling the outcome.

use crate::cluster::{self, Stored};
use crate::contract::message::{self as storage, Append, AppendByToken, StreamId};
use crate::contract::{Denial, Epoch, Fence, TokenHash, Written};
use crate::limits::{
    APPEND_BYTES_MAX, APPENDS_MAX, BUSY_RETRY_MS, SESSION_ENDED, TOKEN_INVALID, UNAVAILABLE,
    UNAVAILABLE_RETRY_MS,
};
use crate::simple;
use crate::state::bucket::UNIT;
use crate::state::pending::message::{Pending, PendingAppend};
use crate::state::reply_to::ReplyTo;
use crate::state::sessions::SessionRef;
use crate::turn::{FollowUp, Turn};
use std::sync::Arc;
use wire::message::{Reply, Send, Sent};
use wire::{Errno, Refusal, UserId};

/// Sends a message to storage, unless a limit refuses it. A message of a backlog belongs to a `stream`.
pub(super) fn store(
    turn: &mut Turn<'_>,
    reply_to: ReplyTo,
    session: SessionRef,
    send: Send,
    stream: Option<StreamId>,
) -> Result<(), Refusal> {
    let bytes = admit(turn, &send)?;
    // While the server drains, only messages of a backlog come here, and they would be lost with it.
    if !turn.state.draining
        && let Some(buckets) = turn.state.sessions.buckets_of(session)
        && let Err(wait) = turn.state.rates.messages.take(&mut buckets.messages, UNIT, turn.now.monotonic)
    {
        return Err(too_many(wait));
    }
    let live = turn.state.sessions.of_caller(session);
    let (sender, epoch, sender_name) = (live.user, live.epoch, Arc::clone(&live.name));
    let cid = send.cid.unwrap_or_else(|| turn.state.next_cid());
    let pending = Pending::Append(PendingAppend {
        sender: Fence { user: sender, epoch },
        session: Some(session),
        cid: cid.clone(),
        bytes,
        in_backlog: stream.is_some(),
    });
    let Send { target, content, content_type, references, .. } = send;
    let append =
        Append { sender, epoch, sender_name, target, cid, content_type, content, references, stream };
    turn.write(reply_to, pending, storage::Write::Append(append));
    Ok(())
}

/// Who sends a message without a session.
pub(crate) struct Sender {
    pub user: UserId,
    pub name: Arc<str>,
    /// The message is stored only while it is in force.
    pub token: TokenHash,
}

/// Sends a message of a client without a session to storage, unless a limit refuses it.
pub(crate) fn store_by_token(
    turn: &mut Turn<'_>,
    reply_to: ReplyTo,
    sender: Sender,
    send: Send,
) -> Result<(), Refusal> {
    let bytes = admit(turn, &send)?;
    let Sender { user, name, token } = sender;
    let (rate, now) = (turn.state.rates.messages, turn.now.monotonic);
    turn.state
        .with_buckets(user, now, |buckets| rate.take(&mut buckets.messages, UNIT, now))
        .map_err(too_many)?;
    let cid = send.cid.unwrap_or_else(|| turn.state.next_cid());
    let (epoch, stream) = (Epoch::NONE, None);
    let sender = Fence { user, epoch };
    let pending =
        Pending::Append(PendingAppend { sender, session: None, cid: cid.clone(), bytes, in_backlog: false });
    let Send { target, content, content_type, references, .. } = send;
    let append = Append {
        sender: user,
        epoch,
        sender_name: name,
        target,
        cid,
        content_type,
        content,
        references,
        stream,
    };
    let write = storage::Write::AppendByToken(Box::new(AppendByToken { append, token }));
    turn.write(reply_to, pending, write);
    Ok(())
}

/// The bytes of a message, unless too many wait to be stored.
pub(crate) fn admit(turn: &Turn<'_>, send: &Send) -> Result<usize, Refusal> {
    let bytes = send.bytes();
    let pending = &turn.state.pending;
    if pending.appends >= APPENDS_MAX || pending.message_bytes + bytes > APPEND_BYTES_MAX {
        return Err(Refusal::later(Errno::Busy, "too many messages are waiting to be stored", BUSY_RETRY_MS));
    }
    Ok(bytes)
}

fn too_many(wait: u64) -> Refusal {
    let refusal = Refusal::later(Errno::RateLimited, "too many messages; slow down", wait);
    refusal.with_limit("limits.messages_per_second")
}

/// A message did not count towards the rate of its sender.
fn put_back(turn: &mut Turn<'_>, append: &PendingAppend) {
    match append.session {
        Some(session) => turn.state.put_back_message(session),
        None => turn.state.put_back_message_of(append.sender.user, turn.now.monotonic),
    }
}

/// Handles the outcome of an append that was issued at `since`, monotonic ms.
pub(super) fn written(
    turn: &mut Turn<'_>,
    reply_to: ReplyTo,
    append: &PendingAppend,
    since: u64,
    written: Written,
) {
    match written {
        Written::Message(storage::Written::Appended { message, members }) => {
            // The message is durable. The sender is answered before any member receives it.
            let (conversation, seq, time) = (message.conversation, message.seq, message.time);
            turn.answer(reply_to, Reply::Sent(Sent { conversation, seq, time, duplicate: false }));
            // What no session sent is pushed to the sender's own sessions, now or at the next login.
            if append.session.is_some() {
                turn.state.cursors.pass(append.sender, conversation, seq..=seq);
            }
            cluster::deliver(turn, Stored { message, members, sent_by: append.session });
            turn.state.counters.stored.record(turn.now.monotonic.saturating_sub(since));
        }
        Written::Message(storage::Written::Duplicate(stored)) => {
            put_back(turn, append);
            let storage::Stored { conversation, seq, time } = stored;
            turn.answer(reply_to, Reply::Sent(Sent { conversation, seq, time, duplicate: true }));
        }
        Written::Unavailable => {
            put_back(turn, append);
            if !append.in_backlog {
                unknown(turn, reply_to, append.cid.clone());
            }
        }
        Written::Failed => {
            put_back(turn, append);
            if !append.in_backlog {
                turn.internal(reply_to);
            }
        }
        Written::Superseded if append.session.is_none() => {
            put_back(turn, append);
            turn.refuse(reply_to, Errno::TokenInvalid, TOKEN_INVALID);
        }
        Written::Superseded => {
            turn.refuse(reply_to, Errno::NotLoggedIn, SESSION_ENDED);
            turn.follow_ups.push_back(FollowUp::Superseded(append.sender));
        }
        denied => simple::refuse(turn, reply_to, &denied, |denial| match denial {
            Denial::NotFound => "there is no such user",
            Denial::Conflict => "the `cid` belongs to a change",
            _ => "you are not a member of this conversation",
        }),
    }
}

/// Answers that it is unknown whether the message is stored. The reply carries the `cid` to retry with.
pub(super) fn unknown(turn: &mut Turn<'_>, reply_to: ReplyTo, cid: Box<str>) {
    let refusal = Refusal::later(Errno::Unavailable, UNAVAILABLE, UNAVAILABLE_RETRY_MS);
    turn.answer(reply_to, Refusal { cid: Some(cid), ..refusal });
}
