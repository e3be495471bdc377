//! A member's place in a conversation: what it has, and what it has acknowledged. Pure.

/// One member's place in a conversation.
#[derive(Clone, Debug)]
pub struct MemberState {
    /// The seq up to which this member has all; its own messages are never pushed to it and count as had.
    pub last_seq: u64,
    /// Its own messages above that, rising.
    own: Vec<u64>,
    /// Up to here a login may have pushed again what was not acknowledged.
    repeats_to: u64,
    /// Received and not yet acknowledged to the server.
    pub unacknowledged: u32,
    /// Counts the ACKs.
    pub acks: u64,
}

impl MemberState {
    /// A member who has all up to `last_seq`.
    pub fn new(last_seq: u64) -> MemberState {
        MemberState { last_seq, own: Vec::new(), repeats_to: 0, unacknowledged: 0, acks: 0 }
    }

    /// A message of this member itself is stored at `seq`.
    #[inline]
    pub fn note_own(&mut self, seq: u64) {
        if seq == self.last_seq + 1 {
            self.last_seq = seq;
        } else if seq > self.last_seq {
            let at = self.own.partition_point(|own| *own < seq);
            self.own.insert(at, seq);
        }
        self.absorb();
    }

    /// Another's message came as `seq`: whether nothing was left out before it.
    #[inline]
    pub fn note_pushed(&mut self, seq: u64) -> bool {
        let is_next = seq == self.last_seq + 1;
        self.last_seq = self.last_seq.max(seq);
        self.absorb();
        is_next
    }

    /// It has come back on a new connection: what it had not acknowledged will be pushed again.
    pub fn note_return(&mut self) {
        (self.unacknowledged, self.acks) = (0, self.acks + 1);
        self.repeats_to = self.own.last().copied().unwrap_or(0).max(self.last_seq);
    }

    /// Whether it has the message at `seq` already and was to expect it again. A client drops that.
    pub fn is_repeat(&self, seq: u64) -> bool {
        seq <= self.last_seq.min(self.repeats_to)
    }

    #[inline]
    fn absorb(&mut self) {
        if !self.own.is_empty() {
            while let Some(&own) = self.own.first().filter(|own| **own <= self.last_seq + 1) {
                self.last_seq = self.last_seq.max(own);
                self.own.remove(0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_messages_leave_no_hole_and_others_must_not() {
        let mut seat = MemberState::new(0);
        // The reply to an own message may come before the messages below it.
        seat.note_own(3);
        seat.note_own(2);
        assert!(seat.note_pushed(1) && seat.last_seq == 3);
        assert!(seat.note_pushed(4));
        assert!(!seat.note_pushed(6), "5 was left out");
        seat.note_own(7);
        assert_eq!((seat.last_seq, seat.own.len()), (7, 0));
    }

    #[test]
    fn after_a_return_what_was_had_may_come_again_and_nothing_else() {
        let mut seat = MemberState::new(4);
        seat.note_own(7);
        assert!(!seat.is_repeat(4), "it has not been away");
        seat.note_return();
        assert!(seat.is_repeat(4) && !seat.is_repeat(5));
        assert!(seat.note_pushed(5) && seat.note_pushed(6));
        assert!(seat.is_repeat(7), "its own, which it did not acknowledge either");
        assert!(!seat.is_repeat(8) && seat.note_pushed(8) && !seat.is_repeat(8));
    }
}
