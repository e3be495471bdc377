//! Sessions: the logged-in user, the connection, and how far each conversation was pushed to it. An account may have
//! several, which are linked, the newest first.

use super::capabilities::Capabilities;
use super::cursors::Cursors;
use super::own_sent::OwnSent;
use super::rates::Buckets;
use crate::conn::ConnId;
use crate::contract::presence::SetStatus;
use crate::contract::{Epoch, Fence, Ticket, TokenHash};
use crate::limits::FRAME_OVERHEAD;
use crate::map::{Map, map};
use slab::Slab;
use smallvec::SmallVec;
use std::sync::Arc;
use wire::session::ClientKind;
use wire::{ConversationId, Message, Push, Seq, UserId};

/// The place of a session, or the end of a list of sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(u32);

impl Slot {
    const NONE: Slot = Slot(u32::MAX);
}

/// What a client calls itself, hashed; with its token, what tells it from the account's other clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DeviceHash(pub u64);

/// A session, by its slot and a serial number that distinguishes it from earlier sessions in the same slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SessionRef {
    slot: u32,
    serial: u32,
}

#[derive(Debug)]
pub(crate) struct Session {
    pub user: UserId,
    pub conn: ConnId,
    pub name: Arc<str>,
    pub token: TokenHash,
    pub device: DeviceHash,
    /// What the client is.
    pub kind: ClientKind,
    /// What it shows to friends; `None`: it has not set anything.
    pub status: Option<Box<SetStatus>>,
    /// Its number among the account's sessions; [`Epoch::NONE`] on a single node.
    pub epoch: Epoch,
    /// The account's next older session on this node.
    pub next: Slot,
    /// Whether it is the account's newest one on this node, whose `buckets` are those of all.
    is_newest: bool,
    /// Whether the account may have sessions on other nodes.
    pub is_shared: bool,
    /// Groups whose channels its node subscribes to on its behalf; empty on a single node.
    pub groups: Vec<ConversationId>,
    /// Monotonic ms. For a conversation without a track, a cursor that was read from storage before this time is stale.
    pub since: u64,
    buckets: Buckets,
    /// Messages that were sent on this connection, as far as they may still be found in a timeline that is read for it.
    pub own: OwnSent,
    /// Set until LOGIN is answered.
    pub login: Option<Box<PendingLogin>>,
    /// Conversations with recent pushes and those that are behind, sorted by id. Empty for an idle session.
    pub tracks: Vec<Track>,
    /// Messages pushed and not acknowledged, in all conversations together.
    pub unacked: u32,
    /// Bytes sent to the connection since its output was last known to be drained.
    pub output: u32,
    /// Whether the connection was asked to report when its output has drained.
    pub awaits_drained: bool,
    /// Whether it has yet to receive what it missed before it began.
    pub is_catching_up: bool,
    /// Where the listing of conversations that are behind continues; while this is `Some`, a conversation without a
    /// track may be behind.
    pub unread_after: Option<ConversationId>,
    /// The conversation that was fed last, for the round-robin order.
    pub fed_last: ConversationId,
    /// Whether it is listed for the next sweep.
    pub is_listed: bool,
    pub capabilities: Capabilities,
    serial: u32,
}

/// A login whose session exists and whose reply is not sent yet.
#[derive(Debug)]
pub(crate) struct PendingLogin {
    /// The ticket of its pending request.
    pub ticket: Ticket,
    /// Pushes that must come after the reply, or with it.
    pub held: Vec<Push>,
    /// Whether missed messages are being read before the reply, which includes them.
    pub gathers_missed: bool,
    /// Whether the user was present before, so that friends do not see the user come.
    pub was_present: bool,
    /// Whether the user was present before and shows something else with this session.
    pub changes_status: bool,
    /// Whether it resumes the previous session.
    pub resumed: bool,
}

