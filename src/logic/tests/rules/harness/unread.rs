//! The conversations of a user as the storage of the harness lists them, with their unread messages.

use super::storage::peer;
use super::{Conversation, Harness};
use logic::contract::timeline::{Counted, CountedRange, UnreadCount};
use wire::timeline::{ConversationSummary, LastMessage};
use wire::{ConversationId, Seq, UserId};

impl Harness {
    pub(super) fn summaries(&self, user: UserId, with_last: bool) -> Vec<ConversationSummary> {
        let summary = |(of, id): (&Conversation, u32)| {
            let (delivered_seq, read_seq) = *of.cursors.get(&user)?;
            let (conversation, last_seq) = (ConversationId(id), Seq(of.messages.len() as u64));
            let last = of.messages.iter().rfind(|entry| entry.is_message());
            let Counted { first, count: UnreadCount { unread, mentions, more } } =
                self.count(user, &CountedRange { conversation, after: read_seq, last: last_seq })?;
            Some(ConversationSummary {
                peer: peer(of, user),
                last_seq,
                first_seq: first,
                delivered_seq,
                read_seq,
                unread,
                unread_more: more,
                mentions,
                last: last.filter(|_| with_last).map(|last| Box::new(LastMessage::from(&**last))),
                ..ConversationSummary::new(conversation, of.kind)
            })
        };
        self.conversations.iter().zip(1..).filter_map(summary).collect()
    }

    pub(super) fn count(&self, user: UserId, range: &CountedRange) -> Option<Counted> {
        let of = self.conversations.get(range.conversation.0 as usize - 1)?;
        of.members.binary_search(&user).ok()?;
        let first = of.joined.get(&user).copied().unwrap_or_default().next();
        let after = range.after.max(first.prev());
        let within = of.messages.iter().filter(|entry| entry.seq > after && entry.seq <= range.last);
        let counted = within.filter(|entry| entry.is_message() && entry.from != user);
        let mentions = counted.clone().filter(|entry| entry.mentions(user)).count() as u64;
        let count = UnreadCount { unread: counted.count() as u64, mentions, more: false };
        Some(Counted { first, count })
    }
}
