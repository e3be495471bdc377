//! A database of either kind: opened, then at work.

use crate::error::StoreError;
use crate::machine::{system_random, wall_clock};
use crate::mysql::{self, Mysql};
use crate::outcome::Outcome;
use crate::settings::{Settings, StorageUrl};
use crate::sqlite::SqliteStore;
use crate::store::Store;
use crate::threads;
use logic::contract::{Read, Ticket, Write};
use runtime::queue::Outbox;

/// A database that is open, in order, and used by nobody yet.
pub enum Opened {
    /// The embedded database.
    Sqlite(Box<dyn Store>),
    /// A database server.
    Mysql(Mysql),
}

/// A database at work: the threads that drive it.
#[derive(Debug)]
pub enum Storage {
    /// The embedded database.
    Sqlite(threads::Threads),
    /// A database server.
    Mysql(mysql::Threads),
}

/// Opens the database that the settings name: makes what is missing, brings its schema up to date and repairs what the
/// last run left half-done.
pub fn open(settings: &Settings) -> Result<Opened, StoreError> {
    Ok(match &settings.url {
        StorageUrl::Sqlite(path) => {
            Opened::Sqlite(Box::new(SqliteStore::open(path, wall_clock(), system_random())?))
        }
        StorageUrl::Mysql(database) => Opened::Mysql(Mysql::open(database, settings)?),
    })
}

/// Starts the threads of a database; everything they have to say goes to `outcomes`.
pub fn start(opened: Opened, outcomes: Outbox<Outcome>) -> Result<Storage, StoreError> {
    Ok(match opened {
        Opened::Sqlite(store) => Storage::Sqlite(threads::start(store, outcomes)?),
        Opened::Mysql(mysql) => Storage::Mysql(mysql.start(&outcomes)?),
    })
}

impl Storage {
    pub fn writes(&self) -> Outbox<Vec<(Ticket, Write)>> {
        match self {
            Storage::Sqlite(threads) => threads.writes(),
            Storage::Mysql(threads) => threads.writes(),
        }
    }

    pub fn reads(&self) -> Outbox<Vec<(Ticket, Read)>> {
        match self {
            Storage::Sqlite(threads) => threads.reads(),
            Storage::Mysql(threads) => threads.reads(),
        }
    }

    /// Finishes all that is queued and closes the database. Nobody may send any more.
    pub fn stop(self) {
        match self {
            Storage::Sqlite(threads) => threads.stop(),
            Storage::Mysql(threads) => threads.stop(),
        }
    }
}
