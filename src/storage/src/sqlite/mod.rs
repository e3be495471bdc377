//! The embedded database: everything in one SQLite file.
//!
//! A commit appends its whole batch of messages as one record to the *journal*, a file of its own; that record is the
//! promise. The messages stay *resident* and are *filed* into the tables by key later, in slices between commits.
//! Everything else (accounts, tokens, members, cursors) is written to its table directly.
//!
//! ```text
//!   writes --> heads: number, check --> run (cids) --> journal record --synced--> resident tail --> readers
//!                                        |                                           |  evicted
//!                                        +--- frozen --> filing: by key --> message_YYYYMM, sent_YYYYMMDD
//! ```
//!
//! Opened on a file it holds an exclusive lock, a write-ahead log, and a thread for checkpoints.

mod account;
mod append;
mod chains;
mod checkpoint;
mod codec;
mod filing;
mod filter;
mod heads;
mod journal;
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
use super::claim::Claim;
use super::{Clock, Publish, Random, Reader, Store, StoreError};
pub use codec::Damaged;
pub use journal::{Disk, MemoryDisk};

use checkpoint::Checkpointer;
use filing::Filing;
use heads::Heads;
use journal::{Files, Journal};
use lock::ProcessLock;
use logic::contract::{self, Found, Read, Ticket, Write, Written, contact, group, message, node};
use names::Names;
use reader::SqliteReader;
use resident::Resident;
use run::Run;
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use schema::Tables;
use sent::{Met, Sent};
use std::fs::{DirBuilder, OpenOptions};
use std::iter::Peekable;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
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
    journal: Journal,
    /// What the connection does at a commit.
    sync: Sync,
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

/// When a commit of tables reaches the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sync {
    /// Before it is answered.
    Now,
    /// With a later one, or a checkpoint. The log keeps the order of commits.
    Later,
}

