//! What threads of a test are told when it is over.

use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that is raised in the end, whatever happens.
pub struct RaiseOnDrop<'a>(pub &'a AtomicBool);

impl Drop for RaiseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
