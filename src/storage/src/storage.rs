//! The database that the configuration names: opening it, and the threads that drive it.

use crate::counters::Counters;
use crate::deployment::{Deployment, Joining};
use crate::error::StoreError;
use crate::machine::{system_random, wall_clock};
use crate::mysql::{self, Mysql};
use crate::outcome::Outcome;
use crate::read_queue::ReadOutbox;
use crate::settings::{Settings, StorageUrl};
use crate::sqlite::{Place, SqliteStore};
use crate::store::{Reader, Store};
use crate::threads;
use logic::contract::{Ticket, Write};
use runtime::queue::Outbox;
use std::sync::Arc;
use std::time::Instant;

/// A database that was checked and migrated, before its threads are started.
pub enum Opened {
    Sqlite(Box<SqliteStore>),
    Mysql(Box<Mysql>),
}

/// The running threads of a database.
#[derive(Debug)]
pub enum Storage {
    Sqlite(threads::Threads),
    Mysql(mysql::Threads),
}

/// Opens the database that the settings name: creates what is missing, migrates the schema, and recovers what the last
/// run left.
pub fn open(settings: &Settings) -> Result<Opened, StoreError> {
    Ok(match &settings.url {
        StorageUrl::Sqlite(path) => Opened::Sqlite(Box::new(
            SqliteStore::open(path, wall_clock(), system_random())?
                .with_quotas(settings.quotas)
                .with_retention(settings.retention_months),
        )),
        StorageUrl::Mysql(database) => Opened::Mysql(Box::new(Mysql::open(database, settings)?)),
    })
}

/// Finds what would keep the settings' database from being opened, as far as that can be seen without a connection to a
/// server, and changes nothing. A database that a running server uses is in order.
pub fn examine(settings: &Settings) -> Result<(), StoreError> {
    match &settings.url {
        StorageUrl::Sqlite(path) => match Place::examine(path) {
            Ok(_) | Err(StoreError::Locked { .. }) => Ok(()),
            Err(error) => Err(error),
        },
        StorageUrl::Mysql(_) => Ok(()),
    }
}

impl Opened {
    /// Joins the deployment of the database as a node. The name of a node that is in use is refused.
    pub fn join(&mut self, joining: Joining) -> Result<Deployment, StoreError> {
        match self {
            Opened::Sqlite(store) => store.join(),
            Opened::Mysql(mysql) => mysql.join(joining),
        }
    }

    /// Another reader, with a connection of its own, for a thread outside storage.
    pub fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        match self {
            Opened::Sqlite(store) => store.reader(),
            Opened::Mysql(mysql) => Ok(Box::new(mysql.reader())),
        }
    }

    /// Replaces the key with which nodes authenticate what they exchange outside the database. Returns the id of the new
    /// one.
    pub fn rotate_bus_key(&self) -> Result<u32, StoreError> {
        match self {
            Opened::Sqlite(_) => Err(StoreError::Unsuitable(
                "an SQLite database has one node only, and no bus whose key could be replaced".to_owned(),
            )),
            Opened::Mysql(mysql) => mysql.rotate_key(),
        }
    }
}

/// Starts the threads of a database. They send outcomes and answers to `outcomes`. `clock_start` is the zero of the
/// clock on which the deadlines of reads are set.
pub fn start(opened: Opened, outcomes: Outbox<Outcome>, clock_start: Instant) -> Result<Storage, StoreError> {
    Ok(match opened {
        Opened::Sqlite(store) => Storage::Sqlite(threads::start(store, outcomes, clock_start)?),
        Opened::Mysql(mysql) => Storage::Mysql(mysql.start(&outcomes, clock_start)?),
    })
}

impl Storage {
    pub fn writes(&self) -> Outbox<Vec<(Ticket, Write)>> {
        match self {
            Storage::Sqlite(threads) => threads.writes(),
            Storage::Mysql(threads) => threads.writes(),
        }
    }

    pub fn reads(&self) -> ReadOutbox {
        match self {
            Storage::Sqlite(threads) => threads.reads(),
            Storage::Mysql(threads) => threads.reads(),
        }
    }

    /// What each thread that writes counts about itself.
    pub fn counters(&self) -> Vec<Arc<Counters>> {
        match self {
            Storage::Sqlite(threads) => vec![threads.counters()],
            Storage::Mysql(threads) => threads.counters(),
        }
    }

    /// Finishes everything that is queued and closes the database. Nothing may be sent any more.
    pub fn stop(self) {
        match self {
            Storage::Sqlite(threads) => threads.stop(),
            Storage::Mysql(threads) => threads.stop(),
        }
    }
}
