//! Appending a message to storage, and handling the outcome.

use crate::cluster::{self, Stored};
use crate::contract::message::{self as storage, Append, StreamId};
use crate::contract::{Denial, Fence, Written};
use crate::limits::{
    APPEND_BYTES_MAX, APPENDS_MAX, BUSY_RETRY_MS, SESSION_ENDED, UNAVAILABLE, UNAVAILABLE_RETRY_MS,
};
use crate::simple;
use crate::state::bucket::UNIT;
use crate::state::pending::message::{Pending, PendingAppend};
use crate::state::reply_to::ReplyTo;
use crate::state::sessions::SessionRef;
use crate::turn::{FollowUp, Turn};
use std::sync::Arc;
use wire::message::{Reply, Send, Sent};
use wire::{Errno, References, Refusal};

/// Sends a message to storage, unless a limit refuses it. A message of a backlog belongs to a `stream`.
pub(super) fn store(
    turn: &mut Turn<'_>,
    reply_to: ReplyTo,
    session: SessionRef,
    send: Send,
    stream: Option<StreamId>,
) -> Result<(), Refusal> {
    let bytes = send.content.len() + send.references.as_deref().map_or(0, References::bytes);
    let pending = &turn.state.pending;
    if pending.appends >= APPENDS_MAX || pending.append_bytes + bytes > APPEND_BYTES_MAX {
        return Err(Refusal::later(Errno::Busy, "too many messages are waiting to be stored", BUSY_RETRY_MS));
    }
    // While the server drains, only messages of a backlog come here, and they would be lost with it.
    if !turn.state.draining
        && let Some(buckets) = turn.state.sessions.buckets_of(session)
        && let Err(wait) = turn.state.rates.messages.take(&mut buckets.messages, UNIT, turn.now.monotonic)
    {
        let refusal = Refusal::later(Errno::RateLimited, "too many messages; slow down", wait);
        return Err(refusal.with_limit("limits.messages_per_second"));
    }
    let live = turn.state.sessions.of_caller(session);
    let (sender, epoch, sender_name) = (live.user, live.epoch, Arc::clone(&live.name));
    let cid = send.cid.unwrap_or_else(|| turn.state.next_cid());
    let pending = Pending::Append(PendingAppend {
        sender: Fence { user: sender, epoch },
        session,
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
            turn.state.cursors.pass(append.sender, conversation, seq..=seq);
            cluster::deliver(turn, Stored { message, members, sent_by: Some(append.session) });
            turn.state.counters.stored.record(turn.now.monotonic.saturating_sub(since));
        }
        Written::Message(storage::Written::Duplicate(stored)) => {
            turn.state.put_back_message(append.session);
            let storage::Stored { conversation, seq, time } = stored;
            turn.answer(reply_to, Reply::Sent(Sent { conversation, seq, time, duplicate: true }));
        }
        Written::Unavailable => {
            turn.state.put_back_message(append.session);
            if !append.in_backlog {
                unknown(turn, reply_to, append.cid.clone());
            }
        }
        Written::Failed => {
            turn.state.put_back_message(append.session);
            if !append.in_backlog {
                turn.internal(reply_to);
            }
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
