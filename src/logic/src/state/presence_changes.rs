//! Users whose friends were told of a change of presence a moment ago. Further changes within that time are told as one,
//! so that an account that logs in and out all the time costs its friends one push a second.

use crate::limits::PRESENCE_MS;
use crate::map::{Map, map};
use std::collections::VecDeque;
use wire::UserId;

#[derive(Debug)]
pub(crate) struct PresenceChanges {
    /// Whether the user's presence has changed again since.
    by_user: Map<UserId, bool>,
    /// When the time of each user ends, monotonic ms, the earliest first.
    ends: VecDeque<(u64, UserId)>,
}

impl PresenceChanges {
    pub fn new(seed: u64) -> PresenceChanges {
        PresenceChanges { by_user: map(seed), ends: VecDeque::new() }
    }

    /// Notes a change. Returns whether to tell the friends now; otherwise they are told when the time of the last change
    /// ends.
    pub fn note(&mut self, user: UserId, now: u64) -> bool {
        if let Some(has_changed) = self.by_user.get_mut(&user) {
            *has_changed = true;
            return false;
        }
        self.by_user.insert(user, false);
        self.ends.push_back((now + PRESENCE_MS, user));
        true
    }

    /// Takes a user whose time has ended and whose presence has changed meanwhile.
    pub fn take_due(&mut self, now: u64) -> Option<UserId> {
        while let Some(&(end, user)) = self.ends.front()
            && end <= now
        {
            self.ends.pop_front();
            if self.by_user.remove(&user) == Some(true) {
                return Some(user);
            }
        }
        None
    }

    /// When the next time ends, monotonic ms.
    pub fn next(&self) -> Option<u64> {
        self.ends.front().map(|&(end, _)| end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_within_a_second_are_told_as_one() {
        let (mut changes, ann, bob) = (PresenceChanges::new(7), UserId(1), UserId(2));
        assert!(changes.note(ann, 0));
        assert!((1..100).all(|now| !changes.note(ann, now)));
        assert!(changes.note(bob, 500), "another user");
        assert_eq!(changes.take_due(PRESENCE_MS - 1), None);
        assert_eq!(changes.take_due(PRESENCE_MS), Some(ann));
        assert_eq!(changes.next(), Some(500 + PRESENCE_MS));
        assert_eq!(changes.take_due(500 + PRESENCE_MS), None, "nothing has changed since");
        assert!(changes.note(bob, 500 + PRESENCE_MS));
        assert_eq!(changes.by_user.len(), 1);
    }
}
