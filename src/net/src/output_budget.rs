//! The memory that unwritten output may take on all connections together.
//!
//! A connection is charged for its unwritten output, and for the replies to pages that it has asked for, above a share
//! that is free. So what a client does not read is bounded on its own and in total:
//!
//! * Above a quarter of the limit, a request for a page waits in its connection until the connection has nothing else to
//!   be written and no other page is on its way. At the limit every such request waits.
//! * Above half of the limit, logic lets sessions fall behind earlier ([`OutputBudget::session_bytes`]), and a
//!   connection may have less unwritten output before it is closed ([`OutputBudget::connection_bytes`]).
//! * At the limit, the connections whose clients have not read for the longest time are closed.

use logic::limits::{OUTPUT_HARD, OUTPUT_HARD_MIN};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use wire::limits::HISTORY_BYTES;

/// Bytes of a connection that are not charged.
const FREE_BYTES: usize = 64 * 1024;
/// The most bytes of a reply with a page.
pub(crate) const PAGE_BYTES: usize = HISTORY_BYTES;
/// The bound of a connection when all output together has reached its limit: two pages, and pushes beside them.
const CONNECTION_BYTES_MIN: usize = 512 * 1024;

/// Shared by the reactors, and with logic's thread.
#[derive(Debug)]
pub struct OutputBudget {
    limit: usize,
    /// Unwritten bytes above which a connection is closed, while there is room.
    connection_bytes: usize,
    /// The sum of all charges.
    charged: AtomicUsize,
    /// A page had to wait although its connection has nothing to be written.
    is_starved: AtomicBool,
}

/// What a connection is charged for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    /// Bytes of output that the kernel has not taken.
    pub unwritten: usize,
    /// Requests for pages that logic has not answered.
    pub pages: usize,
}

impl Claim {
    fn bytes(self) -> usize {
        self.unwritten + self.pages * PAGE_BYTES
    }

    fn charge(self) -> usize {
        self.bytes().saturating_sub(FREE_BYTES)
    }
}

impl OutputBudget {
    pub(crate) fn new(limit: usize, connection_bytes: usize) -> OutputBudget {
        let (charged, is_starved) = (AtomicUsize::new(0), AtomicBool::new(false));
        OutputBudget { limit, connection_bytes, charged, is_starved }
    }

    /// Bytes that logic may send to a session beyond what its connection has reported as written.
    pub fn session_bytes(&self) -> usize {
        if self.is_above_half() { OUTPUT_HARD_MIN } else { OUTPUT_HARD }
    }

    /// Unwritten bytes above which a connection is closed.
    pub(crate) fn connection_bytes(&self) -> usize {
        let charged = self.charged.load(Ordering::Relaxed);
        let half = self.limit / 2;
        if charged <= half {
            return self.connection_bytes;
        }
        let left = self.limit.saturating_sub(charged) as u64;
        let share = self.connection_bytes as u64 * left / half.max(1) as u64;
        (share as usize).clamp(CONNECTION_BYTES_MIN.min(self.connection_bytes), self.connection_bytes)
    }

    fn is_above_half(&self) -> bool {
        self.charged.load(Ordering::Relaxed) > self.limit / 2
    }

    /// Whether a connection with this claim may ask for another page. `promised`: pages that others are about to ask
    /// for.
    pub(crate) fn admits_page(&self, claim: Claim, promised: usize) -> bool {
        let is_first = claim.bytes() == 0;
        // A page takes its memory twice for a moment, as messages and as text, and an allocator keeps what it had.
        let room = if is_first { self.limit } else { self.limit / 4 };
        let admits = self.charged.load(Ordering::Relaxed) + (1 + promised) * PAGE_BYTES <= room;
        if is_first && !admits {
            self.is_starved.store(true, Ordering::Relaxed);
        }
        admits
    }

    /// Whether connections whose clients do not read must be closed.
    pub(crate) fn is_exhausted(&self) -> bool {
        let charged = self.charged.load(Ordering::Relaxed);
        if charged <= self.limit / 4 * 3 {
            self.is_starved.store(false, Ordering::Relaxed);
        }
        charged > self.limit || self.is_starved.load(Ordering::Relaxed)
    }

    /// Replaces a connection's charge `charged` by what it is to be charged for now.
    #[inline]
    pub(crate) fn update(&self, charged: &mut u32, claim: Claim) {
        let charge = claim.charge();
        if charge != *charged as usize {
            self.charged.fetch_add(charge, Ordering::Relaxed);
            self.charged.fetch_sub(*charged as usize, Ordering::Relaxed);
            *charged = charge as u32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;
    const NOTHING: Claim = Claim { unwritten: 0, pages: 0 };

    fn charged(bytes: usize) -> OutputBudget {
        let budget = OutputBudget::new(256 * MIB, 8 * MIB);
        budget.update(&mut 0, Claim { unwritten: FREE_BYTES + bytes, pages: 0 });
        budget
    }

    #[test]
    fn small_output_is_free_and_a_page_counts_from_its_request_on() {
        let budget = OutputBudget::new(256 * MIB, 8 * MIB);
        let mut charge = 0;
        budget.update(&mut charge, Claim { unwritten: FREE_BYTES, pages: 0 });
        assert_eq!((charge, budget.charged.load(Ordering::Relaxed)), (0, 0));
        budget.update(&mut charge, Claim { unwritten: FREE_BYTES, pages: 2 });
        assert_eq!(charge as usize, 2 * PAGE_BYTES);
        budget.update(&mut charge, Claim { unwritten: FREE_BYTES + 5, pages: 0 });
        assert_eq!(budget.charged.load(Ordering::Relaxed), 5);
        budget.update(&mut charge, NOTHING);
        assert_eq!((charge, budget.charged.load(Ordering::Relaxed)), (0, 0));
    }

    #[test]
    fn above_a_quarter_of_the_limit_only_connections_without_output_get_a_page() {
        let busy = Claim { unwritten: 1, pages: 0 };
        let waiting = Claim { unwritten: 0, pages: 1 };
        let admitted =
            |budget: &OutputBudget| [NOTHING, busy, waiting].map(|claim| budget.admits_page(claim, 0));
        assert_eq!(admitted(&charged(60 * MIB)), [true; 3]);
        assert_eq!(admitted(&charged(64 * MIB)), [true, false, false]);
        let full = charged(256 * MIB);
        assert!(!full.is_exhausted());
        assert_eq!(admitted(&full), [false; 3]);
        assert!(full.is_exhausted(), "a connection without output waits");
    }

    #[test]
    fn bounds_shrink_above_half_of_the_limit() {
        let bounds = |bytes| {
            let budget = charged(bytes);
            (budget.connection_bytes(), budget.session_bytes())
        };
        assert_eq!(bounds(128 * MIB), (8 * MIB, OUTPUT_HARD));
        assert_eq!(bounds(192 * MIB), (4 * MIB, OUTPUT_HARD_MIN));
        assert_eq!(bounds(300 * MIB), (CONNECTION_BYTES_MIN, OUTPUT_HARD_MIN));
        assert!(charged(300 * MIB).is_exhausted());
    }
}
