//! Memory for records on their way between a socket and a layer, one for each thread.

use std::cell::RefCell;

/// The length of the memory: several of the longest records.
pub(crate) const SCRATCH_BYTES: usize = 64 * 1024;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Calls `work` with a buffer of at least [`SCRATCH_BYTES`], whose content has no meaning. Calls do not nest.
pub(crate) fn with<T>(work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    SCRATCH.with_borrow_mut(|scratch| {
        if scratch.len() < SCRATCH_BYTES {
            scratch.resize(SCRATCH_BYTES, 0);
        }
        work(scratch)
    })
}
