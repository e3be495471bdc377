//! Accounts for every message of one direction: who sees a loss, a double or a wrong order sees it here. Pure.
//!
//! ```text
//!   base                      expected             sent
//!    |  outstanding ...          |  outstanding ...   |
//!    +---------------------------+--------------------+
//!    below: done with            highest delivered + 1
//! ```

use std::collections::VecDeque;

/// Everything that may have gone wrong with messages. A good run is all zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Sent, not refused, and never delivered.
    pub lost: u64,
    /// Delivered again, or after it was refused.
    pub duplicated: u64,
    /// Delivered behind a later one.
    pub out_of_order: u64,
    /// Delivered, but not what was sent.
    pub wrong_content: u64,
    /// Its seq was not the one after the message before, or the reply and the push gave it different ones.
    pub wrong_seq: u64,
    /// Delivered, but its sender got no reply.
    pub unanswered: u64,
    /// Replies to requests that were not open, and replies that made no sense.
    pub stray_replies: u64,
}

impl Faults {
    /// Each count with its name.
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

    /// Whether nothing went wrong.
    pub fn are_none(&self) -> bool {
        *self == Faults::default()
    }

    /// Adds another direction's.
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

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// Since when it counts.
    at: u64,
    /// What the reply or the push said first; 0 before.
    seq: u64,
    /// The sender has its reply.
    is_answered: bool,
    /// The recipient has it.
    is_delivered: bool,
    /// It was refused: it need not arrive.
    is_waived: bool,
    /// It was refused and may be stored nevertheless: it may arrive.
    may_arrive: bool,
}

impl Slot {
    /// Nothing more is to be waited for.
    fn is_done(&self) -> bool {
        self.is_answered && (self.is_delivered || self.is_waived)
    }

    /// Nothing more may come.
    fn is_over(&self) -> bool {
        self.is_done() && (self.is_delivered || !self.may_arrive)
    }
}

/// The messages of one direction.
#[derive(Debug)]
pub struct Ledger {
    slots: VecDeque<Slot>,
    /// The counter of the first slot.
    base: u64,
    /// How many slots are not done.
    outstanding: usize,
    /// The counter after the highest that was delivered.
    expected: u64,
    /// The seq of the last message that was delivered for the first time.
    last_seq: u64,
    faults: Faults,
}

/// Request numbers wrap here; 0 stays free, it would ask for no reply.
const REQUESTS: u64 = 1 << 31;

/// The request number of message `counter`.
pub fn request_of(counter: u64) -> u32 {
    (counter % REQUESTS) as u32 + 1
}

impl Ledger {
    /// A direction in whose conversation `last_seq` was the last message.
    pub fn new(last_seq: u64) -> Ledger {
        Ledger {
            slots: VecDeque::new(),
            base: 0,
            outstanding: 0,
            expected: 0,
            last_seq,
            faults: Faults::default(),
        }
    }

    /// How many messages were sent.
    pub fn sent(&self) -> u64 {
        self.base + self.slots.len() as u64
    }

    /// How many messages are not yet both answered and delivered.
    pub fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// The seq up to which the recipient has all.
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// A message is sent, which counts from `at`: its counter.
    #[inline]
    pub fn send(&mut self, at: u64) -> u64 {
        let counter = self.sent();
        let slot =
            Slot { at, seq: 0, is_answered: false, is_delivered: false, is_waived: false, may_arrive: false };
        self.slots.push_back(slot);
        self.outstanding += 1;
        counter
    }

    /// The reply that it is stored at `seq` has come: since when the message counts, unless the reply is a stray.
    #[inline]
    pub fn handle_stored(&mut self, request: u32, seq: u64) -> Option<u64> {
        let slot = self.open_request(request)?;
        slot.is_answered = true;
        let (at, seq_differs) = (slot.at, slot.seq != 0 && slot.seq != seq);
        slot.seq = seq;
        self.faults.wrong_seq += u64::from(seq_differs);
        self.settle(counter_of(self.base, request));
        Some(at)
    }

