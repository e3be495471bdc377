//! Accounts for every message of one sender in one conversation; losses, duplicates and wrong order are found here.
//!
//! ```text
//!   base                      expected by a receiver         sent
//!    |  in transit ...           |  in transit ...            |
//!    +---------------------------+----------------------------+
//!    below: finished             highest received + 1
//! ```

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::ops::Range;

/// Counts of everything that can go wrong with messages; all are 0 in a clean run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Faults {
    /// Sent, not refused, and never delivered.
    pub lost: u64,
    /// Delivered again, or although refused.
    pub duplicated: u64,
    /// Delivered after a later message.
    pub out_of_order: u64,
    /// Delivered with other content than was sent.
    pub wrong_content: u64,
    /// The seq did not follow that of the previous message, or differed between reply and push.
    pub wrong_seq: u64,
    /// Delivered to all, but without a reply to the sender.
    pub unanswered: u64,
    /// Replies to requests that were not outstanding, and malformed replies.
    pub stray_replies: u64,
}

impl Faults {
    pub fn named(&self) -> [(&'static str, u64); 7] {
        let Faults { lost, duplicated, out_of_order, wrong_content, wrong_seq, unanswered, stray_replies } =
            *self;
        [
            ("lost", lost),
            ("duplicated", duplicated),
            ("out_of_order", out_of_order),
            ("wrong_content", wrong_content),
            ("wrong_seq", wrong_seq),
            ("unanswered", unanswered),
            ("stray_replies", stray_replies),
        ]
    }

    pub fn are_none(&self) -> bool {
        *self == Faults::default()
    }

    pub fn add(&mut self, other: &Faults) {
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.out_of_order += other.out_of_order;
        self.wrong_content += other.wrong_content;
        self.wrong_seq += other.wrong_seq;
        self.unanswered += other.unanswered;
        self.stray_replies += other.stray_replies;
    }
}

/// The events that a message waits for while it is outstanding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaits {
    /// The reply, and the delivery to every receiver.
    Both,
    /// The reply, as the receivers are offline.
    Reply,
    /// The delivery, as the dialect has no replies.
    Delivery,
    /// Nothing, as the receivers are offline and the dialect has no replies.
    Nothing,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// The time from which its latency counts.
    at: u64,
    /// From the first reply or push; 0 before.
    seq: u64,
    /// Receivers that do not have it yet.
    awaited: u32,
    /// The sender has the reply, or the dialect has none.
    is_answered: bool,
    /// It was refused and need not arrive.
    is_waived: bool,
    /// It was refused, but may be stored and arrive nevertheless.
    may_arrive: bool,
}

impl Slot {
    /// Whether it is no longer outstanding.
    fn is_done(&self, awaits: Awaits) -> bool {
        let receivers_are_offline = matches!(awaits, Awaits::Reply | Awaits::Nothing);
        self.is_answered && (receivers_are_offline || self.awaited == 0 || self.is_waived)
    }

    /// Whether neither a reply nor a delivery can follow.
    fn is_over(&self) -> bool {
        self.is_answered && (self.awaited == 0 || (self.is_waived && !self.may_arrive))
    }
}

/// The messages that one receiver has received.
#[derive(Clone, Debug, Default)]
struct Receiver {
    /// The counter after the highest received.
    expected: u64,
    /// Gaps below that.
    missing: Vec<Range<u64>>,
}

impl Receiver {
    /// Notes `counter`. Returns whether it arrived after a later one; `None` for a duplicate.
    #[inline]
    fn take(&mut self, counter: u64) -> Option<bool> {
        if counter == self.expected {
            self.expected += 1;
            return Some(false);
        }
        self.take_out_of_order(counter)
    }

    #[cold]
    fn take_out_of_order(&mut self, counter: u64) -> Option<bool> {
        if counter > self.expected {
            self.missing.push(self.expected..counter);
            self.expected = counter + 1;
            return Some(false);
        }
        let at = self.missing.iter().position(|gap| gap.contains(&counter))?;
        let Range { start, end } = self.missing.swap_remove(at);
        self.missing.extend([start..counter, counter + 1..end].into_iter().filter(|gap| !gap.is_empty()));
        Some(true)
    }
}

/// The messages of one sender in one conversation.
#[derive(Debug)]
pub struct Ledger {
    awaits: Awaits,
    slots: VecDeque<Slot>,
    /// The counter of the first slot.
    base: u64,
    /// Slots that are not done.
    outstanding: usize,
    receivers: Vec<Receiver>,
    /// The number of receivers of each message.
    audience: u32,
    faults: Faults,
}

