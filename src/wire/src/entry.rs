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
    /// What the event set, where it set something: of `role` the new role.
    #[serde(default, deserialize_with = "crate::json::present", skip_serializing_if = "Option::is_none")]
    pub value: Option<Box<str>>,
}

/// The change that a system entry tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The group was created; `who` are its first members.
    Created,
    /// `who` joined the group.
    Joined,
    /// `who` left the group.
    Left,
    /// `who` were removed from the group.
    Removed,
    /// `who` have the role that `value` names.
    Role,
    /// `who` is the creator now, and who acted is an admin.
    Transferred,
    /// An event that this version does not know. The entry's `content` describes it in English.
    Other(Box<str>),
}

impl Event {
    pub fn as_str(&self) -> &str {
        match self {
            Event::Created => "created",
            Event::Joined => "joined",
            Event::Left => "left",
            Event::Removed => "removed",
            Event::Role => "role",
            Event::Transferred => "transferred",
            Event::Other(name) => name,
        }
    }
}

impl From<&str> for Event {
    fn from(name: &str) -> Event {
        match name {
            "created" => Event::Created,
            "joined" => Event::Joined,
            "left" => Event::Left,
            "removed" => Event::Removed,
            "role" => Event::Role,
            "transferred" => Event::Transferred,
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

    /// Whether the entry is the last one that these users see.
    #[must_use]
    pub fn removes_members(&self) -> bool {
        matches!(self.event, Event::Left | Event::Removed)
    }
}
