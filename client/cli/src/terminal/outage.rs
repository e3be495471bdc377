//! [`Outage`]: notices and countdown while the connection is lost.

use chatclient_core::{Lost, sanitize};
use std::time::{Duration, Instant};

/// The time between the first two notices. It doubles with each, as the status line has the countdown.
const NOTICE_EVERY: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub struct Outage {
    /// The time of the last notice; `None`: the connection is not lost.
    noticed: Option<Instant>,
    notices: u32,
    next_attempt: Option<Instant>,
}

impl Outage {
    /// Whether the connection is lost.
    pub fn is_on(&self) -> bool {
        self.noticed.is_some()
    }

    /// There is no connection yet, which needs no notice.
    pub fn begin(&mut self, now: Instant) {
        (self.noticed, self.next_attempt) = (Some(now), Some(now));
    }

    /// The connection was lost or an attempt failed. Returns the notice to print, if it is time for one.
    pub fn notice(&mut self, now: Instant, why: &Lost, retry_in_ms: u64) -> Option<String> {
        self.next_attempt = Some(now + Duration::from_millis(retry_in_ms));
        let quiet = NOTICE_EVERY * 2u32.pow(self.notices.saturating_sub(1).min(12));
        let first = match self.noticed {
            Some(noticed) if now < noticed + quiet => return None,
            noticed => noticed.is_none(),
        };
        (self.noticed, self.notices) = (Some(now), self.notices + 1);
        let why = why.to_string();
        let why = sanitize::line(&why);
        let seconds = retry_in_ms.div_ceil(1000);
        Some(if first {
            format!("connection lost: {why}; retrying in {seconds} s")
        } else {
            format!("still offline: {why}; retrying in {seconds} s")
        })
    }

    /// The part of the status line.
    pub fn status(&self, now: Instant) -> Option<String> {
        self.noticed?;
        let left = self.next_attempt?.saturating_duration_since(now);
        Some(match left.as_millis().div_ceil(1000) {
            0 => "offline: connecting".to_owned(),
            seconds => format!("offline: next try in {seconds} s (Enter: now)"),
        })
    }

    /// The connection is back. Returns whether it had been lost.
    pub fn end(&mut self) -> bool {
        (self.next_attempt, self.notices) = (None, 0);
        self.noticed.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_attempts_do_not_flood_the_screen() {
        let (start, mut outage) = (Instant::now(), Outage::default());
        let mut notice = |second| outage.notice(start + Duration::from_secs(second), &Lost::Closed, 1500);
        let notices: Vec<_> = (0..10 * 60 * 60).filter_map(&mut notice).collect();
        assert_eq!(notices.len(), 12, "in ten hours");
        assert_eq!(notices[0], "connection lost: the server closed the connection; retrying in 2 s");
        assert!(notices[1].starts_with("still offline"));
        assert!(outage.end() && !outage.end());
    }

    #[test]
    fn the_status_counts_down() {
        let (start, mut outage) = (Instant::now(), Outage::default());
        assert_eq!(outage.status(start), None);
        outage.notice(start, &Lost::Closed, 2_500);
        let at = |ms| outage.status(start + Duration::from_millis(ms)).unwrap();
        assert!(at(0).contains("in 3 s") && at(600).contains("in 2 s") && at(2_400).contains("in 1 s"));
        assert_eq!(at(2_500), "offline: connecting");
    }
}
