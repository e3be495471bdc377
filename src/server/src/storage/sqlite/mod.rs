//! The embedded database: everything in one SQLite file.
//!
//! A commit appends its whole batch of messages as one row to the *journal*; that row is the promise. The messages stay
//! *resident* and are *filed* into the tables by key later, in slices between commits. Everything else (accounts, tokens,
//! members, cursors) is written directly, in the same transaction.
//!
//! ```text
//!   writes --> heads: number, check --> run (journal bytes, cids) --COMMIT--> resident tail --> readers
//!                                          |                                      |  evicted
//!                                          +--- frozen --> filing: by key --> message_YYYYMM, sent_YYYYMMDD
//! ```
//!
//! Opened on a file it holds an exclusive lock, a write-ahead log, and a thread for checkpoints.

mod account;
mod append;
mod checkpoint;
mod codec;
mod filing;
mod filter;
mod heads;
mod lock;
mod names;
mod reader;
mod resident;
mod run;
mod schema;
mod sent;
mod session;
mod social;
#[cfg(test)]
mod tests;
mod timeline;
mod view;

use super::calendar::{self, Day, Month};
use super::{Clock, Publish, Random, Reader, Store, StoreError};
pub use codec::Damaged;

use checkpoint::Checkpointer;
use filing::Filing;
use heads::Heads;
use lock::ProcessLock;
use logic::store::{Found, Read, Ticket, Write, Written};
use names::Names;
use reader::SqliteReader;
use resident::Resident;
use run::Run;
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use schema::Tables;
use sent::Sent;
use session::Claim;
use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use view::View;
use wire::UnixMillis;

/// Bytes of a page of a new database: larger ones make commits and filing cheaper, and small changes dearer.
const PAGE_SIZE: u32 = 8192;
/// Cache of the writing connection, KiB.
const CACHE_KIB: u32 = 16 << 10;
/// Expired tokens that one slice of housekeeping deletes at most.
const PRUNE_MAX: u32 = 500;
const HOUR_MS: u64 = 60 * 60 * 1000;

/// The store on an SQLite database.
pub struct SqliteStore {
    conn: Connection,
    clock: Clock,
    random: Random,
    resident: Arc<Resident>,
    heads: Heads,
    names: Names,
    sent: Sent,
    tables: Tables,
    /// What was journalled since the last run was frozen.
    run: Run,
    /// The frozen run.
    filing: Option<Filing>,
    /// The memory of the run before, for the next one.
    spare: Option<Run>,
    /// Runs that were begun.
    runs: u64,
    next_row: i64,
    /// The hour in which tables were last made and dropped, and tokens pruned.
    kept_house: Option<u64>,
    file: Option<DataFile>,
}

/// What belongs to a database that is a file.
struct DataFile {
    path: PathBuf,
    checkpointer: Checkpointer,
    /// Last: the lock is given back when all else is closed.
    _lock: ProcessLock,
}

/// What the writes of one batch share.
struct Batch {
    now: UnixMillis,
    month: Month,
    today: Day,
}