/// The largest number of unanswered messages of a ledger; request numbers wrap at this value.
pub const REQUESTS: u64 = 1 << 21;

impl Ledger {
    /// Receivers are numbered below `receivers`; `audience` of them get each message.
    pub fn new(awaits: Awaits, receivers: usize, audience: u32) -> Ledger {
        let (slots, receivers) = (VecDeque::new(), vec![Receiver::default(); receivers]);
        Ledger { awaits, slots, base: 0, outstanding: 0, receivers, audience, faults: Faults::default() }
    }

    pub fn sent(&self) -> u64 {
        self.base + self.slots.len() as u64
    }

    pub fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// Whether replies or deliveries can still follow.
    pub fn has_open(&self) -> bool {
        !self.slots.is_empty()
    }

    /// Notes that a message is sent, whose latency counts from `at`; returns its counter.
    #[inline]
    pub fn send(&mut self, at: u64) -> u64 {
        let counter = self.sent();
        self.slots.push_back(Slot {
            at,
            seq: 0,
            awaited: self.audience,
            is_answered: matches!(self.awaits, Awaits::Delivery | Awaits::Nothing),
            is_waived: false,
            may_arrive: false,
        });
        self.outstanding += usize::from(self.awaits != Awaits::Nothing);
        counter
    }

    /// Handles the reply that a message is stored at `seq`; `request` is its counter modulo [`REQUESTS`]. Returns the
    /// time from which the message counts, or `None` for a stray reply.
    #[inline]
    pub fn handle_stored(&mut self, request: u64, seq: u64) -> Option<u64> {
        let (counter, slot) = self.open_request(request)?;
        slot.is_answered = true;
        let (at, seq_differs) = (slot.at, slot.seq != 0 && slot.seq != seq);
        slot.seq = seq;
        self.faults.wrong_seq += u64::from(seq_differs);
        self.settle(counter);
        Some(at)
    }

    /// Handles the reply that a message is refused. Returns whether the request was outstanding.
    pub fn handle_refused(&mut self, request: u64, may_be_stored: bool) -> bool {
        let audience = self.audience;
        let Some((counter, slot)) = self.open_request(request) else { return false };
        slot.is_answered = true;
        slot.is_waived = true;
        slot.may_arrive = may_be_stored;
        let arrived = u64::from(audience - slot.awaited);
        self.faults.duplicated += if may_be_stored { 0 } else { arrived };
        self.settle(counter);
        true
    }

    /// Handles a malformed reply.
    pub fn handle_stray_reply(&mut self) {
        self.faults.stray_replies += 1;
    }

    /// Handles the delivery of message `counter`, with the time `at` in its stamp, to `receiver` as `seq` (0 over the
    /// legacy dialect). Returns whether it is the first delivery; anything else counts as a fault.
    #[inline]
    pub fn handle_delivered(&mut self, receiver: usize, counter: u64, at: u64, seq: u64) -> bool {
        let sent = self.sent();
        let mut slot = match counter.checked_sub(self.base) {
            Some(index) => self.slots.get_mut(index as usize),
            None => None,
        };
        let is_other = slot.as_ref().is_some_and(|slot| slot.at != at);
        let Some(taker) = self.receivers.get_mut(receiver).filter(|_| counter < sent && !is_other) else {
            self.faults.wrong_content += 1;
            return false;
        };
        let is_unwanted = slot.as_ref().is_none_or(|slot| slot.is_waived && !slot.may_arrive);
        let taken = if is_unwanted { None } else { taker.take(counter) };
        let (Some(is_late), Some(slot)) = (taken, &mut slot) else {
            self.faults.duplicated += 1;
            return false;
        };
        self.faults.out_of_order += u64::from(is_late);
        let was_done = slot.is_done(self.awaits);
        slot.awaited = slot.awaited.saturating_sub(1);
        let seq_differs = slot.seq != 0 && slot.seq != seq;
        slot.seq = seq;
        self.faults.wrong_seq += u64::from(seq_differs);
        if slot.awaited == 0 {
            self.retire(counter, was_done);
        }
        true
    }

    /// The counter of an unanswered request, and the time from which its message counts.
    pub fn unanswered(&self, request: u64) -> Option<(u64, u64)> {
        let ahead = self.ahead(request);
        let slot = self.slots.get(ahead as usize).filter(|slot| !slot.is_answered)?;
        Some((self.base + ahead, slot.at))
    }

