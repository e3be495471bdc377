//! Publications and values that were dropped, counted by reason, and the log line about them.

use std::fmt;
use std::time::{Duration, Instant};

/// The least time between two log lines.
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// Why something from Redis was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// This node's own publication.
    Own,
    /// Not in the form that nodes use.
    Malformed,
    /// The tag is wrong, or made with a key that is not accepted.
    Forged,
    /// Its time is too far from the database's clock.
    Late,
    /// Its run is not among those that live. A node that has just started is listed within a second.
    Unlisted,
    /// Its counter has been seen.
    Repeated,
    /// Its channel does not carry it.
    Misplaced,
}

impl Rejection {
    const COUNTED: [(Rejection, &str); 6] = [
        (Rejection::Malformed, "malformed"),
        (Rejection::Forged, "with a wrong authentication tag"),
        (Rejection::Late, "more than 10 s old or early"),
        (Rejection::Unlisted, "from a node that is not alive or has just started"),
        (Rejection::Repeated, "repeated"),
        (Rejection::Misplaced, "on a channel that does not carry it"),
    ];
}

/// Counts of what was dropped since the last log line.
#[derive(Debug, Default)]
pub struct Rejections {
    counts: [u64; Rejection::COUNTED.len()],
    reported_at: Option<Instant>,
}

impl Rejections {
    pub fn note(&mut self, rejection: Rejection) {
        if let Some(at) = Rejection::COUNTED.iter().position(|(counted, _)| *counted == rejection) {
            self.counts[at] += 1;
        }
    }

    /// Logs what was dropped, at most once in [`REPORT_EVERY`].
    pub fn report(&mut self) {
        if self.counts.iter().all(|count| *count == 0)
            || self.reported_at.is_some_and(|at| at.elapsed() < REPORT_EVERY)
        {
            return;
        }
        let is_usual = self
            .counts
            .iter()
            .zip(Rejection::COUNTED)
            .all(|(count, (rejection, _))| *count == 0 || rejection == Rejection::Unlisted);
        if is_usual {
            log::info!("dropped from Redis: {self}");
        } else {
            log::warn!(
                "dropped from Redis: {self}; somebody else may be publishing there: see the section on Redis in \
                 docs/cluster.md"
            );
        }
        *self = Rejections { reported_at: Some(Instant::now()), ..Rejections::default() };
    }
}

impl fmt::Display for Rejections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = self.counts.iter().zip(Rejection::COUNTED).filter(|(count, _)| **count > 0);
        for (nth, (count, (_, reason))) in counted.enumerate() {
            let separator = if nth == 0 { "" } else { ", " };
            write!(f, "{separator}{count} {reason}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_lists_each_reason_with_its_count() {
        let mut rejections = Rejections::default();
        for rejection in [Rejection::Repeated, Rejection::Forged, Rejection::Own, Rejection::Forged] {
            rejections.note(rejection);
        }
        assert_eq!(rejections.to_string(), "2 with a wrong authentication tag, 1 repeated");
        rejections.report();
        assert_eq!(rejections.to_string(), "");
    }
}
