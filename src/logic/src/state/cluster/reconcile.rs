//! The schedule of the reads for what the bus may have lost.

use crate::contract::Fence;
use crate::limits::{CATCH_UP_MS, TOUCH_MS, TRUST_MS};
use std::collections::{BTreeMap, VecDeque};
use wire::{UnixMillis, UserId};

/// The most users who wait to be told; beyond it all are.
const TOLD_APART_MAX: usize = 1_000;

#[derive(Debug)]
pub(crate) struct Reconcile {
    /// The next read asks for claims since this time, by the database's clock; [`UnixMillis::MAX`] only asks for the
    /// time.
    pub claims_since: UnixMillis,
    /// The same for conversations that have changed.
    pub changes_since: UnixMillis,
    pub next_claims: u64,
    pub next_changes: u64,
    pub next_seen: u64,
    pub next_touch: u64,
    /// Publications of this node may be lost, which is not recorded in the database yet.
    pub unheard: bool,
    /// When another node last reported lost publications, by the database's clock.
    pub others_unheard: UnixMillis,
    pub reads_claims: bool,
    pub reads_changes: bool,
    /// The sessions that may have ended: each with the device of the login that ended it, as far as the bus said it, until
    /// the check in the database is answered.
    pub kicks_in_check: BTreeMap<Fence, Option<Box<str>>>,
    /// When the last kick was announced that could not be checked, monotonic ms.
    pub unchecked_kick: Option<u64>,
    /// Changes are read each second until this time.
    pub catch_up_until: u64,
    /// The last time, monotonic ms, at which no session on this node had been superseded.
    pub known_at: u64,
    /// Whether a push was withheld because `known_at` was too long ago.
    pub has_withheld: bool,
    /// Whose clients are told once more to read their lists again, and when, monotonic ms, in this order; `None`: all.
    announcements: VecDeque<(u64, Option<UserId>)>,
}

impl Default for Reconcile {
    fn default() -> Reconcile {
        Reconcile {
            claims_since: UnixMillis::MAX,
            changes_since: UnixMillis::MAX,
            next_claims: 0,
            next_changes: 0,
            next_seen: 0,
            next_touch: TOUCH_MS,
            unheard: false,
            others_unheard: UnixMillis(0),
            reads_claims: false,
            reads_changes: false,
            kicks_in_check: BTreeMap::new(),
            unchecked_kick: None,
            catch_up_until: 0,
            known_at: 0,
            has_withheld: false,
            announcements: VecDeque::new(),
        }
    }
}

impl Reconcile {
    /// When the next read or write is due, monotonic ms.
    pub fn next(&self) -> u64 {
        let announcement = self.announcements.front().map_or(u64::MAX, |(due, _)| *due);
        self.next_claims.min(self.next_changes).min(self.next_seen).min(self.next_touch).min(announcement)
    }

    /// Clients that read their lists now may read what another node has not written yet. Plans to tell them once more.
    pub fn announce_again(&mut self, now: u64, user: Option<UserId>) {
        let user = user.filter(|_| self.announcements.len() < TOLD_APART_MAX);
        match user {
            None => self.announcements.clear(),
            Some(_) => self.announcements.retain(|(_, told)| *told != user),
        }
        self.announcements.push_back((now + CATCH_UP_MS, user));
    }

    /// Whom to tell now.
    pub fn take_announcement(&mut self, now: u64) -> Option<Option<UserId>> {
        let (_, user) = self.announcements.pop_front_if(|(due, _)| *due <= now)?;
        Some(user)
    }

    /// Whether this node may push to its sessions. If not, notes that a push was withheld.
    pub fn may_push(&mut self, now: u64) -> bool {
        let may_push = self.is_trusted(now);
        self.has_withheld |= !may_push;
        may_push
    }

    /// Whether the sessions on this node are known not to be superseded.
    pub fn is_trusted(&self, now: u64) -> bool {
        now <= self.known_at + TRUST_MS
    }
}
