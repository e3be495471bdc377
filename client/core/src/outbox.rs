//! Messages that are not yet known to be stored.
//!
//! A message stays here from the moment it is written until the server says that it is durable (errno 0) or will
//! never be. It keeps its `cid` through every retry, so it can be sent again without ever appearing twice.

use crate::schedule::Schedule;
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;
use wire::message::Send;
use wire::{ConversationId, Target, UserId, limits, name};

/// The most messages that wait at once.
pub const MESSAGES_MAX: usize = 10_000;
/// How long after its first attempt a message may be sent again, milliseconds: an hour less than the day for which
/// the server remembers a `cid`.
pub const RETRY_FOR_MS: u64 = 23 * 3_600_000;

/// A message of this client, by the order in which it was written. Never used twice, also across restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalId(pub u64);

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SendError {
    /// There is no text.
    #[error("a message cannot be empty")]
    Empty,
    /// There is too much text.
    #[error("a message can be {max} bytes long, this one has {0}", max = limits::CONTENT_BYTES)]
    TooLong(usize),
    /// Too many wait already.
    #[error("{MESSAGES_MAX} messages wait to be sent already")]
    Full,
    /// Nobody is logged in.
    #[error("nobody is logged in")]
    NotLoggedIn,
}

/// A message that waits, as it can be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsent {
    pub local: LocalId,
    /// The message with its `cid`.
    pub send: Send,
    /// How long ago it was first handed to a connection, milliseconds; `None`: never, so it cannot be stored.
    pub tried_ago_ms: Option<u64>,
}

/// Messages to one target go in order: a later one never overtakes one that is being retried.
#[derive(Clone, Debug, Default)]
struct Lane {
    /// To be sent, or sent again.
    waiting: BTreeSet<LocalId>,
    in_flight: usize,
    /// One at a time after a refusal, until one was stored.
    one_by_one: bool,
    /// The message that stands in `Outbox::ready` for this lane.
    ready: Option<LocalId>,
}

/// [`Target`] with an order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum LaneKey {
    User(UserId),
    Name(String),
    Conversation(ConversationId),
}

#[derive(Clone, Debug)]
struct Entry {
    send: Send,
    lane: LaneKey,
    in_flight: bool,
    attempts: u32,
    /// When it was first handed to a connection; below 0 in a life before this one's clock began.
    first_try: Option<i64>,
}

impl Entry {
    fn to_unsent(&self, now: u64, local: LocalId) -> Unsent {
        let tried_ago_ms = self.first_try.map(|at| since(now, at));
        Unsent { local, send: self.send.clone(), tried_ago_ms }
    }
}

/// The messages that wait, in lanes by target.
#[derive(Clone, Debug)]
pub struct Outbox {
    prefix: u64,
    next: u64,
    per_target: usize,
    entries: BTreeMap<LocalId, Entry>,
    lanes: BTreeMap<LaneKey, Lane>,
    /// The first waiting message of each lane that may send.
    ready: BTreeSet<LocalId>,
    /// Lanes that wait until a refusal's time is over.
    delayed: Schedule<LaneKey>,
    in_flight: usize,
}

impl Outbox {
    /// An empty outbox. `prefix` must differ between any two sessions of an account; `next` is the first number.
    pub fn new(prefix: u64, next: u64, per_target: usize) -> Outbox {
        Outbox {
            prefix,
            next,
            per_target: per_target.max(1),
            entries: BTreeMap::new(),
            lanes: BTreeMap::new(),
            ready: BTreeSet::new(),
            delayed: Schedule::default(),
            in_flight: 0,
        }
    }

    /// How many messages wait.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The number that the next message gets.
    pub fn next_number(&self) -> u64 {
        self.next
    }

    /// How many were sent and not answered.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether a message may be sent now.
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// When a message that was refused may go again, milliseconds.
    pub fn next_retry(&self) -> Option<u64> {
        self.delayed.next()
    }

    /// The message of this `cid`, if it waits here.
    pub fn by_cid(&self, cid: &str) -> Option<LocalId> {
        let local = LocalId(cid.rsplit_once('-')?.1.parse().ok()?);
        (self.entries.get(&local)?.send.cid.as_deref() == Some(cid)).then_some(local)
    }

    /// How often a message was sent.
    pub fn attempts(&self, local: LocalId) -> u32 {
        self.entries.get(&local).map_or(0, |entry| entry.attempts)
    }

    /// Takes a text message and gives it its `cid`.
    pub fn add(&mut self, target: Target, text: &str) -> Result<LocalId, SendError> {
        match text.len() {
            0 => return Err(SendError::Empty),
            1..=limits::CONTENT_BYTES => {}
            length => return Err(SendError::TooLong(length)),
        }
        if self.entries.len() >= MESSAGES_MAX {
            return Err(SendError::Full);
        }
        let local = LocalId(self.next);
        self.next += 1;
        let cid = format!("{:016x}-{:08}", self.prefix, local.0).into();
        let send =
            Send { target, content: text.into(), content_type: wire::message::TEXT.into(), cid: Some(cid) };
        self.insert(local, send, None);
        Ok(local)
    }

