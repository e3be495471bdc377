//! Who gets a message, when, and how whoever is behind catches up.
//!
//! A session is *live* in a conversation or *behind*. Live: each message is pushed as it is stored. It falls behind
//! when too much is unacknowledged or unwritten, and at login where something is undelivered; then new messages are
//! only noted, and it is fed from the timeline as acknowledgements come and output drains, until it has all that was
//! noted. Every step keeps `pushed` contiguous, which is all that order and completeness rest on:
//!
//! ```text
//!            pushed ----------- fed from the timeline ----------> seen = pushed: live again
//!   ... m m m m | . . . . . . . . . . . . . . . . . . . . . . . . | m <- next message
//! ```

use crate::bus::{BusOrder, Channel, News};
use crate::effect::{Effects, Order};
use crate::limits::{FEED_BYTES, FEED_MESSAGES, FRAME_OVERHEAD, OUTPUT_HARD, OUTPUT_SOFT};
use crate::parked::Stage;
use crate::session::{Behind, Session, SessionRef, Track};
use crate::state::State;
use crate::store::{Read, UnreadPage};
use crate::{ConnId, Now};
use std::sync::Arc;
use wire::limits::UNACKED_MAX;
use wire::{ConversationId, ConversationKind, Message, Push, Seq, UserId};

/// Delivers a message that is stored to every member here but the connection that sent it.
pub(crate) fn deliver(
    state: &mut State,
    now: Now,
    message: &Arc<Message>,
    members: &[UserId],
    sent_by: Option<SessionRef>,
    fx: &mut Effects,
) {
    let direct = message.kind == ConversationKind::Direct;
    let may_push = state.may_push(now);
    // Of a cluster's sessions, one that is in force has sent whatever its user sends.
    let sent_by = sent_by.or_else(|| state.sessions.of(message.from));
    let mut to: Vec<ConnId> = Vec::new();
    for &member in members {
        let Some((key, session)) = state.sessions.of_mut(member) else { continue };
        let peer = if direct { members.iter().copied().find(|&other| other != member) } else { None };
        if Some(key) == sent_by {
            note_own(session, message, peer);
            continue;
        }
        let pushed = offer(session, message, peer, may_push);
        if !session.warm {
            session.warm = true;
            state.warm.push(key);
        }
        if !pushed {
            feed(state, now, key, fx);
        } else if direct {
            fx.order(
                session.conn,
                Order::Push { conn: session.conn, push: Push::Message(Arc::clone(message)) },
            );
            ask_drained(session, fx);
        } else {
            to.push(session.conn);
            if session.output > OUTPUT_SOFT as u32 && !session.drain_asked {
                // The question must come after the message, so this one goes alone.
                to.pop();
                fx.order(
                    session.conn,
                    Order::Push { conn: session.conn, push: Push::Message(Arc::clone(message)) },
                );
                ask_drained(session, fx);
            }
        }
    }
    fan_out(message, to, fx);
}

/// One order a sub-reactor: encoded once there.
fn fan_out(message: &Arc<Message>, mut to: Vec<ConnId>, fx: &mut Effects) {
    if fx.reactors.len() == 1 {
        if !to.is_empty() {
            fx.reactors[0].push(Order::Deliver { message: Arc::clone(message), to });
        }
        return;
    }
    to.sort_unstable_by_key(|conn| conn.reactor());
    for part in to.chunk_by(|a, b| a.reactor() == b.reactor()) {
        fx.order(part[0], Order::Deliver { message: Arc::clone(message), to: part.to_vec() });
    }
}

