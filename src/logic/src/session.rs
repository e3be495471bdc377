//! Sessions: who is logged in, on which connection, and how far each was served.

use crate::conn::ConnId;
use crate::contract::{Epoch, Ticket, TokenHash};
use crate::limits::{FRAME_OVERHEAD, LEGACY_WINDOW};
use crate::map::{Map, map};
use crate::rate::Bucket;
use slab::Slab;
use std::sync::Arc;
use wire::limits::UNACKED_MAX;
use wire::{ConversationId, Message, Push, Seq, UserId};

/// A session, by slot and life of the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SessionRef {
    slot: u32,
    serial: u32,
}

/// A login that is in force.
#[derive(Debug)]
pub(crate) struct Session {
    pub user: UserId,
    pub conn: ConnId,
    pub name: Arc<str>,
    pub token: TokenHash,
    /// Its number, where several nodes share the database.
    pub epoch: Epoch,
    /// Groups that its node listens to for it.
    pub groups: Vec<ConversationId>,
    /// A cursor that was read before this, monotonic ms, says nothing of where a conversation without a track stands.
    pub since: u64,
    pub bucket: Bucket,
    /// While the reply to LOGIN is being made: its ticket, and pushes that must come after it.
    pub joining: Option<Box<Joining>>,
    /// Conversations in which something was pushed lately or which are behind, by id. Empty for an idle session.
    pub tracks: Vec<Track>,
    /// Messages pushed and not acknowledged, in all conversations together.
    pub unacked: u32,
    /// Bytes ordered since the connection was last known to have written everything.
    pub output: u32,
    /// Whether the connection was asked to say when it has.
    pub drain_asked: bool,
    /// Whether a read for this session is under way.
    pub feeding: bool,
    /// Where to go on reading which conversations are behind; while this is `Some`, a conversation without a track
    /// may be behind.
    pub unread_after: Option<ConversationId>,
    /// The conversation that was fed last, so that all get their turn.
    pub fed: ConversationId,
    /// Whether it is on the list of those to be swept.
    pub warm: bool,
    /// Whether its client speaks the legacy dialect: it is told of messages only.
    pub is_legacy: bool,
    serial: u32,
}

/// A session whose LOGIN is not answered yet.
#[derive(Debug)]
pub(crate) struct Joining {
    pub ticket: Ticket,
    pub held: Vec<Push>,
    /// Whether what was missed is being read already, to be told with the reply.
    pub gathers: bool,
    /// Whether the user was present already: nobody sees them come.
    pub back: bool,
    /// Whether it goes on with the session before it.
    pub resumed: bool,
}

/// How far one conversation was pushed to one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Track {
    pub conversation: ConversationId,
    /// The peer of a direct chat.
    pub peer: Option<UserId>,
    /// Everything up to here was pushed, or is the connection's own.
    pub pushed: Seq,
    /// The client acknowledged up to here, as far as is known.
    pub acked: Seq,
    /// The client read up to here, as far as is known.
    pub read: Seq,
    /// Messages pushed here and not acknowledged.
    pub unacked: u32,
    /// If behind: fed from the timeline.
    pub behind: Option<Behind>,
}

impl Track {
    /// A conversation of which everything up to `pushed` is taken for pushed, and nothing is known to be acknowledged.
    pub fn new(
        conversation: ConversationId,
        peer: Option<UserId>,
        pushed: Seq,
        behind: Option<Behind>,
    ) -> Track {
        Track { conversation, peer, pushed, acked: Seq(0), read: Seq(0), unacked: 0, behind }
    }
}

/// Where a conversation that is behind stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Behind {
    /// The latest message known to be there.
    pub seen: Seq,
    /// The user's own messages above this were sent on this very connection and are not pushed to it.
    pub own_above: Seq,
    /// Whether `pushed` is a guess until all unread conversations are listed.
    pub guessed: bool,
}

/// All sessions, by slot and by user.
#[derive(Debug)]
pub(crate) struct Sessions {
    slots: Slab<Session>,
    online: Map<UserId, u32>,
    serial: u32,
}

impl Sessions {
    pub fn new(seed: u64) -> Sessions {
        Sessions { slots: Slab::new(), online: map(seed), serial: 0 }
    }

