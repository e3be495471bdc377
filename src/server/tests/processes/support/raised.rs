//! What threads of a test are told when it is over.

use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that is raised in the end, whatever happens.
pub struct Raised<'a>(pub &'a AtomicBool);

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
