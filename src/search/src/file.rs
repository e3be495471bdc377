//! The files of the index: its lock, whose it is, and a connection to it.

use crate::error::IndexError;
use runtime::regular_file::{Access, open_regular};
use rusqlite::{Connection, OpenFlags};
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Tells the file from those of other programs ("chSx").
pub const APPLICATION: i64 = 0x6368_5378;
/// The header of an SQLite database, and where the application is in it (sqlite.org/fileformat2.html, 1.3).
const HEADER_BYTES: u64 = 100;
const APPLICATION_AT: usize = 68;
/// Pages of the write-ahead log after which it is copied into the file.
const CHECKPOINT_PAGES: i64 = 4_000;
pub const BUSY_TIME: Duration = Duration::from_secs(2);

/// Takes the lock that admits one process to an index. Its file also shows that the file beside it is an index, so that
/// a damaged one may be deleted.
pub fn lock(path: &Path) -> Result<File, IndexError> {
    let lock_path = beside(path, "-lock");
    let file = |path: &Path| {
        let path = path.to_owned();
        |source| IndexError::File { path, source }
    };
    let is_new = !lock_path.try_exists().map_err(file(&lock_path))?;
    if is_new && !is_ours(path).map_err(file(path))? {
        return Err(IndexError::Foreign(path.to_owned()));
    }
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(file(folder))?;
    }
    if is_new {
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_path)
            .map_err(file(&lock_path))?;
    }
    let lock = open_regular(&lock_path, Access::ReadWrite).map_err(file(&lock_path))?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(lock),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(IndexError::Locked(path.to_owned())),
        Err(errno) => Err(file(&lock_path)(errno.into())),
    }
}

/// Whether there is nothing at this path, or what the header of the file says is an index.
fn is_ours(path: &Path) -> io::Result<bool> {
    let mut file = match open_regular(path, Access::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error),
    };
    let mut header = Vec::new();
    file.by_ref().take(HEADER_BYTES).read_to_end(&mut header)?;
    let application = header.get(APPLICATION_AT..APPLICATION_AT + 4);
    Ok(header.is_empty() || application == Some(&(APPLICATION as u32).to_be_bytes()[..]))
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

pub fn delete(path: &Path) -> io::Result<()> {
    for end in ["", "-wal", "-shm", "-journal"] {
        match fs::remove_file(beside(path, end)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

pub fn connect(path: &Path) -> Result<Connection, IndexError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = vfs::open(path, flags)?;
    conn.busy_timeout(BUSY_TIME)?;
    conn.pragma_update(None, "journal_mode", "WAL")?;
    // A crash loses the last transactions as a whole: their entries are read again.
    conn.pragma_update(None, "synchronous", "NORMAL")?;
    conn.pragma_update(None, "secure_delete", "ON")?;
    conn.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    conn.pragma_update(None, "cache_size", -8_192)?;
    Ok(conn)
}
