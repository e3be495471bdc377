//! [`Schedule`]: due times by key.

use std::collections::{BTreeMap, BTreeSet};

/// At most one due time per key, found by key or by time. All orders are deterministic, so that a seed replays exactly.
#[derive(Clone, Debug)]
pub struct Schedule<K> {
    times: BTreeMap<K, u64>,
    by_time: BTreeSet<(u64, K)>,
}

impl<K: Ord + Clone> Default for Schedule<K> {
    fn default() -> Schedule<K> {
        Schedule { times: BTreeMap::new(), by_time: BTreeSet::new() }
    }
}

impl<K: Ord + Clone> Schedule<K> {
    pub fn get(&self, key: &K) -> Option<u64> {
        self.times.get(key).copied()
    }

    /// The earliest due time, milliseconds.
    pub fn next(&self) -> Option<u64> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Sets the due time of `key`; `None` removes it.
    pub fn set(&mut self, key: K, at: Option<u64>) {
        if let Some(old) = self.times.remove(&key) {
            self.by_time.remove(&(old, key.clone()));
        }
        if let Some(at) = at {
            self.times.insert(key.clone(), at);
            self.by_time.insert((at, key));
        }
    }

    /// Removes and returns one key that is due.
    pub fn pop_due(&mut self, now: u64) -> Option<K> {
        if self.next()? > now {
            return None;
        }
        let (_, key) = self.by_time.pop_first()?;
        self.times.remove(&key);
        Some(key)
    }

    pub fn clear(&mut self) {
        self.times.clear();
        self.by_time.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_a_key_again_replaces_its_time() {
        let mut schedule = Schedule::default();
        schedule.set('a', Some(10));
        schedule.set('b', Some(20));
        schedule.set('a', Some(30));
        assert_eq!(schedule.next(), Some(20));
        assert_eq!(
            (schedule.pop_due(19), schedule.pop_due(20), schedule.pop_due(20)),
            (None, Some('b'), None)
        );
        schedule.set('a', None);
        assert_eq!((schedule.next(), schedule.get(&'a')), (None, None));
    }
}
