//! [`Outbox`]: outgoing messages that are not known to be stored.
//!
//! A message stays from the moment it is written until the server has stored it (errno 0) or refused it for good. It
//! keeps its `cid` through every retry, so it never appears twice.

use crate::schedule::Schedule;
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;
use wire::message::Send;
use wire::{ConversationId, References, Target, UserId, limits, name};

/// The most messages in an outbox.
pub const MESSAGES_MAX: usize = 10_000;
/// How long after its first attempt a message may be retried, milliseconds: one hour less than the day for which the
/// server remembers a `cid`.
pub const RETRY_FOR_MS: u64 = 23 * 3_600_000;

/// The number of an outgoing message, in the order of writing. Never reused, not even across restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalId(pub u64);

/// Why a message was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SendError {
    #[error("a message cannot be empty")]
    Empty,
    #[error("a message can be at most {max} bytes long; this one has {0}", max = limits::CONTENT_BYTES)]
    TooLong(usize),
    #[error("{MESSAGES_MAX} messages are already waiting to be sent")]
    Full,
    #[error("not logged in")]
    NotLoggedIn,
}

/// An unsent message in the form in which a store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsent {
    pub local: LocalId,
    pub send: Send,
    /// How long ago it was first sent, milliseconds; `None`: never, so the server cannot have it.
    pub tried_ago_ms: Option<u64>,
}

/// The messages to one target. They are sent in order: none overtakes one that is being retried.
#[derive(Clone, Debug, Default)]
struct Lane {
    /// To be sent, for the first time or again.
    waiting: BTreeSet<LocalId>,
    in_flight: usize,
    /// After a refusal: one message at a time until one is stored.
    one_by_one: bool,
    /// This lane's message in `Outbox::ready`.
    ready: Option<LocalId>,
}

/// A [`Target`] that can be a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum LaneKey {
    User(UserId),
    Name(String),
    Conversation(ConversationId),
}

#[derive(Clone, Debug)]
struct Queued {
    send: Send,
    lane: LaneKey,
    in_flight: bool,
    attempts: u32,
    /// When it was first sent; below 0 if that was before this session's clock started.
    first_try: Option<i64>,
}

impl Queued {
    fn to_unsent(&self, now: u64, local: LocalId) -> Unsent {
        let tried_ago_ms = self.first_try.map(|at| since(now, at));
        Unsent { local, send: self.send.clone(), tried_ago_ms }
    }
}

#[derive(Clone, Debug)]
pub struct Outbox {
    prefix: u64,
    next: u64,
    per_target: usize,
    messages: BTreeMap<LocalId, Queued>,
    lanes: BTreeMap<LaneKey, Lane>,
    /// The first waiting message of every lane that may send.
    ready: BTreeSet<LocalId>,
    /// Lanes that pause after a refusal.
    delayed: Schedule<LaneKey>,
    in_flight: usize,
}

impl Outbox {
    /// An empty outbox. `prefix` must be unique to the session; `next` is the first number.
    pub fn new(prefix: u64, next: u64, per_target: usize) -> Outbox {
        Outbox {
            prefix,
            next,
            per_target: per_target.max(1),
            messages: BTreeMap::new(),
            lanes: BTreeMap::new(),
            ready: BTreeSet::new(),
            delayed: Schedule::default(),
            in_flight: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.messages.len()
    }

    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub fn next_number(&self) -> u64 {
        self.next
    }

    /// Messages that were sent and not answered.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// When the next refused message may be retried, milliseconds.
    pub fn next_retry(&self) -> Option<u64> {
        self.delayed.next()
    }

    /// The queued message with this `cid`.
    pub fn by_cid(&self, cid: &str) -> Option<LocalId> {
        let local = LocalId(cid.rsplit_once('-')?.1.parse().ok()?);
        (self.messages.get(&local)?.send.cid.as_deref() == Some(cid)).then_some(local)
    }

    /// The number of times a message has been sent.
    pub fn attempts(&self, local: LocalId) -> u32 {
        self.messages.get(&local).map_or(0, |queued| queued.attempts)
    }

    /// Adds a text message and assigns its `cid`.
    pub fn add(
        &mut self,
        target: Target,
        text: &str,
        references: Option<Box<References>>,
    ) -> Result<LocalId, SendError> {
        match text.len() {
            0 => return Err(SendError::Empty),
            1..=limits::CONTENT_BYTES => {}
            length => return Err(SendError::TooLong(length)),
        }
        if self.messages.len() >= MESSAGES_MAX {
            return Err(SendError::Full);
        }
        let local = LocalId(self.next);
        self.next += 1;
        let cid = format!("{:016x}-{:08}", self.prefix, local.0).into();
        let send = Send { cid: Some(cid), references, ..Send::text(target, text) };
        self.insert(local, send, None);
        Ok(local)
    }

    /// Adds a message of an earlier session.
    pub fn restore(&mut self, now: u64, unsent: Unsent) {
        self.next = self.next.max(unsent.local.0 + 1);
        let first_try = unsent.tried_ago_ms.map(|ago| (now as i64).saturating_sub_unsigned(ago));
        self.insert(unsent.local, unsent.send, first_try);
    }

    pub fn unsent(&self, now: u64) -> impl Iterator<Item = Unsent> + '_ {
        self.messages.iter().map(move |(local, queued)| queued.to_unsent(now, *local))
    }

