//! Reads of many rows in one transaction, which costs one look at the write-ahead log instead of one a statement.

use super::resident::Resident;
use super::view::View;
use rusqlite::Connection;

/// A transaction that reads. It sees the tables as they are when its first statement runs; what is filed from then on
/// is in the resident tail until it ends.
///
/// Whatever says how far a timeline reaches must be read from the tail *before* it begins: the tables then show what
/// was changed up to there.
pub struct Snapshot<'a> {
    conn: &'a Connection,
    resident: &'a Resident,
    pin: u64,
    /// Whether it has begun the transaction; otherwise there was one.
    is_mine: bool,
}

impl<'a> View<'a> {
    pub(super) fn snapshot(&self) -> rusqlite::Result<Snapshot<'a>> {
        let (conn, resident) = (self.conn, self.resident);
        let is_mine = conn.is_autocommit();
        let snapshot = Snapshot { conn, resident, pin: resident.pin(), is_mine };
        if is_mine {
            conn.prepare_cached("BEGIN")?.execute([])?;
        }
        Ok(snapshot)
    }
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        if self.is_mine && !self.conn.is_autocommit() {
            // A transaction that only reads ends in any case.
            let ended = self.conn.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([]));
            if let Err(error) = ended {
                log::error!("cannot end a transaction that reads: {error}");
                let _ = self.conn.execute_batch("ROLLBACK");
            }
        }
        self.resident.unpin(self.pin);
    }
}