    /// The reply that it was refused has come. Whether it answered an open request.
    pub fn handle_refused(&mut self, request: u32, may_be_stored: bool) -> bool {
        let Some(slot) = self.open_request(request) else { return false };
        slot.is_answered = true;
        slot.is_waived = true;
        slot.may_arrive = may_be_stored;
        let is_delivered = slot.is_delivered;
        self.faults.duplicated += u64::from(is_delivered && !may_be_stored);
        self.settle(counter_of(self.base, request));
        true
    }

    /// A reply came that makes no sense.
    pub fn handle_stray_reply(&mut self) {
        self.faults.stray_replies += 1;
    }

    /// A message came that is not what was sent.
    pub fn handle_wrong_content(&mut self) {
        self.faults.wrong_content += 1;
    }

    /// Message `counter`, said to count from `at`, was delivered as `seq`: since when it counts, unless it came before.
    #[inline]
    pub fn handle_delivered(&mut self, counter: u64, at: u64, seq: u64) -> Option<u64> {
        if counter >= self.sent() {
            self.faults.wrong_content += 1;
            return None;
        }
        let slot = match counter.checked_sub(self.base) {
            Some(index) => &mut self.slots[index as usize],
            None => {
                self.faults.duplicated += 1;
                return None;
            }
        };
        if slot.at != at {
            self.faults.wrong_content += 1;
            return None;
        }
        if slot.is_delivered || (slot.is_waived && !slot.may_arrive) {
            self.faults.duplicated += 1;
            return None;
        }
        let was_done = slot.is_done();
        slot.is_delivered = true;
        let seq_differs = slot.seq != 0 && slot.seq != seq;
        slot.seq = seq;
        self.faults.wrong_seq += u64::from(seq_differs || seq != self.last_seq + 1);
        self.last_seq = seq;
        if counter < self.expected {
            self.faults.out_of_order += 1;
        } else {
            self.expected = counter + 1;
        }
        if !was_done {
            self.settle(counter);
        }
        Some(at)
    }

    /// What went wrong, where nothing more is to come: what has not arrived is lost.
    pub fn close(&self) -> Faults {
        let mut faults = self.faults;
        for slot in &self.slots {
            faults.lost += u64::from(!slot.is_delivered && !slot.is_waived);
            faults.unanswered += u64::from(slot.is_delivered && !slot.is_answered);
        }
        faults
    }

    /// The slot that `request` belongs to, where it waits for its reply.
    #[inline]
    fn open_request(&mut self, request: u32) -> Option<&mut Slot> {
        let counter = if request == 0 { u64::MAX } else { counter_of(self.base, request) };
        let slot = self.slots.get_mut(usize::try_from(counter.wrapping_sub(self.base)).unwrap_or(usize::MAX));
        let open = slot.filter(|slot| !slot.is_answered);
        if open.is_none() {
            self.faults.stray_replies += 1;
        }
        open
    }

    /// Forgets the slots at the front that are done with, after the slot of `counter` changed.
    #[inline]
    fn settle(&mut self, counter: u64) {
        let is_done = self.slots[(counter - self.base) as usize].is_done();
        self.outstanding -= usize::from(is_done);
        while self.slots.front().is_some_and(Slot::is_over) {
            self.slots.pop_front();
            self.base += 1;
        }
    }
}

