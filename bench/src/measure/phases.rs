//! The phases of a run (warm-up, measured, drain), and what processes used in the measured phase.

use super::process::{Sample, Usage};
use crate::clock::Clock;
use crate::error::Error;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The load runs; nothing counts yet.
    Warmup,
    /// The load runs and counts.
    Measured,
    /// No new load; outstanding messages may still arrive.
    Drain,
}

/// The measurements other than latencies.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    pub nanoseconds: u64,
    /// The `--server-pid` processes; `None` where one has ended.
    pub server: Option<Usage>,
    /// The `--beside` processes, by name.
    pub beside: Vec<(String, Usage)>,
    /// The number of `--beside` names with an ended process.
    pub beside_ended: u64,
    /// The usage of this process.
    pub generator: Usage,
}

/// The current phase and its end. Times are those of the run's clock, ns.
#[derive(Debug)]
pub struct Phases {
    phase: Phase,
    pids: Vec<u32>,
    beside: Vec<(String, Vec<u32>)>,
    length: u64,
    /// The start of the measured phase, exact once it has started, and its planned end.
    open: u64,
    close: u64,
    before: Option<([Sample; 2], Vec<Sample>)>,
    measured: Measured,
}

impl Phases {
    /// Starts at `now` with `warmup` ns; then measures `length` ns and the usage of `pids`.
    pub fn begin(now: u64, warmup: u64, length: u64, pids: &[u32]) -> Phases {
        let (open, close) = (now + warmup, u64::MAX);
        let measured = Measured::default();
        let (phase, pids, beside, before) = (Phase::Warmup, pids.to_vec(), Vec::new(), None);
        Phases { phase, pids, beside, length, open, close, before, measured }
    }

    /// Measures these processes as well; processes of the same name are added up.
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

    /// The `--server-pid` processes.
    pub fn pids(&self) -> &[u32] {
        &self.pids
    }

    /// When the phase ends.
    pub fn next_change(&self) -> u64 {
        match self.phase {
            Phase::Warmup => self.open,
            Phase::Measured => self.close,
            Phase::Drain => u64::MAX,
        }
    }

    /// The planned end of the measured phase; the loop notices it a little later.
    pub fn close(&self) -> u64 {
        self.close
    }

    /// Ends the measured phase at `now`, unless it ends earlier.
    pub fn finish(&mut self, now: u64) {
        if self.phase == Phase::Measured {
            self.close = self.close.min(now);
        }
    }

    /// Whether `at` lies in the measured phase. Work that started in it counts even if it ends later.
    #[inline]
    pub fn holds(&self, at: u64) -> bool {
        self.phase != Phase::Warmup && self.open <= at && at < self.close
    }

    /// Enters the next phase when it is time. Returns whether it did.
    pub fn advance(&mut self, clock: &Clock) -> Result<bool, Error> {
        if clock.now() < self.next_change() {
            return Ok(false);
        }
        let own = [std::process::id()];
        match self.phase {
            Phase::Warmup => {
                let beside: Result<_, _> = self.beside.iter().map(|(_, pids)| Sample::take(pids)).collect();
                self.before = Some(([Sample::take(&self.pids)?, Sample::take(&own)?], beside?));
                // Sampling takes time; work that was due meanwhile does not count.
                self.open = clock.now();
                self.close = self.open.saturating_add(self.length);
                self.phase = Phase::Measured;
            }
            Phase::Measured => {
                let end = clock.now();
                let ([server, generator], beside) =
                    self.before.take().expect("sampled when this phase started");
                let used = |((name, pids), before): (&(String, Vec<u32>), Sample)| {
                    Sample::take(pids).ok().map(|now| (name.clone(), now.since(&before)))
                };
                let used: Vec<_> = self.beside.iter().zip(beside).filter_map(used).collect();
                self.measured = Measured {
                    nanoseconds: end - self.open,
                    server: match &self.pids[..] {
                        [] => None,
                        // A server that has ended is an error of the run, not of the generator.
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

    /// The measured usage, once the phase is [`Phase::Drain`].
    pub fn into_measured(self) -> Measured {
        self.measured
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_work_that_started_in_the_measured_phase_counts() {
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
    fn finished_work_ends_the_measured_phase_early() {
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
