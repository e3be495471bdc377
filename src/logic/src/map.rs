//! Hash maps whose order depends only on a seed. A simulation therefore replays exactly, and a random seed prevents
//! clients from choosing colliding keys.

use foldhash::fast::FixedState;
use std::collections::HashMap;

pub(crate) type Map<K, V> = HashMap<K, V, FixedState>;

pub(crate) fn map<K, V>(seed: u64) -> Map<K, V> {
    HashMap::with_hasher(FixedState::with_seed(seed))
}
