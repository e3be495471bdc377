//! Connection ids: a reactor, one of its slots, and the generation of that slot.

use std::fmt;

/// A connection. The generation prevents a late reply from reaching the next connection in the same slot.
///
/// ```text
///  63     56 55            32 31             0
/// +---------+----------------+----------------+
/// | reactor | slot           | generation     |
/// +---------+----------------+----------------+
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(u64);

impl ConnId {
    /// The most reactors. The number after the last one is that of the thread that takes requests over HTTP.
    pub const REACTORS_MAX: usize = (1 << 8) - 1;
    /// The most slots of one reactor.
    pub const SLOTS_MAX: usize = 1 << 24;

    /// The connection in `slot` of reactor `reactor`, the slot's `generation`-th.
    pub fn new(reactor: usize, slot: usize, generation: u32) -> ConnId {
        assert!(reactor <= Self::REACTORS_MAX && slot < Self::SLOTS_MAX);
        ConnId((reactor as u64) << 56 | (slot as u64) << 32 | u64::from(generation))
    }

    /// The index of the reactor that owns it.
    pub fn reactor(self) -> usize {
        (self.0 >> 56) as usize
    }

    pub fn slot(self) -> usize {
        (self.0 >> 32) as usize & (Self::SLOTS_MAX - 1)
    }

    pub fn generation(self) -> u32 {
        self.0 as u32
    }
}

impl fmt::Debug for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}#{}", self.reactor(), self.slot(), self.generation())
    }
}
