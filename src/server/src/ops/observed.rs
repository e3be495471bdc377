//! What of the server is observed, and what is asked about it.

use super::readout::Readout;
use logic::Milliseconds;
use runtime::counters::{self, Flag, Histogram};
use runtime::watchdog;
use search::Progress;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// What changes while the server runs and no thread counts.
#[derive(Debug, Default)]
pub struct Lifecycle {
    /// The server is stopping.
    pub is_draining: Flag,
    /// When the certificate expires, Unix seconds; 0: there is none.
    certificate: AtomicU64,
}

impl Lifecycle {
    /// From now on the certificate expires at this time, Unix seconds.
    pub fn use_certificate(&self, not_after: u64) {
        self.certificate.store(not_after, Ordering::Relaxed);
    }

    pub fn certificate_seconds(&self) -> Option<i64> {
        let not_after = self.certificate.load(Ordering::Relaxed);
        (not_after > 0).then(|| not_after as i64 - (unix_ms() / 1_000) as i64)
    }
}

/// The batches that wait in a queue.
pub struct Queue {
    pub name: &'static str,
    pub waiting: Box<dyn Fn() -> usize + Send>,
}

/// The parts of the server that are observed.
pub struct Observed {
    /// The name of this node.
    pub node: Box<str>,
    pub started: Instant,
    pub lifecycle: Arc<Lifecycle>,
    pub readout: Arc<Readout>,
    pub is_cluster: bool,
    pub reactors: Vec<Arc<net::Counters>>,
    pub storage: Vec<Arc<storage::Counters>>,
    pub queues: Vec<Queue>,
    /// `None` where messages cannot be searched.
    pub search: Option<Progress>,
}

impl Observed {
    pub fn is_storage_up(&self) -> bool {
        !self.storage.iter().any(|thread| thread.is_away.get())
    }

    /// Whether the bus is connected; `None` on a single node.
    pub fn is_bus_up(&self) -> Option<bool> {
        self.is_cluster.then(|| self.readout.hears_bus.get())
    }

    pub fn commits(&self) -> Histogram {
        let mut sum = Histogram::default();
        self.storage.iter().for_each(|thread| sum.add(&thread.commits.read()));
        sum
    }

    pub fn unfiled(&self) -> u64 {
        self.storage.iter().map(|thread| thread.unfiled.get()).sum()
    }

    /// How far the search index is behind, seconds; `None` where there is none, or none yet.
    pub fn search_lag(&self) -> Option<f64> {
        let indexed_to = self.search.as_ref()?.indexed_to().0;
        (indexed_to > 0).then(|| unix_ms().saturating_sub(indexed_to) as f64 / 1e3)
    }

    pub fn of_reactors(&self, count: impl Fn(&net::Counters) -> u64) -> u64 {
        self.reactors.iter().map(|reactor| count(reactor)).sum()
    }

    pub fn connections(&self) -> u64 {
        self.of_reactors(|reactor| {
            let of = |&dialect| {
                net::TRANSPORTS.map(|transport| reactor.open(dialect, transport)).iter().sum::<u64>()
            };
            net::DIALECTS.iter().map(of).sum()
        })
    }

    /// Whether all loops turn.
    ///
    /// # Errors
    /// A sentence: what does not.
    pub fn health(&self) -> Result<(), &'static str> {
        if watchdog::is_hanging() { Err("a thread does not turn") } else { Ok(()) }
    }

    /// Whether clients should be sent here.
    ///
    /// # Errors
    /// A sentence: why not.
    pub fn readiness(&self) -> Result<(), &'static str> {
        if self.lifecycle.is_draining.get() {
            return Err("the server is stopping");
        }
        if !self.is_storage_up() {
            return Err("the database is unreachable or refuses writes");
        }
        self.health()
    }
}

/// An upper bound of this share of the times, seconds; `None` without any, or above the last bound.
pub fn quantile(times: &Milliseconds, share: f64) -> Option<f64> {
    counters::quantile(&times.buckets, bounds(), share).filter(|bound| bound.is_finite())
}

/// The upper bounds of the buckets of [`Milliseconds`], seconds.
pub fn bounds() -> impl Iterator<Item = f64> {
    let last = Milliseconds::BUCKETS - 1;
    (0..=last).map(move |bucket| if bucket == last { f64::INFINITY } else { (1_u64 << bucket) as f64 / 1e3 })
}

fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}
