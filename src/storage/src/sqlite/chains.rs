//! The slots of a run, grouped by key as they are added, so that filing does not have to sort while commits wait.

use foldhash::HashMap;

/// No further slot.
const END: u32 = u32::MAX;

/// A list of slots for each key, in the order of insertion.
#[derive(Debug, Default)]
pub struct Chains {
    /// First and last slot of each key.
    ends: HashMap<u32, (u32, u32)>,
    /// For each slot the next one of the same key.
    next: Vec<u32>,
}

impl Chains {
    /// Adds the next slot.
    pub fn push(&mut self, key: u32) {
        let at = u32::try_from(self.next.len()).expect("a run is far below 2^32 messages");
        self.next.push(END);
        let (_, last) = self.ends.entry(key).or_insert((at, at));
        let before = std::mem::replace(last, at);
        if before != at {
            self.next[before as usize] = at;
        }
    }

    /// Removes all slots and keeps the memory.
    pub fn clear(&mut self) {
        self.ends.clear();
        self.next.clear();
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// All keys, sorted.
    pub fn keys(&self) -> Vec<u32> {
        let mut keys: Vec<u32> = self.ends.keys().copied().collect();
        keys.sort_unstable();
        keys
    }

    /// The slots of a key, in the order of insertion.
    pub fn of(&self, key: u32) -> impl Iterator<Item = u32> + '_ {
        let mut at = self.ends.get(&key).map_or(END, |(first, _)| *first);
        std::iter::from_fn(move || {
            let found = (at != END).then_some(at)?;
            at = self.next[at as usize];
            Some(found)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_found_by_key_in_order() {
        let mut chains = Chains::default();
        for key in [7, 3, 7, 7, 3, 9] {
            chains.push(key);
        }
        assert_eq!((chains.len(), chains.keys()), (3, vec![3, 7, 9]));
        let of = |key| chains.of(key).collect::<Vec<_>>();
        assert_eq!([of(3), of(7), of(9), of(1)], [vec![1, 4], vec![0, 2, 3], vec![5], vec![]]);
        chains.clear();
        chains.push(4);
        assert_eq!(chains.of(4).collect::<Vec<_>>(), [0]);
    }
}
