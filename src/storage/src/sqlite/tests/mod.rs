//! The embedded database: the stories of every store, and what only it can get wrong.

mod beside;
mod crash;
mod fault;

use super::{MemoryDisk, SqliteStore};
use crate::conformance::{CASES, Fixture, Scenario};
use crate::machine::{Clock, Random};
use crate::store::Store;
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use wire::UnixMillis;

/// A clock that a test sets.
#[derive(Clone, Default)]
struct Hands(Arc<AtomicU64>);

impl Hands {
    fn set(&self, time: UnixMillis) {
        self.0.store(time.0, Ordering::Relaxed);
    }

    fn clock(&self) -> Clock {
        let time = Arc::clone(&self.0);
        Box::new(move || UnixMillis(time.load(Ordering::Relaxed)))
    }
}

/// Randomness that is the same in every run.
fn dice() -> Random {
    let mut next = 0u64;
    Box::new(move |bytes| {
        for byte in bytes {
            next = next.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (next >> 56) as u8;
        }
    })
}

/// A store in memory, which a restart takes from one life to the next by its connection.
struct InMemory {
    store: Option<SqliteStore>,
    disk: MemoryDisk,
    hands: Hands,
}

impl InMemory {
    fn new() -> InMemory {
        let hands = Hands::default();
        hands.set(crate::conformance::BEGIN);
        let mut fixture = InMemory { store: None, disk: MemoryDisk::default(), hands };
        fixture.open(Connection::open_in_memory().unwrap());
        fixture
    }

    fn open(&mut self, conn: Connection) {
        let disk = Box::new(self.disk.clone());
        self.store = Some(SqliteStore::recover(conn, disk, self.hands.clock(), dice()).unwrap());
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
        self.hands.set(time);
    }
}

fn open(path: &Path, hands: &Hands) -> SqliteStore {
    SqliteStore::open(path, hands.clock(), dice()).unwrap()
}

#[test]
fn every_case_passes_in_memory() {
    for (name, case) in CASES {
        println!("{name}");
        case(&mut Scenario::on(&mut InMemory::new()));
    }
}
