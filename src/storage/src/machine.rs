//! The inputs of a store from the machine: clock and randomness.

use crate::steady_clock::SteadyClock;
use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use wire::UnixMillis;

/// The wall clock that dates messages and tokens.
pub type Clock = Box<dyn FnMut() -> UnixMillis + Send>;

/// Fills a buffer with unpredictable bytes.
pub type Random = Box<dyn FnMut(&mut [u8]) + Send>;

/// The machine's clock, without its jumps ahead.
pub fn wall_clock() -> Clock {
    let mut clock = SteadyClock::default();
    Box::new(move || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Unlike a monotonic clock it counts while the machine is suspended.
        let uptime = clock_gettime(ClockId::Boottime);
        let uptime = Duration::new(uptime.tv_sec as u64, uptime.tv_nsec as u32);
        clock.now(UnixMillis(since.as_millis() as u64), uptime)
    })
}

/// The kernel's randomness.
pub fn system_random() -> Random {
    Box::new(|bytes| getrandom::fill(bytes).expect("the kernel has randomness once it has booted"))
}
