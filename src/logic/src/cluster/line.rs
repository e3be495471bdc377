//! Timelines in order: per conversation with members here, up to where it was delivered without a hole.
//!
//! ```text
//!   settled            held: heard, above a hole
//!   ... m m m | . . | m m        the hole is waited for briefly, then the timeline is read from `settled` on
//! ```
//!
//! All up to `settled` was pushed, or noted as a track that is behind, to every member here; so a member without a track
//! lacks nothing below it. A line may be forgotten at any time: the next that is heard of its conversation begins it
//! again, from a *roster* of how far each member is.

use crate::Now;
use crate::bus::{BusOrder, Channel, News};
use crate::contract::node::{End, Roster};
use crate::contract::{self, Read};
use crate::delivery;
use crate::effect::Effects;
use crate::limits::{FEED_BYTES, FEED_MESSAGES, HELD_MAX, HOLE_MS, LINE_KEPT_MS, TICK_MS};
use crate::map::{Map, map};
use crate::parked::Stage;
use crate::session::{Behind, Track};
use crate::state::State;
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::message;
use wire::{ConversationId, ConversationKind, Message, Push, Seq, UserId};

/// A message on its way to the members here.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub message: Arc<Message>,
    /// All members as of its commit, if they came along.
    pub members: Option<Arc<[UserId]>>,
    pub member_version: u32,
}

/// How far a conversation was delivered to its members here.
#[derive(Debug)]
struct Line {
    settled: Seq,
    /// The latest message known to be there.
    seen: Seq,
    members: Arc<[UserId]>,
    member_version: u32,
    /// The latest version of the members that was heard of.
    wanted_version: u32,
    held: BTreeMap<Seq, Arrival>,
    reading: Reading,
    /// Of the read under way.
    serial: u32,
    /// Whether it is on the list of what is due.
    due: bool,
    touched: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Nothing,
    Roster,
    Timeline,
}

#[derive(Debug)]
pub(crate) struct Lines {
    lines: Map<ConversationId, Line>,
    /// Lines with a hole, and when to read the timeline for it.
    due: BTreeMap<(u64, ConversationId), ()>,
    serial: u32,
}

impl Lines {
    pub fn new(seed: u64) -> Lines {
        Lines { lines: map(seed), due: BTreeMap::new(), serial: 0 }
    }

    /// When [`timeout`] has something to do.
    pub fn next(&self) -> Option<u64> {
        self.due.keys().next().map(|(at, _)| *at)
    }

    /// Forgets lines that were not used for long.
    pub fn sweep(&mut self, now: u64) {
        self.lines.retain(|_, line| {
            line.touched + LINE_KEPT_MS > now || line.reading != Reading::Nothing || line.due
        });
    }

    /// The members of a conversation have changed, nobody knows how: they are read before anything else is delivered.
    pub fn members_changed(&mut self, conversation: ConversationId) {
        if let Some(line) = self.lines.get_mut(&conversation) {
            line.member_version = 0;
            line.wanted_version = line.wanted_version.max(1);
        }
    }

    fn later(&mut self, conversation: ConversationId, at: u64) {
        if let Some(line) = self.lines.get_mut(&conversation)
            && !std::mem::replace(&mut line.due, true)
        {
            self.due.insert((at, conversation), ());
        }
    }
}

/// This node has stored a message: others hear of it, and the members here get it in its order.
pub(crate) fn stored(state: &mut State, now: Now, arrival: Arrival, fx: &mut Effects) {
    let Arrival { message, members, member_version } = &arrival;
    let channel = match message.kind {
        ConversationKind::Group => Some(Channel::Group(message.conversation)),
        ConversationKind::Direct => {
            let mut members = members.iter().flat_map(|members| members.iter());
            members.find(|&&member| member != message.from).map(|&peer| Channel::User(peer))
        }
    };
    if let Some(channel) = channel {
        let (push, member_version) =
            (Push::Message(message::Push::New(Arc::clone(message))), *member_version);
        fx.bus.push(BusOrder::Publish { channel, news: News::Push { push, member_version } });
    }
    heard(state, now, arrival, fx);
}