    pub fn get(&self, now: u64, local: LocalId) -> Option<Unsent> {
        self.messages.get(&local).map(|queued| queued.to_unsent(now, local))
    }

    /// Takes the next message to send; it is in flight from now on.
    pub fn take_ready(&mut self, now: u64) -> Option<(LocalId, &Send)> {
        let local = self.ready.pop_first()?;
        let queued = self.messages.get_mut(&local).expect("ready messages are queued");
        queued.in_flight = true;
        queued.attempts += 1;
        queued.first_try.get_or_insert(now as i64);
        let lane = self.lanes.get_mut(&queued.lane).expect("a waiting message has a lane");
        lane.waiting.remove(&local);
        (lane.in_flight, lane.ready) = (lane.in_flight + 1, None);
        self.in_flight += 1;
        let key = queued.lane.clone();
        self.update_lane(&key);
        self.messages.get(&local).map(|queued| (local, &queued.send))
    }

    /// Removes a message that is stored or never will be. Returns `false` if it is not in the outbox.
    pub fn remove(&mut self, local: LocalId, stored: bool) -> bool {
        let Some(queued) = self.messages.remove(&local) else { return false };
        let lane = self.lanes.get_mut(&queued.lane).expect("every message has a lane");
        lane.waiting.remove(&local);
        if queued.in_flight {
            lane.in_flight -= 1;
            self.in_flight -= 1;
        }
        lane.one_by_one &= !stored;
        self.update_lane(&queued.lane);
        true
    }

    /// Handles a temporary refusal: the lane continues at `at`, starting with this message.
    pub fn retry(&mut self, local: LocalId, at: u64) {
        let Some(queued) = self.messages.get_mut(&local).filter(|queued| queued.in_flight) else { return };
        queued.in_flight = false;
        let key = queued.lane.clone();
        let lane = self.lanes.get_mut(&key).expect("every message has a lane");
        lane.in_flight -= 1;
        self.in_flight -= 1;
        lane.one_by_one = true;
        lane.waiting.insert(local);
        self.delayed.set(key.clone(), Some(self.delayed.get(&key).unwrap_or(0).max(at)));
        self.update_lane(&key);
    }

    /// Resumes the lanes whose pause is over.
    pub fn handle_timeout(&mut self, now: u64) {
        while let Some(key) = self.delayed.pop_due(now) {
            self.update_lane(&key);
        }
    }

    /// Handles a lost connection: every message in flight will be sent again, in order.
    pub fn connection_lost(&mut self) {
        self.delayed.clear();
        for (local, queued) in &mut self.messages {
            if std::mem::take(&mut queued.in_flight) {
                let lane = self.lanes.get_mut(&queued.lane).expect("every message has a lane");
                lane.waiting.insert(*local);
                lane.in_flight = 0;
            }
        }
        self.in_flight = 0;
        for key in self.lanes.keys().cloned().collect::<Vec<_>>() {
            self.update_lane(&key);
        }
    }

    /// Removes a message that may no longer be retried because the server may have forgotten its `cid`.
    pub fn take_expired(&mut self, now: u64) -> Option<LocalId> {
        let expired = |queued: &Queued| queued.first_try.is_some_and(|at| since(now, at) > RETRY_FOR_MS);
        let local = self.messages.iter().find(|(_, queued)| !queued.in_flight && expired(queued))?.0;
        let local = *local;
        self.remove(local, false);
        Some(local)
    }

