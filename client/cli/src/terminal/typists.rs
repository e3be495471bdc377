//! [`Typists`]: who is typing, for the status.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use wire::timeline::Typist;
use wire::{ConversationId, UserId};

/// How long a user is shown as typing. Clients repeat it every 3 s.
const SHOWN: Duration = Duration::from_secs(5);
/// The most users who are remembered as typing.
const TYPISTS_MAX: usize = 1_000;

/// Users who are typing, and until when each is shown.
#[derive(Debug, Default)]
pub struct Typists {
    until: BTreeMap<(ConversationId, UserId), Instant>,
}

impl Typists {
    /// Somebody is typing, from now on or still.
    pub fn begin(&mut self, typist: Typist, now: Instant) {
        self.end_overdue(now);
        if self.until.len() < TYPISTS_MAX {
            self.until.insert((typist.conversation, typist.id), now + SHOWN);
        }
    }

    /// The message of a user has arrived.
    pub fn end(&mut self, conversation: ConversationId, user: UserId) {
        self.until.remove(&(conversation, user));
    }

    /// Forgets those who have not been heard of for some seconds.
    pub fn end_overdue(&mut self, now: Instant) {
        self.until.retain(|_, until| *until > now);
    }

    /// Who is typing in a conversation.
    pub fn in_conversation(
        &self,
        conversation: ConversationId,
        now: Instant,
    ) -> impl Iterator<Item = UserId> {
        let range = (conversation, UserId(0))..=(conversation, UserId(u32::MAX));
        self.until.range(range).filter(move |(_, until)| **until > now).map(|((_, user), _)| *user)
    }

    /// The conversations in which somebody is typing.
    pub fn conversations(&self) -> impl Iterator<Item = ConversationId> {
        self.until.keys().map(|(conversation, _)| *conversation)
    }

    /// When the status changes because somebody has stopped.
    pub fn next_end(&self) -> Option<Instant> {
        self.until.values().min().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typist_is_shown_for_five_seconds() {
        let mut typists = Typists::default();
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let [here, there] = [1, 2].map(ConversationId);
        let typist = |conversation, id| Typist { conversation, id: UserId(id) };
        typists.begin(typist(here, 5), now);
        typists.begin(typist(here, 6), now + second);
        typists.begin(typist(there, 7), now);
        let shown =
            |typists: &Typists, at| typists.in_conversation(here, at).map(|user| user.0).collect::<Vec<_>>();
        assert_eq!(shown(&typists, now + second), [5, 6]);
        assert_eq!(shown(&typists, now + 5 * second), [6]);
        typists.begin(typist(here, 6), now + 5 * second);
        assert_eq!(typists.next_end(), Some(now + 10 * second), "the others have ended");
        typists.end(here, UserId(6));
        assert_eq!(typists.next_end(), None);
    }
}
