//! Conversations as LOGIN and CONVERSATIONS list them.

use super::{Conversation, FakeServer, ME};
use wire::timeline::{ConversationSummary, LastMessage};
use wire::{ConversationId, ConversationKind, Seq, UnixMillis, UserId};

impl FakeServer {
    pub(super) fn entries(&self) -> Vec<ConversationSummary> {
        let entry = |(id, c): (&u32, &Conversation)| {
            let after = Seq(c.read.max(c.first - 1));
            let above = c.messages.iter().filter(|message| message.seq > after);
            let theirs = above.filter(|message| message.is_message() && message.from != ME);
            let theirs = theirs.filter(|message| message.recalled().is_none());
            let last = c.messages.iter().rfind(|message| message.is_message());
            ConversationSummary {
                peer: (c.kind == ConversationKind::Direct).then_some(UserId(*id)),
                name: self.names.user(*id),
                last_seq: Seq(c.messages.len() as u64),
                first_seq: Seq(c.first),
                delivered_seq: Seq(c.delivered),
                read_seq: Seq(c.read),
                time: c.messages.last().map_or(UnixMillis(0), |last| last.time),
                pinned: c.settings.pinned,
                muted: c.settings.muted,
                hidden: c.settings.hidden,
                unread: theirs.clone().count() as u64,
                last: last.filter(|_| self.with_last).map(|last| Box::new(LastMessage::from(&**last))),
                mentions: theirs.filter(|message| message.mentions(ME)).count() as u64,
                ..ConversationSummary::new(ConversationId(*id), c.kind)
            }
        };
        self.conversations.iter().map(entry).collect()
    }
}
