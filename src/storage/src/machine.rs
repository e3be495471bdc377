//! The inputs of a store from the machine: clock and randomness.

use std::time::{SystemTime, UNIX_EPOCH};
use wire::UnixMillis;

/// The wall clock that dates messages and tokens.
pub type Clock = Box<dyn FnMut() -> UnixMillis + Send>;

/// Fills a buffer with unpredictable bytes.
pub type Random = Box<dyn FnMut(&mut [u8]) + Send>;

/// The machine's clock.
pub fn wall_clock() -> Clock {
    Box::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixMillis(since.as_millis() as u64)
    })
}

/// The kernel's randomness.
pub fn system_random() -> Random {
    Box::new(|bytes| getrandom::fill(bytes).expect("the kernel has randomness once it has booted"))
}
