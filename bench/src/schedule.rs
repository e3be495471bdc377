//! When each event of an even pace is due. Pure: time is an argument.

/// Events at an even pace, numbered from 0. It does not slip: one that came late moves none of the following.
#[derive(Clone, Debug)]
pub struct Schedule {
    start: u64,
    events: u64,
    period: u64,
    next: u64,
}

impl Schedule {
    /// `events` (at least 1) in every `period` nanoseconds, the first at `start`.
    pub fn new(start: u64, events: u64, period: u64) -> Schedule {
        Schedule { start, events, period, next: 0 }
    }

    /// When event `number` is due. Exact to the nanosecond, however many came before.
    fn due(&self, number: u64) -> u64 {
        self.start + (u128::from(number) * u128::from(self.period) / u128::from(self.events)) as u64
    }

    /// When the next one is due.
    pub fn next_due(&self) -> u64 {
        self.due(self.next)
    }

    /// Takes the next event where it is due by `now`: its number and when it was due.
    pub fn take(&mut self, now: u64) -> Option<(u64, u64)> {
        let (number, due) = (self.next, self.next_due());
        (due <= now).then(|| {
            self.next += 1;
            (number, due)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SECOND;

    #[test]
    fn a_rate_is_kept_exactly_over_hours() {
        let mut schedule = Schedule::new(5, 30_000, SECOND);
        assert_eq!(schedule.take(4), None);
        assert_eq!(schedule.take(5), Some((0, 5)));
        assert_eq!(schedule.next_due(), 5 + 33_333);
        assert_eq!(schedule.due(30_000 * 7_200), 5 + 7_200 * SECOND);
    }

    #[test]
    fn a_stall_makes_events_late_but_not_fewer() {
        let mut schedule = Schedule::new(0, 1_000, SECOND);
        let stalled_until = 10 * 1_000_000;
        let taken: Vec<_> = std::iter::from_fn(|| schedule.take(stalled_until)).collect();
        assert_eq!(taken.len(), 11);
        // Each is known by when it was due, so its latency holds the stall.
        assert!(taken.iter().all(|&(number, due)| due == number * 1_000_000));
        assert_eq!(schedule.next_due(), 11_000_000);
    }

    #[test]
    fn any_second_holds_the_rate_and_gaps_differ_by_a_nanosecond() {
        let mut schedule = Schedule::new(0, 7, SECOND);
        let dues: Vec<u64> =
            std::iter::from_fn(|| schedule.take(3 * SECOND - 1)).map(|(_, due)| due).collect();
        assert_eq!(dues.len(), 21);
        for pair in dues.windows(2) {
            assert!((142_857_142..=142_857_143).contains(&(pair[1] - pair[0])));
        }
    }
}
