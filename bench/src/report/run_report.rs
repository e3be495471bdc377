//! A run and what it measured.

use super::description::{Description, describe};
use crate::args::Workload;
use crate::measure::Measurement;
use crate::outcome::Outcome;
use jiff::{Timestamp, Unit};

/// The version of the generator.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(Debug)]
pub struct RunReport {
    pub name: String,
    pub description: Description,
    pub measurements: Vec<Measurement>,
    /// The time of the report in RFC 3339.
    pub date: String,
    /// Whether the CPU time of each server thread is printed.
    pub has_threads_table: bool,
}

impl RunReport {
    pub fn new(workload: &Workload, measurements: Vec<Measurement>) -> RunReport {
        let common = workload.common();
        let description = describe(workload);
        let name = common.name.clone().unwrap_or_else(|| description.title.clone());
        let date = Timestamp::now().round(Unit::Second).unwrap_or_default().to_string();
        RunReport { name, description, measurements, date, has_threads_table: common.threads_table }
    }

    pub fn outcome(&self) -> Outcome {
        let is_clean = |measurement: &Measurement| {
            let tally = &measurement.tally;
            tally.faults.are_none() && tally.errors.is_none() && !measurement.is_empty()
        };
        if self.measurements.iter().all(is_clean) { Outcome::Clean } else { Outcome::Faulty }
    }
}
