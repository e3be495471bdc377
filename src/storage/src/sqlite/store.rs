//! The state of the embedded database's one writer, and its transactions.

use super::append_cache::AppendCache;
use super::checkpoint::Checkpointer;
use super::filing::Filing;
use super::journal::Journal;
use super::lock::ProcessLock;
use super::name_cache::NameCache;
use super::resident::Resident;
use super::run::Run;
use super::schema::Tables;
use super::sent::Sent;
use crate::calendar::{Day, Month};
use crate::error::StoreError;
use crate::machine::{Clock, Random};
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
    pub(super) sent: Sent,
    pub(super) tables: Tables,
    /// What was journalled since the last run was frozen.
    pub(super) run: Run,
    /// The frozen run.
    pub(super) filing: Option<Filing>,
    /// The memory of the run before, for the next one.
    pub(super) spare: Option<Run>,
    pub(super) journal: Journal,
    /// What the connection does at a commit.
    pub(super) sync: Sync,
    /// The hour in which tables were last made and dropped, and tokens pruned.
    pub(super) kept_house: Option<u64>,
    pub(super) file: Option<DataFile>,
}

/// What belongs to a database that is a file.
pub(super) struct DataFile {
    pub(super) path: PathBuf,
    pub(super) checkpointer: Checkpointer,
    /// Last: the lock is given back when all else is closed.
    pub(super) _lock: ProcessLock,
}

/// When a commit of tables reaches the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sync {
    /// Before it is answered.
    Now,
    /// With a later one, or a checkpoint. The log keeps the order of commits.
    Later,
}

/// What the writes of one batch share.
pub(super) struct Batch {
    pub(super) now: UnixMillis,
    pub(super) month: Month,
    pub(super) today: Day,
}

impl SqliteStore {
    /// Gives the connection back as a crash would leave it: nothing in memory, an open transaction rolled back.
    pub fn into_connection(self) -> Connection {
        let conn = self.conn;
        conn.flush_prepared_statement_cache();
        if !conn.is_autocommit() {
            let _ = conn.execute_batch("ROLLBACK");
        }
        conn
    }

    /// Begins a transaction, where none is open, before something is written to a table.
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

    /// Ends a transaction that failed. Whatever memory took from it is forgotten; the database knows what is true.
    pub(super) fn roll_back(&mut self) -> Result<(), StoreError> {
        self.cache.clear();
        self.names = NameCache::default();
        if !self.conn.is_autocommit() {
            let rolled_back = self.conn.execute_batch("ROLLBACK");
            if let Err(error) = rolled_back
                && !self.conn.is_autocommit()
            {
                return Err(StoreError::Fatal(format!("a transaction could not be rolled back: {error}")));
            }
        }
        Ok(())
    }

    /// After a commit: keeps the log bounded. What cannot be done now is done after a later one.
    pub(super) fn bound_log(&mut self) -> Result<(), StoreError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        match file.checkpointer.committed(&self.conn) {
            Err(error) if error.is_fatal() => Err(error),
            Err(error) => {
                log::debug!("a checkpoint has to wait: {error}");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}
