//! Notices a clock that jumps.

use std::time::Instant;
use wire::UnixMillis;

/// The smallest jump that is reported, milliseconds. Clocks that are synchronised stay far below it.
const JUMP_MS: u64 = 5_000;

/// Compares a wall clock with this machine's monotonic clock.
#[derive(Debug)]
pub struct ClockWatch {
    clock: &'static str,
    last: Option<(UnixMillis, Instant)>,
}

impl ClockWatch {
    /// `clock` begins the log line, as "the system clock".
    pub fn new(clock: &'static str) -> ClockWatch {
        ClockWatch { clock, last: None }
    }

    /// Takes a reading, and logs a line if the clock has jumped since the last one.
    pub fn check(&mut self, clock: UnixMillis, at: Instant) {
        if let Some(sentence) = self.jump(clock, at) {
            log::warn!("{sentence}");
        }
    }

    fn jump(&mut self, clock: UnixMillis, at: Instant) -> Option<String> {
        let (before, then) = self.last.replace((clock, at))?;
        let expected = before.0 + at.saturating_duration_since(then).as_millis() as u64;
        let (by, direction) = match clock.0 >= expected {
            true => (clock.0 - expected, "forward"),
            false => (expected - clock.0, "back"),
        };
        (by >= JUMP_MS).then(|| {
            let seconds = by as f64 / 1_000.0;
            format!(
                "{} jumped {direction} by {seconds:.1} s: messages are dated by it, and grace periods and tokens may end \
                 early or late; check the time synchronisation",
                self.clock
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_jump_is_reported_once() {
        let (mut watch, begin) = (ClockWatch::new("the clock"), Instant::now());
        let mut jump = |clock: u64, after: u64| {
            let sentence = watch.jump(UnixMillis(clock), begin + Duration::from_millis(after));
            sentence.map(|sentence| sentence.split(':').next().map(str::to_owned))
        };
        assert_eq!(jump(1_000_000, 0), None);
        assert_eq!(jump(1_001_010, 1_000), None);
        assert_eq!(jump(4_602_000, 2_000), Some(Some("the clock jumped forward by 3600.0 s".to_owned())));
        assert_eq!(jump(4_603_000, 3_000), None);
        assert_eq!(jump(1_004_000, 4_000), Some(Some("the clock jumped back by 3600.0 s".to_owned())));
        assert_eq!(jump(1_064_000, 64_000), None);
    }
}
