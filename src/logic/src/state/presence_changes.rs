//! Users whose friends were told of a change of presence a moment ago. Further changes within that time are told as one,
//! so that an account that logs in and out all the time costs its friends one push a second.

use crate::contract::presence::Status;
use crate::limits::PRESENCE_MS;
use crate::map::{Map, map};
use std::collections::VecDeque;
use wire::UserId;

/// What has happened since the friends of a user were told.
#[derive(Debug, Default)]
struct Told {
    /// Whether the user's presence has changed again.
    has_changed: bool,
    /// When the user was last heard of, monotonic ms, if that change was the end of the last session.
    gone: Option<u64>,
    /// What they were told, once that is known; `Some(None)`: that the user is offline.
    told: Option<Option<Status>>,
}

/// A user whose time has ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub user: UserId,
    pub has_changed: bool,
    pub gone: Option<u64>,
    pub told: Option<Option<Status>>,
}

#[derive(Debug)]
pub(crate) struct PresenceChanges {
    by_user: Map<UserId, Told>,
    /// When the time of each user ends, monotonic ms, the earliest first.
    ends: VecDeque<(u64, UserId)>,
}

impl PresenceChanges {
    pub fn new(seed: u64) -> PresenceChanges {
        PresenceChanges { by_user: map(seed), ends: VecDeque::new() }
    }

    /// Notes a change; `gone`: the user went offline, last heard of then, monotonic ms. Returns whether to tell the friends
    /// now; otherwise they are told when the time of the last change ends.
    pub fn note(&mut self, user: UserId, gone: Option<u64>, now: u64) -> bool {
        if let Some(told) = self.by_user.get_mut(&user) {
            told.has_changed = true;
            told.gone = gone.or(told.gone);
            return false;
        }
        self.by_user.insert(user, Told::default());
        self.ends.push_back((now + PRESENCE_MS, user));
        true
    }

    /// Notes what friends were told.
    pub fn told(&mut self, user: UserId, shown: Option<Status>) {
        if let Some(told) = self.by_user.get_mut(&user) {
            told.told = Some(shown);
        }
    }

    /// Takes a user whose time has ended.
    pub fn take_due(&mut self, now: u64) -> Option<Due> {
        let (_, user) = self.ends.pop_front_if(|(end, _)| *end <= now)?;
        let Told { has_changed, gone, told } = self.by_user.remove(&user).unwrap_or_default();
        Some(Due { user, has_changed, gone, told })
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
        assert!(changes.note(ann, None, 0));
        assert!((1..100).all(|now| !changes.note(ann, Some(now), now)));
        assert!(changes.note(bob, None, 500), "another user");
        assert_eq!(changes.take_due(PRESENCE_MS - 1), None);
        assert_eq!(
            changes.take_due(PRESENCE_MS),
            Some(Due { user: ann, has_changed: true, gone: Some(99), told: None })
        );
        assert_eq!(changes.next(), Some(500 + PRESENCE_MS));
        let unchanged = Due { user: bob, has_changed: false, gone: None, told: None };
        assert_eq!(changes.take_due(500 + PRESENCE_MS), Some(unchanged));
        assert!(changes.note(bob, None, 500 + PRESENCE_MS));
        assert_eq!(changes.by_user.len(), 1);
    }
}
