//! When clients must acknowledge what they have received.

use crate::clock::MILLISECOND;
use std::collections::VecDeque;

/// A client acknowledges after this many messages, or ...
pub const ACK_MESSAGES: u32 = 64;
/// ... this long after the first unacknowledged message, ns.
const ACK_DELAY: u64 = 200 * MILLISECOND;

/// The member of a conversation whose acknowledgement is due.
#[derive(Clone, Copy, Debug)]
pub struct AckDue {
    pub lane: u32,
    pub conversation: u32,
    pub member: u32,
    /// The member's count of ACKs when the timer started: a higher count has made the timer obsolete.
    pub acks: u64,
}

/// Running timers. All have the same delay, so they end in the order in which they started.
#[derive(Debug, Default)]
pub struct AckTimers(VecDeque<(u64, AckDue)>);

impl AckTimers {
    pub fn start(&mut self, now: u64, due: AckDue) {
        self.0.push_back((now + ACK_DELAY, due));
    }

    /// When the next timer ends.
    pub fn next(&self) -> u64 {
        self.0.front().map_or(u64::MAX, |(at, _)| *at)
    }

    /// Removes a timer that has ended by `now`.
    pub fn take(&mut self, now: u64) -> Option<AckDue> {
        if self.next() > now {
            return None;
        }
        self.0.pop_front().map(|(_, due)| due)
    }
}
