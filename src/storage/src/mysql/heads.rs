//! What is known of conversations between two batches: what cannot change, and the members as of a version.

use foldhash::{HashMap, HashMapExt};
use std::sync::Arc;
use wire::{ConversationId, ConversationKind, UserId};

/// Conversations and members that are kept at most, counted together.
const WEIGHT_MAX: usize = 1 << 20;

/// A conversation as it was last seen.
#[derive(Clone, Debug)]
pub struct Head {
    pub kind: ConversationKind,
    /// The version of its members. Whoever changes them raises it under the row's lock.
    pub version: i64,
    /// All members, by id.
    pub members: Arc<[UserId]>,
}

/// The conversations in use. All of it can be forgotten at any time.
#[derive(Debug)]
pub struct Heads {
    heads: HashMap<ConversationId, Head>,
    weight: usize,
}

impl Default for Heads {
    fn default() -> Heads {
        Heads { heads: HashMap::new(), weight: 0 }
    }
}

impl Heads {
    /// What is known of a conversation.
    pub fn get(&self, conversation: ConversationId) -> Option<&Head> {
        self.heads.get(&conversation)
    }

    /// The same, if its members are those of this version.
    pub fn at(&self, conversation: ConversationId, version: i64) -> Option<&Head> {
        self.get(conversation).filter(|head| head.version == version)
    }

    /// Takes in what was read.
    pub fn put(&mut self, conversation: ConversationId, head: Head) {
        self.weight += 1 + head.members.len();
        if let Some(old) = self.heads.insert(conversation, head) {
            self.weight -= 1 + old.members.len();
        }
    }

    /// Forgets everything if it has grown too large. Between two batches: what a batch has read it needs.
    pub fn bound(&mut self) {
        if self.weight > WEIGHT_MAX {
            *self = Heads::default();
        }
    }
}
