//! Pushes: what the server says without being asked. Their request number is 0.

use crate::json::{self, count, present};
use crate::kind::push;
use crate::reply::Presence;
use crate::{ConversationId, Message, Refusal, Seq, UnixMillis, UserId, frame};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq)]
pub enum Push {
    /// A message for every member but the connection that sent it.
    Message(Arc<Message>),
    /// A friend came or went.
    Presence(PresenceChange),
    /// This session was ended by another; the connection closes.
    Kicked(Box<Kicked>),
    /// The peer of a direct chat has read.
    ReadReceipt(Receipt),
    /// The peer of a direct chat has received.
    Delivered(Receipt),
    /// Something happened to a friendship.
    Friend(Box<FriendChange>),
    /// Answer with a heartbeat.
    Probe,
    /// The server drains: connect elsewhere, or again.
    GoingAway(Box<GoingAway>),
    /// Something may have been missed: ask again.
    Changed(Box<Changed>),
    /// An error that answers no request.
    Error(Box<Refusal>),
}

/// The state of a friend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenceChange {
    pub id: UserId,
    pub state: Presence,
}

/// Who ended this session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kicked {
    pub reason: Box<str>,
    /// What the newer login called its device.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub device: Option<Box<str>>,
    pub time: UnixMillis,
}

/// How far the peer of a direct chat has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub conversation: ConversationId,
    pub id: UserId,
    pub seq: Seq,
}

/// A change to a friendship.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FriendChange {
    pub id: UserId,
    pub name: Box<str>,
    pub event: FriendEvent,
    /// What they said with it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub message: Option<Box<str>>,
}

/// What can happen to a friendship.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FriendEvent {
    /// They ask to be friends.
    Requested,
    /// They are friends now.
    Accepted,
    /// They do not want to.
    Refused,
    /// They no longer are.
    Removed,
}

/// The server drains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoingAway {
    pub reason: Box<str>,
    /// When to connect again.
    #[serde(deserialize_with = "count")]
    pub retry_after_ms: u64,
    /// Where, `host:port`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub node: Option<Box<str>>,
}

/// What to ask for again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The listings concerned.
    pub what: Vec<Listing>,
}

/// A listing that may have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Listing {
    Friends,
    Groups,
    Conversations,
}

impl Push {
    /// The type of the push's frame.
    pub fn kind(&self) -> u16 {
        match self {
            Push::Message(_) => push::MESSAGE,
            Push::Presence(_) => push::PRESENCE,
            Push::Kicked(_) => push::KICKED,
            Push::ReadReceipt(_) => push::READ_RECEIPT,
            Push::Delivered(_) => push::DELIVERED,
            Push::Friend(_) => push::FRIEND,
            Push::Probe => push::PROBE,
            Push::GoingAway(_) => push::GOING_AWAY,
            Push::Changed(_) => push::CHANGED,
            Push::Error(_) => push::ERROR,
        }
    }

    /// Appends the push as one frame to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        frame::put_frame(out, self.kind(), 0, |out| match self {
            Push::Message(body) => body.write(out),
            Push::Presence(body) => json::write(out, body),
            Push::Kicked(body) => json::write(out, body),
            Push::ReadReceipt(body) | Push::Delivered(body) => json::write(out, body),
            Push::Friend(body) => json::write(out, body),
            Push::Probe => out.extend_from_slice(b"{}"),
            Push::GoingAway(body) => json::write(out, body),
            Push::Changed(body) => json::write(out, body),
            Push::Error(refusal) => refusal.encode_value(out),
        });
    }

    /// Reads a push; `None` for a type that this version does not know, which a client ignores.
    pub fn decode(kind: u16, value: &[u8]) -> Result<Option<Push>, String> {
        Ok(Some(match kind {
            push::MESSAGE => Push::Message(Arc::new(json::read(value)?)),
            push::PRESENCE => Push::Presence(json::read(value)?),
            push::KICKED => Push::Kicked(json::read(value)?),
            push::READ_RECEIPT => Push::ReadReceipt(json::read(value)?),
            push::DELIVERED => Push::Delivered(json::read(value)?),
            push::FRIEND => Push::Friend(json::read(value)?),
            push::PROBE => Push::Probe,
            push::GOING_AWAY => Push::GoingAway(json::read(value)?),
            push::CHANGED => Push::Changed(json::read(value)?),
            push::ERROR => {
                let refusal = Refusal::decode_value(value)?.ok_or("an ERROR push with errno 0")?;
                Push::Error(Box::new(refusal))
            }
            _ => return Ok(None),
        }))
    }
}
