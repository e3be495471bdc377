//! Sessions that lost their connection and are within their grace: nobody sees them go, and a login with their token
//! resumes them.

use crate::Now;
use crate::contract::{self, Epoch, Fence, Read, TokenHash, Write};
use crate::effect::Effects;
use crate::limits::ABSENT_MAX;
use crate::map::{Map, map};
use crate::parked::Stage;
use crate::state::State;
use std::collections::VecDeque;
use wire::UserId;

/// What is left of a session without a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Absent {
    /// Of the token that resumes it.
    pub token: TokenHash,
    epoch: Epoch,
    serial: u32,
}

/// All absent sessions.
#[derive(Debug)]
pub(crate) struct Absences {
    /// Milliseconds of a grace.
    grace: u64,
    by_user: Map<UserId, Absent>,
    /// When whose grace is over, the first one first; some have come back since.
    ends: VecDeque<(u64, UserId, u32)>,
    serial: u32,
}

impl Absences {
    pub fn new(grace: u64, seed: u64) -> Absences {
        Absences { grace, by_user: map(seed), ends: VecDeque::new(), serial: 0 }
    }

    /// A session lost its connection. Whether there is a grace for it.
    pub fn begin(&mut self, user: UserId, token: TokenHash, epoch: Epoch, now: u64) -> bool {
        if self.grace == 0 {
            return false;
        }
        self.serial = self.serial.wrapping_add(1);
        self.by_user.insert(user, Absent { token, epoch, serial: self.serial });
        self.ends.push_back((now + self.grace, user, self.serial));
        true
    }

    /// The session is somebody's again, or over.
    pub fn take(&mut self, user: UserId) -> Option<Absent> {
        self.by_user.remove(&user)
    }

    /// The number of an absent session.
    pub fn epoch(&self, user: UserId) -> Option<Epoch> {
        self.by_user.get(&user).map(|absent| absent.epoch)
    }

    pub fn contains(&self, user: UserId) -> bool {
        self.by_user.contains_key(&user)
    }

    /// When [`expire`] has something to do.
    pub fn next(&self) -> Option<u64> {
        self.ends.front().map(|(until, ..)| *until)
    }

    /// A session whose grace is over, or one too many.
    fn next_over(&mut self, now: u64) -> Option<(UserId, Epoch)> {
        while let Some(&(until, user, serial)) = self.ends.front() {
            if until > now && self.ends.len() <= ABSENT_MAX {
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

/// Ends the sessions whose grace is over, and has their friends told.
pub(crate) fn expire(state: &mut State, now: Now, fx: &mut Effects) {
    while let Some((user, epoch)) = state.absences.next_over(now.monotonic) {
        if epoch == Epoch::NONE {
            over(state, now, user, fx);
        } else {
            // It may have been resumed on another node.
            let write = Write::Session(contract::session::Write::Release {
                fence: Fence { user, epoch },
                ended: true,
            });
            state.write(now, None, Stage::Expire(user), write, fx);
        }
    }
}

/// A session is over: its friends are told.
pub(crate) fn over(state: &mut State, now: Now, user: UserId, fx: &mut Effects) {
    state.read(
        now,
        None,
        Stage::Presence(user),
        Read::Contact(contract::contact::Read::FriendIds { user }),
        fx,
    );
}
