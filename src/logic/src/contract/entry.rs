//! System entries: what storage appends to a timeline together with a change of the conversation.

use super::message::Stored;
use std::sync::Arc;
use wire::entry::{Event, SYSTEM};
use wire::{ConversationKind, Message, System, UserId};

/// The user who makes a change, and the identity of the entry that tells the members of it.
#[derive(Clone, Debug)]
pub struct Actor {
    pub user: UserId,
    /// The user's name, for the entry as delivered.
    pub name: Arc<str>,
    /// Made by the server. After a commit without an answer it shows whether the change was made.
    pub cid: Box<str>,
}

/// A system entry that storage has appended, as part of the change that it tells of.
#[derive(Clone, Debug)]
pub struct Entry {
    pub message: Arc<Message>,
    /// All members of the conversation at its seq, by id.
    pub members: Arc<[UserId]>,
}

impl Actor {
    /// The entry that tells of an event which concerns only the actor.
    #[must_use]
    pub fn entry(&self, event: Event, kind: ConversationKind, stored: Stored) -> Arc<Message> {
        let content = match &event {
            Event::Created => format!("{} created the group", self.name),
            Event::Joined => format!("{} joined", self.name),
            Event::Other(event) => format!("{}: {event}", self.name),
        };
        let system = System { event, who: [self.user].into(), by: self.user };
        Arc::new(Message {
            conversation: stored.conversation,
            kind,
            seq: stored.seq,
            from: self.user,
            name: Arc::clone(&self.name),
            content_type: SYSTEM.into(),
            content: content.into(),
            time: stored.time,
            cid: None,
            extra: Some(system.into()),
        })
    }
}