/// How far one conversation was pushed to one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Track {
    pub conversation: ConversationId,
    /// The peer of a direct chat.
    pub peer: Option<UserId>,
    /// Everything up to here was pushed, or was sent by this connection.
    pub pushed: Seq,
    /// The last message that was pushed: those up to `pushed` and above it were sent by this connection or passed over.
    pub sent: Seq,
    /// The highest seq known to be acknowledged by the client.
    pub acked: Seq,
    /// The highest seq known to be read by the client.
    pub read: Seq,
    /// Messages pushed here and not acknowledged.
    pub unacked: u32,
    /// Whether the user is no member any more: the last entry that it sees is on its way, or was pushed.
    pub has_left: bool,
    /// Set while the conversation is fed from its timeline.
    pub behind: Option<Behind>,
}

impl Track {
    /// A track in which everything up to `pushed` counts as pushed and acknowledgements are unknown.
    pub fn new(
        conversation: ConversationId,
        peer: Option<UserId>,
        pushed: Seq,
        behind: Option<Behind>,
    ) -> Track {
        Track {
            conversation,
            peer,
            pushed,
            sent: Seq(0),
            acked: Seq(0),
            read: Seq(0),
            unacked: 0,
            has_left: false,
            behind,
        }
    }
}

/// The state of a conversation that is behind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Behind {
    /// The latest message known to exist.
    pub seen: Seq,
    /// Whether `pushed` is a guess until all unread conversations are listed.
    pub is_guess: bool,
}

/// The initial state of a session.
#[derive(Debug)]
pub(crate) struct NewSession {
    pub user: UserId,
    pub conn: ConnId,
    pub name: Arc<str>,
    pub token: TokenHash,
    pub device: DeviceHash,
    pub kind: ClientKind,
    pub status: Option<Box<SetStatus>>,
    pub epoch: Epoch,
    pub is_shared: bool,
    pub capabilities: Capabilities,
    pub login: PendingLogin,
    /// When the session begins, monotonic ms.
    pub since: u64,
}

/// All sessions, by slot and by user.
#[derive(Debug)]
pub(crate) struct Sessions {
    slots: Slab<Session>,
    /// The newest session of each user who is online.
    online: Map<UserId, Slot>,
    serial: u32,
}

impl Sessions {
    pub fn new(seed: u64) -> Sessions {
        Sessions { slots: Slab::new(), online: map(seed), serial: 0 }
    }

    /// Adds a session. `buckets`: those of the account, if it had no session here.
    pub fn insert(&mut self, new: NewSession, buckets: impl FnOnce() -> Buckets) -> SessionRef {
        let NewSession {
            user,
            conn,
            name,
            token,
            device,
            kind,
            status,
            epoch,
            mut is_shared,
            capabilities,
            login,
            since,
        } = new;
        self.serial = self.serial.wrapping_add(1);
        let next = self.head(user);
        let buckets = match self.slots.get_mut(next.0 as usize) {
            Some(older) => {
                older.is_newest = false;
                is_shared |= older.is_shared;
                std::mem::take(&mut older.buckets)
            }
            None => buckets(),
        };
        let slot = self.slots.insert(Session {
            user,
            conn,
            name,
            token,
            device,
            kind,
            status,
            epoch,
            next,
            is_newest: true,
            is_shared,
            groups: Vec::new(),
            since,
            buckets,
            own: OwnSent::default(),
            login: Some(Box::new(login)),
            tracks: Vec::new(),
            unacked: 0,
            output: 0,
            awaits_drained: false,
            is_catching_up: true,
            unread_after: None,
            fed_last: ConversationId(0),
            is_listed: false,
            capabilities,
            serial: self.serial,
        }) as u32;
        self.online.insert(user, Slot(slot));
        SessionRef { slot, serial: self.serial }
    }

