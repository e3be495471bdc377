//! The wall clock without its jumps ahead: a time that is set wrong for a moment must not stay in timelines, which
//! never go back.

use std::time::Duration;
use wire::UnixMillis;

/// Up to this much more than has really passed, a clock is followed at once: time services correct small errors.
const JUMP: Duration = Duration::from_secs(10 * 60);
/// How long a clock must stay ahead until it is followed.
const HOLD: Duration = Duration::from_secs(10 * 60);

/// Follows a wall clock.
#[derive(Debug, Default)]
pub struct SteadyClock {
    /// The last time that was followed, and when that was.
    followed: Option<Reading>,
    /// Since when the clock has been ahead.
    ahead_since: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Reading {
    wall: UnixMillis,
    uptime: Duration,
}

impl SteadyClock {
    /// The time to use. `uptime` is that of the machine and never jumps.
    pub fn now(&mut self, wall: UnixMillis, uptime: Duration) -> UnixMillis {
        let expected = match self.followed {
            Some(last) => last.wall.0 + uptime.saturating_sub(last.uptime).as_millis() as u64,
            None => wall.0,
        };
        if wall.0 <= expected + JUMP.as_millis() as u64 {
            if self.ahead_since.take().is_some() {
                log::warn!("the clock of this machine is no longer ahead");
            }
        } else {
            let since = *self.ahead_since.get_or_insert_with(|| {
                log::warn!(
                    "the clock of this machine has jumped ahead by {} s; messages are dated by the time before for {} minutes, \
                     in case it is set back: check the time service",
                    (wall.0 - expected) / 1_000,
                    HOLD.as_secs() / 60
                );
                uptime
            });
            if uptime.saturating_sub(since) < HOLD {
                return UnixMillis(expected);
            }
            log::warn!("the clock of this machine has stayed ahead, so it is followed from now on");
            self.ahead_since = None;
        }
        self.followed = Some(Reading { wall, uptime });
        wall
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_ahead_is_followed_only_if_it_lasts() {
        const HOUR: u64 = 3_600;
        let mut clock = SteadyClock::default();
        let mut at = |wall_s: u64, uptime_s: u64| {
            clock.now(UnixMillis(1_000 * wall_s), Duration::from_secs(uptime_s)).0 / 1_000
        };
        assert_eq!(at(10 * HOUR, 100), 10 * HOUR);
        assert_eq!(at(10 * HOUR + 61, 160), 10 * HOUR + 61, "small corrections");
        assert_eq!(at(9 * HOUR, 170), 9 * HOUR, "back");
        assert_eq!(at(99 * HOUR, 180), 9 * HOUR + 10);
        assert_eq!(at(99 * HOUR + 300, 480), 9 * HOUR + 310);
        assert_eq!(at(9 * HOUR + 320, 490), 9 * HOUR + 320, "it was set back");
        assert_eq!(at(99 * HOUR, 500), 9 * HOUR + 330);
        assert_eq!(at(99 * HOUR + 599, 1_099), 9 * HOUR + 929);
        assert_eq!(at(99 * HOUR + 600, 1_100), 99 * HOUR + 600, "it has stayed");
        assert_eq!(at(99 * HOUR + 700, 1_200), 99 * HOUR + 700);
    }
}