/// Says whether to push `message` now. If not, it is noted and comes from the timeline.
fn offer(session: &mut Session, message: &Message, peer: Option<UserId>, may_push: bool) -> bool {
    let (conversation, seq) = (message.conversation, message.seq);
    // Until all unread conversations are listed, one without a track may be behind.
    let listing = session.joining.is_some() || session.unread_after.is_some();
    let full = !may_push || session.unacked >= UNACKED_MAX as u32 || session.output >= OUTPUT_HARD as u32;
    let track = session.track_or_insert(conversation, || {
        let guess = Behind { seen: seq, own_above: seq.prev(), guessed: true };
        Track::new(conversation, peer, seq.prev(), listing.then_some(guess))
    });
    track.peer = peer;
    if let Some(behind) = &mut track.behind {
        behind.seen = behind.seen.max(seq);
        return false;
    }
    if seq <= track.pushed {
        return false;
    }
    if full || seq != track.pushed.next() {
        track.behind = Some(Behind { seen: seq, own_above: track.pushed, guessed: false });
        return false;
    }
    track.pushed = seq;
    track.unacked += 1;
    session.unacked += 1;
    session.output += (message.content.len() + FRAME_OVERHEAD) as u32;
    true
}

/// A session's own message needs no push, but has its place.
fn note_own(session: &mut Session, message: &Message, peer: Option<UserId>) {
    let (conversation, seq) = (message.conversation, message.seq);
    let listing = session.unread_after.is_some();
    if listing {
        session.track_or_insert(conversation, || {
            let guess = Behind { seen: seq, own_above: seq.prev(), guessed: true };
            Track::new(conversation, peer, seq.prev(), Some(guess))
        });
    }
    let Some(track) = session.track_mut(conversation) else { return };
    match &mut track.behind {
        Some(behind) => behind.seen = behind.seen.max(seq),
        None if seq == track.pushed.next() => track.pushed = seq,
        None => {}
    }
}

/// Of a message that a session has sent, where nobody else here is a member.
pub(crate) fn note_sent(state: &mut State, message: &Message, members: &[UserId]) {
    let direct = message.kind == ConversationKind::Direct;
    let peer = members.iter().copied().find(|&member| direct && member != message.from);
    if let Some((_, session)) = state.sessions.of_mut(message.from) {
        note_own(session, message, peer);
    }
}

fn ask_drained(session: &mut Session, fx: &mut Effects) {
    if session.output > OUTPUT_SOFT as u32 && !session.drain_asked {
        session.drain_asked = true;
        fx.order(session.conn, Order::NotifyDrained { conn: session.conn });
    }
}

/// The connection has written everything.
pub(crate) fn drained(state: &mut State, now: Now, conn: ConnId, fx: &mut Effects) {
    let Some(key) = state.session_of(conn) else { return };
    let Some(session) = state.sessions.get_mut(key) else { return };
    session.output = 0;
    session.drain_asked = false;
    feed(state, now, key, fx);
}

/// A page of the conversations in which a new session is behind.
pub(crate) fn unread_known(state: &mut State, now: Now, key: SessionRef, page: UnreadPage, fx: &mut Effects) {
    let Some(session) = state.sessions.get_mut(key) else { return };
    let user = session.user;
    for row in &page.rows {
        let delivered = state.cursors.lay_over(row.conversation, user, (row.delivered, Seq(0))).0;
        let known = session.find(row.conversation).is_ok();
        if delivered >= row.last && !known {
            continue;
        }
        let track = session.track_or_insert(row.conversation, || {
            let guess = Behind { seen: row.last, own_above: row.last, guessed: true };
            Track::new(row.conversation, row.peer, delivered, Some(guess))
        });
        if let Some(behind) = track.behind.as_mut().filter(|behind| behind.guessed) {
            track.pushed = delivered;
            track.acked = delivered;
            behind.seen = behind.seen.max(row.last);
            behind.own_above = behind.own_above.min(row.last);
            behind.guessed = false;
        }
    }
    match page.rows.last() {
        Some(last) if page.more => {
            let after = last.conversation;
            session.unread_after = Some(after);
            state.read(now, None, Stage::Unread(key), Read::Unread { user, after }, fx);
        }
        _ => {
            session.unread_after = None;
            // What is not listed was not behind: it begins with the first message that was noted.
            for track in &mut session.tracks {
                if let Some(behind) = &mut track.behind {
                    behind.guessed = false;
                }
            }
        }
    }
    feed(state, now, key, fx);
}

/// The same page could not be read: again at the next tick.
pub(crate) fn unread_failed(state: &mut State, key: SessionRef) {
    state.stuck.push(key);
}

