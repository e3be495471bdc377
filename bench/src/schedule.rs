//! When each event of an even pace is due. Pure: time is an argument.

/// Events at an even pace, numbered from 0. It does not slip: one that came late moves none of the following.
#[derive(Clone, Debug)]
pub struct Schedule {
    start: u64,
    events: u64,
    period: u64,
    /// How long the pace grows evenly to the full one, ns.
    ramp: u64,
    next: u64,
}

impl Schedule {
    /// `events` (at least 1) in every `period` nanoseconds, the first at `start`.
    pub fn new(start: u64, events: u64, period: u64) -> Schedule {
        Schedule::ramped(start, events, period, 0)
    }

    /// The same, but the pace grows evenly from nothing over the first `ramp` ns.
    pub fn ramped(start: u64, events: u64, period: u64, ramp: u64) -> Schedule {
        Schedule { start, events, period, ramp, next: 0 }
    }

    /// When event `number` is due. Exact to the nanosecond, however many came before.
    fn due(&self, number: u64) -> u64 {
        let even = (u128::from(number) * u128::from(self.period) / u128::from(self.events)) as u64;
        // While it grows, half as many are done as at the full pace, so what is done at even pace in half the time.
        let behind = match self.ramp {
            0 => 0,
            ramp if even >= ramp / 2 => ramp.div_ceil(2),
            ramp => ((2.0 * ramp as f64 * even as f64).sqrt() as u64).saturating_sub(even),
        };
        self.start + even + behind
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
    fn a_ramp_grows_to_the_full_pace_and_goes_on_evenly() {
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
