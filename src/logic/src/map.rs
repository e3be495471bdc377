//! Hash maps whose order depends on the seed that [`crate::Logic`] was made with, and on nothing else: a simulation
//! replays exactly, and nobody outside can know which keys collide.

use foldhash::fast::FixedState;
use std::collections::HashMap;

pub(crate) type Map<K, V> = HashMap<K, V, FixedState>;

pub(crate) fn map<K, V>(seed: u64) -> Map<K, V> {
    HashMap::with_hasher(FixedState::with_seed(seed))
}