/// A write, and what was known of its cid when it was met.
type WriteMet = ((Ticket, Write), Met);

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
        // Made here for its mode, which SQLite gives to the log as well.
        let made = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
        // Whatever lies beside it lies beside the file, not beside a link to it.
        let found = made.and_then(|file| Ok((path.canonicalize()?, file.metadata()?.nlink())));
        let (path, names) = found.map_err(|source| StoreError::File { path: path.to_owned(), source })?;
        let path = &*path;
        if names > 1 {
            return Err(StoreError::Unsuitable(format!(
                "{} has {names} names (hard links), and what lies beside a database goes by one: leave it one name",
                path.display()
            )));
        }
        let lock = ProcessLock::take(path)?;
        checkpoint::sync_log(path)?;
        let conn = Connection::open(path)?;
        let files = Files::open(path).map_err(|source| StoreError::File { path: path.to_owned(), source })?;
        let mut store = SqliteStore::recover(conn, Box::new(files), clock, random)?;
        let checkpointer = Checkpointer::start(path)?;
        store.file = Some(DataFile { path: path.to_owned(), checkpointer, _lock: lock });
        Ok(store)
    }

    /// A store on a connection and a disk for its journal: brings the schema up to date and files all that the journal
    /// holds.
    ///
    /// Whatever happened to the store that had them before: every message whose outcome was published is there, in
    /// its place, once.
    pub fn recover(
        conn: Connection,
        disk: Box<dyn Disk>,
        clock: Clock,
        random: Random,
    ) -> Result<SqliteStore, StoreError> {
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
        let mut run = Run::default();
        let journal = load_journal(&conn, disk, &mut run, &mut sent, calendar::day_of(now))?;
        let mut store = SqliteStore {
            conn,
            clock,
            random,
            resident: Arc::default(),
            heads: Heads::default(),
            names: Names::default(),
            sent,
            tables,
            run,
            filing: None,
            spare: None,
            journal,
            sync: Sync::Now,
            kept_house: None,
            file: None,
        };
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

    /// Meets the cid of a message. It need not be stored in the end: then its next try costs a look at the disk.
    fn meet(&mut self, batch: &Batch, write: &Write) -> Met {
        match write {
            Write::Message(message::Write::Append(append)) => {
                self.sent.meet(batch.today, append.sender, append.cid.as_bytes())
            }
            _ => Met::default(),
        }
    }

    fn execute(&mut self, batch: &Batch, write: Write, met: Met) -> Result<Written, StoreError> {
        match &write {
            // What has an effect beyond the journal begins a transaction itself.
            Write::Message(message::Write::Append(_)) => {}
            // A cursor that is lost only repeats a push.
            Write::Timeline(contract::timeline::Write::MoveCursors(_)) => self.begin(Sync::Later)?,
            _ => self.begin(Sync::Now)?,
        }
        match write {
            Write::Message(message::Write::Append(append)) => self.append(batch, append, met),
            Write::Timeline(contract::timeline::Write::MoveCursors(moves)) => self.move_cursors(moves),
            Write::Account(contract::account::Write::Create { name, password, nick }) => {
                self.create_account(batch, &name, &password, nick.as_deref())
            }
            Write::Session(contract::session::Write::CreateToken { user, device }) => {
                self.create_token(batch, user, device.as_deref())
            }
            Write::Session(contract::session::Write::ExtendToken { token }) => {
                self.extend_token(batch, token)
            }
            Write::Session(contract::session::Write::RevokeToken(hash)) => self.revoke_token(hash),
            Write::Contact(contact::Write::Add { user, who }) => self.add_friend(user, &who),
            Write::Group(group::Write::Create { owner, name, desc }) => {
                self.create_group(batch, owner, &name, &desc)
            }
            Write::Group(group::Write::Join { user, conversation }) => self.join_group(user, conversation),
            Write::Fenced(fence, write) => self.fenced(batch, fence, *write),
            Write::Session(contract::session::Write::Claim { user, node, token, grace, unless_held }) => {
                self.claim(batch, Claim { user, node: &node, token: &token, grace, unless_held })
            }
            Write::Session(contract::session::Write::Release { fence, ended }) => {
                self.release(batch, fence, ended)
            }
            Write::Node(node::Write::See { node, unheard }) => self.see_node(batch, &node, unheard),
        }
    }

    /// Carries out the writes of one group, commits and publishes their outcomes. After an error a transaction may still
    /// be open, and `outcomes` has one for each write that was taken.
    fn commit(
        &mut self,
        batch: &Batch,
        writes: &mut dyn Iterator<Item = WriteMet>,
        outcomes: &mut Vec<(Ticket, Written)>,
        publish: Publish<'_>,
    ) -> Result<(), StoreError> {
        if let Some(file) = &self.file {
            file.checkpointer.check()?;
        }
        let mark = self.run.begin();
        let mut done = Ok(());
        for ((ticket, write), met) in writes {
            // Its outcome replaces this one, unless the group ends here.
            outcomes.push((ticket, Written::Unavailable));
            match self.execute(batch, write, met) {
                Ok(written) => outcomes.last_mut().expect("it was just pushed").1 = written,
                Err(error) => {
                    done = Err(error);
                    break;
                }
            }
        }
        if let Err(error) = done.and_then(|()| self.promise()) {
            self.run.truncate(mark);
            return Err(error);
        }
        let outcomes = std::mem::take(outcomes);
        match self.run.committed(mark, self.journal.last()) {
            Some((bytes, slots)) => self.resident.publish(&bytes, slots, || publish(outcomes)),
            None => publish(outcomes),
        }
        Ok(())
    }

    /// Makes what was carried out durable: the tables first, as messages need their conversations and nothing in the
    /// tables needs the messages that follow it.
    fn promise(&mut self) -> Result<(), StoreError> {
        if !self.conn.is_autocommit() {
            self.conn.prepare_cached("COMMIT")?.execute([])?;
        }
        match self.run.open_batch() {
            Some(bytes) => self.journal.append(bytes, &mut self.random),
            None => Ok(()),
        }
    }

    /// Begins a transaction, where none is open, before something is written to a table.
    fn begin(&mut self, sync: Sync) -> rusqlite::Result<()> {
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
        let mut done = self.make_room();
        // All at once: the memory that this looks at is large, and each alone would wait for it.
        let met: Vec<Met> = writes.iter().map(|(_, write)| self.meet(&batch, write)).collect();
        let mut writes = writes.into_iter().zip(met).peekable();
        while done.is_ok() && writes.peek().is_some() {
            done = self.commit(&batch, &mut Group::of(&mut writes), &mut outcomes, &mut *publish);
        }
        match done {
            Ok(()) => self.bound_log(),
            Err(error) if error.is_fatal() => Err(error),
            Err(error) => {
                self.roll_back()?;
                for outcome in &mut outcomes {
                    outcome.1 = Written::Unavailable;
                }
                outcomes.extend(writes.map(|((ticket, _), _)| (ticket, Written::Unavailable)));
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
        }
        let now = (self.clock)();
        if self.kept_house != Some(now.0 / HOUR_MS) && self.maintain(now)? {
            return Ok(true);
        }
        if self.run.len() > 0 {
            self.begin_filing()?;
            return Ok(true);
        }
        // Nothing is left to do: memory that a load took is given back.
        self.spare = None;
        self.run = Run::default();
        Ok(false)
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

/// The writes that are committed together: the longest beginning of a batch of which all parts may become durable in
/// the order tables, messages. Where somebody joined may point at a message only once that is promised, so what is
/// written to tables begins a new group after a message, unless it is about accounts: a storm of logins does not take
/// the messages between them apart. Cursors, which need no sync, make groups of their own.
struct Group<'a, I: Iterator> {
    writes: &'a mut Peekable<I>,
    /// The highest part in it.
    highest: Option<Part>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Cursors,
    /// About no conversation, so about no message.
    Accounts,
    Tables,
    Messages,
}

impl Part {
    fn of(write: &Write) -> Part {
        match write {
            Write::Timeline(contract::timeline::Write::MoveCursors(_)) => Part::Cursors,
            Write::Account(contract::account::Write::Create { .. })
            | Write::Session(contract::session::Write::CreateToken { .. })
            | Write::Session(contract::session::Write::ExtendToken { .. })
            | Write::Session(contract::session::Write::RevokeToken(_)) => Part::Accounts,
            Write::Message(message::Write::Append(_)) => Part::Messages,
            _ => Part::Tables,
        }
    }

    /// Whether it may stand in a group of which `highest` is the highest part so far.
    fn may_join(self, highest: Option<Part>) -> bool {
        match highest {
            None => true,
            Some(Part::Cursors) => self == Part::Cursors,
            Some(highest) => self >= highest || self == Part::Accounts,
        }
    }
}

impl<'a, I: Iterator<Item = WriteMet>> Group<'a, I> {
    fn of(writes: &'a mut Peekable<I>) -> Self {
        Group { writes, highest: None }
    }
}

impl<I: Iterator<Item = WriteMet>> Iterator for Group<'_, I> {
    type Item = WriteMet;

    fn next(&mut self) -> Option<WriteMet> {
        let highest = self.highest;
        let next = self.writes.next_if(|((_, write), _)| Part::of(write).may_join(highest))?;
        self.highest = highest.max(Some(Part::of(&next.0.1)));
        Some(next)
    }
}

/// Opens the journal and takes what was not filed into memory again. It is not made visible: it is filed before
/// anybody asks.
fn load_journal(
    conn: &Connection,
    disk: Box<dyn Disk>,
    run: &mut Run,
    sent: &mut Sent,
    today: Day,
) -> Result<Journal, StoreError> {
    let filed: i64 = conn.query_row("SELECT number FROM journal_filed", [], |row| row.get(0))?;
    let mut commits = 0u64;
    let journal = Journal::open(disk, filed as u64, |record| {
        commits += 1;
        run.load(record.number, record.payload, |sender, cid| sent.meet(today, sender, cid.as_bytes()).hash)?;
        Ok(())
    })?;
    if commits > 0 {
        log::info!(
            "filing {} messages of {commits} commits that the last run left in the journal",
            run.len()
        );
    }
    Ok(journal)
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
