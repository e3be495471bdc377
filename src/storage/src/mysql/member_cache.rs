//! What is known of conversations between two batches: what cannot change, and the members as of a version.

use foldhash::{HashMap, HashMapExt};
use std::sync::Arc;
use wire::{ConversationId, ConversationKind, UserId};

/// Conversations and members that are kept at most, counted together.
const WEIGHT_MAX: usize = 1 << 20;

/// A conversation as it was last seen.
#[derive(Clone, Debug)]
pub struct Members {
    pub kind: ConversationKind,
    /// The version of its members. Whoever changes them raises it under the row's lock.
    pub version: i64,
    /// All members, by id.
    pub members: Arc<[UserId]>,
}

/// The conversations in use. All of it can be forgotten at any time.
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
    /// What is known of a conversation.
    pub fn get(&self, conversation: ConversationId) -> Option<&Members> {
        self.conversations.get(&conversation)
    }

    /// The same, if its members are those of this version.
    pub fn at(&self, conversation: ConversationId, version: i64) -> Option<&Members> {
        self.get(conversation).filter(|head| head.version == version)
    }

    /// Takes in what was read.
    pub fn put(&mut self, conversation: ConversationId, head: Members) {
        self.weight += 1 + head.members.len();
        if let Some(old) = self.conversations.insert(conversation, head) {
            self.weight -= 1 + old.members.len();
        }
    }

    /// Forgets everything if it has grown too large. Between two batches: what a batch has read it needs.
    pub fn bound(&mut self) {
        if self.weight > WEIGHT_MAX {
            *self = MemberCache::default();
        }
    }
}
