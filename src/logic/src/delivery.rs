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
use crate::contract::timeline::UnreadPage;
use crate::contract::{self, Read};
use crate::effect::{Effects, Order};
use crate::limits::{FEED_BYTES, FEED_MESSAGES, OUTPUT_HARD, OUTPUT_SOFT};
use crate::parked::Stage;
use crate::session::{Behind, Session, SessionRef, Track};
use crate::state::State;
use crate::{ConnId, Now, welcome};
use std::sync::Arc;
use wire::message;
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
        // A legacy client has shown what its user sent, also on an earlier connection.
        if member == message.from && (session.is_legacy || Some(key) == sent_by) {
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
                Order::Push {
                    conn: session.conn,
                    push: Push::Message(message::Push::New(Arc::clone(message))),
                },
            );
            ask_drained(session, fx);
        } else {
            to.push(session.conn);
            if session.output > OUTPUT_SOFT as u32 && !session.drain_asked {
                // The question must come after the message, so this one goes alone.
                to.pop();
                fx.order(
                    session.conn,
                    Order::Push {
                        conn: session.conn,
                        push: Push::Message(message::Push::New(Arc::clone(message))),
                    },
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
    // What comes while the answer to a login gathers what was missed is read like the rest.
    let gathers = session.joining.as_ref().is_some_and(|joining| joining.gathers);
    let full =
        !may_push || gathers || session.unacked >= session.window() || session.output >= OUTPUT_HARD as u32;
    let track = session.track_or_insert(conversation, |session| {
        // Until all unread conversations are listed, one without a track may be behind.
        let listing = session.unread_after.is_some() || (session.joining.is_some() && !gathers);
        let guess = Behind { seen: seq, own_above: seq.prev(), guessed: listing };
        Track::new(conversation, peer, seq.prev(), (listing || gathers).then_some(guess))
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
    session.count_output(message);
    true
}

/// A session's own message needs no push, but has its place.
fn note_own(session: &mut Session, message: &Message, peer: Option<UserId>) {
    let (conversation, seq) = (message.conversation, message.seq);
    let listing = session.unread_after.is_some();
    if listing {
        session.track_or_insert(conversation, |_| {
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
        let track = session.track_or_insert(row.conversation, |_| {
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
            state.read(
                now,
                None,
                Stage::Unread(key),
                Read::Timeline(contract::timeline::Read::Unread { user, after }),
                fx,
            );
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
        state.read(
            now,
            None,
            Stage::Unread(key),
            Read::Timeline(contract::timeline::Read::Unread { user, after }),
            fx,
        );
    }
    feed(state, now, key, fx);
}

/// Asks the timeline for what a session lacks, if it can take it and no such read is under way.
pub(crate) fn feed(state: &mut State, now: Now, key: SessionRef, fx: &mut Effects) {
    if !state.may_push(now) {
        return;
    }
    let Some(session) = state.sessions.get_mut(key) else { return };
    if session.feeding || session.joining.as_ref().is_some_and(|joining| !joining.gathers) {
        return;
    }
    let room = session.window().saturating_sub(session.unacked);
    let takes = room > 0 && session.output < OUTPUT_SOFT as u32;
    let Some(track) = next_behind(session).filter(|_| takes) else {
        if session.joining.is_some() {
            welcome::complete(state, now, key, fx);
        }
        return;
    };
    let (conversation, after) = (track.conversation, track.pushed);
    session.feeding = true;
    session.fed = conversation;
    let read = Read::Timeline(contract::timeline::Read::Feed {
        conversation,
        after,
        limit: room.min(FEED_MESSAGES),
        bytes: FEED_BYTES,
    });
    state.read(now, None, Stage::Feed { session: key, conversation }, read, fx);
}

/// Which conversation to feed: all in turn, beginning after the one that was fed last.
fn next_behind(session: &Session) -> Option<&Track> {
    let ready = |track: &&Track| track.behind.is_some_and(|behind| !behind.guessed);
    let split = session.tracks.partition_point(|track| track.conversation <= session.fed);
    let (before, after) = session.tracks.split_at(split);
    after.iter().find(ready).or_else(|| before.iter().find(ready))
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
    let Some(behind) = session.tracks[at].behind else { return };
    let nothing = messages.is_empty();
    for message in messages {
        let track = &mut session.tracks[at];
        if message.seq <= track.pushed {
            continue;
        }
        track.pushed = message.seq;
        let own = message.from == user && (session.is_legacy || message.seq > behind.own_above);
        if own {
            continue;
        }
        track.unacked += 1;
        session.unacked += 1;
        session.count_output(&message);
        let push = Push::Message(message::Push::New(message));
        match &mut session.joining {
            Some(joining) => joining.held.push(push),
            None => fx.order(conn, Order::Push { conn, push }),
        }
    }
    let track = &mut session.tracks[at];
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

/// Pushes something other than a message to a user who is online; after the reply to LOGIN, if that is not out yet. A
/// legacy client would not understand it.
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
    if !may_push || session.is_legacy {
        return;
    }
    match &mut session.joining {
        Some(joining) => joining.held.push(push),
        None => fx.order(session.conn, Order::Push { conn: session.conn, push }),
    }
}
