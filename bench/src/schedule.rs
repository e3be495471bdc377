//! When each event of an even pace is due.

/// Events at an even pace, numbered from 0. A late event does not delay the following ones.
#[derive(Clone, Debug)]
pub struct Schedule {
    start: u64,
    events: u64,
    period: u64,
    /// How long the pace grows linearly to the full pace, ns.
    ramp: u64,
    next: u64,
}

impl Schedule {
    /// `events` (at least 1) in every `period` nanoseconds, the first at `start`.
    pub fn new(start: u64, events: u64, period: u64) -> Schedule {
        Schedule::ramped(start, events, period, 0)
    }

    /// The same, but the pace grows linearly from 0 during the first `ramp` ns.
    pub fn ramped(start: u64, events: u64, period: u64, ramp: u64) -> Schedule {
        Schedule { start, events, period, ramp, next: 0 }
    }

    /// When event `number` is due, exact to the nanosecond for any number.
    fn due(&self, number: u64) -> u64 {
        let even = (u128::from(number) * u128::from(self.period) / u128::from(self.events)) as u64;
        // The ramp has as many events as half its time at the full pace.
        let behind = match self.ramp {
            0 => 0,
            ramp if even >= ramp / 2 => ramp.div_ceil(2),
            ramp => ((2.0 * ramp as f64 * even as f64).sqrt() as u64).saturating_sub(even),
        };
        self.start + even + behind
    }

    pub fn next_due(&self) -> u64 {
        self.due(self.next)
    }

    /// Takes the next event if it is due by `now`; returns its number and due time.
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
    fn a_rate_is_exact_over_hours() {
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
        // Every event keeps its due time, so its latency includes the stall.
        assert!(taken.iter().all(|&(number, due)| due == number * 1_000_000));
        assert_eq!(schedule.next_due(), 11_000_000);
    }

    #[test]
    fn a_ramp_grows_to_the_full_pace_and_continues_evenly() {
        let schedule = Schedule::ramped(0, 1_000, SECOND, 2 * SECOND);
        let events_before = |end: u64| (0..).take_while(|number| schedule.due(*number) < end).count();
        assert_eq!(events_before(2 * SECOND), 1_000);
        assert!((245..=255).contains(&events_before(SECOND)), "{}", events_before(SECOND));
        assert_eq!(events_before(3 * SECOND), 2_000);
        assert!((1..2_000).all(|number| schedule.due(number - 1) <= schedule.due(number)));
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
