//! SEND: accepted, stored, answered, delivered. In that order.

use crate::cluster::line::{self, Arrival};
use crate::contract::message::{Append, StreamId};
use crate::contract::{self, Epoch, Write};
use crate::effect::Effects;
use crate::limits::{APPEND_BYTES_MAX, APPENDS_MAX, BUSY_RETRY_MS};
use crate::login::ENDED;
use crate::parked::{Asked, Sending, Stage};
use crate::session::SessionRef;
use crate::state::{State, UNAVAILABLE};
use crate::{Now, cluster, delivery};
use std::sync::Arc;
use wire::message;
use wire::message::Send;
use wire::message::Sent;
use wire::{ConversationId, Errno, Message, Refusal, Reply, Seq, Target, UnixMillis, UserId};

const ONESELF: &str = "`to` may not be oneself";

pub(crate) fn send(
    state: &mut State,
    now: Now,
    asked: Asked,
    session: SessionRef,
    send: Send,
    fx: &mut Effects,
) {
    if let Err(refusal) = store(state, now, asked, session, send, None, fx) {
        state.answer(now, asked, refusal, fx);
    }
}

/// Sends a message to storage, unless it is refused; in a flight if it stands in its connection's line.
pub(crate) fn store(
    state: &mut State,
    now: Now,
    asked: Asked,
    session: SessionRef,
    send: Send,
    flight: Option<StreamId>,
    fx: &mut Effects,
) -> Result<(), Refusal> {
    let bytes = send.content.len();
    if state.parking.appends >= APPENDS_MAX || state.parking.append_bytes + bytes > APPEND_BYTES_MAX {
        return Err(Refusal::later(Errno::Busy, "too many messages are waiting to be stored", BUSY_RETRY_MS));
    }
    let live = state.sessions.get_mut(session).expect("a connection's session ends with it");
    if send.target == Target::User(live.user) {
        return Err(Refusal::new(Errno::BadRequest, ONESELF));
    }
    // While the server stops, what comes here has waited in a line, and would be lost with it.
    if !state.draining
        && let Err(wait) = state.rates.take(&mut live.bucket, now.monotonic)
    {
        return Err(Refusal::later(Errno::RateLimited, "too many messages; slow down", wait));
    }
    let (sender, epoch, sender_name) = (live.user, live.epoch, Arc::clone(&live.name));
    let cid = send.cid.unwrap_or_else(|| state.next_cid());
    let in_line = flight.is_some();
    let stage = Stage::Send(Sending { sender, epoch, session, cid: cid.clone(), bytes, in_line });
    let Send { target, content, content_type, .. } = send;
    let append = Append { sender, epoch, sender_name, target, cid, content_type, content, stream: flight };
    state.write(now, Some(asked), stage, Write::Message(contract::message::Write::Append(append)), fx);
    Ok(())
}

/// The message is durable: the promise first, then everybody gets it.
pub(crate) fn stored(
    state: &mut State,
    now: Now,
    asked: Option<Asked>,
    sending: &Sending,
    message: Arc<Message>,
    (members, member_version): (Arc<[UserId]>, u32),
    fx: &mut Effects,
) {
    let (conversation, seq, time) = (message.conversation, message.seq, message.time);
    if let Some(asked) = asked {
        state.answer(
            now,
            asked,
            Reply::Message(message::Reply::Sent(Sent { conversation, seq, time, duplicate: false })),
            fx,
        );
    }
    state.cursors.pass((sending.sender, sending.epoch), conversation, seq);
    match &mut state.cluster {
        None => delivery::deliver(state, now, &message, &members, Some(sending.session), fx),
        Some(cluster) => {
            cluster.placement.count();
            let arrival = Arrival { message, members: Some(members), member_version };
            line::stored(state, now, arrival, fx);
        }
    }
}

/// The message was stored before; this retry does not count.
pub(crate) fn duplicate(
    state: &mut State,
    now: Now,
    asked: Option<Asked>,
    sending: &Sending,
    (conversation, seq, time): (ConversationId, Seq, UnixMillis),
    fx: &mut Effects,
) {
    put_back(state, sending);
    if let Some(asked) = asked {
        state.answer(
            now,
            asked,
            Reply::Message(message::Reply::Sent(Sent { conversation, seq, time, duplicate: true })),
            fx,
        );
    }
}

/// A try to send that did not count.
pub(crate) fn put_back(state: &mut State, sending: &Sending) {
    if let Some(live) = state.sessions.get_mut(sending.session) {
        state.rates.put_back(&mut live.bucket);
    }
}

/// Nobody knows whether the message is stored: the reply says with which `cid` to ask again.
pub(crate) fn unknown(
    state: &mut State,
    now: Now,
    asked: Option<Asked>,
    sending: &Sending,
    fx: &mut Effects,
) {
    put_back(state, sending);
    if let Some(asked) = asked {
        overdue(state, now, asked, sending.cid.clone(), fx);
    }
}

/// Storage has taken too long over a message. It stays parked: it may be stored yet, and is delivered then.
pub(crate) fn overdue(state: &mut State, now: Now, asked: Asked, cid: Box<str>, fx: &mut Effects) {
    let refusal = Refusal::later(Errno::Unavailable, UNAVAILABLE, 1_000);
    state.answer(now, asked, Refusal { cid: Some(cid), ..refusal }, fx);
}

/// A newer login has taken over the account: the message was not stored, and the session is over.
pub(crate) fn superseded(
    state: &mut State,
    now: Now,
    asked: Option<Asked>,
    sending: &Sending,
    fx: &mut Effects,
) {
    if let Some(asked) = asked {
        state.refuse(now, asked, Errno::NotLoggedIn, ENDED, fx);
    }
    cluster::superseded(state, now, sending.sender, Epoch(sending.epoch.0 + 1), None, fx);
}

/// The message was not stored, and why.
pub(crate) fn refused(state: &mut State, now: Now, asked: Option<Asked>, errno: Errno, fx: &mut Effects) {
    let Some(asked) = asked else { return };
    let sentence = match errno {
        Errno::BadRequest => ONESELF,
        Errno::NotFound => "there is no such user",
        _ => "only members may send to a conversation",
    };
    state.refuse(now, asked, errno, sentence, fx);
}