    /// The time from which message `counter` counts; `None` where it is finished or was never sent.
    pub fn time_of(&self, counter: u64) -> Option<u64> {
        let slot = self.slots.get(counter.checked_sub(self.base)? as usize)?;
        Some(slot.at)
    }

    /// The faults, provided that nothing more is to come: messages that have not arrived are lost.
    pub fn close(&self) -> Faults {
        let mut faults = self.faults;
        for slot in &self.slots {
            faults.lost += if slot.is_waived { 0 } else { u64::from(slot.awaited) };
            faults.unanswered += u64::from(slot.awaited == 0 && !slot.is_answered);
        }
        faults
    }

    /// How many messages after the first slot's `request` is.
    #[inline]
    fn ahead(&self, request: u64) -> u64 {
        (request + REQUESTS - self.base % REQUESTS) % REQUESTS
    }

    /// The counter and slot of `request`, if it is unanswered.
    #[inline]
    fn open_request(&mut self, request: u64) -> Option<(u64, &mut Slot)> {
        let ahead = self.ahead(request);
        let open = self.slots.get_mut(ahead as usize).filter(|slot| !slot.is_answered);
        if open.is_none() {
            self.faults.stray_replies += 1;
        }
        open.map(|slot| (self.base + ahead, slot))
    }

    /// Handles that the reply to `counter` has arrived.
    #[inline]
    fn settle(&mut self, counter: u64) {
        self.retire(counter, false);
    }

