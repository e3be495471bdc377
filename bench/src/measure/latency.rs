//! Latencies: recorded in nanoseconds, reported in microseconds.

use crate::clock::SECOND;
use hdrhistogram::Histogram;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A histogram of latencies, exact to three digits from 100 ns to 10 minutes; values outside count as the nearer end.
#[derive(Clone, Debug)]
pub struct Latency(Histogram<u64>);

impl Default for Latency {
    fn default() -> Latency {
        Latency(Histogram::new_with_bounds(100, 600 * SECOND, 3).expect("the bounds are in order"))
    }
}

/// The reported quantiles, us; all 0 where nothing was recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

impl Latency {
    #[inline]
    pub fn record(&mut self, nanoseconds: u64) {
        self.0.saturating_record(nanoseconds);
    }

    pub fn count(&self) -> u64 {
        self.0.len()
    }

    pub fn add(&mut self, other: &Latency) {
        self.0.add(&other.0).expect("all have the same bounds");
    }

    pub fn clear(&mut self) {
        self.0.reset();
    }

    /// Every recorded latency, ns, and its count; a bucket is reported by its upper end.
    pub fn recorded(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value()))
    }

    pub fn quantiles(&self) -> Quantiles {
        let us = |nanoseconds: u64| nanoseconds as f64 / 1e3;
        let at = |quantile| us(self.0.value_at_quantile(quantile));
        Quantiles { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: us(self.0.max()) }
    }
}

/// Serialized as the items of [`Latency::recorded`], so that histograms of several processes can be added up.
impl Serialize for Latency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.recorded())
    }
}

impl<'de> Deserialize<'de> for Latency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Latency, D::Error> {
        let mut latency = Latency::default();
        for (value, count) in Vec::<(u64, u64)>::deserialize(deserializer)? {
            latency.0.saturating_record_n(value, count);
        }
        Ok(latency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_of_several_processes_add_up() {
        let (mut one, mut other, mut both) = (Latency::default(), Latency::default(), Latency::default());
        for ns in (1..2_000_000u64).step_by(997) {
            (if ns % 3 == 0 { &mut one } else { &mut other }).record(ns);
            both.record(ns);
        }
        let text = serde_json::to_string(&other).unwrap();
        one.add(&serde_json::from_str(&text).unwrap());
        assert_eq!((one.count(), one.quantiles()), (both.count(), both.quantiles()));
    }

    #[test]
    fn quantiles_are_within_a_thousandth() {
        let mut latency = Latency::default();
        assert_eq!(latency.quantiles(), Quantiles::default());
        (1..=1_000_000).for_each(|us| latency.record(us * 1_000));
        let Quantiles { p50, p99, p999, max } = latency.quantiles();
        for (is, want) in [(p50, 5e5), (p99, 9.9e5), (p999, 9.99e5), (max, 1e6)] {
            assert!((is / want - 1.0).abs() < 0.001, "{is} is not {want}");
        }
    }
}