/// The counter from `base` on whose request number is `request`.
fn counter_of(base: u64, request: u32) -> u64 {
    base + (u64::from(request) + REQUESTS - 1 - base % REQUESTS) % REQUESTS
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `count` messages, sent and answered; message n counts from n * 10 and has seq n + 1.
    fn answered(count: u64) -> Ledger {
        let mut ledger = Ledger::new(0);
        for counter in 0..count {
            assert_eq!(ledger.send(counter * 10), counter);
            assert_eq!(ledger.handle_stored(request_of(counter), counter + 1), Some(counter * 10));
        }
        ledger
    }

    fn deliver(ledger: &mut Ledger, counters: &[u64]) {
        for &counter in counters {
            ledger.handle_delivered(counter, counter * 10, counter + 1);
        }
    }

    #[test]
    fn all_in_order_is_no_fault() {
        let mut ledger = answered(5);
        assert_eq!(ledger.outstanding(), 5);
        deliver(&mut ledger, &[0, 1, 2, 3, 4]);
        assert_eq!((ledger.outstanding(), ledger.last_seq(), ledger.sent()), (0, 5, 5));
        assert!(ledger.close().are_none());
    }

    #[test]
    fn a_loss_in_the_middle_and_at_the_end_is_counted() {
        let mut ledger = answered(5);
        deliver(&mut ledger, &[0, 2, 3]);
        assert_eq!(ledger.outstanding(), 2);
        let faults = ledger.close();
        assert_eq!((faults.lost, faults.duplicated, faults.out_of_order), (2, 0, 0));
        assert_eq!(faults.wrong_seq, 1, "2 came where 1 was to come");
    }

    #[test]
    fn a_double_is_counted_whether_the_slot_is_still_there_or_not() {
        let mut ledger = answered(4);
        deliver(&mut ledger, &[0, 1, 1, 3, 3]);
        assert_eq!(ledger.close().duplicated, 2);
        deliver(&mut ledger, &[2]);
        let faults = ledger.close();
        assert_eq!((faults.lost, faults.duplicated, faults.out_of_order), (0, 2, 1));
    }

    #[test]
    fn two_that_changed_places_are_one_out_of_order() {
        let mut ledger = answered(4);
        deliver(&mut ledger, &[0, 2, 1, 3]);
        let faults = ledger.close();
        assert_eq!((faults.lost, faults.duplicated, faults.out_of_order), (0, 0, 1));
    }

    #[test]
    fn a_delivery_may_overtake_its_reply() {
        let mut ledger = Ledger::new(7);
        ledger.send(1);
        assert_eq!(ledger.handle_delivered(0, 1, 8), Some(1));
        assert_eq!((ledger.outstanding(), ledger.close().unanswered), (1, 1));
        assert_eq!(ledger.handle_stored(1, 8), Some(1));
        assert_eq!(ledger.outstanding(), 0);
        assert!(ledger.close().are_none());
    }

    #[test]
    fn replies_may_come_in_any_order_but_once() {
        let mut ledger = Ledger::new(0);
        (0..3).for_each(|at| assert_eq!(ledger.send(at), at));
        for request in [3, 1, 2] {
            assert!(ledger.handle_stored(request, u64::from(request)).is_some());
        }
        assert_eq!(ledger.close().stray_replies, 0);
        for request in [1, 4, 0] {
            assert_eq!(ledger.handle_stored(request, 1), None);
        }
        assert_eq!(ledger.close().stray_replies, 3);
    }

    #[test]
    fn a_reply_and_a_push_must_agree_on_the_seq() {
        let mut ledger = answered(2);
        ledger.handle_delivered(0, 0, 1);
        ledger.handle_delivered(1, 10, 3);
        assert!(ledger.close().wrong_seq > 0);
    }

    #[test]
    fn what_was_refused_is_not_lost_and_must_not_arrive() {
        let mut ledger = Ledger::new(0);
        (0..3).for_each(|n| assert_eq!(ledger.send(n * 10), n));
        assert!(ledger.handle_refused(request_of(1), false));
        assert!(ledger.handle_refused(request_of(2), true));
        assert_eq!(ledger.outstanding(), 1);
        ledger.handle_stored(request_of(0), 1);
        ledger.handle_delivered(0, 0, 1);
        assert!(ledger.close().are_none());
        // Message 2 may be stored: it may come, once. Message 1 may not.
        assert!(ledger.handle_delivered(2, 20, 2).is_some());
        assert!(ledger.close().are_none());
        ledger.handle_delivered(1, 10, 3);
        assert_eq!(ledger.close().duplicated, 1);
    }

    #[test]
    fn a_message_that_was_never_sent_or_has_another_time_is_wrong() {
        let mut ledger = answered(1);
        assert_eq!(ledger.handle_delivered(5, 50, 6), None);
        assert_eq!(ledger.handle_delivered(0, 1, 1), None);
        assert_eq!(ledger.close().wrong_content, 2);
        assert_eq!(ledger.close().lost, 1);
    }

    #[test]
    fn request_numbers_wrap() {
        for base in [0, 5, REQUESTS - 2, REQUESTS, 3 * REQUESTS + 7] {
            for counter in base..base + 5 {
                let request = request_of(counter);
                assert!(request != 0);
                assert_eq!(counter_of(base, request), counter);
            }
        }
    }
}
