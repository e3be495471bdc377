//! Delivery lines: put the messages of a conversation in order, regardless of which nodes stored them.
//!
//! ```text
//!   settled            held: received, above a gap
//!   ... m m m | . . | m m        late messages may close the gap; otherwise the timeline is read from `settled` on
//! ```
//!
//! Every message up to `settled` was pushed to every member on this node, or is covered by the track of a member that
//! is behind. A member without a track therefore lacks nothing below it. A line may be dropped at any time: the next
//! message restarts it from a *roster*, the delivered position of each member.
//!
//! A message goes to those who are members at its seq. The line knows the members at `settled` and applies each entry
//! that changes them as it passes it, whether it was stored here, came by the bus, or was read from the timeline.

use crate::bus::{BusOrder, Channel, Hint};
use crate::contract::node::{self, End, Roster, RosterMember};
use crate::contract::{Found, Read, timeline};
use crate::delivery;
use crate::effect::Order;
use crate::limits::{FEED_BYTES, FEED_MESSAGES, GAP_MS, TICK_MS};
use crate::listening;
use crate::state::cluster::delivery_lines::{Arrival, DeliveryLine, Reading};
use crate::state::cluster::member_list::MemberList;
use crate::state::pending::node::{DeliveryLineRead, Pending};
use crate::state::reply_to::ReplyTo;
use crate::state::sessions::{Behind, SessionRef, Track};
use crate::turn::Turn;
use std::sync::Arc;
use wire::message::Push;
use wire::session::{Changed, Listing, Push as SessionPush};
use wire::{ConversationId, ConversationKind, Message, Seq, UserId};

/// Publishes a message that this node has stored, and delivers it in order to the members on this node.
pub(super) fn stored(turn: &mut Turn<'_>, arrival: Arrival) {
    let Arrival { message, members } = &arrival;
    let channel = match message.kind {
        ConversationKind::Group => Some(Channel::Group(message.conversation)),
        ConversationKind::Direct => {
            let mut members = members.iter().flat_map(|members| members.iter());
            members.find(|&&member| member != message.from).map(|&peer| Channel::User(peer))
        }
    };
    // The sender's own sessions on other nodes do not listen to the peer's channel. A message without a session may be
    // that of an account whose sessions are all on other nodes.
    let (is_direct, sessions) = (message.kind == ConversationKind::Direct, &turn.state.sessions);
    let is_elsewhere = sessions.is_shared(message.from) || !sessions.is_online(message.from);
    let own = (is_direct && is_elsewhere).then_some(Channel::User(message.from));
    for channel in channel.into_iter().chain(own) {
        let push = Push::New(Arc::clone(message)).into();
        turn.effects.bus.push(BusOrder::Publish { channel, hint: Hint::Push { push } });
    }
    for &user in added_by(message) {
        let entry = end_at(message);
        listening::follow(turn, user, entry);
        tell_sessions_elsewhere(turn, user, Hint::Entered { entry });
    }
    for &user in removed_by(message) {
        tell_sessions_elsewhere(turn, user, Hint::Left { entry: end_at(message) });
    }
    heard(turn, arrival);
}

/// Publishes it also where no session elsewhere is known: the hint that tells of one may still be on its way.
fn tell_sessions_elsewhere(turn: &mut Turn<'_>, user: UserId, hint: Hint) {
    turn.effects.bus.push(BusOrder::Publish { channel: Channel::User(user), hint });
}

/// Who becomes a member by an entry.
fn added_by(entry: &Message) -> &[UserId] {
    entry.system().filter(|system| system.adds_members()).map_or(&[], |system| &system.who)
}

/// Who leaves a group, or is removed from it, by an entry.
fn removed_by(entry: &Message) -> &[UserId] {
    entry.system().filter(|system| system.removes_members()).map_or(&[], |system| &system.who)
}

fn end_at(entry: &Message) -> End {
    End { conversation: entry.conversation, last: entry.seq }
}

/// A user has left a group by an entry that another node has stored. Where a session here still listens to the group, or
/// lacks entries up to that one, the line goes on to it.
pub(super) fn left_elsewhere(turn: &mut Turn<'_>, user: UserId, entry: End) {
    let needs_it = turn.state.sessions.of(user).any(|(_, session)| {
        let lacks = |at: usize| session.tracks[at].pushed < entry.last;
        session.groups.contains(&entry.conversation) || session.find(entry.conversation).is_ok_and(lacks)
    });
    if needs_it {
        end_known(turn, entry);
    }
}

/// Delivers an entry that the line has passed.
fn deliver(turn: &mut Turn<'_>, message: &Arc<Message>, members: &[UserId]) {
    // The hint that says so may have been lost.
    added_by(message).iter().for_each(|user| listening::follow(turn, *user, end_at(message)));
    delivery::deliver(turn, message, members, None);
}

