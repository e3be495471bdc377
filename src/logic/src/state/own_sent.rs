//! The messages that were sent on a connection and may still come to it by another way: from a timeline that is read for
//! it, or by the delivery line of a conversation. They are not pushed to it.

use crate::limits::{OWN_SENT_KEPT_MS, OWN_SENT_MAX};
use std::collections::VecDeque;
use wire::{ConversationId, Seq};

/// Beyond [`OWN_SENT_MAX`] the oldest are forgotten: these are pushed, and their client drops them.
#[derive(Debug, Default)]
// Nearly always empty, so one word a session instead of four.
#[expect(clippy::box_collection, reason = "a session has one")]
pub(crate) struct OwnSent(Option<Box<VecDeque<Own>>>);

#[derive(Clone, Copy, Debug)]
struct Own {
    conversation: ConversationId,
    seq: Seq,
    /// When it was noted, monotonic ms.
    at: u64,
}

impl OwnSent {
    pub fn note(&mut self, conversation: ConversationId, seq: Seq, now: u64) {
        if self.contains(conversation, seq) {
            return;
        }
        let own = self.0.get_or_insert_default();
        if own.len() >= OWN_SENT_MAX {
            own.pop_front();
        }
        own.push_back(Own { conversation, seq, at: now });
    }

    pub fn contains(&self, conversation: ConversationId, seq: Seq) -> bool {
        self.position(conversation, seq).is_some()
    }

    fn position(&self, conversation: ConversationId, seq: Seq) -> Option<usize> {
        self.0.as_ref()?.iter().position(|own| (own.conversation, own.seq) == (conversation, seq))
    }

    /// Forgets a message that was passed.
    pub fn forget(&mut self, conversation: ConversationId, seq: Seq) {
        if let Some(at) = self.position(conversation, seq)
            && let Some(own) = &mut self.0
        {
            own.remove(at);
            if own.is_empty() {
                self.0 = None;
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Forgets old messages, except of conversations in which the session is behind.
    pub fn sweep(&mut self, now: u64, is_behind: impl Fn(ConversationId) -> bool) {
        let Some(own) = &mut self.0 else { return };
        own.retain(|own| own.at + OWN_SENT_KEPT_MS > now || is_behind(own.conversation));
        if own.is_empty() {
            self.0 = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const C: ConversationId = ConversationId(1);

    #[test]
    fn what_is_sent_is_remembered_until_it_is_passed_or_old() {
        let mut own = OwnSent::default();
        own.note(C, Seq(1), 0);
        own.note(C, Seq(2), 0);
        assert!(own.contains(C, Seq(1)) && !own.contains(ConversationId(2), Seq(1)));
        own.forget(C, Seq(1));
        assert!(!own.contains(C, Seq(1)) && own.contains(C, Seq(2)));
        own.sweep(OWN_SENT_KEPT_MS, |_| true);
        assert!(own.contains(C, Seq(2)), "it may still be read for a session that is behind");
        own.sweep(OWN_SENT_KEPT_MS, |_| false);
        assert!(own.is_empty());
    }

    #[test]
    fn its_memory_is_bounded() {
        let mut own = OwnSent::default();
        for seq in 1..=2 * OWN_SENT_MAX as u64 {
            own.note(C, Seq(seq), 0);
        }
        assert!(!own.contains(C, Seq(1)) && own.contains(C, Seq(2 * OWN_SENT_MAX as u64)));
        assert_eq!(own.0.unwrap().len(), OWN_SENT_MAX);
    }
}
