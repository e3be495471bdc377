//! The run's clock, and a timer that is finer than the timeout of a poll.

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// Nanoseconds in a second.
pub const SECOND: u64 = 1_000_000_000;
/// Nanoseconds in a millisecond.
pub const MILLISECOND: u64 = 1_000_000;

pub fn nanoseconds(seconds: f64) -> u64 {
    (seconds * SECOND as f64) as u64
}

/// Monotonic nanoseconds since the start of the run.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    pub fn start() -> Clock {
        Clock { origin: Instant::now() }
    }

    pub fn now(&self) -> u64 {
        self.origin.elapsed().as_nanos() as u64
    }
}

/// The timeout of a poll that must end at `due`. mio rounds up to whole milliseconds.
pub fn timeout(now: u64, due: u64) -> Duration {
    Duration::from_nanos(due.saturating_sub(now))
}

/// A timerfd, which wakes a poll to the microsecond; the timeout of `epoll_wait` is in milliseconds.
///
/// It is registered edge-triggered and never read: setting it clears its counter, see timerfd_create(2).
#[derive(Debug)]
pub struct Alarm {
    timer: OwnedFd,
    /// The current setting, so that the same setting costs no system call.
    due: Option<u64>,
}

impl Alarm {
    pub fn new(registry: &Registry, token: Token) -> io::Result<Alarm> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags)?;
        registry.register(&mut SourceFd(&timer.as_raw_fd()), token, Interest::READABLE)?;
        Ok(Alarm { timer, due: None })
    }

    /// Wakes the poll once at `due`, or immediately if `due` has passed.
    pub fn set(&mut self, now: u64, due: u64) -> io::Result<()> {
        if self.due == Some(due) {
            return Ok(());
        }
        // 0 would disarm it.
        let left = due.saturating_sub(now).max(1);
        let it_value = Timespec { tv_sec: (left / SECOND) as i64, tv_nsec: (left % SECOND) as i64 };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value };
        rustix::time::timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
        self.due = Some(due);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Events, Poll};

    #[test]
    fn an_alarm_fires_repeatedly_without_being_read() {
        let (clock, mut poll, mut events) = (Clock::start(), Poll::new().unwrap(), Events::with_capacity(4));
        let mut alarm = Alarm::new(poll.registry(), Token(7)).unwrap();
        for _ in 0..5 {
            let due = clock.now() + 300_000;
            alarm.set(clock.now(), due).unwrap();
            poll.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
            assert_eq!(events.iter().map(mio::event::Event::token).collect::<Vec<_>>(), [Token(7)]);
            assert!(clock.now() >= due);
        }
    }
}
