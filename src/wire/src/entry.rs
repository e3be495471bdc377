//! System entries: what happened in a conversation, told to its members as an entry of its timeline.

use crate::UserId;
use crate::change::{EDIT, REACTION, RECALL};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;

/// The `type` of a system entry.
pub const SYSTEM: &str = "system";

/// The `type`s that clients cannot send: those of entries that are not messages.
const RESERVED: [&str; 5] = [SYSTEM, EDIT, RECALL, REACTION, "meeting"];

/// Whether no message may have this `type`.
pub fn is_reserved(content_type: &str) -> bool {
    RESERVED.contains(&content_type)
}

/// The fields of a system entry that a message does not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct System {
    pub event: Event,
    /// The users concerned.
    pub who: Box<[UserId]>,
    /// The user who acted, which is also the sender of the entry.
    pub by: UserId,
}

/// The change that a system entry tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The group was created; `who` are its first members.
    Created,
    /// `who` joined the group.
    Joined,
    /// An event that this version does not know. The entry's `content` describes it in English.
    Other(Box<str>),
}

impl Event {
    pub fn as_str(&self) -> &str {
        match self {
            Event::Created => "created",
            Event::Joined => "joined",
            Event::Other(name) => name,
        }
    }
}

impl From<&str> for Event {
    fn from(name: &str) -> Event {
        match name {
            "created" => Event::Created,
            "joined" => Event::Joined,
            other => Event::Other(other.into()),
        }
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Event, D::Error> {
        Cow::<str>::deserialize(deserializer).map(|name| Event::from(&*name))
    }
}

impl System {
    /// Whether these users become members by the entry.
    #[must_use]
    pub fn adds_members(&self) -> bool {
        matches!(self.event, Event::Created | Event::Joined)
    }
}
