//! The members of groups whose names are known.

use std::collections::BTreeMap;
use wire::{ConversationId, UserId};

/// Names by group and id, as far as they were read; see [`super::references`].
pub type Members = BTreeMap<ConversationId, BTreeMap<UserId, String>>;