    /// Updates the count of outstanding messages, and drops finished slots from the front.
    #[inline]
    fn retire(&mut self, counter: u64, was_done: bool) {
        let is_done = self.slots[(counter - self.base) as usize].is_done(self.awaits);
        self.outstanding -= usize::from(is_done && !was_done);
        while self.slots.front().is_some_and(Slot::is_over) {
            self.slots.pop_front();
            self.base += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Ledger {
        Ledger::new(Awaits::Both, 1, 1)
    }

    /// `count` messages, sent and answered; message `n` counts from `10 * n` and has seq `n + 1`.
    fn answered(count: u64) -> Ledger {
        let mut ledger = empty();
        for counter in 0..count {
            assert_eq!(ledger.send(counter * 10), counter);
            assert_eq!(ledger.handle_stored(counter, counter + 1), Some(counter * 10));
        }
        ledger
    }

    fn deliver(ledger: &mut Ledger, counters: &[u64]) {
        for &counter in counters {
            ledger.handle_delivered(0, counter, counter * 10, counter + 1);
        }
    }

    #[test]
    fn delivery_in_order_is_no_fault() {
        let mut ledger = answered(5);
        assert_eq!(ledger.outstanding(), 5);
        deliver(&mut ledger, &[0, 1, 2, 3, 4]);
        assert_eq!((ledger.outstanding(), ledger.has_open(), ledger.sent()), (0, false, 5));
        assert!(ledger.close().are_none());
    }

    #[test]
    fn a_loss_in_the_middle_and_at_the_end_is_counted() {
        let mut ledger = answered(5);
        deliver(&mut ledger, &[0, 2, 3]);
        assert_eq!(ledger.outstanding(), 2);
        let faults = ledger.close();
        assert_eq!((faults.lost, faults.duplicated, faults.out_of_order), (2, 0, 0));
    }

    #[test]
    fn a_duplicate_is_counted_with_and_without_its_slot() {
        let mut ledger = answered(4);
        deliver(&mut ledger, &[0, 1, 1, 3, 3]);
        assert_eq!(ledger.close().duplicated, 2);
        deliver(&mut ledger, &[2]);
        let faults = ledger.close();
        assert_eq!((faults.lost, faults.duplicated, faults.out_of_order), (0, 2, 1));
        deliver(&mut ledger, &[2]);
        assert_eq!(ledger.close().duplicated, 3);
    }

    #[test]
    fn two_swapped_messages_are_one_out_of_order() {
        let mut ledger = answered(4);
        deliver(&mut ledger, &[0, 2, 1, 3]);
        let faults = ledger.close();
        assert_eq!((faults.lost, faults.duplicated, faults.out_of_order), (0, 0, 1));
    }

    #[test]
    fn a_delivery_may_arrive_before_its_reply() {
        let mut ledger = empty();
        ledger.send(1);
        assert!(ledger.handle_delivered(0, 0, 1, 8));
        assert_eq!((ledger.outstanding(), ledger.close().unanswered), (1, 1));
        assert_eq!(ledger.handle_stored(0, 8), Some(1));
        assert_eq!(ledger.outstanding(), 0);
        assert!(ledger.close().are_none());
    }

    #[test]
    fn replies_may_arrive_in_any_order_but_only_once() {
        let mut ledger = empty();
        (0..3).for_each(|at| assert_eq!(ledger.send(at), at));
        for request in [2, 0, 1] {
            assert!(ledger.handle_stored(request, request).is_some());
        }
        assert_eq!(ledger.close().stray_replies, 0);
        for request in [1, 4, REQUESTS - 1] {
            assert_eq!(ledger.handle_stored(request, 1), None);
        }
        assert_eq!(ledger.close().stray_replies, 3);
    }

    #[test]
    fn a_reply_and_a_push_must_agree_on_the_seq() {
        let mut ledger = answered(2);
        ledger.handle_delivered(0, 0, 0, 1);
        ledger.handle_delivered(0, 1, 10, 3);
        assert_eq!(ledger.close().wrong_seq, 1);
    }

    #[test]
    fn a_refused_message_is_not_lost_and_must_not_arrive() {
        let mut ledger = empty();
        (0..3).for_each(|n| assert_eq!(ledger.send(n * 10), n));
        assert!(ledger.handle_refused(1, false));
        assert!(ledger.handle_refused(2, true));
        assert_eq!(ledger.outstanding(), 1);
        ledger.handle_stored(0, 1);
        ledger.handle_delivered(0, 0, 0, 1);
        assert!(ledger.close().are_none());
        // Message 2 may be stored and arrive once. Message 1 may not.
        assert!(ledger.handle_delivered(0, 2, 20, 2));
        assert!(ledger.close().are_none());
        ledger.handle_delivered(0, 1, 10, 3);
        assert_eq!(ledger.close().duplicated, 1);
    }

    #[test]
    fn a_message_that_was_never_sent_or_has_another_time_is_wrong_content() {
        let mut ledger = answered(1);
        assert!(!ledger.handle_delivered(0, 5, 50, 6));
        assert!(!ledger.handle_delivered(0, 0, 1, 1));
        assert!(!ledger.handle_delivered(1, 0, 0, 1));
        assert_eq!((ledger.close().wrong_content, ledger.close().lost), (3, 1));
    }

    #[test]
    fn every_member_of_a_group_must_receive_every_message_once() {
        // Receiver 0 is the sender.
        let mut ledger = Ledger::new(Awaits::Both, 4, 3);
        for counter in 0..3 {
            ledger.send(counter);
            ledger.handle_stored(counter, counter + 1);
        }
        for (receiver, counter) in [(1, 0), (2, 0), (3, 0), (1, 1), (1, 2), (2, 2), (2, 1), (1, 1), (3, 2)] {
            ledger.handle_delivered(receiver, counter, counter, counter + 1);
        }
        // 3 lacks message 1, 2 received the last two in the wrong order, 1 received message 1 twice.
        let faults = ledger.close();
        assert_eq!((faults.lost, faults.out_of_order, faults.duplicated), (1, 1, 1));
        assert_eq!(ledger.outstanding(), 1);
    }

    #[test]
    fn awaited_events_decide_what_is_outstanding() {
        let mut offline = Ledger::new(Awaits::Reply, 1, 1);
        offline.send(0);
        offline.handle_stored(0, 1);
        assert_eq!((offline.outstanding(), offline.has_open(), offline.close().lost), (0, true, 1));
        offline.handle_delivered(0, 0, 0, 1);
        assert!(!offline.has_open() && offline.close().are_none());
        let mut unanswered = Ledger::new(Awaits::Delivery, 1, 1);
        unanswered.send(0);
        assert_eq!(unanswered.outstanding(), 1);
        unanswered.handle_delivered(0, 0, 0, 0);
        assert!(unanswered.outstanding() == 0 && unanswered.close().are_none());
        let mut nothing = Ledger::new(Awaits::Nothing, 1, 1);
        nothing.send(0);
        assert_eq!((nothing.outstanding(), nothing.close().lost), (0, 1));
        nothing.handle_delivered(0, 0, 0, 0);
        assert!(nothing.outstanding() == 0 && nothing.close().are_none());
    }

    #[test]
    fn request_numbers_wrap() {
        let mut ledger = empty();
        for counter in 0..2 * REQUESTS + 7 {
            ledger.send(counter);
            assert_eq!(ledger.handle_stored(counter % REQUESTS, counter + 1), Some(counter));
            assert!(ledger.handle_delivered(0, counter, counter, counter + 1));
        }
        assert!(ledger.close().are_none());
    }
}
