//! The file layer that SQLite calls: that of the operating system, with another way to write a database file.
//!
//! `sqlite3_vfs` and `sqlite3_io_methods` are tables of function pointers (sqlite.org/vfs.html). Ours are copies of the
//! system's with one pointer replaced in each; everything else, locks and shared memory included, is called directly.
#![expect(unsafe_code, reason = "SQLite calls these functions through pointers")]

use crate::page;
use rusqlite::{Connection, Error, OpenFlags, ffi};
use std::ffi::{CStr, c_int, c_void};
use std::path::Path;
use std::sync::OnceLock;

/// The name under which SQLite knows the file layer.
const NAME: &CStr = c"cleared";

/// Opens a connection that checkpoints with cleared pages.
pub fn open(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    if !REGISTERED.get_or_init(register) {
        let error = ffi::Error::new(ffi::SQLITE_MISUSE);
        return Err(Error::SqliteFailure(error, Some("the file layer cannot be registered".to_owned())));
    }
    Connection::open_with_flags_and_vfs(path, flags, NAME)
}

/// The file layer of the system.
struct System {
    vfs: *mut ffi::sqlite3_vfs,
    open: Open,
}

type Open = unsafe extern "C" fn(
    *mut ffi::sqlite3_vfs,
    ffi::sqlite3_filename,
    *mut ffi::sqlite3_file,
    c_int,
    *mut c_int,
) -> c_int;

// SAFETY: SQLite's own file layer lives as long as the process, and its functions may be called by any thread
// (sqlite.org/c3ref/vfs.html).
unsafe impl Send for System {}
// SAFETY: as above; nothing here is ever written.
unsafe impl Sync for System {}

static SYSTEM: OnceLock<System> = OnceLock::new();

/// How the system treats a database file, and how we do.
struct Methods {
    system: *const ffi::sqlite3_io_methods,
    ours: ffi::sqlite3_io_methods,
    write: Write,
    size: Size,
}

type Write = unsafe extern "C" fn(*mut ffi::sqlite3_file, *const c_void, c_int, i64) -> c_int;
type Size = unsafe extern "C" fn(*mut ffi::sqlite3_file, *mut i64) -> c_int;

// SAFETY: the table is constant and lives as long as the process; SQLite itself calls its functions from all threads.
unsafe impl Send for Methods {}
// SAFETY: as above; nothing here is ever written.
unsafe impl Sync for Methods {}

static METHODS: OnceLock<Methods> = OnceLock::new();

/// Registers the file layer, once. Returns whether that worked.
fn register() -> bool {
    // SAFETY: initializes SQLite; the returned table lives as long as the process.
    let vfs = unsafe { ffi::sqlite3_vfs_find(std::ptr::null()) };
    // SAFETY: it is null or points to a table that nobody writes to while it is registered, except for its `pNext`.
    let Some(table) = (unsafe { vfs.as_ref() }) else { return false };
    let Some(open) = table.xOpen else { return false };
    SYSTEM.get_or_init(|| System { vfs, open });
    let ours = ffi::sqlite3_vfs {
        pNext: std::ptr::null_mut(),
        zName: NAME.as_ptr(),
        xOpen: Some(open_file),
        ..*table
    };
    let ours: &'static mut ffi::sqlite3_vfs = Box::leak(Box::new(ours));
    // SAFETY: the table is complete and lives for ever. The functions that are not ours use of the table that they are
    // called with only what is copied.
    unsafe { ffi::sqlite3_vfs_register(ours, 0) == ffi::SQLITE_OK }
}

/// `xOpen`: opens a file as the system does, and replaces the methods of a database file.
unsafe extern "C" fn open_file(
    _: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let Some(system) = SYSTEM.get() else { return ffi::SQLITE_CANTOPEN };
    // SAFETY: the arguments are SQLite's own; `szOsFile` is the system's, so `file` has room for the system's file.
    let opened = unsafe { (system.open)(system.vfs, name, file, flags, out_flags) };
    if opened != ffi::SQLITE_OK || flags & ffi::SQLITE_OPEN_MAIN_DB == 0 {
        return opened;
    }
    // SAFETY: `xOpen` succeeded, so SQLite's contract says that `file` points to an open file with methods.
    let methods = unsafe { (*file).pMethods };
    // SAFETY: as above; the table is constant.
    match METHODS.get_or_init(|| unsafe { Methods::of(methods) }) {
        known if known.system == methods => {
            // SAFETY: `file` is open and not shared yet. Of the methods that are not replaced each finds the same file.
            unsafe { (*file).pMethods = &raw const known.ours };
            ffi::SQLITE_OK
        }
        // Another locking mode, which no connection here asks for.
        _ => {
            // SAFETY: the file is open; SQLite does not close a file whose `xOpen` failed where it has no methods.
            unsafe {
                if let Some(close) = (*methods).xClose {
                    close(file);
                }
                (*file).pMethods = std::ptr::null();
            }
            ffi::SQLITE_CANTOPEN
        }
    }
}

