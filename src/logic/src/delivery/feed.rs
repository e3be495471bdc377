//! Feeding a session that is behind from the timelines of its conversations, one read at a time.

use super::pass_over::{has_text, is_passed, pass_over};
use crate::conn::ConnId;
use crate::contract::node::End;
use crate::contract::timeline::{Read, UnreadPage};
use crate::effect::{Effects, Order};
use crate::limits::{FEED_BYTES, FEED_MESSAGES, OUTPUT_SOFT};
use crate::listening;
use crate::state::pending::timeline::Pending;
use crate::state::reply_to::ReplyTo;
use crate::state::sessions::{Behind, Session, SessionRef, Track};
use crate::turn::{FollowUp, Turn};
use std::sync::Arc;
use wire::message::Push;
use wire::{ConversationId, Message, Seq};

/// Whether much output is queued on a connection that was not asked to report when it has drained.
pub(super) fn must_ask_drained(session: &Session) -> bool {
    session.output > OUTPUT_SOFT as u32 && !session.awaits_drained
}

/// Asks the connection to report when its output has drained, if it must be asked.
pub(super) fn ask_drained(session: &mut Session, effects: &mut Effects) {
    if must_ask_drained(session) {
        session.awaits_drained = true;
        effects.order(session.conn, Order::NotifyDrained { conn: session.conn });
    }
}

/// The connection's output has drained.
pub(crate) fn drained(turn: &mut Turn<'_>, conn: ConnId) {
    let Some(key) = turn.state.session_of(conn) else { return };
    let Some(session) = turn.state.sessions.get_mut(key) else { return };
    session.output = 0;
    session.awaits_drained = false;
    feed(turn, key);
}

/// Handles a page of the conversations in which a new session is behind.
pub(crate) fn unread_known(turn: &mut Turn<'_>, key: SessionRef, page: &UnreadPage) {
    let Some(user) = turn.state.sessions.get(key).map(|session| session.user) else { return };
    let has_several = turn.state.sessions.has_several(user);
    // Its channel was subscribed to if the leave came after the groups were read.
    for row in page.rows.iter().filter(|row| row.has_left) {
        listening::leave(turn, key, row.conversation);
    }
    let Some(session) = turn.state.sessions.get_mut(key) else { return };
    for row in &page.rows {
        // What another session has acknowledged since is no reason to leave it out: LOGIN said that it would come.
        let delivered = match has_several {
            true => row.delivered,
            false => turn.state.cursors.lay_over(row.conversation, user, (row.delivered, Seq(0))).0,
        };
        let is_known = session.find(row.conversation).is_ok();
        if delivered >= row.last && !is_known {
            continue;
        }
        let track = session.track_or_insert(row.conversation, |_| {
            let guess = Behind { seen: row.last, is_guess: true };
            let track = Track::new(row.conversation, row.peer, delivered, Some(guess));
            Track { has_left: row.has_left, ..track }
        });
        if let Some(behind) = track.behind.as_mut().filter(|behind| behind.is_guess) {
            // Another session may have acknowledged what came after this one began.
            track.pushed = if has_several { track.pushed.min(delivered) } else { delivered };
            track.acked = track.pushed;
            behind.seen = behind.seen.max(row.last);
            behind.is_guess = false;
        }
    }
    match page.next {
        Some(after) => {
            session.unread_after = Some(after);
            turn.read(ReplyTo::Nowhere, Pending::Unread(key), Read::Unread { user, after });
        }
        None => {
            session.unread_after = None;
            // An unlisted conversation was not behind, so the guess holds: it starts at the first recorded message.
            for track in &mut session.tracks {
                if let Some(behind) = &mut track.behind {
                    behind.is_guess = false;
                }
            }
        }
    }
    feed(turn, key);
}

/// The page could not be read: schedules a retry at the next tick.
pub(crate) fn unread_failed(turn: &mut Turn<'_>, key: SessionRef) {
    turn.state.failed_reads.push(key);
}

/// Retries the failed reads of a session.
pub(crate) fn retry(turn: &mut Turn<'_>, key: SessionRef) {
    let Some(session) = turn.state.sessions.get(key) else { return };
    let user = session.user;
    if let Some(after) = session.unread_after {
        turn.read(ReplyTo::Nowhere, Pending::Unread(key), Read::Unread { user, after });
    }
    feed(turn, key);
}

