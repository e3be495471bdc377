//! The embedded database: the conformance suite, and its own failure modes.

mod crash;
mod damage;
mod fault;
mod login_view;
mod retention;
mod scrub;
mod threads;

use super::{MemoryDisk, SqliteStore};
use crate::conformance::{CASES, Fixture, Scenario};
use crate::machine::{Clock, Random};
use crate::store::Store;
use logic::contract::{Quotas, Read};
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use wire::UnixMillis;

#[derive(Clone, Default)]
pub struct TestClock(Arc<AtomicU64>);

impl TestClock {
    pub fn set(&self, time: UnixMillis) {
        self.0.store(time.0, Ordering::Relaxed);
    }

    pub fn clock(&self) -> Clock {
        let time = Arc::clone(&self.0);
        Box::new(move || UnixMillis(time.load(Ordering::Relaxed)))
    }
}

/// Random numbers that are the same in every run of the test.
pub fn fixed_random(seed: u64) -> Random {
    let mut next = seed;
    Box::new(move |bytes| {
        for byte in bytes {
            next = next.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (next >> 56) as u8;
        }
    })
}

/// A store in memory; a restart passes its connection on.
struct InMemory {
    store: Option<SqliteStore>,
    disk: MemoryDisk,
    test_clock: TestClock,
    retention_months: u32,
    opened: u64,
}

impl InMemory {
    fn new() -> InMemory {
        let test_clock = TestClock::default();
        test_clock.set(crate::conformance::BEGIN);
        let mut fixture =
            InMemory { store: None, disk: MemoryDisk::default(), test_clock, retention_months: 0, opened: 0 };
        fixture.open(Connection::open_in_memory().unwrap());
        fixture
    }

    fn open(&mut self, conn: Connection) {
        self.opened += 1;
        let (disk, random) = (Box::new(self.disk.clone()), fixed_random(self.opened));
        let store = SqliteStore::recover(conn, disk, self.test_clock.clock(), random).unwrap();
        self.store = Some(store.with_retention(self.retention_months));
    }

    fn sqlite(&mut self) -> &mut SqliteStore {
        self.store.as_mut().unwrap()
    }
}

impl Fixture for InMemory {
    fn store(&mut self) -> &mut dyn Store {
        self.sqlite()
    }

    fn restart(&mut self) {
        let conn = self.store.take().unwrap().into_connection();
        self.disk.crash(|| false);
        self.open(conn);
    }

    fn set_time(&mut self, time: UnixMillis) {
        self.test_clock.set(time);
    }

    fn forget_claims(&mut self) {
        let forget = "DELETE FROM name_claim; DELETE FROM name_fold; UPDATE name_claimed SET user_id = 0";
        self.sqlite().conn.execute_batch(forget).unwrap();
    }

    fn set_quotas(&mut self, quotas: Quotas) {
        self.sqlite().quotas = quotas;
    }

    fn sessions(&mut self) -> u64 {
        let count: i64 = self
            .sqlite()
            .conn
            .query_row("SELECT count(*) FROM account_session", [], |row| row.get(0))
            .unwrap();
        count as u64
    }

    /// Instructions of SQLite's virtual machine.
    fn cost(&mut self, read: &Read) -> u64 {
        // The second read finds the names in the cache, but no headers.
        self.sqlite().read(read);
        self.sqlite().headers = Arc::default();
        self.sqlite().logins = Arc::default();
        self.steps(read)
    }

    fn cost_again(&mut self, read: &Read) -> u64 {
        self.sqlite().read(read);
        self.steps(read)
    }

    fn set_retention(&mut self, months: u32) {
        self.retention_months = months;
        self.sqlite().set_retention(months);
    }

    fn housekeep_some(&mut self, slices: usize) {
        for _ in 0..slices {
            self.sqlite().housekeep().unwrap();
        }
    }

    fn forget_totals(&mut self) {
        self.sqlite().conn.execute_batch("DELETE FROM direct_total").unwrap();
    }
}

impl InMemory {
    fn steps(&mut self, read: &Read) -> u64 {
        let steps = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&steps);
        let store = self.sqlite();
        let step = move || {
            count.fetch_add(1, Ordering::Relaxed);
            false
        };
        store.conn.progress_handler(1, Some(step)).unwrap();
        store.read(read);
        store.conn.progress_handler(1, None::<fn() -> bool>).unwrap();
        steps.load(Ordering::Relaxed)
    }
}

pub fn open(path: &Path, test_clock: &TestClock) -> SqliteStore {
    SqliteStore::open(path, test_clock.clock(), fixed_random(0)).unwrap()
}

#[test]
fn every_case_passes_in_memory() {
    for (name, case) in CASES {
        println!("{name}");
        case(&mut Scenario::on(&mut InMemory::new()));
    }
}
