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
    /// All members of the conversation at its seq, by id: also whoever ceases to be one by it.
    pub members: Arc<[UserId]>,
}

/// What a system entry tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    pub event: Event,
    /// The users concerned.
    pub who: Box<[UserId]>,
    /// What the event set, where it set something.
    pub value: Option<Box<str>>,
    /// An English sentence.
    pub content: Box<str>,
}

impl Actor {
    /// What tells of an event which concerns only the actor.
    #[must_use]
    pub fn announcement(&self, event: Event) -> Announcement {
        let content = match &event {
            Event::Created => format!("{} created the group", self.name),
            Event::Joined => format!("{} joined", self.name),
            event => format!("{}: {}", self.name, event.as_str()),
        };
        Announcement { event, who: [self.user].into(), value: None, content: content.into() }
    }

    /// The entry that tells the members of a group what the actor did.
    #[must_use]
    pub fn entry(&self, told: Announcement, stored: Stored) -> Arc<Message> {
        let Announcement { event, who, value, content } = told;
        let (kind, system) = (ConversationKind::Group, System { event, who, by: self.user, value });
        Arc::new(Message {
            conversation: stored.conversation,
            kind,
            seq: stored.seq,
            from: self.user,
            name: Arc::clone(&self.name),
            content_type: SYSTEM.into(),
            content,
            time: stored.time,
            cid: None,
            extra: Some(system.into()),
        })
    }
}
