//! A hashed timer wheel (Varghese and Lauck, SOSP 1987, scheme 6): one bucket a tick.
//!
//! ```text
//!            at
//!             v
//!   +---+---+---+---+---+-- ... --+---+
//!   |   |   |   | 5 |   |         |   |   bucket = due mod 1024; entries of a later
//!   +---+---+---+---+---+-- ... --+---+   round stay when their bucket expires
//!                 `- (key, due), (key, due)
//! ```
//!
//! There is no removal: when a key expires, its owner checks whether the entry is still valid. So a deadline that moves
//! later with every byte received costs nothing: it is checked when the old entry expires.

use crate::deadline::Tick;

const BUCKETS: usize = 1024;

#[derive(Debug)]
pub(crate) struct Wheel<K> {
    buckets: Box<[Vec<(K, Tick)>]>,
    /// One bit for each bucket that is not empty, so that an idle reactor sleeps until the next of them.
    occupied: [u64; BUCKETS / 64],
    /// Everything due up to here has expired.
    at: Tick,
}

impl<K> Wheel<K> {
    /// An empty wheel at tick 0.
    pub fn new() -> Wheel<K> {
        let buckets = (0..BUCKETS).map(|_| Vec::new()).collect();
        Wheel { buckets, occupied: [0; BUCKETS / 64], at: Tick(0) }
    }

    /// Inserts `key`, to expire at `due`, or at the next tick where that is past.
    pub fn insert(&mut self, key: K, due: Tick) {
        let bucket = due.max(Tick(self.at.0 + 1)).0 as usize % BUCKETS;
        self.buckets[bucket].push((key, due));
        self.occupied[bucket / 64] |= 1 << (bucket % 64);
    }

    /// Moves everything that is due at `now` to `out`.
    pub fn expire(&mut self, now: Tick, out: &mut Vec<(K, Tick)>) {
        let ticks = now.0.saturating_sub(self.at.0).min(BUCKETS as u32);
        for tick in (now.0 + 1 - ticks)..=now.0 {
            let index = tick as usize % BUCKETS;
            let bucket = &mut self.buckets[index];
            out.extend(bucket.extract_if(.., |(_, due)| *due <= now));
            if bucket.is_empty() {
                // Its memory is freed too: keys that are due together would leave a trail of large buckets.
                *bucket = Vec::new();
                self.occupied[index / 64] &= !(1 << (index % 64));
            }
        }
        self.at = self.at.max(now);
    }

    /// Nothing expires before this time; `None`: the wheel is empty.
    pub fn next(&self) -> Option<Tick> {
        let first = (self.at.0 as usize + 1) % BUCKETS;
        // The word of the first bucket is checked twice: from that bucket on, and at last up to it.
        for step in 0..=self.occupied.len() {
            let index = (first / 64 + step) % self.occupied.len();
            let mut word = self.occupied[index];
            if step == 0 {
                word &= u64::MAX << (first % 64);
            }
            if word != 0 {
                let bucket = index * 64 + word.trailing_zeros() as usize;
                let ahead = (bucket + BUCKETS - first) % BUCKETS;
                return Some(Tick(self.at.0 + 1 + ahead as u32));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Insert { ahead: u32 },
        Advance { ticks: u32 },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0u32..4000).prop_map(|ahead| Step::Insert { ahead }),
            (0u32..40).prop_map(|ticks| Step::Advance { ticks }),
            (0u32..3000).prop_map(|ticks| Step::Advance { ticks }),
        ]
    }

    proptest! {
        /// Against a plain list: the same keys expire at the same times, and `next` is never too late.
        #[test]
        fn agrees_with_a_plain_list(steps in proptest::collection::vec(step(), 1..200)) {
            let (mut wheel, mut list, mut now, mut keys) = (Wheel::new(), Vec::new(), Tick(0), 0u32);
            for step in steps {
                match step {
                    Step::Insert { ahead } => {
                        wheel.insert(keys, Tick(now.0 + ahead));
                        // Keys whose time has passed expire at the next tick.
                        list.push((keys, Tick(now.0 + ahead)));
                        keys += 1;
                    }
                    Step::Advance { ticks: 0 } => {}
                    Step::Advance { ticks } => {
                        now = Tick(now.0 + ticks);
                        let mut out = Vec::new();
                        wheel.expire(now, &mut out);
                        out.sort_unstable();
                        let mut expected: Vec<_> = list.extract_if(.., |(_, due)| *due <= now).collect();
                        expected.sort_unstable();
                        prop_assert_eq!(out, expected);
                    }
                }
                match (wheel.next(), list.iter().map(|(_, due)| (*due).max(Tick(now.0 + 1))).min()) {
                    (None, earliest) => prop_assert_eq!(earliest, None),
                    (Some(next), Some(earliest)) => prop_assert!(now < next && next <= earliest),
                    (Some(next), None) => prop_assert!(false, "an empty wheel names {next:?}"),
                }
            }
        }
    }
}
