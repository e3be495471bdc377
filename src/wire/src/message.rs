//! A message as it stands in a timeline.

use crate::json::present;
use crate::{ConversationId, Seq, UnixMillis, UserId};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What a conversation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConversationKind {
    /// A chat of two.
    Direct,
    /// A group.
    Group,
}

/// The `type` of a message that does not say another.
pub const TEXT: &str = "text";

/// A message: one row `(conversation, seq)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Whose timeline.
    pub conversation: ConversationId,
    /// What that conversation is.
    pub kind: ConversationKind,
    /// Its place there.
    pub seq: Seq,
    /// Who sent it.
    pub from: UserId,
    /// The sender's name.
    pub name: Box<str>,
    /// What `content` is.
    #[serde(rename = "type")]
    pub content_type: Cow<'static, str>,
    /// The text, 1 to 32,768 bytes.
    pub content: Box<str>,
    /// When it was stored.
    pub time: UnixMillis,
    /// The sender's own number for it; absent where the sender gave none.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub cid: Option<Box<str>>,
}
