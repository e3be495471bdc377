//! Interrupt moderation, as network cards do it: under load a reactor polls its sockets only at intervals.
//!
//! A request that is read alone wakes the reactor, logic and perhaps storage for itself, which costs several times the
//! work on it. That gains nothing: what arrives during a commit is in the next one, however early it was read. So a
//! reactor that receives many requests lets them accumulate in the sockets, and sleeps meanwhile where only orders wake
//! it: deliveries do not wait. Measured with 20,000 messages a second over 500 pairs on one core: 29 instead of 40 us
//! of processor time a message, and a p99 of delivery of 1.4 instead of 2.1 ms (p50: 0.28 instead of 0.22 ms).

use std::time::{Duration, Instant};

/// The approximate number of requests to accumulate. If the server does not keep up, they accumulate anyway.
const BATCH: f32 = 12.0;
/// The longest pause if clients wait for replies. The kernel adds its timer slack, 50 us.
const PAUSE_MAX_ANSWERED: Duration = Duration::from_micros(200);
/// The longest pause if none do: objects to legacy clients are milliseconds apart anyway.
const PAUSE_MAX_UNANSWERED: Duration = Duration::from_micros(600);
/// The time over which requests are counted.
const MEMORY: Duration = Duration::from_millis(4);
/// The number of requests within [`MEMORY`] above which there are pauses: 14,000 a second. Clients that wait for each
/// reply send fewer, and a pause would only delay them.
const LOAD: f32 = 56.0;

/// When one reactor polls its sockets.
#[derive(Debug)]
pub(crate) struct Moderation {
    polled: Instant,
    /// Recent requests, weighted by age.
    recent: f32,
    /// Those of them that get a reply.
    answered: f32,
}

impl Moderation {
    pub fn new(now: Instant) -> Moderation {
        Moderation { polled: now, recent: 0.0, answered: 0.0 }
    }

    /// The sockets were polled.
    pub fn polled(&mut self, now: Instant) {
        let passed = now.duration_since(self.polled).as_secs_f32() / MEMORY.as_secs_f32();
        let kept = (1.0 - passed).max(0.0);
        self.recent *= kept;
        self.answered *= kept;
        self.polled = now;
    }

    /// A request was read.
    pub fn count(&mut self, is_answered: bool) {
        self.recent += 1.0;
        self.answered += f32::from(u8::from(is_answered));
    }

    /// Whether there are enough requests for pauses between polls.
    pub fn is_loaded(&self) -> bool {
        self.recent >= LOAD
    }

    /// How long to wait before the next poll of the sockets; `None`: they may be polled now.
    pub fn pause(&self, now: Instant) -> Option<Duration> {
        if !self.is_loaded() {
            return None;
        }
        let max = if self.answered > self.recent / 4.0 { PAUSE_MAX_ANSWERED } else { PAUSE_MAX_UNANSWERED };
        let pause = MEMORY.mul_f32(BATCH / self.recent).min(max);
        let pause = pause.saturating_sub(now.duration_since(self.polled));
        (!pause.is_zero()).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Simulates `requests` requests every `every` for a tenth of a second. Returns the share of polls followed by a
    /// pause, and the last pause.
    fn moderated(requests: u32, every: Duration, are_answered: bool) -> (f64, Option<Duration>) {
        let mut now = Instant::now();
        let mut moderation = Moderation::new(now);
        let (mut polls, mut pauses) = (0, 0);
        for _ in 0..Duration::from_millis(100).as_nanos() / every.as_nanos() {
            now += every;
            moderation.polled(now);
            (0..requests).for_each(|_| moderation.count(are_answered));
            polls += 1;
            pauses += u32::from(moderation.pause(now).is_some());
        }
        (f64::from(pauses) / f64::from(polls), moderation.pause(now))
    }

    #[test]
    fn pauses_occur_only_under_load() {
        let us = Duration::from_micros;
        assert_eq!(moderated(1, us(100), true), (0.0, None), "10,000 requests a second");
        assert_eq!(moderated(20, us(5_000), true), (0.0, None), "few, all at once");
        for (requests, every, are_answered, pause) in [
            (1, us(50), true, PAUSE_MAX_ANSWERED),
            (5, us(250), true, PAUSE_MAX_ANSWERED),
            (5, us(250), false, PAUSE_MAX_UNANSWERED),
            (1, us(40), false, us(480)),
            (12, us(200), false, us(200)),
            (1_200, us(3_000), true, us(30)),
        ] {
            let (share, last) = moderated(requests, every, are_answered);
            assert!(share > 0.9, "{share} for {requests} every {every:?}");
            let last = last.unwrap();
            assert!(
                last > pause.mul_f32(0.9) && last < pause.mul_f32(1.1),
                "{last:?} for {requests} every {every:?}"
            );
        }
    }

    #[test]
    fn a_pause_counts_from_the_last_poll() {
        let start = Instant::now();
        let mut moderation = Moderation::new(start);
        (0..200).for_each(|_| moderation.count(true));
        assert_eq!(moderation.pause(start), Some(PAUSE_MAX_ANSWERED));
        assert_eq!(moderation.pause(start + PAUSE_MAX_ANSWERED / 4), Some(PAUSE_MAX_ANSWERED * 3 / 4));
        assert_eq!(moderation.pause(start + PAUSE_MAX_ANSWERED), None);
        // The poll may be noted with a later reading of the clock.
        assert_eq!(moderation.pause(start - PAUSE_MAX_ANSWERED), Some(PAUSE_MAX_ANSWERED));
        moderation.polled(start + MEMORY);
        assert_eq!(moderation.pause(start + MEMORY), None, "what came before is forgotten");
    }
}
