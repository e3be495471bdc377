//! What came while nobody was here, counted as it is shown: only then is it known which of it are own messages.

use super::directory::Chat;
use std::collections::BTreeMap;
use wire::session::LoggedIn;
use wire::{ConversationId, Seq};

/// The messages that a login found and that are not all here yet.
#[derive(Debug, Default)]
pub struct Backlog {
    /// Up to where, for conversations that lack something.
    ends: BTreeMap<ConversationId, Seq>,
    /// Messages of others among them that were shown so far.
    new: u64,
}

impl Backlog {
    /// What there is to come after a login.
    pub fn of(login: &LoggedIn, chats: &BTreeMap<ConversationId, Chat>) -> Backlog {
        let shown = |id| chats.get(id).map_or(Seq(0), |chat| chat.shown);
        let lacking = login.conversations.iter().filter(|entry| entry.last_seq > shown(&entry.conversation));
        Backlog { ends: lacking.map(|entry| (entry.conversation, entry.last_seq)).collect(), new: 0 }
    }

    /// A message of a conversation has its place; its chat is as it is after that. Once all is here: how many were new.
    pub fn take(&mut self, id: ConversationId, seq: Seq, theirs: bool, chat: &Chat) -> Option<u64> {
        let end = *self.ends.get(&id)?;
        self.new += u64::from(theirs && seq <= end);
        if chat.shown >= end {
            self.ends.remove(&id);
        }
        (self.ends.is_empty() && self.new > 0).then(|| std::mem::take(&mut self.new))
    }
}
