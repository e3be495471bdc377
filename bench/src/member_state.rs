//! One member's state in a conversation: what it has received, and what it has acknowledged.

#[derive(Clone, Debug)]
pub struct MemberState {
    /// The seq up to which this member has everything. Its own messages are never pushed to it and count as received.
    pub last_seq: u64,
    /// Its own messages above `last_seq`, ascending.
    own: Vec<u64>,
    /// The last seq that the server may have pushed again after a login.
    repeats_to: u64,
    /// Received messages that are not acknowledged yet.
    pub unacknowledged: u32,
    /// The number of ACKs sent.
    pub acks: u64,
}

impl MemberState {
    pub fn new(last_seq: u64) -> MemberState {
        MemberState { last_seq, own: Vec::new(), repeats_to: 0, unacknowledged: 0, acks: 0 }
    }

    /// Notes a message of this member that is stored at `seq`.
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

    /// Notes a message of another member. Returns whether no seq is missing before it.
    #[inline]
    pub fn note_pushed(&mut self, seq: u64) -> bool {
        let is_next = seq == self.last_seq + 1;
        self.last_seq = self.last_seq.max(seq);
        self.absorb();
        is_next
    }

    /// Notes a new connection: the server pushes unacknowledged messages again.
    pub fn note_return(&mut self) {
        (self.unacknowledged, self.acks) = (0, self.acks + 1);
        self.repeats_to = self.own.last().copied().unwrap_or(0).max(self.last_seq);
    }

    /// Whether it has the message at `seq` and the server may push it again. A client drops it.
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
    fn own_messages_leave_no_gap_and_others_must_not() {
        let mut state = MemberState::new(0);
        // The reply to an own message may arrive before the messages below it.
        state.note_own(3);
        state.note_own(2);
        assert!(state.note_pushed(1) && state.last_seq == 3);
        assert!(state.note_pushed(4));
        assert!(!state.note_pushed(6), "5 is missing");
        state.note_own(7);
        assert_eq!((state.last_seq, state.own.len()), (7, 0));
    }

    #[test]
    fn only_received_messages_may_repeat_after_a_return() {
        let mut state = MemberState::new(4);
        state.note_own(7);
        assert!(!state.is_repeat(4), "it has not returned yet");
        state.note_return();
        assert!(state.is_repeat(4) && !state.is_repeat(5));
        assert!(state.note_pushed(5) && state.note_pushed(6));
        assert!(state.is_repeat(7), "its own message, which it has not acknowledged either");
        assert!(!state.is_repeat(8) && state.note_pushed(8) && !state.is_repeat(8));
    }
}