    /// Takes back a message from an earlier life of the client.
    pub fn restore(&mut self, now: u64, unsent: Unsent) {
        self.next = self.next.max(unsent.local.0 + 1);
        let first_try = unsent.tried_ago_ms.map(|ago| (now as i64).saturating_sub_unsigned(ago));
        self.insert(unsent.local, unsent.send, first_try);
    }

    /// What waits, to be stored.
    pub fn unsent(&self, now: u64) -> impl Iterator<Item = Unsent> + '_ {
        self.entries.iter().map(move |(local, entry)| entry.to_unsent(now, *local))
    }

    /// A message that waits, to be stored.
    pub fn get(&self, now: u64, local: LocalId) -> Option<Unsent> {
        self.entries.get(&local).map(|entry| entry.to_unsent(now, local))
    }

    /// Takes the next message to send; it counts as in flight.
    pub fn take_ready(&mut self, now: u64) -> Option<(LocalId, &Send)> {
        let local = self.ready.pop_first()?;
        let entry = self.entries.get_mut(&local).expect("ready messages wait");
        entry.in_flight = true;
        entry.attempts += 1;
        entry.first_try.get_or_insert(now as i64);
        let lane = self.lanes.get_mut(&entry.lane).expect("a waiting message has a lane");
        lane.waiting.remove(&local);
        (lane.in_flight, lane.ready) = (lane.in_flight + 1, None);
        self.in_flight += 1;
        let key = entry.lane.clone();
        self.refile(&key);
        self.entries.get(&local).map(|entry| (local, &entry.send))
    }

    /// Ends a message's stay: it is stored, or never will be. `false` where it had left before.
    pub fn remove(&mut self, local: LocalId, stored: bool) -> bool {
        let Some(entry) = self.entries.remove(&local) else { return false };
        let lane = self.lanes.get_mut(&entry.lane).expect("a message has a lane");
        lane.waiting.remove(&local);
        if entry.in_flight {
            lane.in_flight -= 1;
            self.in_flight -= 1;
        }
        lane.one_by_one &= !stored;
        self.refile(&entry.lane);
        true
    }

    /// A message was refused for now: its lane goes on at `at`, this message first.
    pub fn retry(&mut self, local: LocalId, at: u64) {
        let Some(entry) = self.entries.get_mut(&local).filter(|entry| entry.in_flight) else { return };
        entry.in_flight = false;
        let key = entry.lane.clone();
        let lane = self.lanes.get_mut(&key).expect("a message has a lane");
        lane.in_flight -= 1;
        self.in_flight -= 1;
        lane.one_by_one = true;
        lane.waiting.insert(local);
        self.delayed.set(key.clone(), Some(self.delayed.get(&key).unwrap_or(0).max(at)));
        self.refile(&key);
    }

    /// Lets go on the lanes whose wait is over.
    pub fn handle_timeout(&mut self, now: u64) {
        while let Some(key) = self.delayed.pop_due(now) {
            self.refile(&key);
        }
    }

    /// Nothing is in flight any more; all of it is sent again, in order.
    pub fn connection_lost(&mut self) {
        self.delayed.clear();
        for (local, entry) in &mut self.entries {
            if std::mem::take(&mut entry.in_flight) {
                let lane = self.lanes.get_mut(&entry.lane).expect("a message has a lane");
                lane.waiting.insert(*local);
                lane.in_flight = 0;
            }
        }
        self.in_flight = 0;
        for key in self.lanes.keys().cloned().collect::<Vec<_>>() {
            self.refile(&key);
        }
    }

    /// Takes a message out that may no longer be retried, since the server may have forgotten its `cid`.
    pub fn take_expired(&mut self, now: u64) -> Option<LocalId> {
        let expired = |entry: &Entry| entry.first_try.is_some_and(|at| since(now, at) > RETRY_FOR_MS);
        let local = self.entries.iter().find(|(_, entry)| !entry.in_flight && expired(entry))?.0;
        let local = *local;
        self.remove(local, false);
        Some(local)
    }

    /// Empties the outbox.
    pub fn take_all(&mut self) -> Vec<LocalId> {
        let all = self.entries.keys().copied().collect();
        *self = Outbox::new(self.prefix, self.next, self.per_target);
        all
    }

    fn insert(&mut self, local: LocalId, send: Send, first_try: Option<i64>) {
        let lane = match &send.target {
            Target::User(id) => LaneKey::User(*id),
            Target::Name(who) => LaneKey::Name(name::key(who)),
            Target::Conversation(id) => LaneKey::Conversation(*id),
        };
        self.lanes.entry(lane.clone()).or_default().waiting.insert(local);
        let entry = Entry { send, lane: lane.clone(), in_flight: false, attempts: 0, first_try };
        self.entries.insert(local, entry);
        self.refile(&lane);
    }

    /// Finds out anew whether a lane may send, and drops it when it is empty.
    fn refile(&mut self, key: &LaneKey) {
        let Some(lane) = self.lanes.get_mut(key) else { return };
        if let Some(old) = lane.ready.take() {
            self.ready.remove(&old);
        }
        if lane.waiting.is_empty() && lane.in_flight == 0 {
            self.lanes.remove(key);
            self.delayed.set(key.clone(), None);
            return;
        }
        let room = if lane.one_by_one { 1 } else { self.per_target };
        if lane.in_flight < room && self.delayed.get(key).is_none() {
            lane.ready = lane.waiting.first().copied();
            self.ready.extend(lane.ready);
        }
    }
}

