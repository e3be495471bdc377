//! Presence: whether users are connected.

use crate::UserId;
use crate::table::{Body, pushes};
use serde::{Deserialize, Serialize};

pushes! {
    /// A friend came online or went offline.
    0x4002 PRESENCE Changed(PresenceChange),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    Online,
    Offline,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenceChange {
    pub id: UserId,
    pub state: Presence,
}

impl Body for PresenceChange {}
