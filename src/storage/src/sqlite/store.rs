//! The state of the embedded database's only writer, and its transactions.

use super::append_cache::AppendCache;
use super::checkpoint::Checkpointer;
use super::dropper::Dropper;
use super::filing::Filing;
use super::generations::Touched;
use super::journal::Journal;
use super::lock::ProcessLock;
use super::login_cache::LoginCache;
use super::name_cache::NameCache;
use super::resident::{Resident, Unlisted};
use super::run::Run;
use super::schema::Tables;
use super::scrubber::Scrubber;
use super::sent::Sent;
use crate::calendar::{Day, Month};
use crate::error::StoreError;
use crate::header_cache::HeaderCache;
use crate::machine::{Clock, Random};
use logic::contract::Quotas;
use rusqlite::Connection;
use std::path::PathBuf;
use std::sync::Arc;
use wire::UnixMillis;

/// The store on an SQLite database.
pub struct SqliteStore {
    pub(super) conn: Connection,
    pub(super) clock: Clock,
    pub(super) random: Random,
    pub(super) resident: Arc<Resident>,
    pub(super) cache: AppendCache,
    pub(super) names: NameCache,
    /// Shared with the readers.
    pub(super) headers: Arc<HeaderCache>,
    /// What logins have read, shared with the readers.
    pub(super) logins: Arc<LoginCache>,
    /// What the current group of writes touches.
    pub(super) touched: Touched,
    pub(super) sent: Sent,
    pub(super) tables: Tables,
    /// The messages that were journalled since the last run was frozen.
    pub(super) run: Run,
    /// The frozen run, which is being filed.
    pub(super) filing: Option<Filing>,
    /// The emptied memory of the previous run, to be reused.
    pub(super) spare: Option<Run>,
    pub(super) journal: Journal,
    /// Conversations that messages of the current batch will relist.
    pub(super) unlisted: Vec<Unlisted>,
    /// The connection's current setting of `synchronous`.
    pub(super) sync: Sync,
    pub(super) quotas: Quotas,
    pub(super) scrubber: Scrubber,
    pub(super) dropper: Dropper,
    /// Months before this one are dropped, or are being dropped.
    pub(super) kept_from: Month,
    /// The hour of the last maintenance, counted from the epoch.
    pub(super) maintained_hour: Option<u64>,
    pub(super) file: Option<DataFile>,
}

/// The additional state of a database on a file.
pub(super) struct DataFile {
    pub(super) path: PathBuf,
    pub(super) checkpointer: Checkpointer,
    /// Last, so that the lock is released after everything else is closed.
    pub(super) _lock: ProcessLock,
}

/// When a commit to tables reaches the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sync {
    /// Before its outcomes are published.
    Now,
    /// With a later commit or a checkpoint. The write-ahead log preserves the order of commits.
    Later,
}

/// State shared by the writes of one batch.
pub(super) struct Batch {
    pub(super) now: UnixMillis,
    /// The earliest time of its entries, and the month of that.
    pub(super) dated: UnixMillis,
    pub(super) month: Month,
    pub(super) today: Day,
}

impl SqliteStore {
    /// Returns the connection as a crash would leave it: memory lost, an open transaction rolled back.
    pub fn into_connection(self) -> Connection {
        let conn = self.conn;
        conn.flush_prepared_statement_cache();
        if !conn.is_autocommit() {
            let _ = conn.execute_batch("ROLLBACK");
        }
        conn
    }

    /// Begins a transaction unless one is open. Called before anything is written to a table.
    pub(super) fn begin(&mut self, sync: Sync) -> rusqlite::Result<()> {
        if !self.conn.is_autocommit() {
            return Ok(());
        }
        if self.sync != sync {
            let level = match sync {
                Sync::Now => "FULL",
                Sync::Later => "NORMAL",
            };
            self.conn.pragma_update(None, "synchronous", level)?;
            self.sync = sync;
        }
        self.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        Ok(())
    }

    /// Rolls back a failed transaction and discards the caches, which may hold uncommitted state.
    pub(super) fn roll_back(&mut self) -> Result<(), StoreError> {
        self.cache.clear();
        self.unlisted.clear();
        self.names = NameCache::default();
        self.touched = Touched::default();
        self.logins.generations.count_all();
        if !self.conn.is_autocommit() {
            let rolled_back = self.conn.execute_batch("ROLLBACK");
            if let Err(error) = rolled_back
                && !self.conn.is_autocommit()
            {
                return Err(StoreError::Fatal(format!("cannot roll back a transaction: {error}")));
            }
        }
        Ok(())
    }

    /// After a commit: bounds the write-ahead log. A checkpoint that fails now is tried after a later commit.
    pub(super) fn bound_log(&mut self) -> Result<(), StoreError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        match file.checkpointer.committed(&self.conn) {
            Err(error) if error.is_fatal() => Err(error),
            Err(error) => {
                log::debug!("checkpoint postponed: {error}");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}
