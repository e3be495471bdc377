//! A cache of conversations' members by version, kept between batches.

use foldhash::{HashMap, HashMapExt};
use std::sync::Arc;
use wire::{ConversationId, ConversationKind, UserId};

/// The number of conversations and members that are kept, counted together.
const WEIGHT_MAX: usize = 1 << 20;

/// The kind and members of a conversation.
#[derive(Clone, Debug)]
pub struct Members {
    pub kind: ConversationKind,
    /// The version of the member list, raised under the row's lock by every change.
    pub version: i64,
    /// All members, by id.
    pub members: Arc<[UserId]>,
}

/// The conversations in use. The cache may be dropped between two batches.
#[derive(Debug)]
pub struct MemberCache {
    conversations: HashMap<ConversationId, Members>,
    weight: usize,
}

impl Default for MemberCache {
    fn default() -> MemberCache {
        MemberCache { conversations: HashMap::new(), weight: 0 }
    }
}

impl MemberCache {
    pub fn get(&self, conversation: ConversationId) -> Option<&Members> {
        self.conversations.get(&conversation)
    }

    /// The members, if the cache holds this version.
    pub fn at(&self, conversation: ConversationId, version: i64) -> Option<&Members> {
        self.get(conversation).filter(|head| head.version == version)
    }

    pub fn put(&mut self, conversation: ConversationId, head: Members) {
        self.weight += 1 + head.members.len();
        if let Some(old) = self.conversations.insert(conversation, head) {
            self.weight -= 1 + old.members.len();
        }
    }

    /// Drops everything if it has grown too large. Not during a batch, which relies on what it has read.
    pub fn bound(&mut self) {
        if self.weight > WEIGHT_MAX {
            *self = MemberCache::default();
        }
    }
}
