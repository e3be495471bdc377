//! The lock that admits one process to a database. The kernel releases it however its holder ends.

use crate::error::StoreError;
use runtime::regular_file::{Access, open_regular};
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The lock on a database, held until dropped. It is on `<database>.lock`, a file that stays and holds the holder's
/// pid.
#[derive(Debug)]
pub struct ProcessLock {
    file: File,
    path: PathBuf,
}

impl ProcessLock {
    /// Takes the lock if its file exists, and writes nothing. The error names the process that holds it.
    pub fn take_existing(database: &Path) -> Result<Option<ProcessLock>, StoreError> {
        let path = path_of(database);
        match open_regular(&path, Access::ReadWrite) {
            Ok(file) => ProcessLock::on(file, database, path).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StoreError::File { path, source }),
        }
    }

    /// Creates the file of the lock, and takes the lock.
    pub fn create(database: &Path) -> Result<ProcessLock, StoreError> {
        let path = path_of(database);
        // Fails if anything is there, even a symbolic link.
        match OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => ProcessLock::on(file, database, path),
            Err(source) => match ProcessLock::take_existing(database)? {
                // Another process was faster.
                Some(lock) if source.kind() == io::ErrorKind::AlreadyExists => Ok(lock),
                _ => Err(StoreError::File { path, source }),
            },
        }
    }

    fn on(mut file: File, database: &Path, path: PathBuf) -> Result<ProcessLock, StoreError> {
        let failed = |source| StoreError::File { path: path.clone(), source };
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut pid = String::new();
                file.read_to_string(&mut pid).map_err(failed)?;
                let pid = if pid.trim().is_empty() { "unknown".to_owned() } else { pid.trim().to_owned() };
                return Err(StoreError::Locked { path: database.to_owned(), pid });
            }
            Err(errno) => return Err(failed(errno.into())),
        }
        Ok(ProcessLock { file, path })
    }

    /// Records this process as the holder.
    pub fn record_holder(&mut self) {
        let ProcessLock { file, path } = self;
        // The pid is only informative: a full disk must not prevent a start.
        let written = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        if let Err(error) = written {
            log::warn!("{}: {error}", path.display());
        }
    }
}

fn path_of(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    PathBuf::from(path)
}