/// Handles a message that was stored on this node or another one.
pub(super) fn heard(turn: &mut Turn<'_>, arrival: Arrival) {
    let (conversation, seq) = (arrival.message.conversation, arrival.message.seq);
    let Some(membership) = turn.state.cluster.membership() else { return };
    let Some(line) = membership.lines.get_mut(conversation) else {
        return first_heard(turn, arrival);
    };
    line.touched = turn.now.monotonic;
    if seq <= line.settled {
        return;
    }
    line.seen = line.seen.max(seq);
    let continues = line.reading == Reading::Nothing && seq == line.settled.next() && line.held.is_empty();
    if continues && let Some(members) = line.pass(&arrival) {
        return deliver(turn, &arrival.message, &members);
    }
    membership.lines.hold(conversation, arrival);
    go_on(turn, conversation, turn.now.monotonic + GAP_MS);
}

/// Handles a message of a conversation that has no line yet, or whose line was dropped.
fn first_heard(turn: &mut Turn<'_>, arrival: Arrival) {
    let Arrival { message, members } = &arrival;
    if let Some(members) = members {
        let sessions = &turn.state.sessions;
        // A message is not pushed to the session that sent it.
        let receives = |member: UserId| match member == message.from && message.is_message() {
            true => {
                sessions.has_several(member)
                    || sessions
                        .of(member)
                        .any(|(_, live)| !live.own.contains(message.conversation, message.seq))
            }
            false => sessions.is_online(member),
        };
        if !members.iter().any(|member| receives(*member)) {
            return delivery::note_sent(turn, message, members);
        }
        // In a new conversation no member can lack anything.
        if message.seq == Seq(1) {
            let line = DeliveryLine::new(message.seq, turn.now.monotonic);
            if let Some(membership) = turn.state.cluster.membership() {
                membership.lines.insert(message.conversation, line);
            }
            return heard(turn, arrival);
        }
    }
    let (conversation, seq) = (message.conversation, message.seq);
    if turn.state.cluster.membership().is_none_or(|membership| membership.lines.are_full()) {
        return;
    }
    begin(turn, conversation, seq);
    if let Some(membership) = turn.state.cluster.membership() {
        membership.lines.hold(conversation, arrival);
    }
}

fn begin(turn: &mut Turn<'_>, conversation: ConversationId, seen: Seq) {
    let Some(membership) = turn.state.cluster.membership() else { return };
    membership.lines.insert(conversation, DeliveryLine::new(seen, turn.now.monotonic));
    read(turn, conversation, Reading::Roster);
}

/// Takes the end of a conversation, read from the database, in which a member on this node is behind.
pub(super) fn end_known(turn: &mut Turn<'_>, end: End) {
    let Some(membership) = turn.state.cluster.membership() else { return };
    let Some(line) = membership.lines.get_mut(end.conversation) else {
        return begin(turn, end.conversation, end.last);
    };
    line.touched = turn.now.monotonic;
    line.seen = line.seen.max(end.last);
    go_on(turn, end.conversation, turn.now.monotonic);
}

/// Delivers the held messages that continue the line. If a gap remains, schedules a read of the timeline at `gap_at`.
fn go_on(turn: &mut Turn<'_>, conversation: ConversationId, gap_at: u64) {
    let mut ready: Vec<(Arc<Message>, Arc<[UserId]>)> = Vec::new();
    let Some(membership) = turn.state.cluster.membership() else { return };
    let Some(line) = membership.lines.get_mut(conversation) else { return };
    if line.reading != Reading::Nothing {
        return;
    }
    while line.members.is_some()
        && let Some(first) = line.held.first_entry()
        && *first.key() <= line.settled.next()
    {
        let (seq, held) = first.remove_entry();
        let arrival = held.into_arrival();
        if seq > line.settled
            && let Some(members) = line.pass(&arrival)
        {
            ready.push((arrival.message, members));
        }
    }
    if line.members.is_none() && !line.is_due {
        read(turn, conversation, Reading::Roster);
    } else if line.settled < line.seen {
        membership.lines.read_later(conversation, gap_at);
    }
    for (message, members) in ready {
        deliver(turn, &message, &members);
    }
}

/// Reads the timeline for gaps that no arriving message has closed.
pub(super) fn handle_timeout(turn: &mut Turn<'_>) {
    while let Some(membership) = turn.state.cluster.membership()
        && let Some((conversation, line)) = membership.lines.take_due(turn.now.monotonic)
    {
        if line.reading != Reading::Nothing {
            continue;
        }
        if line.members.is_none() {
            read(turn, conversation, Reading::Roster);
        } else if line.settled < line.seen {
            read(turn, conversation, Reading::Timeline);
        }
    }
}