impl Methods {
    /// # Safety
    ///
    /// `system` points to a complete table of methods that lives as long as the process.
    unsafe fn of(system: *const ffi::sqlite3_io_methods) -> Methods {
        // SAFETY: the caller says so.
        let table = unsafe { &*system };
        let write = table.xWrite.expect("every file can be written");
        let size = table.xFileSize.expect("every file has a size");
        Methods { system, ours: ffi::sqlite3_io_methods { xWrite: Some(write_page), ..*table }, write, size }
    }
}

/// `xWrite` of a database file.
unsafe extern "C" fn write_page(
    file: *mut ffi::sqlite3_file,
    data: *const c_void,
    amount: c_int,
    offset: i64,
) -> c_int {
    let Some(methods) = METHODS.get() else { return ffi::SQLITE_IOERR_WRITE };
    let length = usize::try_from(amount).unwrap_or(0);
    let is_page = length.is_power_of_two() && length >= 512 && offset % i64::from(amount) == 0;
    if is_page {
        // SAFETY: SQLite passes `amount` readable bytes, which nobody writes to before this returns.
        let page = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), length) };
        let count = || {
            let mut size = 0;
            // SAFETY: `file` is the open file that SQLite wants to write to; `size` outlives the call.
            let is_known = unsafe { (methods.size)(file, &raw mut size) } == ffi::SQLITE_OK;
            let pages = u64::try_from(size).map(|size| size / length as u64);
            if is_known { pages.unwrap_or(u64::MAX >> 1) } else { u64::MAX >> 1 }
        };
        if let Some(page) = page::cleared(page, offset == 0, count) {
            // SAFETY: `page` has `amount` bytes and outlives the call.
            return unsafe { (methods.write)(file, page.as_ptr().cast(), amount, offset) };
        }
    }
    // SAFETY: the arguments are SQLite's own.
    unsafe { (methods.write)(file, data, amount, offset) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// How often a file contains a text.
    fn count(path: &Path, text: &str) -> usize {
        let file = fs::read(path).unwrap();
        file.windows(text.len()).filter(|at| *at == text.as_bytes()).count()
    }

    /// Inserts rows in an order that divides pages, deletes them all but every 50th, and checkpoints. How often the file
    /// contains texts that are deleted.
    fn remains(conn: &Connection, path: &Path) -> usize {
        conn.execute_batch(
            "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA secure_delete = 1; \
             CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT); \
             CREATE TABLE w (id INTEGER NOT NULL PRIMARY KEY, text TEXT) WITHOUT ROWID; \
             CREATE INDEX i ON t (text)",
        )
        .unwrap();
        conn.execute_batch("BEGIN").unwrap();
        for n in 0..3_000 {
            if n % 300 == 0 {
                conn.execute_batch("COMMIT; BEGIN").unwrap();
            }
            let (id, padding) = ((n * 7_919) % 3_001, "x".repeat((n as usize * 37) % 700));
            for table in ["t", "w"] {
                let sql = format!("INSERT INTO {table} VALUES (?1, ?2)");
                let text = format!("{} {n} {padding}", if id % 50 == 0 { "kept" } else { "secret" });
                conn.prepare_cached(&sql).unwrap().execute((id, text)).unwrap();
            }
        }
        conn.execute_batch(
            "DELETE FROM t WHERE id % 50 <> 0; DELETE FROM w WHERE id % 50 <> 0; COMMIT; \
             PRAGMA wal_checkpoint(TRUNCATE)",
        )
        .unwrap();
        let check: String = conn.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
        assert!(count(path, "kept") >= 3 * 60, "in both tables and the index");
        count(path, "secret")
    }

    #[test]
    fn deleted_rows_leave_nothing_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let [with, without] = ["with", "without"].map(|name| folder.path().join(name));
        assert_eq!(remains(&open(&with, OpenFlags::default()).unwrap(), &with), 0);
        assert!(remains(&Connection::open(&without).unwrap(), &without) > 0, "otherwise this shows nothing");
        // It is an ordinary database.
        let conn = Connection::open(&with).unwrap();
        let rows: i64 = conn.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 61);
    }
}
