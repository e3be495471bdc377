//! CONVERSATIONS of the fake server.

use super::FakeServer;
use wire::timeline::{ConversationsPage, Reply as TimelineReply};
use wire::{ConversationId, Reply, UnixMillis};

impl FakeServer {
    pub(super) fn conversation_page(&self, before: Option<(UnixMillis, ConversationId)>) -> Reply {
        let entries: Vec<_> = self.entries().into_iter().rev().collect();
        let rest = entries.into_iter().filter(|e| before.is_none_or(|(_, id)| e.conversation < id));
        let mut rest: Vec<_> = rest.collect();
        let more = rest.len() > self.page;
        rest.truncate(self.page);
        TimelineReply::Conversations(Box::new(ConversationsPage { conversations: rest, more })).into()
    }
}
