//! How the account sees its conversations: SET_CONVERSATION and CLEAR.

use super::{FakeConnection, FakeServer};
use wire::timeline::{Clear, Set};
use wire::{Errno, Refusal, Reply};

/// The account's settings of a conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    pub pinned: bool,
    pub muted: bool,
    /// Whether it is hidden, until its next message.
    pub hidden: bool,
}

impl FakeServer {
    pub(super) fn set(&mut self, set: &Set) -> Reply {
        let Some(found) = self.conversations.get_mut(&set.conversation.0) else {
            return Refusal::new(Errno::Forbidden, "not a member").into();
        };
        let (settings, change) = (&mut found.settings, set.change);
        settings.pinned = change.pinned.unwrap_or(settings.pinned);
        settings.muted = change.muted.unwrap_or(settings.muted);
        settings.hidden = change.hidden.unwrap_or(settings.hidden);
        Reply::Done
    }

    pub(super) fn clear(&mut self, connection: &mut FakeConnection, clear: &Clear) -> Reply {
        let Some(found) = self.conversations.get_mut(&clear.conversation.0) else {
            return Refusal::new(Errno::Forbidden, "not a member").into();
        };
        let upto = clear.upto.0.min(found.messages.len() as u64);
        found.first = found.first.max(upto + 1);
        found.delivered = found.delivered.max(upto);
        found.read = found.read.max(upto);
        let pushed = connection.pushed.entry(clear.conversation.0).or_default();
        *pushed = (*pushed).max(upto);
        Reply::Done
    }
}