    /// Removes every message.
    pub fn take_all(&mut self) -> Vec<LocalId> {
        let all = self.messages.keys().copied().collect();
        *self = Outbox::new(self.prefix, self.next, self.per_target);
        all
    }

    fn insert(&mut self, local: LocalId, send: Send, first_try: Option<i64>) {
        let lane = match &send.target {
            Target::User(id) => LaneKey::User(*id),
            Target::Name(who) => LaneKey::Name(name::key(who)),
            Target::Conversation(id) | Target::Group(id) => LaneKey::Conversation(*id),
        };
        self.lanes.entry(lane.clone()).or_default().waiting.insert(local);
        let queued = Queued { send, lane: lane.clone(), in_flight: false, attempts: 0, first_try };
        self.messages.insert(local, queued);
        self.update_lane(&lane);
    }

    /// Determines whether a lane may send, and drops it if it is empty.
    fn update_lane(&mut self, key: &LaneKey) {
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
    fn a_target_waits_for_its_reply_while_others_continue() {
        let mut outbox = outbox(1);
        for user in [2, 2, 3, 2] {
            outbox.add(to(user), "x", None).unwrap();
        }
        assert_eq!(sent(&mut outbox, 0), [0, 2]);
        assert!(outbox.remove(LocalId(0), true) && !outbox.remove(LocalId(0), true));
        assert_eq!(sent(&mut outbox, 0), [1]);
    }

    #[test]
    fn nothing_overtakes_a_message_that_is_being_retried() {
        let mut outbox = outbox(64);
        for _ in 0..4 {
            outbox.add(to(2), "x", None).unwrap();
        }
        assert_eq!(sent(&mut outbox, 0), [0, 1, 2, 3]);
        outbox.retry(LocalId(0), 100);
        outbox.retry(LocalId(1), 50);
        outbox.add(to(2), "y", None).unwrap();
        outbox.remove(LocalId(2), false);
        outbox.remove(LocalId(3), false);
        assert_eq!((sent(&mut outbox, 99), outbox.next_retry()), (vec![], Some(100)));
        outbox.handle_timeout(100);
        assert_eq!(sent(&mut outbox, 100), [0]);
        outbox.remove(LocalId(0), true);
        assert_eq!(sent(&mut outbox, 100), [1, 4]);
    }

    #[test]
    fn after_a_lost_connection_messages_are_sent_again_in_order_with_their_cids() {
        let mut outbox = outbox(64);
        for _ in 0..3 {
            outbox.add(to(2), "x", None).unwrap();
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
    fn a_message_retried_for_a_day_expires() {
        let mut outbox = outbox(1);
        outbox.add(to(2), "tried", None).unwrap();
        outbox.add(to(2), "never tried", None).unwrap();
        sent(&mut outbox, 5);
        outbox.connection_lost();
        assert_eq!(outbox.take_expired(5 + RETRY_FOR_MS), None);
        assert_eq!(outbox.take_expired(6 + RETRY_FOR_MS), Some(LocalId(0)));
        assert_eq!(outbox.take_expired(6 + RETRY_FOR_MS), None);
    }

    #[test]
    fn a_restart_does_not_reset_the_age_of_a_message() {
        let mut outbox = outbox(1);
        outbox.add(to(2), "tried", None).unwrap();
        sent(&mut outbox, 0);
        let unsent = outbox.get(RETRY_FOR_MS - 10, LocalId(0)).unwrap();
        let mut restarted = self::outbox(1);
        restarted.restore(0, unsent);
        assert_eq!(restarted.take_expired(10), None);
        assert_eq!(restarted.take_expired(11), Some(LocalId(0)));
    }

    #[test]
    fn texts_out_of_bounds_are_refused_locally() {
        let mut outbox = outbox(1);
        assert_eq!(outbox.add(to(2), "", None), Err(SendError::Empty));
        assert_eq!(outbox.add(to(2), &"x".repeat(32_769), None), Err(SendError::TooLong(32_769)));
        assert!(outbox.add(to(2), &"x".repeat(32_768), None).is_ok());
    }
}