/// Reads the next missing messages of a session, if it has room and no such read is in flight.
pub(crate) fn feed(turn: &mut Turn<'_>, key: SessionRef) {
    if !turn.may_push() {
        return;
    }
    let Some(session) = turn.state.sessions.get_mut(key) else { return };
    let is_held = session.login.as_ref().is_some_and(|login| !login.gathers_missed);
    if is_held || turn.state.feeds.contains_key(&key) {
        return;
    }
    let room = session.capabilities.window().saturating_sub(session.unacked);
    let has_room = room > 0 && session.output < OUTPUT_SOFT as u32;
    let next = next_behind(session);
    let is_behind = next.is_some() || session.unread_after.is_some();
    let Some(track) = next.filter(|_| has_room) else {
        session.is_catching_up &= is_behind;
        if session.login.is_some() {
            turn.follow_ups.push_back(FollowUp::Welcome(key));
        }
        return;
    };
    let (conversation, after, member) = (track.conversation, track.pushed, Some(session.user));
    session.fed_last = conversation;
    let limit = room.min(FEED_MESSAGES);
    let read = Read::Feed { conversation, member, after, limit, bytes: FEED_BYTES };
    let ticket =
        turn.issue(ReplyTo::Nowhere, Pending::Feed { session: key, conversation }.into(), read.into());
    turn.state.feeds.insert(key, ticket);
}

/// The next conversation to feed, round-robin after `fed_last`.
fn next_behind(session: &Session) -> Option<&Track> {
    let is_ready = |track: &&Track| track.behind.is_some_and(|behind| !behind.is_guess);
    let split = session.tracks.partition_point(|track| track.conversation <= session.fed_last);
    let (before, after) = session.tracks.split_at(split);
    after.iter().find(is_ready).or_else(|| before.iter().find(is_ready))
}

/// What was read for a session.
pub(crate) struct Fed {
    pub messages: Vec<Arc<Message>>,
    /// Whether the timeline has further messages above these.
    pub more: bool,
    /// The first entry that the user sees: earlier ones do not come any more.
    pub first: Seq,
}

/// Pushes the messages that were read for a session.
pub(crate) fn fed(turn: &mut Turn<'_>, key: SessionRef, conversation: ConversationId, fed: Fed) {
    let Fed { messages, more, first } = fed;
    let may_push = turn.may_push();
    let Some(session) = turn.state.sessions.get_mut(key) else { return };
    turn.state.feeds.remove(&key);
    if !may_push {
        return;
    }
    let (user, conn, capabilities) = (session.user, session.conn, session.capabilities);
    let Ok(at) = session.find(conversation) else { return };
    let track = &mut session.tracks[at];
    let Some(behind) = track.behind else { return };
    track.pushed = track.pushed.max(first.prev());
    let is_empty = messages.is_empty();
    let (mut has_left, mut entered) = (session.tracks[at].has_left, None);
    for message in messages {
        let track = &mut session.tracks[at];
        if message.seq <= track.pushed {
            continue;
        }
        track.pushed = message.seq;
        if message.begins_view_of(user) {
            (has_left, entered) = (false, Some(End { conversation, last: message.seq }));
        }
        has_left |= message.ends_view_of(user);
        track.has_left = has_left;
        if !has_text(&message) && !capabilities.receives_entries() {
            pass_over(&mut turn.state.cursors, session, &message);
            continue;
        }
        if message.is_message() && message.from == user && is_passed(session, &message, false) {
            session.own.forget(conversation, message.seq);
            continue;
        }
        let track = &mut session.tracks[at];
        track.sent = message.seq;
        track.unacked += 1;
        session.unacked += 1;
        session.count_output(&message);
        let push = Push::New(message).into();
        match &mut session.login {
            Some(login) => login.held.push(push),
            None => turn.effects.order(conn, Order::Push { conn, push }),
        }
    }
    let track = &mut session.tracks[at];
    if !more && track.pushed >= behind.seen {
        track.behind = None;
    } else if is_empty {
        // The read missed a message that exists. An immediate retry could loop, so the next tick retries.
        turn.state.failed_reads.push(key);
        return;
    }
    session.list_for_sweep(key, &mut turn.state.with_tracks);
    ask_drained(session, turn.effects);
    if has_left {
        listening::leave(turn, key, conversation);
    } else if let Some(entry) = entered {
        // A leave that was read before the user joined again may have ended it.
        listening::follow(turn, user, entry);
    }
    feed(turn, key);
}

/// The timeline could not be read: schedules a retry at the next tick.
pub(crate) fn feed_failed(turn: &mut Turn<'_>, key: SessionRef) {
    if turn.state.sessions.get(key).is_some() {
        turn.state.feeds.remove(&key);
        turn.state.failed_reads.push(key);
    }
}
