//! Delivery: which sessions receive a message and when, and how a session that is behind catches up.
//!
//! A session is *live* in a conversation or *behind*. Live: each message is pushed as it is stored. It falls behind
//! when too much is unacknowledged or unwritten, and at login where messages are undelivered. New messages are then
//! only recorded in `seen`, and the session is fed from the timeline as acknowledgements arrive and output drains,
//! until `pushed` reaches `seen`. Every step keeps `pushed` contiguous; order and completeness follow from that
//! invariant alone:
//!
//! ```text
//!            pushed ----------- fed from the timeline ----------> seen = pushed: live again
//!   ... m m m m | . . . . . . . . . . . . . . . . . . . . . . . . | m <- next message
//! ```

mod feed;
mod pass_over;

pub(crate) use feed::{Fed, drained, fed, feed, feed_failed, retry, unread_failed, unread_known};

use crate::conn::ConnId;
use crate::effect::{Effects, Order};
use crate::listening;
use crate::state::sessions::{Behind, Session, SessionRef, Track};
use crate::turn::Turn;
use feed::{ask_drained, must_ask_drained};
use pass_over::{has_text, is_passed, pass_over};
use std::sync::Arc;
use wire::message::Push as MessagePush;
use wire::session::{Changed, Listing, Push as SessionPush};
use wire::{ConversationId, ConversationKind, Message, Push, System, UserId};

/// Delivers a stored message to every session of the members on this node, except the one that sent it. `members` are
/// those at its seq.
pub(crate) fn deliver(
    turn: &mut Turn<'_>,
    message: &Arc<Message>,
    members: &[UserId],
    sent_by: Option<SessionRef>,
) {
    let direct = message.kind == ConversationKind::Direct;
    let (may_push, is_message, is_text) = (turn.may_push(), message.is_message(), has_text(message));
    let mut to: Vec<ConnId> = Vec::new();
    // Destructured so that the loop needs no further indirection for each member.
    let Turn { state, now, effects, follow_ups } = turn;
    let (state, effects, follow_ups) = (&mut **state, &mut **effects, &mut **follow_ups);
    let admission = Admission { may_push, output_max: state.session_output_max };
    for &member in members {
        let mut slot = state.sessions.head(member);
        while let Some((key, session)) = state.sessions.at_mut(slot) {
            slot = session.next;
            let peer = if direct { members.iter().copied().find(|&other| other != member) } else { None };
            if !is_text && !session.capabilities.receives_entries() {
                note_passed(session, message, peer, now.monotonic);
                pass_over(&mut state.cursors, session, message);
                continue;
            }
            if is_message && member == message.from && is_passed(session, message, Some(key) == sent_by) {
                note_passed(session, message, peer, now.monotonic);
                if !session.own.is_empty() {
                    session.list_for_sweep(key, &mut state.with_tracks);
                }
                continue;
            }
            let pushed = offer(session, message, peer, admission);
            session.list_for_sweep(key, &mut state.with_tracks);
            if !pushed {
                feed(&mut Turn { state, now: *now, effects, follow_ups }, key);
            } else if direct || must_ask_drained(session) {
                // NotifyDrained must follow the message, so the message is sent on its own instead of in the fan-out.
                let push = MessagePush::New(Arc::clone(message)).into();
                effects.order(session.conn, Order::Push { conn: session.conn, push });
                ask_drained(session, effects);
            } else {
                to.push(session.conn);
            }
        }
    }
    fan_out(message, to, effects);
    if let Some(system) = message.system() {
        members_changed(turn, message.conversation, system, members);
    }
}

/// Notes for the sessions of those who join or leave whether they are members, and stops listening for those who are not.
fn members_changed(turn: &mut Turn<'_>, conversation: ConversationId, system: &System, members: &[UserId]) {
    let has_left = system.removes_members();
    if !has_left && !system.adds_members() {
        return;
    }
    // Where a timeline is read again, somebody may have joined again above an entry that removes it.
    for user in system.who.iter().filter(|user| members.binary_search(user).is_ok()) {
        for key in turn.state.sessions.keys_of(*user) {
            let track = turn.state.sessions.get_mut(key).and_then(|session| session.track_mut(conversation));
            if let Some(track) = track {
                track.has_left = has_left;
            }
            if has_left {
                listening::leave(turn, key, conversation);
            }
        }
    }
}

/// Issues one order to each reactor, which encodes the message once.
fn fan_out(message: &Arc<Message>, mut to: Vec<ConnId>, effects: &mut Effects) {
    let Some(&first) = to.first() else { return };
    if to.iter().all(|conn| conn.reactor() == first.reactor()) {
        return effects.order(first, Order::Deliver { message: Arc::clone(message), to });
    }
    to.sort_unstable_by_key(|conn| conn.reactor());
    for part in to.chunk_by(|a, b| a.reactor() == b.reactor()) {
        effects.order(part[0], Order::Deliver { message: Arc::clone(message), to: part.to_vec() });
    }
}

/// What decides, for all sessions together, whether a message is pushed.
#[derive(Clone, Copy)]
struct Admission {
    /// Whether this node may push.
    may_push: bool,
    /// Bytes of a session's output from which on it falls behind.
    output_max: u32,
}

