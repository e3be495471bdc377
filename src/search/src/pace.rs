//! How much of the processors the follower takes while messages need them.
//!
//! The kernel tells how long the thread was ready and waited for a processor. While messages are being stored, the
//! follower pauses for a multiple of that time after each slice: without contention it does not pause, and where all
//! processors are busy it takes a few hundredths of one. It pauses only between slices, when it holds no lock, no read
//! transaction and no page of the database.
//!
//! A lower priority instead has a risk: with `SCHED_IDLE` or nice 19 a thread that is preempted within a lock of the
//! resident tail, of the allocator or of a B-tree may get the processor back late, and appends wait for it meanwhile.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// The pause, as a multiple of the time for which the thread waited for a processor.
const OF_WAITED: u32 = 8;
/// The longest pause, as a multiple of the time for which it had one: 1/33 of a processor is left to it.
const OF_USED_MAX: u32 = 32;
/// The longest pause: a slice that was a merge of the index takes long.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// What was waited for longer than this part of the time that was used is contention.
const CONTENDED: u32 = 4;

/// Of one thread.
#[derive(Debug)]
pub struct Pace {
    /// `/proc/thread-self/schedstat`; `None`: the kernel does not tell.
    file: Option<File>,
    total: Times,
}

/// Time on a processor, and waiting for one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    used: Duration,
    waited: Duration,
}

impl Pace {
    /// Of the calling thread.
    pub fn of_this_thread() -> Pace {
        Pace { file: File::open("/proc/thread-self/schedstat").ok(), total: Times::default() }
    }

    /// The times since the last call.
    pub fn lap(&mut self) -> Times {
        let Some(total) = self.file.as_ref().and_then(read) else { return Times::default() };
        let before = std::mem::replace(&mut self.total, total);
        Times {
            used: total.used.saturating_sub(before.used),
            waited: total.waited.saturating_sub(before.waited),
        }
    }
}

impl Times {
    /// For how long other threads should be left alone now.
    pub fn pause(self) -> Duration {
        (self.waited * OF_WAITED).min(self.used * OF_USED_MAX).min(PAUSE_MAX)
    }

    /// Whether others wanted the processors as well.
    pub fn is_contended(self) -> bool {
        self.waited > self.used / CONTENDED
    }
}

/// The first two numbers of the file, in nanoseconds (Documentation/scheduler/sched-stats.rst).
fn read(file: &File) -> Option<Times> {
    let mut text = [0; 128];
    let length = file.read_at(&mut text, 0).ok()?;
    let mut numbers = std::str::from_utf8(text.get(..length)?).ok()?.split_ascii_whitespace();
    let mut next = || numbers.next()?.parse().ok().map(Duration::from_nanos);
    Some(Times { used: next()?, waited: next()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn times(used: u64, waited: u64) -> Times {
        Times { used: Duration::from_millis(used), waited: Duration::from_millis(waited) }
    }

    #[test]
    fn the_pause_grows_with_contention_up_to_a_part_of_a_processor() {
        let pauses = [times(10, 0), times(10, 1), times(10, 20), times(10, 500), times(900, 900)]
            .map(|times| (times.pause().as_millis(), times.is_contended()));
        assert_eq!(pauses, [(0, false), (8, false), (160, true), (320, true), (2_000, true)]);
    }

    #[test]
    fn the_kernel_tells_how_long_this_thread_ran() {
        let mut pace = Pace::of_this_thread();
        pace.lap();
        let begun = std::time::Instant::now();
        let mut times = Times::default();
        while times.used < Duration::from_millis(5) {
            let lap = pace.lap();
            times = Times { used: times.used + lap.used, waited: times.waited + lap.waited };
            assert!(begun.elapsed() < Duration::from_secs(20), "{times:?}");
        }
        assert!(times.used + times.waited <= begun.elapsed() + Duration::from_millis(20), "{times:?}");
    }
}