/// There is a message, here or from another node.
pub(crate) fn heard(state: &mut State, now: Now, arrival: Arrival, fx: &mut Effects) {
    let (conversation, seq) = (arrival.message.conversation, arrival.message.seq);
    let Some(cluster) = &mut state.cluster else { return };
    let Some(line) = cluster.lines.lines.get_mut(&conversation) else {
        return first_heard(state, now, arrival, fx);
    };
    line.touched = now.monotonic;
    if seq <= line.settled {
        return;
    }
    line.seen = line.seen.max(seq);
    line.wanted_version = line.wanted_version.max(arrival.member_version);
    let continues = line.reading == Reading::Nothing && seq == line.settled.next();
    let known = arrival.member_version <= line.member_version;
    if continues && (known || arrival.members.is_some()) && line.held.is_empty() {
        if !known && let Some(members) = arrival.members {
            (line.members, line.member_version) = (members, arrival.member_version);
        }
        line.settled = seq;
        let members = Arc::clone(&line.members);
        return delivery::deliver(state, now, &arrival.message, &members, None, fx);
    }
    if line.held.len() < HELD_MAX {
        line.held.insert(seq, arrival);
    }
    go_on(state, now, conversation, now.monotonic + HOLE_MS, fx);
}

/// The first that is heard of a conversation, or after its line was forgotten.
fn first_heard(state: &mut State, now: Now, arrival: Arrival, fx: &mut Effects) {
    let Arrival { message, members, member_version } = &arrival;
    if let Some(members) = members {
        let here = |member: &&UserId| state.sessions.is_online(**member);
        if !members.iter().any(|member| *member != message.from && here(&member)) {
            return delivery::note_sent(state, message, members);
        }
        // A conversation that begins: nobody can lack anything.
        if message.seq == Seq(1) {
            let (members, version) = (Arc::clone(members), *member_version);
            let line = new_line(Seq(0), message.seq, members, version, now.monotonic);
            if let Some(cluster) = &mut state.cluster {
                cluster.lines.lines.insert(message.conversation, line);
            }
            return heard(state, now, arrival, fx);
        }
    }
    let (conversation, seq) = (message.conversation, message.seq);
    begin(state, now, conversation, seq, fx);
    if let Some(cluster) = &mut state.cluster
        && let Some(line) = cluster.lines.lines.get_mut(&conversation)
    {
        line.wanted_version = line.wanted_version.max(arrival.member_version);
        line.held.insert(seq, arrival);
    }
}

fn new_line(settled: Seq, seen: Seq, members: Arc<[UserId]>, member_version: u32, now: u64) -> Line {
    Line {
        settled,
        seen,
        members,
        member_version,
        wanted_version: member_version,
        held: BTreeMap::new(),
        reading: Reading::Nothing,
        serial: 0,
        due: false,
        touched: now,
    }
}

fn begin(state: &mut State, now: Now, conversation: ConversationId, seen: Seq, fx: &mut Effects) {
    let Some(cluster) = &mut state.cluster else { return };
    // Until there is a roster, its members are unknown.
    let line = Line { wanted_version: 1, ..new_line(Seq(0), seen, Arc::from([]), 0, now.monotonic) };
    cluster.lines.lines.insert(conversation, line);
    read(state, now, conversation, Reading::Roster, fx);
}

/// The database says where a conversation ends that a member here lacks something of.
pub(crate) fn ended(state: &mut State, now: Now, end: End, fx: &mut Effects) {
    let Some(cluster) = &mut state.cluster else { return };
    let Some(line) = cluster.lines.lines.get_mut(&end.conversation) else {
        return begin(state, now, end.conversation, end.last, fx);
    };
    line.touched = now.monotonic;
    line.seen = line.seen.max(end.last);
    line.wanted_version = line.wanted_version.max(end.member_version);
    go_on(state, now, end.conversation, now.monotonic, fx);
}

