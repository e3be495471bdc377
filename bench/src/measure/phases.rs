//! The measured phases: warm-up, measured, drain, and what was used in between.

use super::process::{Sample, Usage};
use crate::clock::Clock;
use crate::error::Error;

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Load, nothing counts yet.
    Warmup,
    /// Load, and it counts.
    Measured,
    /// No more load; what is under way may arrive.
    Drain,
}

/// What a phases measured besides latencies.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// How long it was, ns.
    pub nanoseconds: u64,
    /// What the processes named on the command line used.
    pub server: Option<Usage>,
    /// What those that stand beside it used, by name.
    pub beside: Vec<(String, Usage)>,
    /// How many of those, by name, have ended.
    pub beside_ended: u64,
    /// What this process used.
    pub generator: Usage,
}

/// Leads a run through its phases. Times are the run's clock, ns.
#[derive(Debug)]
pub struct Phases {
    phase: Phase,
    pids: Vec<u32>,
    beside: Vec<(String, Vec<u32>)>,
    length: u64,
    /// When the measured phase begins, exact once it has, and when it is to end.
    open: u64,
    close: u64,
    before: Option<([Sample; 2], Vec<Sample>)>,
    measured: Measured,
}

impl Phases {
    /// Begins at `now` with `warmup` ns; `length` ns are then measured, with what `pids` use.
    pub fn begin(now: u64, warmup: u64, length: u64, pids: &[u32]) -> Phases {
        let (open, close) = (now + warmup, u64::MAX);
        let measured = Measured::default();
        let (phase, pids, beside, before) = (Phase::Warmup, pids.to_vec(), Vec::new(), None);
        Phases { phase, pids, beside, length, open, close, before, measured }
    }

    /// Measures what these use as well, those of one name together.
    pub fn with_beside(mut self, beside: &[(String, u32)]) -> Phases {
        for (name, pid) in beside {
            match self.beside.iter_mut().find(|(known, _)| known == name) {
                Some((_, pids)) => pids.push(*pid),
                None => self.beside.push((name.clone(), vec![*pid])),
            }
        }
        self
    }

    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The processes whose use is measured.
    pub fn pids(&self) -> &[u32] {
        &self.pids
    }

    /// When the phase changes next.
    pub fn next_change(&self) -> u64 {
        match self.phase {
            Phase::Warmup => self.open,
            Phase::Measured => self.close,
            Phase::Drain => u64::MAX,
        }
    }

    /// When the measured phase is to end; it ends a little later, as what drives it comes to look.
    pub fn close(&self) -> u64 {
        self.close
    }

    /// What was to be measured is done: a measured phase that is to end later ends at `now`.
    pub fn finish(&mut self, now: u64) {
        if self.phase == Phase::Measured {
            self.close = self.close.min(now);
        }
    }

    /// Whether what counts from `at` belongs to the measured phase, also where it ends later.
    #[inline]
    pub fn holds(&self, at: u64) -> bool {
        self.phase != Phase::Warmup && self.open <= at && at < self.close
    }

    /// Changes the phase where it is time. Whether it did.
    pub fn advance(&mut self, clock: &Clock) -> Result<bool, Error> {
        if clock.now() < self.next_change() {
            return Ok(false);
        }
        let own = [std::process::id()];
        match self.phase {
            Phase::Warmup => {
                let beside: Result<_, _> = self.beside.iter().map(|(_, pids)| Sample::take(pids)).collect();
                self.before = Some(([Sample::take(&self.pids)?, Sample::take(&own)?], beside?));
                // Sampling takes a interval; nothing that was due in it counts.
                self.open = clock.now();
                self.close = self.open.saturating_add(self.length);
                self.phase = Phase::Measured;
            }
            Phase::Measured => {
                let end = clock.now();
                let ([server, generator], beside) = self.before.take().expect("taken when this phase began");
                let used = |((name, pids), before): (&(String, Vec<u32>), Sample)| {
                    Sample::take(pids).ok().map(|now| (name.clone(), now.since(&before)))
                };
                let used: Vec<_> = self.beside.iter().zip(beside).filter_map(used).collect();
                self.measured = Measured {
                    nanoseconds: end - self.open,
                    server: match &self.pids[..] {
                        [] => None,
                        // A server that has ended is trouble of the run, which is told, not one of the generator.
                        pids => Sample::take(pids).ok().map(|now| now.since(&server)),
                    },
                    beside_ended: (self.beside.len() - used.len()) as u64,
                    beside: used,
                    generator: Sample::take(&own)?.since(&generator),
                };
                self.phase = Phase::Drain;
            }
            Phase::Drain => {}
        }
        Ok(true)
    }

    /// What was measured, once the phase is [`Phase::Drain`].
    pub fn into_measured(self) -> Measured {
        self.measured
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_began_while_measuring_counts() {
        let clock = Clock::start();
        let mut phases = Phases::begin(clock.now(), 1_000_000, 5_000_000, &[]);
        assert!(!phases.holds(clock.now()));
        let mut entered = Vec::new();
        while phases.phase() != Phase::Drain {
            if phases.advance(&clock).unwrap() {
                entered.push((phases.phase(), clock.now()));
            }
        }
        assert_eq!(entered.iter().map(|e| e.0).collect::<Vec<_>>(), [Phase::Measured, Phase::Drain]);
        assert!(phases.holds(entered[0].1));
        assert!(!phases.holds(0) && !phases.holds(entered[1].1));
        assert!(phases.into_measured().nanoseconds >= 5_000_000);
    }

    #[test]
    fn what_is_done_before_its_time_ends_the_window() {
        let clock = Clock::start();
        let mut phases = Phases::begin(clock.now(), 0, u64::MAX, &[]);
        phases.finish(0);
        while phases.phase() != Phase::Measured {
            phases.advance(&clock).unwrap();
        }
        assert!(!phases.advance(&clock).unwrap());
        phases.finish(clock.now());
        while phases.phase() != Phase::Drain {
            phases.advance(&clock).unwrap();
        }
    }
}
