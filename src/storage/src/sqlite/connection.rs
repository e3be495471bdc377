//! How a connection to the database is set up.

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use std::time::Duration;

/// Bytes of a page of a new database: larger ones make commits and filing cheaper, and small changes dearer.
pub const PAGE_SIZE: u32 = 8192;

/// Sets a connection up.
pub fn configure(conn: &Connection, cache_kib: u32) -> rusqlite::Result<()> {
    conn.busy_timeout(Duration::from_secs(1))?;
    conn.set_prepared_statement_cache_capacity(128);
    // Plans do not depend on bound values: else a statement with a range is compiled again each time it is bound.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.pragma_update(None, "cache_size", -i64::from(cache_kib))?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(())
}