/// Delivers what is held and continues; reads the timeline at `hole_at` for what does not.
fn go_on(state: &mut State, now: Now, conversation: ConversationId, hole_at: u64, fx: &mut Effects) {
    let mut ready: Vec<(Arc<Message>, Arc<[UserId]>)> = Vec::new();
    let Some(cluster) = &mut state.cluster else { return };
    let Some(line) = cluster.lines.lines.get_mut(&conversation) else { return };
    if line.reading != Reading::Nothing {
        return;
    }
    let mut stale = false;
    while let Some(first) = line.held.first_entry()
        && *first.key() <= line.settled.next()
    {
        let known = first.get().member_version <= line.member_version;
        if !known && first.get().members.is_none() {
            stale = true;
            break;
        }
        let (seq, arrival) = first.remove_entry();
        if seq <= line.settled {
            continue;
        }
        if !known && let Some(members) = arrival.members {
            (line.members, line.member_version) = (members, arrival.member_version);
        }
        line.settled = seq;
        ready.push((arrival.message, Arc::clone(&line.members)));
    }
    let lacks = line.settled < line.seen;
    if stale || (line.member_version < line.wanted_version && !lacks) {
        read(state, now, conversation, Reading::Roster, fx);
    } else if lacks {
        cluster.lines.later(conversation, hole_at);
    }
    for (message, members) in ready {
        delivery::deliver(state, now, &message, &members, None, fx);
    }
}

/// Reads for the holes that have not closed by themselves.
pub(crate) fn timeout(state: &mut State, now: Now, fx: &mut Effects) {
    while let Some(cluster) = &mut state.cluster
        && let Some(first) = cluster.lines.due.first_entry()
        && first.key().0 <= now.monotonic
    {
        let ((_, conversation), ()) = first.remove_entry();
        let Some(line) = cluster.lines.lines.get_mut(&conversation) else { continue };
        line.due = false;
        if line.reading != Reading::Nothing {
            continue;
        }
        if line.member_version < line.wanted_version {
            read(state, now, conversation, Reading::Roster, fx);
        } else if line.settled < line.seen {
            read(state, now, conversation, Reading::Timeline, fx);
        }
    }
}

fn read(state: &mut State, now: Now, conversation: ConversationId, reading: Reading, fx: &mut Effects) {
    let Some(cluster) = &mut state.cluster else { return };
    let lines = &mut cluster.lines;
    let Some(line) = lines.lines.get_mut(&conversation) else { return };
    lines.serial = lines.serial.wrapping_add(1);
    (line.reading, line.serial) = (reading, lines.serial);
    let (after, serial) = (line.settled, line.serial);
    let read = match reading {
        Reading::Roster => Read::Node(contract::node::Read::Roster { conversation }),
        _ => Read::Timeline(contract::timeline::Read::Feed {
            conversation,
            after,
            limit: FEED_MESSAGES,
            bytes: FEED_BYTES,
        }),
    };
    state.read(now, None, Stage::Line { conversation, serial }, read, fx);
}

/// The line that a read was for, if nothing has happened to it since.
fn done_reading(state: &mut State, conversation: ConversationId, serial: u32) -> Option<&mut Line> {
    let line = state.cluster.as_mut()?.lines.lines.get_mut(&conversation)?;
    if line.serial != serial || line.reading == Reading::Nothing {
        return None;
    }
    line.reading = Reading::Nothing;
    Some(line)
}

/// The timeline has answered.
pub(crate) fn fed(
    state: &mut State,
    now: Now,
    (conversation, serial): (ConversationId, u32),
    (messages, more): (Vec<Arc<Message>>, bool),
    fx: &mut Effects,
) {
    let Some(line) = done_reading(state, conversation, serial) else { return };
    if line.member_version < line.wanted_version {
        return read(state, now, conversation, Reading::Roster, fx);
    }
    let before = line.settled;
    let fresh = messages.into_iter().filter(|message| message.seq > before);
    let fresh: Vec<Arc<Message>> = fresh.collect();
    if let Some(last) = fresh.last() {
        line.settled = last.seq;
    }
    if more {
        line.seen = line.seen.max(line.settled.next());
    }
    let (members, progress) = (Arc::clone(&line.members), !fresh.is_empty());
    for message in fresh {
        delivery::deliver(state, now, &message, &members, None, fx);
    }
    // Storage may know of a message that it did not show: ask again, but not in a circle.
    let again = if progress { now.monotonic } else { now.monotonic + TICK_MS };
    go_on(state, now, conversation, again, fx);
}

