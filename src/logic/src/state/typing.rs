//! [`Typing`]: what is remembered of TYPING, so that it costs little.

use super::recent::Recent;
use crate::limits::{LARGE_GROUP_MS, TYPING_KEPT, TYPING_MS};
use wire::{ConversationId, UserId};

#[derive(Debug)]
pub(crate) struct Typing {
    /// Users of whom a TYPING was passed on in a conversation.
    pub passed: Recent<(UserId, ConversationId)>,
    /// Groups that were found to be too large for it.
    pub large: Recent<ConversationId>,
}

impl Default for Typing {
    fn default() -> Typing {
        Typing {
            passed: Recent::new(TYPING_MS, TYPING_KEPT),
            large: Recent::new(LARGE_GROUP_MS, TYPING_KEPT),
        }
    }
}

impl Typing {
    /// Drops expired state.
    pub fn sweep(&mut self, now: u64) {
        self.passed.sweep(now);
        self.large.sweep(now);
    }
}
