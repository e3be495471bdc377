//! The text of a load report: `connections messages/s cpu address node`, separated by spaces.

use super::identity::NodeIdentity;
use logic::bus::{Load, Report};
use rustix::time::{ClockId, clock_gettime};
use std::thread;
use std::time::{Duration, Instant};

/// Processor time that this process had used, and when it was measured.
#[derive(Clone, Copy, Debug)]
pub struct CpuSample {
    used: Duration,
    at: Instant,
}

impl CpuSample {
    pub fn now() -> CpuSample {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        CpuSample { used: Duration::new(time.tv_sec as u64, time.tv_nsec as u32), at: Instant::now() }
    }

    /// Processor time used since then, percent of all cores.
    pub fn percent_since(self, before: CpuSample) -> u128 {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let elapsed = self.at.duration_since(before.at).max(Duration::from_millis(1));
        self.used.saturating_sub(before.used).as_micros() * 100 / elapsed.as_micros() / cores as u128
    }
}

/// The name of the node is last, as it may contain spaces.
pub fn text(load: Load, cpu: u128, identity: &NodeIdentity) -> String {
    let NodeIdentity { address, node, .. } = identity;
    format!("{} {} {cpu} {address} {node}", load.connections, load.messages_per_second)
}

pub fn parse(text: &str) -> Option<Report> {
    let mut words = text.splitn(5, ' ');
    let mut number = || words.next()?.parse().ok();
    let load = Load { connections: number()?, messages_per_second: number()? };
    let cpu = number()?;
    Some(Report { address: words.next()?.into(), node: words.next()?.into(), load, cpu })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_reports_are_ignored() {
        let report = parse("3 40 7 127.0.0.1:6000 a node").unwrap();
        assert_eq!((report.load.connections, report.load.messages_per_second, report.cpu), (3, 40, 7));
        assert_eq!((&*report.address, &*report.node), ("127.0.0.1:6000", "a node"));
        for bad in ["", "1 2 3", "1 2 x a n", "1 2 3 a"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
