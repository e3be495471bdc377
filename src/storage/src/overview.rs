//! A conversation as one of its members stands in it, whatever it is read from.

use logic::contract::timeline::{Standing, Unread};
use wire::timeline::ConversationSummary;
use wire::{ConversationId, ConversationKind, Seq, UnixMillis, UserId};

/// A conversation as one of its members stands in it.
#[derive(Clone, Copy, Debug)]
pub struct Overview {
    pub conversation: ConversationId,
    pub kind: ConversationKind,
    /// The peer of a direct chat.
    pub peer: Option<UserId>,
    /// Where the timeline ends.
    pub last: Seq,
    /// When something came last.
    pub time: UnixMillis,
    /// The first message that the member can see.
    pub first: Seq,
    /// Where the member's cursor stands.
    pub delivered: Seq,
    /// Where the member's other cursor stands.
    pub read: Seq,
}

impl Overview {
    /// As logic asks for one.
    pub fn standing(self) -> Standing {
        let Overview { kind, peer, last, delivered, read, .. } = self;
        Standing { kind, peer, last, delivered, read }
    }

    /// As one of those in which the member is behind.
    pub fn unread(self) -> Unread {
        let Overview { conversation, peer, delivered, last, .. } = self;
        Unread { conversation, peer, delivered, last }
    }

    /// As it stands in a listing, under this name; with the peer's cursors in a direct chat.
    pub fn entry(self, name: Box<str>, peer_cursors: [Option<Seq>; 2]) -> ConversationSummary {
        let [peer_delivered_seq, peer_read_seq] = peer_cursors;
        ConversationSummary {
            conversation: self.conversation,
            kind: self.kind,
            peer: self.peer,
            name,
            last_seq: self.last,
            first_seq: self.first,
            delivered_seq: self.delivered,
            read_seq: self.read,
            time: self.time,
            peer_delivered_seq,
            peer_read_seq,
        }
    }
}
