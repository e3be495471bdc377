//! Deadlines, and the coarse clock that they are counted on.
//!
//! A tick is 100 ms. The clock is read once a turn, a stored time costs four bytes, and no deadline expires early.

use crate::config::Timeouts;
use std::time::{Duration, Instant};

const TICK: Duration = Duration::from_millis(100);

/// The time limits that each connection keeps for itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spans {
    pub proxy_handshake: Span,
    pub tls_handshake: Span,
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
            tls_handshake: Span::of(timeouts.tls_handshake),
            login: Span::of(timeouts.login),
            silence: Span::of(timeouts.silence),
            probe: Span::of(timeouts.probe),
            stall: Span::of(timeouts.stall),
            linger: Span::of(timeouts.linger),
        }
    }
}

/// A point in time: ticks since the reactor started, enough for 13 years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tick(pub u32);

/// A number of ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span(u32);

impl Tick {
    pub fn after(self, span: Span) -> Tick {
        Tick(self.0.saturating_add(span.0))
    }

    pub fn until(self, later: Tick) -> Duration {
        TICK * later.0.saturating_sub(self.0)
    }
}

impl Span {
    /// Rounds up and adds one tick, because the tick in which a span begins has partly passed.
    pub fn of(duration: Duration) -> Span {
        let ticks = duration.as_millis().div_ceil(TICK.as_millis()) + 1;
        Span(u32::try_from(ticks).unwrap_or(u32::MAX))
    }
}

/// The source of ticks.
#[derive(Debug)]
pub(crate) struct Clock {
    started: Instant,
}

impl Clock {
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
