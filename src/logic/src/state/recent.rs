//! [`Recent`]: keys that were noted within a fixed time, a bounded number of them.

use std::collections::{BTreeSet, VecDeque};

#[derive(Debug)]
pub(crate) struct Recent<K> {
    keys: BTreeSet<K>,
    /// When the time of each key ends, monotonic ms, the earliest first.
    ends: VecDeque<(u64, K)>,
    /// Milliseconds.
    lasts: u64,
    capacity: usize,
}

impl<K: Copy + Ord> Recent<K> {
    pub fn new(lasts: u64, capacity: usize) -> Recent<K> {
        Recent { keys: BTreeSet::new(), ends: VecDeque::new(), lasts, capacity }
    }

    pub fn contains(&mut self, key: &K, now: u64) -> bool {
        self.sweep(now);
        self.keys.contains(key)
    }

    /// Notes a key. Returns `false` if it was noted already or there is no room.
    pub fn note(&mut self, key: K, now: u64) -> bool {
        self.sweep(now);
        if self.keys.len() >= self.capacity || !self.keys.insert(key) {
            return false;
        }
        self.ends.push_back((now + self.lasts, key));
        true
    }

    /// Drops the keys whose time has ended.
    pub fn sweep(&mut self, now: u64) {
        while let Some((_, key)) = self.ends.pop_front_if(|(end, _)| *end <= now) {
            self.keys.remove(&key);
        }
        if self.ends.is_empty() {
            self.ends = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_noted_once_in_its_time() {
        let mut recent = Recent::new(3_000, 2);
        assert!(recent.note('a', 0));
        assert!(!recent.note('a', 2_999) && recent.contains(&'a', 2_999));
        assert!(recent.note('a', 3_000), "its time began at the first note");
        assert!(recent.note('b', 3_000));
        assert!(!recent.note('c', 3_001), "there is no room");
        assert!(recent.note('c', 6_000) && !recent.contains(&'b', 6_000));
    }
}
