//! How long anything may take, and the coarse clock that says so.
//!
//! Deadlines are counted in ticks of 100 ms: the clock is read once a turn, a connection's times cost four bytes
//! each, and no deadline comes early.

use std::time::{Duration, Instant};

/// How long a proxy may take to say whose connection it is.
pub const PROXY_HANDSHAKE: Duration = Duration::from_secs(5);
/// How long a connection may wait to log in.
pub const LOGIN: Duration = Duration::from_secs(120);
/// How long it may wait at least, however many others wait too.
pub const PENDING_LOGIN_AGE: Duration = Duration::from_secs(10);
/// How many may wait to log in before the oldest of them are closed.
pub const PENDING_LOGINS: usize = 1_000;
/// After how long a silence of a logged-in connection it is probed.
pub const SILENCE: Duration = Duration::from_secs(60);
/// How long a probe may go unanswered.
pub const PROBE: Duration = Duration::from_secs(10);
/// How long a peer may take nothing of what is to be written to it.
pub const STALL: Duration = Duration::from_secs(30);
/// How long a connection that was said goodbye to is still read, so that a reset cannot destroy the goodbye.
pub const LINGER: Duration = Duration::from_secs(2);

const TICK: Duration = Duration::from_millis(100);

/// Every time limit of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    pub proxy_handshake: Duration,
    pub login: Duration,
    pub pending_login_age: Duration,
    pub silence: Duration,
    pub probe: Duration,
    pub stall: Duration,
    pub linger: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            proxy_handshake: PROXY_HANDSHAKE,
            login: LOGIN,
            pending_login_age: PENDING_LOGIN_AGE,
            silence: SILENCE,
            probe: PROBE,
            stall: STALL,
            linger: LINGER,
        }
    }
}

/// Those that each connection keeps for itself, in ticks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spans {
    pub proxy_handshake: Span,
    pub login: Span,
    pub silence: Span,
    pub probe: Span,
    pub stall: Span,
    pub linger: Span,
}

impl From<Timeouts> for Spans {
    fn from(timeouts: Timeouts) -> Spans {
        Spans {
            proxy_handshake: Span::of(timeouts.proxy_handshake),
            login: Span::of(timeouts.login),
            silence: Span::of(timeouts.silence),
            probe: Span::of(timeouts.probe),
            stall: Span::of(timeouts.stall),
            linger: Span::of(timeouts.linger),
        }
    }
}

/// A point in time: ticks since the loop started, enough for 13 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tick(pub u32);

/// A number of ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span(u32);

impl Tick {
    /// The time `span` after this one.
    pub fn after(self, span: Span) -> Tick {
        Tick(self.0.saturating_add(span.0))
    }

    /// How long it is from this time until `later`.
    pub fn until(self, later: Tick) -> Duration {
        TICK * later.0.saturating_sub(self.0)
    }
}

impl Span {
    /// At least this long: the tick in which a span begins has partly gone by.
    pub fn of(duration: Duration) -> Span {
        let ticks = duration.as_millis().div_ceil(TICK.as_millis()) + 1;
        Span(u32::try_from(ticks).unwrap_or(u32::MAX))
    }
}

/// Where ticks come from.
#[derive(Debug)]
pub(crate) struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock at tick 0.
    pub fn start() -> Clock {
        Clock { started: Instant::now() }
    }

    /// The tick of a time since the clock started.
    pub fn tick(&self, now: Instant) -> Tick {
        Tick((now.duration_since(self.started).as_millis() / TICK.as_millis()) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_span_is_shorter_than_its_duration() {
        for millis in [0, 1, 99, 100, 101, 250, 60_000] {
            let duration = Duration::from_millis(millis);
            let begun_at_the_end_of_a_tick = TICK - Duration::from_nanos(1);
            assert!(
                Tick(0).until(Tick(0).after(Span::of(duration))) >= duration + begun_at_the_end_of_a_tick
            );
        }
    }
}
