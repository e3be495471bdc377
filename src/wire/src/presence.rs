//! Presence: whether users are connected, and what they say of it.

use crate::fields::{Value, fields, need, short_option};
use crate::json::{self, present};
use crate::table::{Body, pushes, requests};
use crate::{UnixMillis, UserId, limits};
use serde::{Deserialize, Serialize};

requests! {
    /// Sets what this session shows to friends.
    70 SET_PRESENCE Set(SetPresence),
}

pushes! {
    /// A friend came online, went away or offline, or changed the text.
    0x4002 PRESENCE Changed(Box<PresenceChange>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    Online,
    /// Connected, but all sessions of the account are away.
    Away,
    Offline,
    /// A state that this version does not know. No server of this version sends it.
    #[serde(other)]
    Unknown,
}

/// The state of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionState {
    Online,
    Away,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetPresence {
    pub state: SessionState,
    /// At most 64 characters, and not empty. `None`: no text.
    pub text: Option<Box<str>>,
}

fields! {
    SetFields { state: SessionState, text: Box<str>, }
}

impl Value for SetPresence {
    const FIELDS: &[&str] = SetFields::NAMES;

    fn decode(value: &[u8]) -> Result<SetPresence, String> {
        let f: SetFields = json::read(value)?;
        let text = short_option("text", f.text, limits::PRESENCE_TEXT_CHARS)?;
        Ok(SetPresence { state: need("state", f.state)?, text: text.filter(|text| !text.is_empty()) })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        json::write(out, &SetFields { state: Some(self.state), text: self.text.clone() });
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenceChange {
    pub id: UserId,
    pub state: Presence,
    /// What the user last set, while one of the sessions exists; at most 64 characters.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub text: Option<Box<str>>,
    /// Of a user who is offline: when a client of the user was last heard of.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub last_seen: Option<UnixMillis>,
}

impl Body for PresenceChange {}
