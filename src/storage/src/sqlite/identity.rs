//! Whether a path names this program's database, examined without changing anything: no file is created, no lock file,
//! no log, and no journal of another program is rolled back.

use super::lock::ProcessLock;
use super::schema;
use crate::error::StoreError;
use runtime::regular_file::{Access, open_regular};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The `application_id` of this program's databases ("Application ID" in SQLite's file format): "chat" in ASCII.
pub const APPLICATION_ID: i32 = 0x6368_6174;

/// The header of an SQLite database ("The Database Header" in SQLite's file format).
const HEADER_BYTES: usize = 100;
const MAGIC: &[u8] = b"SQLite format 3\0";
/// Where the header says whether the database uses a write-ahead log (2).
const WRITE_VERSION_AT: usize = 18;
const WAL: u8 = 2;
const APPLICATION_ID_AT: usize = 68;

/// A place that may be used: nothing is there yet, or a database that is empty or this program's.
#[derive(Debug)]
pub struct Place {
    /// The path of the file itself, not of a symbolic link to it: the files beside a database lie there.
    pub path: PathBuf,
    /// The lock, if its file exists.
    pub lock: Option<ProcessLock>,
}

impl Place {
    /// Examines what the path names. The error says why it cannot be used.
    pub fn examine(path: &Path) -> Result<Place, StoreError> {
        let failed = |source| StoreError::File { path: path.to_owned(), source };
        let mut file = match open_regular(path, Access::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                check_folder(path)?;
                let lock = ProcessLock::take_existing(path)?;
                return Ok(Place { path: path.to_owned(), lock });
            }
            Err(error) => return Err(failed(error)),
        };
        let path = path.canonicalize().map_err(failed)?;
        let names = file.metadata().map_err(failed)?.nlink();
        if names > 1 {
            return Err(StoreError::Unsuitable(format!(
                "{} has {names} names (hard links), but its journal is found by one of them only: remove the others",
                path.display()
            )));
        }
        // Before the database is read: the process that holds the lock may be writing to it.
        let lock = ProcessLock::take_existing(&path)?;
        let mut header = Vec::with_capacity(HEADER_BYTES);
        Read::by_ref(&mut file).take(HEADER_BYTES as u64).read_to_end(&mut header).map_err(failed)?;
        if !header.is_empty() {
            examine_database(&path, &header)?;
        }
        Ok(Place { path, lock })
    }
}

/// Checks that the folder of a database, or the nearest one above it that exists, is a folder.
fn check_folder(path: &Path) -> Result<(), StoreError> {
    for folder in path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()) {
        match fs::metadata(folder) {
            Ok(found) if found.is_dir() => return Ok(()),
            Ok(_) => {
                let source = io::Error::new(io::ErrorKind::NotADirectory, "is not a directory");
                return Err(StoreError::File { path: folder.to_owned(), source });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(StoreError::File { path: folder.to_owned(), source }),
        }
    }
    Ok(())
}

fn examine_database(path: &Path, header: &[u8]) -> Result<(), StoreError> {
    let unusable = |what: &str| {
        let place = path.display();
        StoreError::Unsuitable(format!(
            "{place} {what}, and nothing in it was changed: set storage.url to a file of this server or to a new one"
        ))
    };
    if header.len() < HEADER_BYTES || !header.starts_with(MAGIC) {
        return Err(unusable("is not an SQLite database"));
    }
    let id = [0, 1, 2, 3].map(|byte| header[APPLICATION_ID_AT + byte]);
    match i32::from_be_bytes(id) {
        // Its tables are checked once it is open, with all that its log holds.
        APPLICATION_ID => return Ok(()),
        0 => {}
        other => {
            return Err(unusable(&format!("is a database of another program (application id {other:#x})")));
        }
    }
    let uses_log = header[WRITE_VERSION_AT] == WAL && has_log(path);
    let conn = if uses_log { open_with_log(path) } else { open_without_log(path) };
    let checked =
        conn.map_err(StoreError::from).and_then(|conn| schema::check(&conn, &path.display().to_string()));
    match checked {
        Err(StoreError::Unavailable(error) | StoreError::Fatal(error)) => {
            Err(unusable(&format!("cannot be read as a database ({error})")))
        }
        checked => checked.map(drop),
    }
}

fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    fs::metadata(PathBuf::from(log)).is_ok_and(|log| log.is_file() && log.len() > 0)
}

/// Opens only the database file: SQLite neither locks nor creates nor recovers anything.
fn open_without_log(path: &Path) -> rusqlite::Result<Connection> {
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_bytes() {
        uri += &format!("%{byte:02x}");
    }
    uri += "?immutable=1";
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(uri, flags)
}