    /// Removes a session, with the account's buckets if it was its last one here.
    pub fn remove(&mut self, session: SessionRef) -> Option<(Session, Option<Buckets>)> {
        let (user, next) = self.get(session).map(|live| (live.user, live.next))?;
        let newer = self.of(user).find(|(_, live)| live.next == Slot(session.slot)).map(|(key, _)| key);
        match newer.and_then(|newer| self.get_mut(newer)) {
            Some(newer) => newer.next = next,
            None if next == Slot::NONE => {
                self.online.remove(&user);
            }
            None => {
                self.online.insert(user, next);
            }
        }
        let removed = self.slots.remove(session.slot as usize);
        let is_last = removed.is_newest && next == Slot::NONE;
        if removed.is_newest
            && let Some(older) = self.slots.get_mut(next.0 as usize)
        {
            older.is_newest = true;
            older.buckets = removed.buckets;
        }
        let buckets = is_last.then_some(removed.buckets);
        Some((removed, buckets))
    }

    pub fn get(&self, session: SessionRef) -> Option<&Session> {
        self.slots.get(session.slot as usize).filter(|s| s.serial == session.serial)
    }

    pub fn get_mut(&mut self, session: SessionRef) -> Option<&mut Session> {
        self.slots.get_mut(session.slot as usize).filter(|s| s.serial == session.serial)
    }

    /// The session of a request's caller.
    ///
    /// # Panics If the session has ended. A request cannot arrive then, as the session is removed from its connection
    /// in the same step.
    pub fn of_caller(&mut self, session: SessionRef) -> &mut Session {
        self.get_mut(session).expect("a connection's session ends with it")
    }

    /// Where a user's list of sessions begins.
    pub fn head(&self, user: UserId) -> Slot {
        self.online.get(&user).copied().unwrap_or(Slot::NONE)
    }

    /// The session at a place of a list; `None` at its end.
    pub fn at_mut(&mut self, slot: Slot) -> Option<(SessionRef, &mut Session)> {
        let session = self.slots.get_mut(slot.0 as usize)?;
        Some((SessionRef { slot: slot.0, serial: session.serial }, session))
    }

    /// The sessions of a user, the newest first.
    pub fn of(&self, user: UserId) -> impl Iterator<Item = (SessionRef, &Session)> {
        let at = |slot: Slot| {
            let session = self.slots.get(slot.0 as usize)?;
            Some((SessionRef { slot: slot.0, serial: session.serial }, session))
        };
        std::iter::successors(at(self.head(user)), move |(_, session)| at(session.next))
    }

    /// The same, as of now.
    pub fn keys_of(&self, user: UserId) -> SmallVec<[SessionRef; 4]> {
        self.of(user).map(|(key, _)| key).collect()
    }

    /// The budgets of the account of a session.
    pub fn buckets_of(&mut self, session: SessionRef) -> Option<&mut Buckets> {
        let live = self.get(session)?;
        let slot = if live.is_newest { session.slot } else { self.head(live.user).0 };
        self.slots.get_mut(slot as usize).map(|newest| &mut newest.buckets)
    }

    /// Whether the account may have sessions on other nodes.
    pub fn is_shared(&self, user: UserId) -> bool {
        self.of(user).next().is_some_and(|(_, session)| session.is_shared)
    }

    /// Whether the account has sessions beside one of this node, here or on other nodes.
    pub fn has_several(&self, user: UserId) -> bool {
        let mut sessions = self.of(user);
        sessions.next().is_some_and(|(_, session)| session.is_shared || session.next != Slot::NONE)
    }

    /// Notes that the account may have sessions on other nodes. Returns whether it has one here that was not known to.
    pub fn share(&mut self, user: UserId) -> bool {
        let (mut slot, mut is_news) = (self.head(user), false);
        while let Some((_, session)) = self.at_mut(slot) {
            is_news |= !std::mem::replace(&mut session.is_shared, true);
            slot = session.next;
        }
        is_news
    }