/// The database could not be read: again in a while.
pub(crate) fn read_failed(state: &mut State, now: Now, (conversation, serial): (ConversationId, u32)) {
    if let Some(line) = done_reading(state, conversation, serial) {
        debug_assert!(line.settled < line.seen || line.member_version < line.wanted_version);
        if let Some(cluster) = &mut state.cluster {
            cluster.lines.later(conversation, now.monotonic + TICK_MS);
        }
    }
}

/// How far each member is: from here on the line knows what all of those here have.
///
/// Who has a track is where it says. Who has none has acknowledged all that was pushed, so the cursor says it; but a
/// cursor that was read before the session began, or before its tracks were cleared away, says nothing, and the roster is read
/// again.
pub(crate) fn roster_known(
    state: &mut State,
    now: Now,
    (conversation, serial): (ConversationId, u32),
    issued: u64,
    roster: Option<Roster>,
    fx: &mut Effects,
) {
    if done_reading(state, conversation, serial).is_none() {
        return;
    }
    let Some(roster) = roster else {
        if let Some(cluster) = &mut state.cluster {
            cluster.lines.lines.remove(&conversation);
        }
        return;
    };
    let members: Arc<[UserId]> = roster.members.iter().map(|(user, _)| *user).collect();
    let mut settled = roster.last;
    let mut places = Vec::new();
    for &(user, delivered) in &roster.members {
        let Some((_, session)) = state.sessions.of_mut(user) else { continue };
        match session.find(conversation) {
            Ok(at) => {
                let track = &session.tracks[at];
                if track.behind.is_none() {
                    settled = settled.min(track.pushed);
                }
            }
            // Until its own listing is there, what is offered to it is only noted.
            Err(_) if session.joining.is_some() || session.unread_after.is_some() => {}
            Err(_) if issued <= session.since => {
                return read(state, now, conversation, Reading::Roster, fx);
            }
            Err(_) => {
                let delivered = state.cursors.lay_over(conversation, user, (delivered, Seq(0))).0;
                if !is_far(&roster, delivered) {
                    settled = settled.min(delivered);
                }
                places.push((user, delivered));
            }
        }
    }
    for (user, delivered) in places {
        if settled < roster.last || is_far(&roster, delivered) {
            place(state, now, &roster, conversation, (user, delivered), &members, fx);
        }
    }
    let Some(cluster) = &mut state.cluster else { return };
    let Some(line) = cluster.lines.lines.get_mut(&conversation) else { return };
    line.settled = settled;
    line.seen = line.seen.max(roster.last);
    line.members = members;
    line.member_version = roster.member_version;
    line.wanted_version = line.wanted_version.max(roster.member_version);
    go_on(state, now, conversation, now.monotonic, fx);
}

/// Whether a member lacks so much that it is fed by itself.
fn is_far(roster: &Roster, delivered: Seq) -> bool {
    roster.last.0.saturating_sub(delivered.0) > u64::from(FEED_MESSAGES)
}

/// Gives a member without a track the one that its cursor says.
fn place(
    state: &mut State,
    now: Now,
    roster: &Roster,
    conversation: ConversationId,
    (user, delivered): (UserId, Seq),
    members: &[UserId],
    fx: &mut Effects,
) {
    let Some((key, session)) = state.sessions.of_mut(user) else { return };
    let direct = roster.kind == ConversationKind::Direct;
    let peer = if direct { members.iter().copied().find(|&member| member != user) } else { None };
    let far = is_far(roster, delivered);
    // All that earlier sessions sent was delivered to this one, or is in a track: what is above was sent on this one.
    let behind = Behind { seen: roster.last, own_above: delivered, guessed: false };
    let track = session
        .track_or_insert(conversation, |_| Track::new(conversation, peer, delivered, far.then_some(behind)));
    track.acked = track.acked.max(delivered);
    if !session.warm {
        session.warm = true;
        state.warm.push(key);
    }
    delivery::feed(state, now, key, fx);
}
