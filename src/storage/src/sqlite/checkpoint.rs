//! Checkpoints: moving the log's pages into the database file beside the writer, and keeping the log bounded.
//!
//! A thread of its own copies what it can while the writer goes on ("passive"). The log can only begin again from its
//! front when all of it is copied; once it is long enough, and the thread close enough to its end, the writer copies the
//! rest. Between two checkpoints lie many commits, so a page that changes often is copied once for all of them.

use super::connection::{PAGE_SIZE, configure};
use crate::error::StoreError;
use crossbeam_channel::{Sender, TrySendError, bounded};
use parking_lot::Mutex;
use rusqlite::Connection;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

/// Pages of the log that are not copied yet when the thread begins: 256 KiB. What it syncs stands before the commits that
/// come meanwhile: with four times as much at once p99 was a third longer at 20,000 messages a second, with sixteen times
/// two thirds.
const BEGIN_PAGES: i64 = (256 << 10) / PAGE_SIZE as i64;
/// Pages of a log that is to begin again: 16 MiB. Until then the writer does not wait for the disk to copy a rest.
const LONG_PAGES: i64 = (16 << 20) / PAGE_SIZE as i64;
/// Pages of the log at which the writer checkpoints by itself, whatever the thread does: 128 MiB.
const LIMIT_PAGES: i64 = (128 << 20) / PAGE_SIZE as i64;
/// Commits between two looks at the log's length.
const LOOK_EVERY: u32 = 16;

/// The checkpoint thread, as the writer sees it.
#[derive(Debug)]
pub struct Checkpointer {
    orders: Option<Sender<()>>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    commits: u32,
}

#[derive(Debug, Default)]
struct Shared {
    /// How often the writer asked for what it had committed to be synced.
    asked: AtomicU64,
    /// What it committed before it asked for so many syncs is on the disk.
    synced: AtomicU64,
    /// An fsync failed: nothing may be acknowledged any more.
    failed: Mutex<Option<String>>,
}

impl Checkpointer {
    /// Starts the thread with a connection of its own. The database is in use, so its log is there.
    pub fn start(path: &Path) -> Result<Checkpointer, StoreError> {
        let conn = Connection::open(path)?;
        configure(&conn, 256)?;
        let log = log_of(path);
        let log = File::open(&log).map_err(|source| StoreError::File { path: log, source })?;
        let shared = Arc::new(Shared::default());
        let (orders, inbox) = bounded::<()>(1);
        let threads = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("checkpoint".to_owned())
            .spawn(move || {
                for () in inbox {
                    let asked = threads.asked.load(Ordering::Acquire);
                    // Commits of filing are not synced one by one. The lock that SQLite holds is not on this file.
                    if let Err(error) = log.sync_data() {
                        *threads.failed.lock() = Some(format!("the log of the database: {error}"));
                        return;
                    }
                    threads.synced.store(asked, Ordering::Release);
                    if let Err(error) = run(&conn, "PASSIVE") {
                        if error.is_fatal() {
                            *threads.failed.lock() = Some(error.to_string());
                            return;
                        }
                        // The next one may do; a disk that is full is spoken of where writes are refused.
                        log::debug!("a checkpoint has to wait: {error}");
                    }
                }
            })
            .map_err(|source| StoreError::File { path: path.to_owned(), source })?;
        Ok(Checkpointer { orders: Some(orders), shared, thread: Some(thread), commits: 0 })
    }

    /// Fails once the thread has met an error that must end the process.
    pub fn check(&self) -> Result<(), StoreError> {
        match &*self.shared.failed.lock() {
            Some(error) => Err(StoreError::Fatal(error.clone())),
            None => Ok(()),
        }
    }

    /// Has what was committed so far synced soon: it is when [`Checkpointer::synced`] gives this number or more.
    pub fn ask(&self) -> Result<u64, StoreError> {
        let asked = self.shared.asked.fetch_add(1, Ordering::AcqRel) + 1;
        self.order()?;
        Ok(asked)
    }

    /// What was committed before this many syncs were asked for is on the disk.
    pub fn synced(&self) -> u64 {
        self.shared.synced.load(Ordering::Acquire)
    }

    /// After a commit: keeps the log bounded.
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
            // Readers are not waited for: with none about, the log begins again.
            run(conn, "PASSIVE")?;
        }
        Ok(())
    }

    /// Has all that is in the log copied soon.
    pub fn order(&self) -> Result<(), StoreError> {
        let orders = self.orders.as_ref().expect("it is taken on drop only");
        match orders.try_send(()) {
            Ok(()) | Err(TrySendError::Full(())) => Ok(()),
            Err(TrySendError::Disconnected(())) => self.check(),
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the checkpoint thread panicked");
        }
    }
}

/// Syncs the log that the last run left, if it left one: what is read from it is believed, and the journal's records that
/// it says are filed are written over.
pub fn sync_log(path: &Path) -> Result<(), StoreError> {
    let log = log_of(path);
    match File::open(&log).and_then(|file| file.sync_data()) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::File { path: log, source })
        }
        _ => Ok(()),
    }
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