/// Decides whether to push a message now. If not, the message is recorded in the track and read from the timeline
/// later.
fn offer(session: &mut Session, message: &Message, peer: Option<UserId>, admission: Admission) -> bool {
    let (conversation, seq) = (message.conversation, message.seq);
    // While a login gathers missed messages, new ones are read from the timeline with them.
    let gathers = session.login.as_ref().is_some_and(|login| login.gathers_missed);
    let is_full = !admission.may_push
        || gathers
        || session.unacked >= session.capabilities.window()
        || session.output >= admission.output_max;
    let track = session.track_or_insert(conversation, |session| {
        // Until all unread conversations are listed, a conversation without a track may be behind.
        let is_guess = session.unread_after.is_some() || (session.login.is_some() && !gathers);
        let behind = Behind { seen: seq, is_guess };
        Track::new(conversation, peer, seq.prev(), (is_guess || gathers).then_some(behind))
    });
    track.peer = peer;
    if let Some(behind) = &mut track.behind {
        behind.seen = behind.seen.max(seq);
        return false;
    }
    if seq <= track.pushed {
        return false;
    }
    if is_full || seq != track.pushed.next() {
        track.behind = Some(Behind { seen: seq, is_guess: false });
        return false;
    }
    (track.pushed, track.sent) = (seq, seq);
    track.unacked += 1;
    session.unacked += 1;
    session.count_output(message);
    true
}

/// Records a message that is not pushed to a session: `pushed` moves past it.
fn note_passed(session: &mut Session, message: &Message, peer: Option<UserId>, now: u64) {
    let (conversation, seq) = (message.conversation, message.seq);
    if session.unread_after.is_some() {
        session.track_or_insert(conversation, |_| {
            let guess = Behind { seen: seq, is_guess: true };
            Track::new(conversation, peer, seq.prev(), Some(guess))
        });
    }
    // Without a track its line may still come to it.
    let Ok(at) = session.find(conversation) else { return };
    let track = &mut session.tracks[at];
    if track.behind.is_none() && seq == track.pushed.next() {
        track.pushed = seq;
        return session.own.forget(conversation, seq);
    }
    if let Some(behind) = &mut track.behind {
        behind.seen = behind.seen.max(seq);
    }
    // It will be read from the timeline with others.
    if seq > track.pushed && session.capabilities.receives_own_messages() {
        session.own.note(conversation, seq, now);
    }
}

/// Does the same for a message of which no session on this node needs to be told.
pub(crate) fn note_sent(turn: &mut Turn<'_>, message: &Message, members: &[UserId]) {
    let direct = message.kind == ConversationKind::Direct;
    let peer = members.iter().copied().find(|&member| direct && member != message.from);
    let now = turn.now.monotonic;
    let mut slot = turn.state.sessions.head(message.from);
    while let Some((_, session)) = turn.state.sessions.at_mut(slot) {
        slot = session.next;
        note_passed(session, message, peer, now);
    }
}

/// Notes that a message was sent on the connection of a session, before it comes through the delivery line of its
/// conversation.
pub(crate) fn note_own(turn: &mut Turn<'_>, session: SessionRef, message: &Message) {
    let now = turn.now.monotonic;
    if let Some(live) = turn.state.sessions.get_mut(session)
        && live.user == message.from
        && live.capabilities.receives_own_messages()
    {
        live.own.note(message.conversation, message.seq, now);
        live.list_for_sweep(session, &mut turn.state.with_tracks);
    }
}

/// Pushes an event other than a message to all sessions of a user, on this node and by the bus. A push during LOGIN is held
/// until after the reply.
pub(crate) fn push(turn: &mut Turn<'_>, user: UserId, push: Push) {
    push_to_others(turn, user, None, push);
}

/// The same, except to one session, which caused it.
pub(crate) fn push_to_others(turn: &mut Turn<'_>, user: UserId, cause: Option<SessionRef>, push: Push) {
    let head = turn.state.sessions.of(user).next();
    let (is_here, is_elsewhere) = (head.is_some(), head.is_none_or(|(_, session)| session.is_shared));
    if is_here {
        push_here(turn, user, cause, &push);
    }
    if is_elsewhere {
        turn.state.cluster.publish(user, push, turn.effects);
    }
}

/// Tells the other sessions of an account to read a list again, because `cause` has changed it.
pub(crate) fn list_changed(turn: &mut Turn<'_>, user: UserId, cause: SessionRef, what: Listing) {
    let push = SessionPush::Changed(Box::new(Changed { what: vec![what] })).into();
    push_here(turn, user, Some(cause), &push);
    if turn.state.sessions.get(cause).is_none_or(|session| session.is_shared) {
        turn.state.cluster.publish_missed(user, turn.effects);
    }
}

/// The same on this node only.
pub(crate) fn push_here(turn: &mut Turn<'_>, user: UserId, cause: Option<SessionRef>, push: &Push) {
    if !turn.may_push() {
        return;
    }
    let mut slot = turn.state.sessions.head(user);
    while let Some((key, session)) = turn.state.sessions.at_mut(slot) {
        slot = session.next;
        if Some(key) == cause || !session.capabilities.receives_events() {
            continue;
        }
        match &mut session.login {
            Some(login) => login.held.push(push.clone()),
            None => turn.effects.order(session.conn, Order::Push { conn: session.conn, push: push.clone() }),
        }
    }
}
