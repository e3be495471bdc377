//! Sessions that lost their connection and are within their grace period: friends still see the user online, and a
//! login by the same client resumes it.

use super::sessions::DeviceHash;
use crate::contract::presence::SetStatus;
use crate::contract::{Epoch, TokenHash};
use crate::limits::ABSENT_MAX;
use crate::map::{Map, map};
use smallvec::SmallVec;
use std::collections::VecDeque;
use wire::UserId;
use wire::session::ClientKind;

/// A session without a connection.
#[derive(Clone, Debug)]
pub(crate) struct Absent {
    pub token: TokenHash,
    pub device: DeviceHash,
    pub kind: ClientKind,
    /// What it has set.
    pub status: Option<Box<SetStatus>>,
    pub epoch: Epoch,
    /// When its client was last heard of, monotonic ms.
    pub heard: u64,
}

#[derive(Debug)]
pub(crate) struct Absences {
    /// The length of a grace period, milliseconds.
    grace: u64,
    by_user: Map<UserId, SmallVec<[(u32, Absent); 1]>>,
    /// When each grace period ends, the earliest first. Sessions that were resumed may still be listed.
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
    pub fn begin(&mut self, user: UserId, absent: Absent, now: u64) -> bool {
        if self.grace == 0 {
            return false;
        }
        self.serial = self.serial.wrapping_add(1);
        self.by_user.entry(user).or_default().push((self.serial, absent));
        self.ends.push_back(GraceEnd { at: now + self.grace, user, serial: self.serial });
        true
    }

    pub fn of(&self, user: UserId) -> impl Iterator<Item = &Absent> {
        self.by_user.get(&user).into_iter().flatten().map(|(_, absent)| absent)
    }

    /// Removes the absent sessions of a user that were resumed or are over. Returns whether there were any.
    pub fn remove(&mut self, user: UserId, is_over: impl Fn(&Absent) -> bool) -> bool {
        let Some(absent) = self.by_user.get_mut(&user) else { return false };
        let before = absent.len();
        absent.retain(|(_, absent)| !is_over(absent));
        let has_removed = absent.len() < before;
        if absent.is_empty() {
            self.by_user.remove(&user);
        }
        has_removed
    }

    pub fn contains(&self, user: UserId) -> bool {
        self.by_user.contains_key(&user)
    }

    pub fn users(&self) -> impl Iterator<Item = (UserId, &Absent)> {
        self.by_user.iter().flat_map(|(user, absent)| absent.iter().map(|(_, absent)| (*user, absent)))
    }

    /// When the next grace ends, monotonic ms.
    pub fn next(&self) -> Option<u64> {
        self.ends.front().map(|end| end.at)
    }

    /// Removes a session whose grace period has expired, or the oldest if there are too many.
    pub fn take_ended(&mut self, now: u64) -> Option<(UserId, Absent)> {
        while let Some(&GraceEnd { at, user, serial }) = self.ends.front() {
            if at > now && self.ends.len() <= ABSENT_MAX {
                return None;
            }
            self.ends.pop_front();
            let Some(absent) = self.by_user.get_mut(&user) else { continue };
            let Some(at) = absent.iter().position(|(of, _)| *of == serial) else { continue };
            let (_, ended) = absent.remove(at);
            if absent.is_empty() {
                self.by_user.remove(&user);
            }
            return Some((user, ended));
        }
        None
    }
}