fn read(turn: &mut Turn<'_>, conversation: ConversationId, reading: Reading) {
    let Some(membership) = turn.state.cluster.membership() else { return };
    let Some(line) = membership.lines.begin_read(conversation, reading) else { return };
    let (after, serial, issued) = (line.settled, line.serial, turn.now.monotonic);
    let read = match reading {
        Reading::Roster => Read::from(node::Read::Roster { conversation }),
        _ => {
            let (member, limit, bytes) = (None, FEED_MESSAGES, FEED_BYTES);
            timeline::Read::Feed { conversation, member, after, limit, bytes }.into()
        }
    };
    let pending = Pending::DeliveryLine(DeliveryLineRead { conversation, serial, issued });
    turn.read(ReplyTo::Nowhere, pending, read);
}

pub(super) fn found(turn: &mut Turn<'_>, read: DeliveryLineRead, found: Found) {
    let DeliveryLineRead { conversation, serial, .. } = read;
    let Some(membership) = turn.state.cluster.membership() else { return };
    let Some(line) = membership.lines.end_read(conversation, serial) else { return };
    match found {
        Found::Timeline(timeline::Found::Feed { messages, more, first }) => {
            // What is not kept any more does not come.
            line.settled = line.settled.max(first.prev());
            timeline_known(turn, conversation, messages, more);
        }
        Found::Node(node::Found::Roster(Some(roster))) => roster_known(turn, read, &roster),
        Found::Node(node::Found::Roster(None)) => membership.lines.remove(conversation),
        // The database could not be read.
        _ => {
            debug_assert!(line.settled < line.seen || line.members.is_none());
            membership.lines.read_later(conversation, turn.now.monotonic + TICK_MS);
        }
    }
}

fn timeline_known(
    turn: &mut Turn<'_>,
    conversation: ConversationId,
    messages: Vec<Arc<Message>>,
    more: bool,
) {
    for entry in &messages {
        feed_those_who_leave(turn, entry);
    }
    let Some(membership) = turn.state.cluster.membership() else { return };
    let Some(line) = membership.lines.get_mut(conversation) else { return };
    let mut fresh: Vec<(Arc<Message>, Arc<[UserId]>)> = Vec::new();
    for message in messages {
        let arrival = Arrival { message, members: None };
        if arrival.message.seq > line.settled
            && let Some(members) = line.pass(&arrival)
        {
            fresh.push((arrival.message, members));
        }
    }
    if more {
        line.seen = line.seen.max(line.settled.next());
    }
    let has_progress = !fresh.is_empty();
    for (message, members) in fresh {
        deliver(turn, &message, &members);
    }
    // An immediate retry of a read without progress could loop.
    let again_at = if has_progress { turn.now.monotonic } else { turn.now.monotonic + TICK_MS };
    go_on(turn, conversation, again_at);
}

/// Entries that were read for several members are as changes have left them, also changes that were made after somebody has
/// left. Who leaves by this entry is therefore fed apart, up to it.
fn feed_those_who_leave(turn: &mut Turn<'_>, entry: &Message) {
    let removed = removed_by(entry);
    if removed.is_empty() {
        return;
    }
    let Some(membership) = turn.state.cluster.membership() else { return };
    let Some(line) = membership.lines.get_mut(entry.conversation) else { return };
    let (conversation, settled) = (entry.conversation, line.settled);
    let is_listed = |user: &&UserId| line.members.as_ref().is_some_and(|members| members.includes(**user));
    let leaving: Vec<UserId> =
        removed.iter().filter(|_| entry.seq > settled).filter(is_listed).copied().collect();
    let keys: Vec<_> = leaving.into_iter().flat_map(|user| turn.state.sessions.keys_of(user)).collect();
    for key in keys {
        let Some(session) = turn.state.sessions.get_mut(key) else { continue };
        // Until the session's unread listing is complete, it is fed in any case.
        if session.login.is_some() || session.unread_after.is_some() {
            continue;
        }
        let track = session.track_or_insert(conversation, |_| Track::new(conversation, None, settled, None));
        if track.behind.is_none() && track.pushed < entry.seq {
            track.behind = Some(Behind { seen: entry.seq, is_guess: false });
        }
    }
}

