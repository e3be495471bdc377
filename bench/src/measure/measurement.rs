//! One measurement of a workload, with its baseline.

use super::process::{Sample, Usage};
use super::tally::{Tally, ratio};
use crate::error::Error;
use crate::error_counts::ErrorCounts;
use crate::format::plural;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// One measurement of a workload; most workloads have one.
#[derive(Debug, Serialize, Deserialize)]
pub struct Measurement {
    /// Empty where the workload has only one.
    pub name: Cow<'static, str>,
    /// The unit of work, in the singular.
    pub unit: Cow<'static, str>,
    /// What [`Tally::latency`] is the latency of.
    pub latency: Cow<'static, str>,
    pub tally: Tally,
    pub baseline: Option<Baseline>,
    /// Further counts, by name.
    pub counts: BTreeMap<Cow<'static, str>, u64>,
    /// What clients show differently, up to [`DIFFERENCES`] of it.
    pub differences: Vec<String>,
}

/// Differences that are printed; all are counted.
const DIFFERENCES: usize = 20;

impl Measurement {
    pub fn new(name: &'static str, unit: &'static str, latency: &'static str, tally: Tally) -> Measurement {
        let [name, unit, latency] = [name, unit, latency].map(Cow::Borrowed);
        Measurement {
            name,
            unit,
            latency,
            tally,
            baseline: None,
            counts: BTreeMap::new(),
            differences: Vec::new(),
        }
    }

    /// Notes differences; each makes the run faulty.
    pub fn note_differences(&mut self, differences: Vec<String>) {
        self.tally.errors.note_many(ErrorCounts::DIFFERENT, differences.len() as u64);
        self.differences.extend(differences);
        self.differences.truncate(DIFFERENCES);
    }

    /// Adds the measurement of another process of the same run.
    pub fn add(&mut self, other: Measurement) {
        self.tally.add(other.tally);
        for (name, count) in other.counts {
            *self.counts.entry(name).or_default() += count;
        }
        self.differences.extend(other.differences);
        self.differences.truncate(DIFFERENCES);
    }

    /// Whether nothing was done although something should have been.
    pub fn is_empty(&self) -> bool {
        // A short run may see no heartbeat and no returning user, and a storm may be over before other users were due.
        let may_be_empty = self.unit == "heartbeat" || self.name == "returns" || self.name == "others";
        self.tally.done == 0 && !may_be_empty
    }

    /// What the finished units of work are called: `delivered`, `stored`, `logins`.
    pub fn done_word(&self) -> String {
        match (&*self.unit, &*self.latency) {
            (_, "ack") => "stored".into(),
            ("message" | "delivery", _) => "delivered".into(),
            (other, _) => plural(other),
        }
    }
}

/// The server's memory before most of the connections were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// Resident memory, KiB.
    pub rss_kib: u64,
    /// Resident memory that is not mapped from files, KiB.
    pub anonymous_kib: u64,
    /// Connections made since.
    pub connections: u32,
}

impl Baseline {
    /// The memory of `pids` before `connections` are made; `None` without any process.
    ///
    /// # Errors
    /// A process cannot be sampled.
    pub fn take(pids: &[u32], connections: u32) -> Result<Option<Baseline>, Error> {
        let sample = Sample::take(pids)?;
        let (rss_kib, anonymous_kib) = (sample.rss_kib(), sample.anonymous_kib());
        Ok((!pids.is_empty()).then_some(Baseline { rss_kib, anonymous_kib, connections }))
    }

    /// Resident bytes, all and anonymous, for each connection made since.
    pub fn bytes_per_connection(&self, server: &Usage) -> [f64; 2] {
        [(server.rss_kib, self.rss_kib), (server.anonymous_kib, self.anonymous_kib)]
            .map(|(now, then)| ratio((now as f64 - then as f64) * 1024.0, f64::from(self.connections)))
    }
}
