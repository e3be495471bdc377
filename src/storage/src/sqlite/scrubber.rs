//! [`Scrubber`]: which recalled texts are to be removed from the files, how far that is, and when its next slice comes.

use std::time::{Duration, Instant};
use wire::{ConversationId, Seq, UnixMillis};

/// How long recalls are gathered before they are scrubbed together, milliseconds.
const GATHER_MS: u64 = 10_000;
/// How long slices may take before the next batch of writes while messages arrive.
const TURN: Duration = Duration::from_millis(2);
/// The pause before slices when no message has arrived meanwhile.
const PAUSE: Duration = Duration::from_millis(20);
/// How often it is looked whether a scrub is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is to be scrubbed, and how far that is.
#[derive(Debug, Default)]
pub struct Scrubber {
    /// When the first recall was made that waits; `None`: nothing waits.
    pub since: Option<UnixMillis>,
    pub stage: Stage,
    /// What is being scrubbed.
    pub places: Vec<(ConversationId, Seq)>,
    pub turn: Turn,
}

/// The slices that precede the next batch of writes: at least one, however slow the disk is.
#[derive(Clone, Copy, Debug, Default)]
pub enum Turn {
    #[default]
    Over,
    Due,
    Until(Instant),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    #[default]
    Waiting,
    /// The run that was current when it began is being filed.
    Filing,
    /// So many entries are emptied.
    Emptying(usize),
    Truncating,
    Zeroing,
}

impl Scrubber {
    /// A recall was made.
    pub fn note(&mut self, now: UnixMillis) {
        self.since.get_or_insert(now);
    }

    /// Whether a scrub has begun.
    pub fn is_busy(&self) -> bool {
        self.stage != Stage::Waiting
    }

    /// How soon the next slice should come; `None`: nothing waits.
    pub fn urgency(&self) -> Option<Duration> {
        let pause = if self.is_busy() { PAUSE } else { LOOK_EVERY };
        self.since.map(|_| pause)
    }

    /// A batch of writes begins. `is_due`: whether slices should precede the next one.
    pub fn begin_turn(&mut self, is_due: bool) {
        self.turn = if is_due { Turn::Due } else { Turn::Over };
    }

    /// Whether a slice should precede the next batch.
    pub fn has_turn(&self) -> bool {
        match self.turn {
            Turn::Over => false,
            Turn::Due => true,
            Turn::Until(end) => Instant::now() < end,
        }
    }

    /// A slice of housekeeping begins.
    pub fn begin_slice(&mut self) {
        if let Turn::Due = self.turn {
            self.turn = Turn::Until(Instant::now() + TURN);
        }
    }

    /// The clock may go back.
    pub fn is_due(&self, now: UnixMillis) -> bool {
        self.since.is_some_and(|since| self.is_busy() || now.0.abs_diff(since.0) >= GATHER_MS)
    }
}
