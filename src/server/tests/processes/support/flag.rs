//! A flag that ends the threads of a test.

use std::sync::atomic::{AtomicBool, Ordering};

/// Raises a flag when it is dropped, also by a panic.
pub struct RaiseOnDrop<'a>(pub &'a AtomicBool);

impl Drop for RaiseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