    /// Adds a session; the user must have none.
    pub fn insert(
        &mut self,
        user: UserId,
        conn: ConnId,
        name: Arc<str>,
        (token, epoch): (TokenHash, Epoch),
        bucket: Bucket,
        now: u64,
    ) -> SessionRef {
        self.serial = self.serial.wrapping_add(1);
        let slot = self.slots.insert(Session {
            user,
            conn,
            name,
            token,
            epoch,
            groups: Vec::new(),
            since: now,
            bucket,
            joining: None,
            tracks: Vec::new(),
            unacked: 0,
            output: 0,
            drain_asked: false,
            feeding: false,
            unread_after: None,
            fed: ConversationId(0),
            warm: false,
            is_legacy: false,
            serial: self.serial,
        }) as u32;
        let before = self.online.insert(user, slot);
        assert!(before.is_none(), "one account, one session");
        SessionRef { slot, serial: self.serial }
    }

    pub fn remove(&mut self, session: SessionRef) -> Option<Session> {
        self.get(session)?;
        let session = self.slots.remove(session.slot as usize);
        self.online.remove(&session.user);
        Some(session)
    }

    pub fn get(&self, session: SessionRef) -> Option<&Session> {
        self.slots.get(session.slot as usize).filter(|s| s.serial == session.serial)
    }

    pub fn get_mut(&mut self, session: SessionRef) -> Option<&mut Session> {
        self.slots.get_mut(session.slot as usize).filter(|s| s.serial == session.serial)
    }

    /// The session of a user who is online.
    pub fn of(&self, user: UserId) -> Option<SessionRef> {
        let slot = *self.online.get(&user)?;
        Some(SessionRef { slot, serial: self.slots[slot as usize].serial })
    }

    /// The same, to change.
    pub fn of_mut(&mut self, user: UserId) -> Option<(SessionRef, &mut Session)> {
        let slot = *self.online.get(&user)?;
        let session = &mut self.slots[slot as usize];
        Some((SessionRef { slot, serial: session.serial }, session))
    }

    pub fn is_online(&self, user: UserId) -> bool {
        self.online.contains_key(&user)
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// All of them as they are now.
    pub fn keys(&self) -> Vec<SessionRef> {
        let key =
            |(slot, session): (usize, &Session)| SessionRef { slot: slot as u32, serial: session.serial };
        self.slots.iter().map(key).collect()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Session> {
        self.slots.iter().map(|(_, session)| session)
    }
}

impl Session {
    /// How many messages may be pushed and not acknowledged.
    pub fn window(&self) -> u32 {
        if self.is_legacy { LEGACY_WINDOW } else { UNACKED_MAX as u32 }
    }

    /// Counts a message that is pushed towards the bounds of output. A legacy client's window alone bounds its output.
    pub fn count_output(&mut self, message: &Message) {
        if !self.is_legacy {
            self.output += (message.content.len() + FRAME_OVERHEAD) as u32;
        }
    }

    /// The track of a conversation, if there is one.
    pub fn track_mut(&mut self, conversation: ConversationId) -> Option<&mut Track> {
        let at = self.find(conversation).ok()?;
        Some(&mut self.tracks[at])
    }

    /// The track of a conversation, made if there is none.
    // A message passes here once for each of its receivers, and nearly always finds one.
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

    /// Where the track of a conversation is, or would be.
    pub fn find(&self, conversation: ConversationId) -> Result<usize, usize> {
        self.tracks.binary_search_by_key(&conversation, |track| track.conversation)
    }

    /// Takes back `count` messages from those that wait for an acknowledgement.
    pub fn acknowledge(&mut self, at: usize, seq: Seq) {
        let track = &mut self.tracks[at];
        // Own messages count as pushed without waiting for anything, so this is an upper bound of what is left.
        let left = track.pushed.0.saturating_sub(seq.0).min(u64::from(track.unacked)) as u32;
        self.unacked -= track.unacked - left;
        track.unacked = left;
        track.acked = track.acked.max(seq);
    }

    /// Drops the tracks that say nothing any more, and their memory; `says` which say something yet.
    pub fn sweep(&mut self, now: u64, says: impl Fn(UserId, &Track) -> bool) {
        let (user, before) = (self.user, self.tracks.len());
        self.tracks.retain(|track| track.behind.is_some() || track.unacked > 0 || says(user, track));
        if self.tracks.len() < before {
            self.since = now;
            self.tracks.shrink_to_fit();
        }
    }
}

// What an idle session costs beside its connection; the name is the only thing it owns on the heap.
const _: () = assert!(size_of::<Session>() <= 192);
