//! Sessions that lost their connection and are within their grace period: friends still see the user online, and a
//! login with the session's token resumes it.

use crate::contract::{Epoch, TokenHash};
use crate::limits::ABSENT_MAX;
use crate::map::{Map, map};
use std::collections::VecDeque;
use wire::UserId;

/// A session without a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Absent {
    /// The token that resumes it.
    pub token: TokenHash,
    epoch: Epoch,
    serial: u32,
}

#[derive(Debug)]
pub(crate) struct Absences {
    /// The length of a grace period, milliseconds.
    grace: u64,
    by_user: Map<UserId, Absent>,
    /// When each grace period ends, the earliest first. Users who have returned may still be listed.
    ends: VecDeque<GraceEnd>,
    serial: u32,
}

#[derive(Clone, Copy, Debug)]
struct GraceEnd {
    /// Monotonic ms.
    at: u64,
    user: UserId,
    serial: u32,
}

impl Absences {
    pub fn new(grace: u64, seed: u64) -> Absences {
        Absences { grace, by_user: map(seed), ends: VecDeque::new(), serial: 0 }
    }

    /// Starts the grace period of a session. Returns `false` if there is none, so that the session is over.
    pub fn begin(&mut self, user: UserId, token: TokenHash, epoch: Epoch, now: u64) -> bool {
        if self.grace == 0 {
            return false;
        }
        self.serial = self.serial.wrapping_add(1);
        self.by_user.insert(user, Absent { token, epoch, serial: self.serial });
        self.ends.push_back(GraceEnd { at: now + self.grace, user, serial: self.serial });
        true
    }

    /// Removes an absent session that was resumed or is over.
    pub fn take(&mut self, user: UserId) -> Option<Absent> {
        self.by_user.remove(&user)
    }

    /// The token that resumes the user's absent session.
    pub fn token(&self, user: UserId) -> Option<TokenHash> {
        self.by_user.get(&user).map(|absent| absent.token)
    }

    pub fn epoch(&self, user: UserId) -> Option<Epoch> {
        self.by_user.get(&user).map(|absent| absent.epoch)
    }

    pub fn contains(&self, user: UserId) -> bool {
        self.by_user.contains_key(&user)
    }

    /// When the next grace ends, monotonic ms.
    pub fn next(&self) -> Option<u64> {
        self.ends.front().map(|end| end.at)
    }

    /// Removes a session whose grace period has expired, or the oldest if there are too many.
    pub fn take_ended(&mut self, now: u64) -> Option<(UserId, Epoch)> {
        while let Some(&GraceEnd { at, user, serial }) = self.ends.front() {
            if at > now && self.ends.len() <= ABSENT_MAX {
                return None;
            }
            self.ends.pop_front();
            if let Some(absent) = self.by_user.get(&user).filter(|absent| absent.serial == serial) {
                let epoch = absent.epoch;
                self.by_user.remove(&user);
                return Some((user, epoch));
            }
        }
        None
    }
}
