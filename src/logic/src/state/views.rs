//! Changes of how users see conversations that are being told to their other sessions. Further changes while one is being
//! read are told as one.

use super::sessions::SessionRef;
use crate::map::{Map, map};
use wire::{ConversationId, UserId};

type Key = (UserId, ConversationId);

#[derive(Debug)]
pub(crate) struct Views {
    /// While a view is being read: whether it has changed since, and by which session if by one alone.
    reading: Map<Key, Option<Option<SessionRef>>>,
}

impl Views {
    pub fn new(seed: u64) -> Views {
        Views { reading: map(seed) }
    }

    /// Notes a change. Returns whether to read the view now.
    pub fn note(&mut self, user: UserId, conversation: ConversationId, by: SessionRef) -> bool {
        match self.reading.get_mut(&(user, conversation)) {
            Some(again) => {
                *again = Some(again.map_or(Some(by), |before| before.filter(|before| *before == by)));
                false
            }
            None => {
                self.reading.insert((user, conversation), None);
                true
            }
        }
    }

    /// The view was read. Returns whether to read it again, and for a change by which session alone.
    pub fn end(&mut self, user: UserId, conversation: ConversationId) -> Option<Option<SessionRef>> {
        let again = self.reading.get_mut(&(user, conversation))?.take();
        if again.is_none() {
            self.reading.remove(&(user, conversation));
        }
        again
    }
}
