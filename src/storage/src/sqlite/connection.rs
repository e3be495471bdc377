//! The setup of a connection to the database.

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use std::time::Duration;

/// The page size of a new database, bytes. Larger pages make commits and filing cheaper and small changes more
/// expensive.
pub const PAGE_SIZE: u32 = 8192;

/// How long a statement waits for another connection.
pub const BUSY: Duration = Duration::from_secs(1);

pub fn configure(conn: &Connection, cache_kib: u32) -> rusqlite::Result<()> {
    conn.busy_timeout(BUSY)?;
    conn.set_prepared_statement_cache_capacity(128);
    // Query plans must not depend on bound values; otherwise a statement with a range is compiled again for every
    // binding.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.pragma_update(None, "cache_size", -i64::from(cache_kib))?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    // What is recalled must not stay in the free space of pages.
    conn.pragma_update(None, "secure_delete", true)?;
    Ok(())
}
