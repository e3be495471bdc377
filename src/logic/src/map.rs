//! Hash maps whose order depends only on a seed. A simulation therefore replays exactly, and random seeds keep outsiders
//! from choosing keys that collide.

use foldhash::fast::FixedState;
use std::collections::HashMap;

pub(crate) type Map<K, V> = HashMap<K, V, FixedState>;

pub(crate) fn map<K, V>(seed: u64) -> Map<K, V> {
    HashMap::with_hasher(FixedState::with_seed(seed))
}