/// Goes on with a session whose reading had failed.
pub(crate) fn retry(state: &mut State, now: Now, key: SessionRef, fx: &mut Effects) {
    let Some(session) = state.sessions.get(key) else { return };
    let user = session.user;
    if let Some(after) = session.unread_after {
        state.read(now, None, Stage::Unread(key), Read::Unread { user, after }, fx);
    }
    feed(state, now, key, fx);
}

/// Asks the timeline for what a session lacks, if it can take it and no such read is under way.
pub(crate) fn feed(state: &mut State, now: Now, key: SessionRef, fx: &mut Effects) {
    if !state.may_push(now) {
        return;
    }
    let Some(session) = state.sessions.get_mut(key) else { return };
    let room = (UNACKED_MAX as u32).saturating_sub(session.unacked);
    if session.feeding || room == 0 || session.output >= OUTPUT_SOFT as u32 || session.joining.is_some() {
        return;
    }
    let ready = |track: &&Track| track.behind.is_some_and(|behind| !behind.guessed);
    // All in turn, beginning after the one that was fed last.
    let split = session.tracks.partition_point(|track| track.conversation <= session.fed);
    let (before, after) = session.tracks.split_at(split);
    let Some(track) = after.iter().find(ready).or_else(|| before.iter().find(ready)) else { return };
    let (conversation, after) = (track.conversation, track.pushed);
    session.feeding = true;
    session.fed = conversation;
    let read = Read::Feed { conversation, after, limit: room.min(FEED_MESSAGES), bytes: FEED_BYTES };
    state.read(now, None, Stage::Feed { session: key, conversation }, read, fx);
}

/// What was asked of the timeline.
pub(crate) fn fed(
    state: &mut State,
    now: Now,
    key: SessionRef,
    conversation: ConversationId,
    messages: Vec<Arc<Message>>,
    more: bool,
    fx: &mut Effects,
) {
    let may_push = state.may_push(now);
    let Some(session) = state.sessions.get_mut(key) else { return };
    session.feeding = false;
    if !may_push {
        return;
    }
    let (user, conn) = (session.user, session.conn);
    let Ok(at) = session.find(conversation) else { return };
    let track = &mut session.tracks[at];
    let Some(behind) = track.behind else { return };
    let nothing = messages.is_empty();
    for message in messages {
        if message.seq <= track.pushed {
            continue;
        }
        track.pushed = message.seq;
        let own = message.from == user && message.seq > behind.own_above;
        if own {
            continue;
        }
        track.unacked += 1;
        session.unacked += 1;
        session.output += (message.content.len() + FRAME_OVERHEAD) as u32;
        fx.order(conn, Order::Push { conn, push: Push::Message(message) });
    }
    if !more && track.pushed >= behind.seen {
        track.behind = None;
    } else if nothing {
        // Storage knows of a message that it did not show: ask again, but not in a circle.
        state.stuck.push(key);
        return;
    }
    if !session.warm {
        session.warm = true;
        state.warm.push(key);
    }
    ask_drained(session, fx);
    feed(state, now, key, fx);
}

/// The timeline could not be read: again at the next tick.
pub(crate) fn feed_failed(state: &mut State, key: SessionRef) {
    if let Some(session) = state.sessions.get_mut(key) {
        session.feeding = false;
        state.stuck.push(key);
    }
}

/// Pushes something other than a message to a user who is online; after the reply to LOGIN, if that is not out yet.
pub(crate) fn push(state: &mut State, now: Now, user: UserId, push: Push, fx: &mut Effects) {
    let may_push = state.may_push(now);
    let is_alone = state.cluster.is_none();
    let Some((_, session)) = state.sessions.of_mut(user) else {
        if !is_alone {
            let (channel, news) = (Channel::User(user), News::Push { push, member_version: 0 });
            fx.bus.push(BusOrder::Publish { channel, news });
        }
        return;
    };
    if !may_push {
        return;
    }
    match &mut session.joining {
        Some(joining) => joining.held.push(push),
        None => fx.order(session.conn, Order::Push { conn: session.conn, push }),
    }
}
