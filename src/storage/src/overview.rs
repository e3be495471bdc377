//! A member's view of a conversation, shared by both stores.

use crate::listing::{Activity, Place};
use crate::unread::{Question, Range};
use logic::contract::timeline::{Standing, Unread, UnreadCount};
use wire::timeline::{ConversationSummary, ConversationView, LastMessage};
use wire::{ConversationId, ConversationKind, Seq, UnixMillis, UserId};

/// Which columns of a row are read besides the usual ones.
#[derive(Clone, Copy, Debug)]
pub struct Columns {
    /// What is unread; otherwise nothing counts.
    pub unread: bool,
    /// The last message.
    pub last: bool,
}

/// A member's view of a conversation.
#[derive(Clone, Copy, Debug)]
pub struct Overview {
    pub conversation: ConversationId,
    pub kind: ConversationKind,
    /// The peer of a direct conversation.
    pub peer: Option<UserId>,
    /// The member itself where these are its notes.
    pub notes_of: Option<UserId>,
    /// The last entry of the timeline.
    pub last: Seq,
    /// The time of the last message.
    pub time: UnixMillis,
    /// The first message that the member may see.
    pub first: Seq,
    /// The member's cursors.
    pub delivered: Seq,
    pub read: Seq,
    pub is_pinned: bool,
    pub is_muted: bool,
    /// The end of the timeline when the member hid the conversation.
    pub hidden_at: Option<Seq>,
    /// The last entry that is a message.
    pub last_message: Seq,
    /// Whether the timeline has entries that were changed.
    pub has_changes: bool,
}

impl Activity for Overview {
    fn place(&self) -> Place {
        (self.time, self.conversation)
    }
}

impl Overview {
    pub fn standing(self) -> Standing {
        let Overview { kind, peer, last, delivered, read, .. } = self;
        Standing { kind, peer, last, has_left: false, delivered, read }
    }

    fn is_hidden(&self) -> bool {
        self.hidden_at.is_some_and(|end| self.last_message <= end)
    }

    /// With the user's cursor `read`, which may not be written yet.
    pub fn read_upto(mut self, read: Seq) -> Overview {
        self.read = self.read.max(read.min(self.last));
        self
    }

    pub fn view(self, count: UnreadCount) -> ConversationView {
        let hidden = self.is_hidden();
        let Overview { conversation, first, last, read, is_pinned, is_muted, .. } = self;
        ConversationView {
            conversation,
            read_seq: read,
            first_seq: first,
            last_seq: last,
            unread: count.unread,
            unread_more: count.more,
            mentions: count.mentions,
            pinned: is_pinned,
            muted: is_muted,
            hidden,
        }
    }

    pub fn unread(self) -> Unread {
        let Overview { conversation, peer, delivered, last, .. } = self;
        Unread { conversation, peer, delivered, last, has_left: false }
    }

    /// How many messages `user` has not read up to the end; `None`: none.
    pub fn unread_question(self, user: UserId) -> Option<Question> {
        let after = self.read.max(self.first.prev());
        // Entries behind the last message do not count.
        if self.last_message <= after {
            return None;
        }
        let range = Range { after, last: self.last };
        Question::of(self.conversation, self.kind, user, self.peer, range, self.has_changes)
    }

    /// The last message that the member sees.
    pub fn last_shown(&self) -> Option<Seq> {
        (self.last_message >= self.first).then_some(self.last_message)
    }

    /// As a row of CONVERSATIONS, with the peer's cursors `[delivered, read]` in a direct conversation.
    pub fn entry(
        self,
        name: Box<str>,
        peer_cursors: [Option<Seq>; 2],
        count: UnreadCount,
        last: Option<LastMessage>,
    ) -> ConversationSummary {
        let [peer_delivered_seq, peer_read_seq] = peer_cursors;
        ConversationSummary {
            conversation: self.conversation,
            kind: self.kind,
            peer: self.peer.or(self.notes_of),
            name,
            last_seq: self.last,
            first_seq: self.first,
            delivered_seq: self.delivered,
            read_seq: self.read,
            time: self.time,
            peer_delivered_seq,
            peer_read_seq,
            pinned: self.is_pinned,
            muted: self.is_muted,
            hidden: self.is_hidden(),
            unread: count.unread,
            unread_more: count.more,
            mentions: count.mentions,
            last: last.map(Box::new),
        }
    }
}
