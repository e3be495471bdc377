//! What to say while the connection is lost: enough to know, not more.

use chatclient_core::{Lost, sanitize};
use std::time::{Duration, Instant};

/// The time between the first two notices; it doubles with each, as the status says the rest.
const QUIET: Duration = Duration::from_secs(10);

/// A lost connection, if it is lost.
#[derive(Debug, Default)]
pub struct Outage {
    said: Option<Instant>,
    times: u32,
    /// The next attempt.
    next: Option<Instant>,
}

impl Outage {
    /// Whether the connection is lost.
    pub fn is_on(&self) -> bool {
        self.said.is_some()
    }

    /// There is no connection yet, and nothing to say about it.
    pub fn begin(&mut self, now: Instant) {
        (self.said, self.next) = (Some(now), Some(now));
    }

    /// An attempt failed, or the connection was lost: the notice to show, if it is time for one.
    pub fn notice(&mut self, now: Instant, why: &Lost, retry_in_ms: u64) -> Option<String> {
        self.next = Some(now + Duration::from_millis(retry_in_ms));
        let quiet = QUIET * 2u32.pow(self.times.saturating_sub(1).min(12));
        let first = match self.said {
            Some(said) if now < said + quiet => return None,
            said => said.is_none(),
        };
        (self.said, self.times) = (Some(now), self.times + 1);
        let why = why.to_string();
        let why = sanitize::line(&why);
        let seconds = retry_in_ms.div_ceil(1000);
        Some(if first {
            format!("connection lost: {why}; trying again in {seconds} s")
        } else {
            format!("still offline: {why}; trying again in {seconds} s")
        })
    }

    /// What the status says now.
    pub fn status(&self, now: Instant) -> Option<String> {
        self.said?;
        let left = self.next?.saturating_duration_since(now);
        Some(match left.as_millis().div_ceil(1000) {
            0 => "offline: connecting".to_owned(),
            seconds => format!("offline: next try in {seconds} s (Enter: now)"),
        })
    }

    /// The connection is back. Whether it had been lost.
    pub fn end(&mut self) -> bool {
        (self.next, self.times) = (None, 0);
        self.said.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_that_fail_do_not_flood_the_screen() {
        let (start, mut outage) = (Instant::now(), Outage::default());
        let mut notice = |second| outage.notice(start + Duration::from_secs(second), &Lost::Closed, 1500);
        let notices: Vec<_> = (0..10 * 60 * 60).filter_map(&mut notice).collect();
        assert_eq!(notices.len(), 12, "in a night");
        assert_eq!(notices[0], "connection lost: the server closed the connection; trying again in 2 s");
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