    pub fn is_online(&self, user: UserId) -> bool {
        self.online.contains_key(&user)
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// All sessions as of now.
    pub fn keys(&self) -> Vec<SessionRef> {
        let key =
            |(slot, session): (usize, &Session)| SessionRef { slot: slot as u32, serial: session.serial };
        self.slots.iter().map(key).collect()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Session> {
        self.slots.iter().map(|(_, session)| session)
    }

    /// Notes which request is pending for a login.
    pub fn set_login_ticket(&mut self, session: SessionRef, ticket: Ticket) {
        if let Some(login) = self.get_mut(session).and_then(|live| live.login.as_mut()) {
            login.ticket = ticket;
        }
    }
}

impl Session {
    /// Counts a pushed message towards the bounds of output.
    pub fn count_output(&mut self, message: &Message) {
        if self.capabilities.bounds_output() {
            self.output += (message.content.len() + FRAME_OVERHEAD) as u32;
        }
    }

    /// The track of a conversation, if there is one.
    pub fn track_mut(&mut self, conversation: ConversationId) -> Option<&mut Track> {
        let at = self.find(conversation).ok()?;
        Some(&mut self.tracks[at])
    }

    /// The track of a conversation, created if there is none.
    // Runs once for each receiver of a message, and nearly always finds one.
    #[inline]
    pub fn track_or_insert(
        &mut self,
        conversation: ConversationId,
        new: impl FnOnce(&Session) -> Track,
    ) -> &mut Track {
        let at = match self.find(conversation) {
            Ok(at) => at,
            Err(at) => {
                self.tracks.insert(at, new(self));
                at
            }
        };
        &mut self.tracks[at]
    }

    /// The index of a conversation's track, or where it would be inserted.
    pub fn find(&self, conversation: ConversationId) -> Result<usize, usize> {
        self.tracks.binary_search_by_key(&conversation, |track| track.conversation)
    }

    /// The client acknowledged the conversation of `tracks[at]` up to `seq`.
    pub fn acknowledge(&mut self, at: usize, seq: Seq) {
        let track = &mut self.tracks[at];
        // Own messages count as pushed but need no acknowledgement, so this is an upper bound.
        let left = track.sent.0.saturating_sub(seq.0).min(u64::from(track.unacked)) as u32;
        self.unacked -= track.unacked - left;
        track.unacked = left;
        track.acked = track.acked.max(seq);
    }

    /// Moves the stored cursors past the messages that were sent on this connection above everything that its client has
    /// acknowledged: without the track, they would be pushed to it.
    pub fn pass_own(&mut self, cursors: &mut Cursors) {
        let mover = Fence { user: self.user, epoch: self.epoch };
        for track in self.tracks.iter_mut().filter(|track| track.behind.is_none() && track.unacked == 0) {
            let known = track.acked.max(track.sent);
            if known > Seq(0) && known < track.pushed {
                cursors.pass(mover, track.conversation, known.next()..=track.pushed);
                track.acked = track.pushed;
            }
        }
    }

    /// Drops the tracks whose state storage also has, and frees their memory. Tracks for which `is_needed` returns true
    /// are kept.
    pub fn sweep(&mut self, now: u64, is_needed: impl Fn(UserId, &Track) -> bool) {
        let (user, before) = (self.user, self.tracks.len());
        self.tracks.retain(|track| track.behind.is_some() || track.unacked > 0 || is_needed(user, track));
        if self.tracks.len() < before {
            self.since = now;
            self.tracks.shrink_to_fit();
        }
        let tracks = &self.tracks;
        let is_behind = |conversation| {
            let at = tracks.binary_search_by_key(&conversation, |track: &Track| track.conversation);
            at.is_ok_and(|at| tracks[at].behind.is_some())
        };
        self.own.sweep(now, is_behind);
    }

    /// Lists it for the next sweep.
    pub fn list_for_sweep(&mut self, key: SessionRef, with_tracks: &mut Vec<SessionRef>) {
        if !self.is_listed {
            self.is_listed = true;
            with_tracks.push(key);
        }
    }
}

// The memory of an idle session in addition to its connection; only its name is on the heap.
const _: () = assert!(size_of::<Session>() <= 208);
