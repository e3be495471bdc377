//! A cache of conversations' members by version, kept between batches.

use foldhash::{HashMap, HashMapExt};
use std::sync::Arc;
use wire::{ConversationId, ConversationKind, Seq, UserId};

/// The number of conversations and members that are kept, counted together.
const WEIGHT_MAX: usize = 1 << 20;

/// The kind and members of a conversation.
#[derive(Clone, Debug)]
pub struct Members {
    pub kind: ConversationKind,
    /// The version of the member list, raised under the row's lock by every change.
    pub version: i64,
    /// An entry at which this was the list.
    pub as_of: Seq,
    /// All members, by id.
    pub members: Arc<[UserId]>,
}

/// The conversations in use. The cache may be dropped between two batches.
#[derive(Debug)]
pub struct MemberCache {
    conversations: HashMap<ConversationId, Members>,
    /// The members at the seqs of messages that an earlier commit stored, whose answer was lost.
    earlier: HashMap<(ConversationId, Seq), Arc<[UserId]>>,
    weight: usize,
}

impl Default for MemberCache {
    fn default() -> MemberCache {
        MemberCache { conversations: HashMap::new(), earlier: HashMap::new(), weight: 0 }
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

    /// The kind and members of the conversation of a message that the current batch found stored or stores.
    pub fn of_message(
        &self,
        conversation: ConversationId,
        seq: Seq,
    ) -> Option<(ConversationKind, Arc<[UserId]>)> {
        let Members { kind, members, .. } = self.get(conversation)?;
        let earlier = match self.earlier.is_empty() {
            true => None,
            false => self.earlier.get(&(conversation, seq)),
        };
        Some((*kind, Arc::clone(earlier.unwrap_or(members))))
    }

    pub fn put_at(&mut self, conversation: ConversationId, seq: Seq, members: Arc<[UserId]>) {
        self.earlier.insert((conversation, seq), members);
    }

    pub fn put(&mut self, conversation: ConversationId, head: Members) {
        self.weight += 1 + head.members.len();
        if let Some(old) = self.conversations.insert(conversation, head) {
            self.weight -= 1 + old.members.len();
        }
    }

    /// Drops everything if it has grown too large. Not during a batch, which relies on what it has read.
    pub fn bound(&mut self) {
        self.earlier.clear();
        if self.weight > WEIGHT_MAX {
            *self = MemberCache::default();
        }
    }
}
