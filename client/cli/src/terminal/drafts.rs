//! [`Drafts`]: lines that were begun and not entered, one a conversation. They outlive a change of the conversation, a
//! logout and, in the store, the program.

use chatclient_store::Draft;
use std::collections::BTreeMap;
use wire::{Target, UserId};

#[derive(Debug, Default)]
pub struct Drafts {
    /// Of the account that is logged in.
    pub waiting: Vec<Draft>,
    /// The line being typed was one of them when it was saved last.
    pub was_saved: bool,
    /// Of accounts that were logged out while the program ran.
    pub of_others: BTreeMap<UserId, LeftOff>,
}

/// What an account left behind.
#[derive(Debug)]
pub struct LeftOff {
    pub open: Option<Target>,
    pub drafts: Vec<Draft>,
}

impl Drafts {
    pub fn put(&mut self, to: Option<Target>, text: String) {
        self.waiting.retain(|draft| draft.to != to);
        if !text.trim().is_empty() {
            self.waiting.push(Draft { to, text });
        }
    }

    pub fn take(&mut self, to: Option<&Target>) -> Option<String> {
        let at = self.waiting.iter().position(|draft| draft.to.as_ref() == to)?;
        Some(self.waiting.swap_remove(at).text)
    }
}