impl SqliteStore {
    /// Opens the database at `path`, made with its folder where it is missing, readable by this user alone.
    pub fn open(path: &Path, clock: Clock, random: Random) -> Result<SqliteStore, StoreError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(|source| StoreError::File { path: folder.to_owned(), source })?;
        }
        let lock = ProcessLock::take(path)?;
        // Made here for its mode, which SQLite gives to the log as well.
        let made = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
        made.map_err(|source| StoreError::File { path: path.to_owned(), source })?;
        let conn = Connection::open(path)?;
        let mut store = SqliteStore::recover(conn, clock, random)?;
        let checkpointer = Checkpointer::start(path)?;
        store.file = Some(DataFile { path: path.to_owned(), checkpointer, _lock: lock });
        Ok(store)
    }

    /// A store on a connection: brings the schema up to date and files all that the journal holds.
    ///
    /// Whatever happened to the store that had the connection before: every message whose outcome was published is
    /// there, in its place, once.
    pub fn recover(conn: Connection, clock: Clock, random: Random) -> Result<SqliteStore, StoreError> {
        let (mut clock, mut random) = (clock, random);
        configure(&conn, CACHE_KIB)?;
        conn.pragma_update(None, "wal_autocheckpoint", 0)?;
        // Takes effect on a new database only.
        conn.pragma_update(None, "page_size", PAGE_SIZE)?;
        conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        schema::migrate(&conn)?;
        let now = clock();
        let mut tables = Tables::load(&conn)?;
        tables.make_ahead(&conn, now)?;
        let mut seed = [0; 8];
        random(&mut seed);
        let mut sent = Sent::new(u64::from_le_bytes(seed), calendar::day_of(now));
        sent.load(&conn, &tables)?;
        let mut store = SqliteStore {
            conn,
            clock,
            random,
            resident: Arc::default(),
            heads: Heads::default(),
            names: Names::default(),
            sent,
            tables,
            run: Run::default(),
            filing: None,
            spare: None,
            runs: 0,
            next_row: 1,
            kept_house: None,
            file: None,
        };
        store.load_journal(calendar::day_of(now))?;
        while store.housekeep()? {}
        Ok(store)
    }

    /// Gives the connection back as a crash would leave it: nothing in memory, an open transaction rolled back.
    pub fn into_connection(self) -> Connection {
        let conn = self.conn;
        conn.flush_prepared_statement_cache();
        if !conn.is_autocommit() {
            let _ = conn.execute_batch("ROLLBACK");
        }
        conn
    }

    /// Takes what was not filed into memory again. It is not made visible: it is filed before anybody asks.
    fn load_journal(&mut self, today: Day) -> Result<(), StoreError> {
        let mut select = self.conn.prepare("SELECT id, batch FROM journal ORDER BY id")?;
        let mut rows = select.query([])?;
        let mut commits = 0u64;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            let batch = row.get_ref(1)?.as_blob()?;
            let sent = &mut self.sent;
            self.run.load(id, batch, |sender, cid| {
                let hash = sent.hash(sender, cid.as_bytes());
                sent.insert(today, hash);
                hash
            })?;
            self.next_row = id + 1;
            commits += 1;
        }
        if commits > 0 {
            let messages = self.run.len();
            log::info!(
                "filing {messages} messages of {commits} commits that the last run left in the journal"
            );
        }
        Ok(())
    }

    fn execute(&mut self, batch: &Batch, write: Write) -> Result<Written, StoreError> {
        match write {
            Write::Append(append) => self.append(batch, append),
            Write::MoveCursors(moves) => self.move_cursors(moves),
            Write::CreateAccount { name, password, nick } => {
                self.create_account(batch, &name, &password, nick.as_deref())
            }
            Write::CreateToken { user, device } => self.create_token(batch, user, device.as_deref()),
            Write::ExtendToken { token } => self.extend_token(batch, token),
            Write::RevokeToken(hash) => self.revoke_token(hash),
            Write::AddFriend { user, who } => self.add_friend(user, &who),
            Write::CreateGroup { owner, name, desc } => self.create_group(batch, owner, &name, &desc),
            Write::JoinGroup { user, conversation } => self.join_group(user, conversation),
            Write::Fenced { user, epoch, write } => self.fenced(batch, user, epoch, *write),
            Write::Claim { user, node, token, grace, unless_held } => {
                self.claim(batch, Claim { user, node: &node, token: &token, grace, unless_held })
            }
            Write::Release { user, epoch, ended } => self.release(batch, user, epoch, ended),
            Write::SeeNode { node } => self.see_node(batch, &node),
        }
    }

    /// Carries out a batch, commits it and publishes its outcomes. After an error the transaction may still be open, and
    /// `outcomes` has one for each write that was taken.
    fn commit(
        &mut self,
        batch: &Batch,
        writes: &mut dyn Iterator<Item = (Ticket, Write)>,
        outcomes: &mut Vec<(Ticket, Written)>,
        publish: Publish<'_>,
    ) -> Result<(), StoreError> {
        self.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let mark = self.run.begin();
        let row = self.next_row;
        let mut done = Ok(());
        for (ticket, write) in writes {
            // Its outcome replaces this one, unless the batch ends here.
            outcomes.push((ticket, Written::Unavailable));
            match self.execute(batch, write) {
                Ok(written) => outcomes.last_mut().expect("it was just pushed").1 = written,
                Err(error) => {
                    done = Err(error);
                    break;
                }
            }
        }
        if let Err(error) = done.and_then(|()| self.journal_and_commit(row)) {
            self.run.truncate(mark);
            return Err(error);
        }
        let outcomes = std::mem::take(outcomes);
        match self.run.committed(mark, row) {
            Some((bytes, slots)) => {
                self.next_row = row + 1;
                self.resident.publish(&bytes, slots, || publish(outcomes));
            }
            None => publish(outcomes),
        }
        Ok(())
    }

    fn journal_and_commit(&self, row: i64) -> Result<(), StoreError> {
        if let Some(bytes) = self.run.open_batch() {
            let mut insert = self.conn.prepare_cached("INSERT INTO journal (id, batch) VALUES (?1, ?2)")?;
            insert.execute((row, bytes))?;
        }
        if let Some(file) = &self.file {
            file.checkpointer.check()?;
        }
        self.conn.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    /// Ends a transaction that failed. Whatever memory took from it is forgotten; the database knows what is true.
    fn roll_back(&mut self) -> Result<(), StoreError> {
        self.heads.clear();
        self.names = Names::default();
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

    /// A commit was refused: makes sure that it did not happen all the same.
    fn make_sure_of(&self, row: i64) -> Result<(), StoreError> {
        let sql = "SELECT count(*) FROM journal WHERE id >= ?1";
        let there = self.conn.prepare_cached(sql)?.query_row([row], |found| found.get::<_, i64>(0));
        match there {
            Ok(0) => Ok(()),
            Ok(_) => Err(StoreError::Fatal("a commit was refused and yet it happened".to_owned())),
            Err(error) => match StoreError::from(error) {
                StoreError::Unavailable(error) => {
                    Err(StoreError::Fatal(format!("nobody knows whether a commit happened: {error}")))
                }
                fatal => Err(fatal),
            },
        }
    }

    /// Makes room in memory: no more than two runs are ever there.
    fn make_room(&mut self) -> Result<(), StoreError> {
        while self.run.is_full() && self.is_behind() {
            self.housekeep()?;
        }
        self.heads.bound();
        Ok(())
    }

    /// After a commit: keeps the log bounded. What cannot be done now is done after a later one.
    fn bound_log(&mut self) -> Result<(), StoreError> {
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

    /// Work of once an hour: whether there is more of it.
    fn maintain(&mut self, now: UnixMillis) -> Result<bool, StoreError> {
        if !self.tables.are_ahead_of(now) {
            self.tables.make_ahead(&self.conn, now)?;
            return Ok(true);
        }
        if let Some(day) = self.tables.outlived_day(now) {
            self.tables.drop_day(&self.conn, day)?;
            return Ok(true);
        }
        if self.prune_tokens(now, PRUNE_MAX)? == PRUNE_MAX as usize {
            return Ok(true);
        }
        self.kept_house = Some(now.0 / HOUR_MS);
        Ok(false)
    }
}

impl Store for SqliteStore {
    fn write(&mut self, writes: Vec<(Ticket, Write)>, publish: Publish<'_>) -> Result<(), StoreError> {
        let now = (self.clock)();
        let batch = Batch { now, month: calendar::month_of(now), today: calendar::day_of(now) };
        let mut outcomes = Vec::with_capacity(writes.len());
        let mut writes = writes.into_iter();
        let row = self.next_row;
        let made_room = self.make_room();
        let done = made_room.and_then(|()| self.commit(&batch, &mut writes, &mut outcomes, &mut *publish));
        match done {
            Ok(()) => self.bound_log(),
            Err(error) if error.is_fatal() => Err(error),
            Err(error) => {
                self.roll_back()?;
                self.make_sure_of(row)?;
                for outcome in &mut outcomes {
                    outcome.1 = Written::Unavailable;
                }
                outcomes.extend(writes.map(|(ticket, _)| (ticket, Written::Unavailable)));
                publish(outcomes);
                Err(error)
            }
        }
    }

    fn read(&mut self, read: &Read) -> Found {
        let now = (self.clock)();
        View { conn: &self.conn, resident: &self.resident, names: &mut self.names, now }.answer(read)
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        match &self.file {
            Some(file) => Ok(Box::new(SqliteReader::open(&file.path, Arc::clone(&self.resident))?)),
            None => {
                Err(StoreError::Unavailable("a database without a file has one connection only".to_owned()))
            }
        }
    }

    fn housekeep(&mut self) -> Result<bool, StoreError> {
        if self.filing.is_some() {
            self.file_slice()?;
            self.bound_log()?;
            // A run that has just begun to fill is left to fill: few messages of many conversations cost a page each.
            return Ok(self.filing.is_some() || self.run.len() == 0);
        } else if self.run.len() > 0 {
            self.begin_filing()?;
        } else {
            let now = (self.clock)();
            if self.kept_house == Some(now.0 / HOUR_MS) || !self.maintain(now)? {
                // Nothing is left to do: memory that a load took is given back.
                self.spare = None;
                self.run = Run::default();
                self.run.clear(self.runs);
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn is_behind(&self) -> bool {
        match &self.filing {
            Some(filing) => filing.progress() < self.run.fullness() * 1.25,
            None => self.run.is_full(),
        }
    }

    fn backlog(&self) -> usize {
        self.run.len() + self.filing.as_ref().map_or(0, |filing| filing.run().len())
    }
}

/// Sets a connection up.
fn configure(conn: &Connection, cache_kib: u32) -> rusqlite::Result<()> {
    conn.busy_timeout(Duration::from_secs(1))?;
    conn.set_prepared_statement_cache_capacity(128);
    // Plans do not depend on bound values: else a statement with a range is compiled again each time it is bound.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.pragma_update(None, "cache_size", -i64::from(cache_kib))?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(())
}
