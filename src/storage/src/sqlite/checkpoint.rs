//! Checkpoints: copying the write-ahead log's pages into the database file concurrently with the writer, and bounding
//! the log.
//!
//! A thread copies what it can while the writer continues (a "passive" checkpoint). The log can only restart from its
//! beginning once all of it is copied: when it is long enough and the thread close enough to its end, the writer copies
//! the rest. Many commits lie between two checkpoints, so a page that changes often is copied once for all of them.

use super::connection::{BUSY, PAGE_SIZE, configure};
use crate::error::StoreError;
use parking_lot::Mutex;
use runtime::queue::{Gone, Outbox};
use runtime::regular_file::{Access, open_regular};
use runtime::watchdog::Role;
use runtime::worker::{Next, Worker};
use rusqlite::{Connection, OpenFlags};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Uncopied pages at which the thread begins: 256 KiB. Commits that arrive meanwhile wait for what it syncs: at 20,000
/// messages a second p99 was a third longer with four times as many pages, and two thirds with sixteen times.
const BEGIN_PAGES: i64 = (256 << 10) / PAGE_SIZE as i64;
/// Pages at which the log should restart: 16 MiB. Until then the writer does not wait for the disk to copy a rest.
const LONG_PAGES: i64 = (16 << 20) / PAGE_SIZE as i64;
/// Pages at which the writer itself checkpoints, whatever the thread does: 128 MiB.
const LIMIT_PAGES: i64 = (128 << 20) / PAGE_SIZE as i64;
/// Commits between two checks of the log's length.
const LOOK_EVERY: u32 = 16;

/// The writer's handle of the checkpoint thread.
#[derive(Debug)]
pub struct Checkpointer {
    orders: Outbox<()>,
    shared: Arc<Progress>,
    /// `None` once it is being dropped.
    worker: Option<Worker>,
    commits: u32,
}

#[derive(Debug, Default)]
struct Progress {
    /// How many syncs the writer has requested.
    asked: AtomicU64,
    /// The number of requested syncs that are done: commits made before the last of them are on the disk.
    synced: AtomicU64,
    /// The error of a failed fsync, after which nothing may be acknowledged.
    failed: Mutex<Option<String>>,
}

impl Checkpointer {
    /// Starts the thread with its own connection. The database is open, so its log exists.
    pub fn start(path: &Path) -> Result<Checkpointer, StoreError> {
        let conn = vfs::open(path, OpenFlags::default())?;
        configure(&conn, 256)?;
        let log = log_of(path);
        let log = File::open(&log).map_err(|source| StoreError::File { path: log, source })?;
        let shared = Arc::new(Progress::default());
        let threads = Arc::clone(&shared);
        let (worker, orders) =
            Worker::with_mailbox(Role::Checkpoint, "checkpoint", 1, move |mut mailbox| {
                loop {
                    match mailbox.next(None) {
                        Next::Batch(()) => {}
                        Next::Idle => continue,
                        Next::Stop => return,
                    }
                    if let Err(error) = threads.sync_and_copy(&log, &conn) {
                        *threads.failed.lock() = Some(error);
                        return;
                    }
                }
            })?;
        Ok(Checkpointer { orders, shared, worker: Some(worker), commits: 0 })
    }

    /// Returns the thread's fatal error, if there was one.
    pub fn check(&self) -> Result<(), StoreError> {
        match &*self.shared.failed.lock() {
            Some(error) => Err(StoreError::Fatal(error.clone())),
            None => Ok(()),
        }
    }

    /// Requests a sync of everything committed so far. It is done once [`Checkpointer::synced`] returns at least this
    /// number.
    pub fn ask(&self) -> Result<u64, StoreError> {
        let asked = self.shared.asked.fetch_add(1, Ordering::AcqRel) + 1;
        self.order()?;
        Ok(asked)
    }

    /// The number of requested syncs that are done: commits made before the last of them are on the disk.
    pub fn synced(&self) -> u64 {
        self.shared.synced.load(Ordering::Acquire)
    }

    /// After a commit: bounds the log.
    pub fn committed(&mut self, conn: &Connection) -> Result<(), StoreError> {
        self.commits += 1;
        if self.commits < LOOK_EVERY {
            return Ok(());
        }
        self.commits = 0;
        let log = run(conn, "NOOP")?;
        let rest = log.pages - log.copied;
        if log.pages >= LIMIT_PAGES {
            run(conn, "RESTART")?;
        } else if rest >= BEGIN_PAGES {
            self.order()?;
        } else if log.pages >= LONG_PAGES {
            // Readers are not waited for: without any, the log restarts.
            run(conn, "PASSIVE")?;
        }
        Ok(())
    }

    /// Requests a checkpoint of the whole log.
    pub fn order(&self) -> Result<(), StoreError> {
        match self.orders.try_send(()) {
            // An order that waits covers this one too.
            Ok(Ok(()) | Err(())) => Ok(()),
            Err(Gone) => self.check(),
        }
    }
}

impl Progress {
    /// Carries out an order. An error is fatal.
    fn sync_and_copy(&self, log: &File, conn: &Connection) -> Result<(), String> {
        let asked = self.asked.load(Ordering::Acquire);
        // Commits of filing are not synced one by one. SQLite's locks are not on this file, so closing it is harmless.
        log.sync_data().map_err(|error| format!("the log of the database: {error}"))?;
        self.synced.store(asked, Ordering::Release);
        match run(conn, "PASSIVE") {
            Err(error) if error.is_fatal() => return Err(error.to_string()),
            // The next checkpoint may succeed; a full disk is reported when writes are rejected.
            Err(error) => log::debug!("checkpoint postponed: {error}"),
            Ok(_) => {}
        }
        Ok(())
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        if let Some(worker) = self.worker.take() {
            worker.stop();
        }
    }
}

/// Syncs the log left by the previous run, if any, before anything relies on it: journal records that it marks as filed
/// will be overwritten.
pub fn sync_log(path: &Path) -> Result<(), StoreError> {
    let log = log_of(path);
    match open_regular(&log, Access::Read).and_then(|file| file.sync_data()) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::File { path: log, source })
        }
        _ => Ok(()),
    }
}

/// Copies the whole log into the database file and empties it. Returns whether that worked: not while somebody uses it.
/// Afterwards nothing of what the writer has deleted is on the disk, or comes there again from its cache, in whose pages
/// earlier contents may be left in the free space.
pub fn truncate(conn: &Connection) -> Result<bool, StoreError> {
    // Nobody is waited for.
    conn.busy_timeout(Duration::ZERO)?;
    let mut pragma = conn.prepare_cached("PRAGMA wal_checkpoint(TRUNCATE)")?;
    let is_busy = pragma.query_row([], |row| row.get::<_, i64>(0));
    conn.busy_timeout(BUSY)?;
    let is_done = is_busy? == 0;
    if is_done {
        conn.execute_batch("PRAGMA shrink_memory")?;
    }
    Ok(is_done)
}

fn log_of(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    PathBuf::from(log)
}

/// The state of the log.
#[derive(Debug)]
struct Log {
    pages: i64,
    copied: i64,
}

fn run(conn: &Connection, mode: &str) -> Result<Log, StoreError> {
    let mut pragma = conn.prepare_cached(&format!("PRAGMA wal_checkpoint({mode})"))?;
    Ok(pragma.query_row([], |row| Ok(Log { pages: row.get(1)?, copied: row.get(2)? }))?)
}