/// Opens a database together with its log. In exclusive locking mode the index of the log is kept in memory, and
/// without the checkpoint at the end the log stays as it is.
fn open_with_log(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    conn.pragma_update_and_check(None, "locking_mode", "EXCLUSIVE", |_| Ok(()))?;
    Ok(conn)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{TestClock, open};
    use super::*;
    use std::collections::BTreeMap;

    /// The contents of all files in a folder.
    fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        files.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
    }

    /// The error for the path, after checking that nothing in the folder has changed.
    #[track_caller]
    fn refused(path: &Path) -> String {
        let folder = path.parent().unwrap();
        let before = contents(folder);
        let test_clock = TestClock::default();
        let error =
            super::super::SqliteStore::open(path, test_clock.clock(), super::super::tests::fixed_random(0));
        let error = error.err().expect("it is not ours").to_string();
        assert!(contents(folder) == before, "{error}");
        error
    }

    #[test]
    fn databases_of_other_programs_are_refused_and_left_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("other.db");
        let conn = Connection::open(&path).unwrap();
        conn.execute_batch("CREATE TABLE orders (id INTEGER); CREATE TABLE schema_version (version, at)")
            .unwrap();
        drop(conn);
        let error = refused(&path);
        assert!(
            error.contains("other.db holds tables of another program (`orders`, `schema_version`)"),
            "{error}"
        );
        // Another program that records its version in the same form.
        let conn = Connection::open(&path).unwrap();
        conn.execute_batch("DROP TABLE schema_version; CREATE TABLE schema_version (version)").unwrap();
        conn.execute_batch("INSERT INTO schema_version VALUES (900)").unwrap();
        drop(conn);
        assert!(refused(&path).contains("another program (`orders`)"));
        let conn = Connection::open(&path).unwrap();
        conn.pragma_update(None, "application_id", 7).unwrap();
        drop(conn);
        assert!(refused(&path).contains("application id 0x7"));
        fs::write(&path, "some text\n").unwrap();
        assert!(refused(&path).contains("other.db is not an SQLite database"));
    }

    #[test]
    fn tables_that_are_only_in_the_log_are_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("other.db");
        let conn = Connection::open(&path).unwrap();
        conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).unwrap();
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
        conn.execute_batch("CREATE TABLE orders (id INTEGER)").unwrap();
        drop(conn);
        let _ = fs::remove_file(folder.path().join("other.db-shm"));
        assert!(has_log(&path));
        assert!(refused(&path).contains("another program (`orders`)"));
    }

    #[test]
    fn paths_to_other_kinds_of_files_are_refused() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let error = |path: &Path| Place::examine(path).unwrap_err().to_string();
        assert!(error(&inner).ends_with("inner: is a directory, not a regular file"));
        let fifo = inner.join("fifo");
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert!(error(&fifo).ends_with("fifo: is a FIFO, not a regular file"));
        assert!(error(Path::new("/dev/full")).ends_with("is a device, not a regular file"));
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(error(&file.join("chat.db")).contains("file"));
        // Nothing is there yet, nor the folder.
        Place::examine(&folder.path().join("new/chat.db")).unwrap();
        assert!(!folder.path().join("new").exists());
        // A FIFO in the place of a file beside the database.
        let path = folder.path().join("chat.db");
        for beside in ["chat.db.lock", "chat.db-wal", "chat.db.journal-0"] {
            let beside = folder.path().join(beside);
            mknodat(CWD, &beside, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
            let error = super::super::SqliteStore::open(
                &path,
                TestClock::default().clock(),
                super::super::tests::fixed_random(0),
            );
            assert!(error.err().unwrap().to_string().contains("is a FIFO"), "{}", beside.display());
            fs::remove_file(&beside).unwrap();
        }
    }

    #[test]
    fn our_own_databases_of_any_version_are_used_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chat.db");
        let test_clock = TestClock::default();
        test_clock.set(crate::conformance::BEGIN);
        fs::write(&path, "").unwrap();
        drop(open(&path, &test_clock));
        // As versions that did not set an application id left it.
        let conn = Connection::open(&path).unwrap();
        conn.pragma_update(None, "application_id", 0).unwrap();
        drop(conn);
        drop(open(&path, &test_clock));
        let conn = Connection::open(&path).unwrap();
        let id: i32 = conn.pragma_query_value(None, "application_id", |row| row.get(0)).unwrap();
        assert_eq!(id, APPLICATION_ID);
        conn.execute("UPDATE schema_version SET version = 999", []).unwrap();
        conn.pragma_update(None, "application_id", 0).unwrap();
        drop(conn);
        assert!(refused(&path).contains("schema version 999"));
        let conn = Connection::open(&path).unwrap();
        conn.execute_batch("UPDATE schema_version SET version = 3; ALTER TABLE user DROP COLUMN nick")
            .unwrap();
        drop(conn);
        assert!(refused(&path).contains("lacks the column `nick` of the table `user`"));
    }
}
