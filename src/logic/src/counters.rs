//! What the rules count about themselves: plain numbers, which the thread around them shows to others.

use wire::{Errno, Reply};

/// One more than the greatest [`Errno::number`].
pub const ERRNOS: usize = Errno::Internal as usize + 1;

/// Numbers that only grow, from the start of the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Answers by [`Errno::number`]; 0: carried out.
    pub answers: [u64; ERRNOS],
    /// Messages of clients that were stored, each once, by the time from their request to their delivery.
    pub stored: Milliseconds,
    /// Logins that succeeded.
    pub logins: u64,
}

const _: () = {
    let mut at = 0;
    while at < Errno::ALL.len() {
        assert!((Errno::ALL[at] as usize) < ERRNOS, "each errno has a place");
        at += 1;
    }
};

impl Counters {
    #[inline]
    pub(crate) fn answered(&mut self, reply: &Reply) {
        let number = match reply {
            Reply::Refused(refusal) => refusal.errno.number(),
            _ => 0,
        };
        self.answers[usize::from(number)] += 1;
    }
}

/// A histogram of times that are measured in whole milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Milliseconds {
    /// How many took less than 2^n milliseconds, and not less than the bucket before; the last one holds all others.
    pub buckets: [u64; Milliseconds::BUCKETS],
    /// All times together, each rounded up.
    pub total_ms: u64,
}

impl Milliseconds {
    pub const BUCKETS: usize = 16;

    /// `ms`: between two readings of a clock of milliseconds, so less than one more has passed.
    #[inline]
    pub(crate) fn record(&mut self, ms: u64) {
        let bucket = (u64::BITS - ms.leading_zeros()) as usize;
        self.buckets[bucket.min(self.buckets.len() - 1)] += 1;
        self.total_ms += ms + 1;
    }

    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_below_the_bound_of_its_bucket() {
        for (ms, bucket) in
            [(0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (16_383, 14), (16_384, 15), (u64::MAX - 1, 15)]
        {
            let mut times = Milliseconds::default();
            times.record(ms);
            assert_eq!(times.buckets[bucket], 1, "{ms} ms");
            assert_eq!((times.count(), times.total_ms), (1, ms + 1));
        }
    }
}