fn since(now: u64, at: i64) -> u64 {
    (now as i64).saturating_sub(at).max(0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox(per_target: usize) -> Outbox {
        Outbox::new(0x9f3a, 0, per_target)
    }

    fn to(user: u32) -> Target {
        Target::User(UserId(user))
    }

    fn sent(outbox: &mut Outbox, now: u64) -> Vec<u64> {
        let mut sent = Vec::new();
        while let Some((local, _)) = outbox.take_ready(now) {
            sent.push(local.0);
        }
        sent
    }

    #[test]
    fn one_target_waits_for_its_answer_while_others_go_on() {
        let mut outbox = outbox(1);
        for user in [2, 2, 3, 2] {
            outbox.add(to(user), "x").unwrap();
        }
        assert_eq!(sent(&mut outbox, 0), [0, 2]);
        assert!(outbox.remove(LocalId(0), true) && !outbox.remove(LocalId(0), true));
        assert_eq!(sent(&mut outbox, 0), [1]);
    }

    #[test]
    fn nothing_overtakes_a_message_that_is_retried() {
        let mut outbox = outbox(64);
        for _ in 0..4 {
            outbox.add(to(2), "x").unwrap();
        }
        assert_eq!(sent(&mut outbox, 0), [0, 1, 2, 3]);
        outbox.retry(LocalId(0), 100);
        outbox.retry(LocalId(1), 50);
        outbox.add(to(2), "y").unwrap();
        outbox.remove(LocalId(2), false);
        outbox.remove(LocalId(3), false);
        assert_eq!((sent(&mut outbox, 99), outbox.next_retry()), (vec![], Some(100)));
        outbox.handle_timeout(100);
        assert_eq!(sent(&mut outbox, 100), [0]);
        outbox.remove(LocalId(0), true);
        assert_eq!(sent(&mut outbox, 100), [1, 4]);
    }

    #[test]
    fn a_lost_connection_sends_again_in_order_with_the_same_cids() {
        let mut outbox = outbox(64);
        for _ in 0..3 {
            outbox.add(to(2), "x").unwrap();
        }
        let cids = |outbox: &Outbox| outbox.unsent(0).map(|unsent| unsent.send.cid).collect::<Vec<_>>();
        let before = cids(&outbox);
        assert_eq!(before[2].as_deref(), Some("0000000000009f3a-00000002"));
        sent(&mut outbox, 0);
        outbox.connection_lost();
        assert_eq!((sent(&mut outbox, 0), cids(&outbox)), (vec![0, 1, 2], before));
        assert_eq!(outbox.by_cid("0000000000009f3a-00000002"), Some(LocalId(2)));
        assert_eq!(outbox.by_cid("000000000000ffff-00000002"), None);
    }

    #[test]
    fn what_was_tried_for_a_day_is_given_up() {
        let mut outbox = outbox(1);
        outbox.add(to(2), "tried").unwrap();
        outbox.add(to(2), "never tried").unwrap();
        sent(&mut outbox, 5);
        outbox.connection_lost();
        assert_eq!(outbox.take_expired(5 + RETRY_FOR_MS), None);
        assert_eq!(outbox.take_expired(6 + RETRY_FOR_MS), Some(LocalId(0)));
        assert_eq!(outbox.take_expired(6 + RETRY_FOR_MS), None);
    }

    #[test]
    fn a_restart_does_not_make_a_message_younger() {
        let mut outbox = outbox(1);
        outbox.add(to(2), "tried").unwrap();
        sent(&mut outbox, 0);
        let unsent = outbox.get(RETRY_FOR_MS - 10, LocalId(0)).unwrap();
        let mut restarted = self::outbox(1);
        restarted.restore(0, unsent);
        assert_eq!(restarted.take_expired(10), None);
        assert_eq!(restarted.take_expired(11), Some(LocalId(0)));
    }

    #[test]
    fn texts_out_of_bounds_are_refused_here() {
        let mut outbox = outbox(1);
        assert_eq!(outbox.add(to(2), ""), Err(SendError::Empty));
        assert_eq!(outbox.add(to(2), &"x".repeat(32_769)), Err(SendError::TooLong(32_769)));
        assert!(outbox.add(to(2), &"x".repeat(32_768)).is_ok());
    }
}
