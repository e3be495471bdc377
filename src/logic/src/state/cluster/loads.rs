//! The nodes of the cluster as the bus lists them, and when this one reports its own load.

use crate::bus::NodeState;
use std::collections::BTreeMap;

#[derive(Debug)]
pub(crate) struct Loads {
    pub nodes: Vec<NodeState>,
    pub next_lease: u64,
    pub next_report: u64,
    pub reported_at: u64,
    /// Messages stored here since the last report.
    pub stored: u64,
    /// The number of reports so far; seeds the random part of their times.
    pub reports: u64,
    pub seed: u64,
    /// When the sessions of each dead run end, monotonic ms.
    pub graces: BTreeMap<(u64, Box<str>), ()>,
}

impl Loads {
    pub fn new(seed: u64) -> Loads {
        Loads {
            nodes: Vec::new(),
            next_lease: 0,
            next_report: 0,
            reported_at: 0,
            stored: 0,
            reports: 0,
            seed,
            graces: BTreeMap::new(),
        }
    }

    /// When the next lease, report or end of a grace is due, monotonic ms.
    pub fn next(&self) -> u64 {
        let grace = self.graces.keys().next().map(|(at, _)| *at);
        [Some(self.next_lease), Some(self.next_report), grace].into_iter().flatten().min().unwrap_or(0)
    }
}
