//! How many connections, or requests, each address has.

use logic::Network;
use std::collections::HashMap;
use std::net::IpAddr;

#[derive(Debug)]
pub(crate) struct Addresses {
    /// The most of one address.
    limit: usize,
    counts: HashMap<Network, usize>,
}

/// What a connection counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted(Network);

impl Addresses {
    pub fn new(limit: usize) -> Addresses {
        Addresses { limit, counts: HashMap::new() }
    }

    /// Counts one more; `None`: its address has too many.
    pub fn enter(&mut self, address: IpAddr) -> Option<Counted> {
        let network = Network::of(address);
        let count = self.counts.entry(network).or_default();
        if *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(Counted(network))
    }

    pub fn leave(&mut self, Counted(network): Counted) {
        if let Some(count) = self.counts.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&network);
            }
        }
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }
}
