//! How many connections each address has.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

#[derive(Debug)]
pub(crate) struct Addresses {
    /// The most of one address.
    limit: usize,
    counts: HashMap<IpAddr, usize>,
}

/// What a connection counts against: its address, or its /64, as one machine may have all of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted(IpAddr);

impl Addresses {
    pub fn new(limit: usize) -> Addresses {
        Addresses { limit, counts: HashMap::new() }
    }

    /// Counts a connection; `None`: its address has too many.
    pub fn enter(&mut self, address: IpAddr) -> Option<Counted> {
        let address = match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        };
        let count = self.counts.entry(address).or_default();
        if *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(Counted(address))
    }

    pub fn leave(&mut self, Counted(address): Counted) {
        if let Some(count) = self.counts.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&address);
            }
        }
    }
}