/// Starts the line at the lowest position of the sessions on this node.
///
/// For a session with a track, the track holds the position. A session without one has acknowledged everything that was
/// pushed, so the cursor holds it, unless another session of the account has moved that further: then the session has
/// everything below the first message that is held. A cursor that was read before the session began, or before its tracks
/// were dropped, is stale; the roster is then read again.
fn roster_known(turn: &mut Turn<'_>, asked: DeliveryLineRead, roster: &Roster) {
    let conversation = asked.conversation;
    let Some(membership) = turn.state.cluster.membership() else { return };
    let line = membership.lines.get_mut(conversation);
    let first_held = line.and_then(|line| line.held.keys().next().copied());
    let mut settled = roster.last;
    let (mut without_track, mut unsure, mut done) = (Vec::new(), Vec::new(), Vec::new());
    let mut here = Vec::new();
    for &member in &roster.members {
        let RosterMember { user, left, delivered, .. } = member;
        let sessions = turn.state.sessions.keys_of(user);
        if sessions.is_empty() {
            continue;
        }
        if left.is_none() {
            here.push(user);
        }
        let has_several = turn.state.sessions.has_several(user);
        for key in sessions {
            let Some(session) = turn.state.sessions.get(key) else { continue };
            match session.find(conversation) {
                Ok(at) => {
                    let track = &session.tracks[at];
                    let has_all = left.is_some_and(|left| left <= track.pushed);
                    if has_all {
                        done.push(key);
                    } else if track.behind.is_none() {
                        settled = settled.min(track.pushed);
                    }
                }
                // Until the session's unread listing is complete, offered messages are only recorded.
                Err(_) if session.login.is_some() || session.unread_after.is_some() => {}
                Err(_) if asked.issued <= session.since => {
                    return read(turn, conversation, Reading::Roster);
                }
                Err(_) => {
                    let mut delivered =
                        turn.state.cursors.lay_over(conversation, user, (delivered, Seq(0))).0;
                    if has_several {
                        match first_held {
                            Some(first) => delivered = delivered.min(first.prev()),
                            None => unsure.push(key),
                        }
                    }
                    // Who has left and has everything lacks nothing, and is pushed nothing again.
                    let has_all = left.is_some_and(|left| left <= delivered);
                    if has_all {
                        done.push(key);
                    } else if !is_far(roster, delivered) {
                        settled = settled.min(delivered);
                    }
                    without_track.push((key, RosterMember { delivered, ..member }));
                }
            }
        }
    }
    for (key, member) in without_track {
        if settled < roster.last || is_far(roster, member.delivered) || member.left.is_some() {
            insert_track(turn, roster, key, member, conversation);
        }
    }
    for key in done {
        listening::leave(turn, key, conversation);
    }
    // What these sessions have is not known here. Their clients compare it with the list of conversations.
    for key in unsure {
        announce_conversations(turn, key);
    }
    let Some(membership) = turn.state.cluster.membership() else { return };
    let Some(line) = membership.lines.get_mut(conversation) else { return };
    line.settled = settled;
    line.seen = line.seen.max(roster.last);
    line.members = Some(MemberList::at(settled, &roster.members));
    go_on(turn, conversation, turn.now.monotonic);
    if roster.kind == ConversationKind::Group {
        // Whoever has acknowledged its own entry elsewhere is passed no entry here that says so.
        let entry = End { conversation, last: roster.last };
        here.into_iter().for_each(|user| listening::follow(turn, user, entry));
    }
}

/// Whether a member lacks so many messages that it is fed separately.
fn is_far(roster: &Roster, delivered: Seq) -> bool {
    roster.last.0.saturating_sub(delivered.0) > u64::from(FEED_MESSAGES)
}

/// Creates a track, at the member's position, for a session that has none.
fn insert_track(
    turn: &mut Turn<'_>,
    roster: &Roster,
    key: SessionRef,
    member: RosterMember,
    conversation: ConversationId,
) {
    let RosterMember { user, left, delivered, .. } = member;
    let Some(session) = turn.state.sessions.get_mut(key) else { return };
    let direct = roster.kind == ConversationKind::Direct;
    let mut members = roster.members.iter().map(|member| member.user);
    let peer = members.find(|&member| direct && member != user);
    let behind = Behind { seen: left.unwrap_or(roster.last), is_guess: false };
    let has_all = left.is_some_and(|left| left <= delivered);
    let behind = (is_far(roster, delivered) && !has_all).then_some(behind);
    let track = session.track_or_insert(conversation, |_| Track::new(conversation, peer, delivered, behind));
    track.acked = track.acked.max(delivered);
    track.has_left = left.is_some() && (has_all || track.behind.is_some());
    session.list_for_sweep(key, &mut turn.state.with_tracks);
    delivery::feed(turn, key);
}

/// Tells the client of a session to re-read its conversations.
fn announce_conversations(turn: &mut Turn<'_>, key: SessionRef) {
    if let Some(session) = turn.state.sessions.get(key)
        && session.login.is_none()
        && session.capabilities.receives_events()
    {
        let push = SessionPush::Changed(Box::new(Changed { what: vec![Listing::Conversations] })).into();
        turn.effects.order(session.conn, Order::Push { conn: session.conn, push });
    }
}
