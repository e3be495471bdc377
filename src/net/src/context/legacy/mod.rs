//! State shared by the legacy connections of one reactor.

mod local_time;
mod pacer;
mod synthetic_acks;

pub(crate) use local_time::LocalTime;
pub(crate) use pacer::Pacer;
pub(crate) use synthetic_acks::{Mark, SyntheticAcks, Unacknowledged};

use std::time::Duration;
use wire::legacy::Style;

pub(crate) struct LegacyContext {
    pub style: Style,
    pub pacer: Pacer,
    /// Formats the times in objects.
    pub local_time: LocalTime,
    pub synthetic_acks: SyntheticAcks,
}

impl LegacyContext {
    pub fn new(style: Style, pace: Duration) -> LegacyContext {
        LegacyContext {
            style,
            pacer: Pacer::new(pace),
            local_time: LocalTime::of_this_machine(),
            synthetic_acks: SyntheticAcks::new(),
        }
    }
}
