//! What a node knows of the other nodes of its deployment, read from the database each second.

use parking_lot::RwLock;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;
use wire::UnixMillis;

/// How long a key remains accepted after its successor came into use, milliseconds. The same time passes between the
/// creation of a key and its use, so that every node has read it by then.
pub const KEY_OVERLAP_MS: u64 = 60_000;

/// The name of the node in that of one of its runs.
pub fn node_of(run: &str) -> &str {
    run.rsplit_once('~').map_or(run, |(node, _)| node)
}

/// A key with which nodes authenticate what they exchange outside the database.
#[derive(Clone, PartialEq, Eq)]
pub struct BusKey {
    pub id: u32,
    pub secret: [u8; 32],
    /// When nodes begin to use it, by the database's clock.
    pub since: UnixMillis,
}

impl fmt::Debug for BusKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BusKey").field("id", &self.id).field("since", &self.since).finish_non_exhaustive()
    }
}

/// What was read at one time.
#[derive(Clone, Debug)]
pub struct Peers {
    /// By id. The last one may not be in use yet.
    pub keys: Vec<BusKey>,
    /// The runs that live: seen lately, and not stopped.
    pub runs: Vec<Box<str>>,
    /// The database's clock when this was read.
    pub clock: UnixMillis,
    /// This machine's monotonic clock at the same time.
    pub read_at: Instant,
}

impl Peers {
    /// The database's clock, continued from the last reading.
    pub fn now(&self) -> UnixMillis {
        UnixMillis(self.clock.0 + self.read_at.elapsed().as_millis() as u64)
    }

    /// The key to authenticate with.
    pub fn key_in_use(&self, now: UnixMillis) -> Option<&BusKey> {
        self.keys.iter().rev().find(|key| key.since <= now).or(self.keys.first())
    }

    /// The key of this id, if it is accepted: neither unknown nor replaced for [`KEY_OVERLAP_MS`].
    pub fn accepted_key(&self, id: u32, now: UnixMillis) -> Option<&BusKey> {
        let is_replaced =
            self.keys.iter().any(|newer| newer.id > id && newer.since.0 + KEY_OVERLAP_MS < now.0);
        self.keys.iter().find(|key| key.id == id && !is_replaced)
    }
}

/// The latest reading, shared with the threads that need it.
#[derive(Debug)]
pub struct PeerView {
    latest: RwLock<Arc<Peers>>,
}

impl PeerView {
    pub fn new(peers: Peers) -> PeerView {
        PeerView { latest: RwLock::new(Arc::new(peers)) }
    }

    pub fn latest(&self) -> Arc<Peers> {
        Arc::clone(&self.latest.read())
    }

    pub fn publish(&self, peers: Peers) {
        *self.latest.write() = Arc::new(peers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_accepted_before_it_is_used_and_for_a_while_after_its_successor_is() {
        let key = |id: u32, since: u64| BusKey { id, secret: [id as u8; 32], since: UnixMillis(since) };
        let (begin, since) = (1_000_000, 1_000_000 + KEY_OVERLAP_MS);
        let peers = Peers {
            keys: vec![key(1, 0), key(2, since)],
            runs: Vec::new(),
            clock: UnixMillis(begin),
            read_at: Instant::now(),
        };
        let used = |now| peers.key_in_use(UnixMillis(now)).map(|key| key.id);
        let accepted = |id, now| peers.accepted_key(id, UnixMillis(now)).is_some();
        assert_eq!((used(begin), used(since - 1), used(since)), (Some(1), Some(1), Some(2)));
        assert!(accepted(1, begin) && accepted(2, begin) && !accepted(3, begin));
        assert!(accepted(1, since + KEY_OVERLAP_MS) && !accepted(1, since + KEY_OVERLAP_MS + 1));
        assert!(accepted(2, since + 10 * KEY_OVERLAP_MS));
    }
}
