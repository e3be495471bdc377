//! [`BoundedMap`]: a map of limited size. A new entry of a full map displaces the least valuable one.

use crate::map::{Map, map};
use std::collections::BTreeSet;
use std::hash::Hash;

/// The value of an entry: the lowest is displaced first.
pub(crate) type Value = (u32, u64);

#[derive(Debug)]
pub(crate) struct BoundedMap<K, V> {
    entries: Map<K, (Value, V)>,
    by_value: BTreeSet<(Value, K)>,
    capacity: usize,
}

impl<K: Copy + Ord + Hash, V> BoundedMap<K, V> {
    pub fn new(capacity: usize, seed: u64) -> BoundedMap<K, V> {
        BoundedMap { entries: map(seed), by_value: BTreeSet::new(), capacity }
    }

    pub fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|(_, entry)| entry)
    }

    pub fn insert(&mut self, key: K, value: Value, entry: V) {
        match self.entries.insert(key, (value, entry)) {
            Some((before, _)) => {
                self.by_value.remove(&(before, key));
            }
            None if self.entries.len() > self.capacity => {
                // The new entry is not listed yet, so it cannot displace itself.
                if let Some((_, least)) = self.by_value.pop_first() {
                    self.entries.remove(&least);
                }
            }
            None => {}
        }
        self.by_value.insert((value, key));
    }

    pub fn remove(&mut self, key: &K) -> Option<V> {
        let (value, entry) = self.entries.remove(key)?;
        self.by_value.remove(&(value, *key));
        Some(entry)
    }

    /// Drops the entries for which `is_needed` returns false.
    pub fn retain(&mut self, is_needed: impl Fn(&V) -> bool) {
        let by_value = &mut self.by_value;
        self.entries.retain(|key, (value, entry)| {
            let keep = is_needed(entry);
            if !keep {
                by_value.remove(&(*value, *key));
            }
            keep
        });
        if self.entries.is_empty() {
            self.entries.shrink_to_fit();
        }
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        assert_eq!(self.entries.len(), self.by_value.len());
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_valuable_entry_gives_way() {
        let mut map = BoundedMap::new(3, 1);
        for (key, value) in [(1, 5), (2, 1), (3, 9)] {
            map.insert(key, (value, 0), ());
        }
        map.insert(4, (0, 0), ());
        assert!(map.get(&2).is_none() && map.get(&4).is_some(), "a new entry does not displace itself");
        map.insert(4, (7, 0), ());
        map.insert(5, (6, 0), ());
        assert!(map.get(&1).is_none() && map.get(&4).is_some() && map.len() == 3);
        map.remove(&4);
        map.retain(|()| false);
        assert!(map.is_empty());
    }
}
