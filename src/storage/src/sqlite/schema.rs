//! The schema: numbered migrations, and tables for each month and day.

use crate::calendar::{self, Day, Month};
use crate::error::StoreError;
use crate::layout::Layout;
use rusqlite::Connection;
use std::collections::BTreeSet;
use wire::UnixMillis;

/// All migrations in order; the first is version 1.
const MIGRATIONS: &[&str] = &[
    include_str!("../../../../sql/sqlite/0001_init.sql"),
    include_str!("../../../../sql/sqlite/0002_session.sql"),
    include_str!("../../../../sql/sqlite/0003_unheard.sql"),
    include_str!("../../../../sql/sqlite/0004_trust.sql"),
];
/// The last schema version with the journal in a table.
const JOURNAL_IN_A_TABLE: u32 = 1;

/// Checks that the tables are this program's, or that there are none, and changes nothing. Returns the version of the
/// schema, 0 if there is none. `place` names the database in an error.
pub fn check(conn: &Connection, place: &str) -> Result<u32, StoreError> {
    let known = MIGRATIONS.len() as u32;
    let found = layout(conn)?;
    let version = if found.has_version() { version(conn)? } else { 0 };
    let expected = |version: u32| {
        let ours = Connection::open_in_memory().expect("it needs no file");
        let made = MIGRATIONS[..version as usize].iter().try_for_each(|sql| ours.execute_batch(sql));
        made.and_then(|()| layout(&ours)).expect("the migrations pass their tests")
    };
    found.judge(version, known, expected).version(place, known)
}

/// The tables, views and their columns.
pub fn layout(conn: &Connection) -> rusqlite::Result<Layout> {
    let mut layout = Layout::default();
    let sql = "SELECT s.name, c.name FROM sqlite_schema s, pragma_table_info(s.name) c \
               WHERE s.type IN ('table', 'view') AND s.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    let mut columns = conn.prepare(sql)?;
    let mut rows = columns.query([])?;
    while let Some(row) = rows.next()? {
        layout.add(row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?);
    }
    Ok(layout)
}

/// Migrates the schema, one transaction a step.
pub fn migrate(conn: &Connection) -> Result<(), StoreError> {
    let found = check(conn, "the database")?;
    if found == JOURNAL_IN_A_TABLE
        && conn.query_row("SELECT EXISTS (SELECT 1 FROM journal)", [], |row| row.get(0))?
    {
        return Err(StoreError::Unfiled);
    }
    for (at, sql) in MIGRATIONS.iter().enumerate().skip(found as usize) {
        let transaction = conn.unchecked_transaction()?;
        if at == 0 {
            conn.execute_batch("CREATE TABLE schema_version (version INTEGER NOT NULL)")?;
            conn.execute("INSERT INTO schema_version VALUES (0)", [])?;
        }
        conn.execute_batch(sql)?;
        conn.execute("UPDATE schema_version SET version = ?1", [at as i64 + 1])?;
        transaction.commit()?;
    }
    Ok(())
}

fn version(conn: &Connection) -> rusqlite::Result<u32> {
    conn.query_row("SELECT version FROM schema_version", [], |row| row.get(0))
}

/// The monthly and daily tables that exist.
#[derive(Debug, Default)]
pub struct Tables {
    months: BTreeSet<Month>,
    days: BTreeSet<Day>,
}

impl Tables {
    pub fn load(conn: &Connection) -> rusqlite::Result<Tables> {
        let mut tables = Tables::default();
        let mut names = conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")?;
        let mut rows = names.query([])?;
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            if let Some(month) = name.strip_prefix("message_").and_then(|month| month.parse().ok()) {
                tables.months.insert(month);
            } else if let Some(day) = name.strip_prefix("sent_").and_then(|day| day.parse().ok()) {
                tables.days.insert(day);
            }
        }
        Ok(tables)
    }

    pub fn days(&self) -> impl DoubleEndedIterator<Item = Day> + '_ {
        self.days.iter().copied()
    }

    /// Whether no table has to be created at this time.
    pub fn are_ahead_of(&self, now: UnixMillis) -> bool {
        months_from(now).iter().all(|month| self.months.contains(month))
            && days_from(now).iter().all(|day| self.days.contains(day))
    }

    /// Creates the tables of this month and the next two, of this day and the next two.
    pub fn make_ahead(&mut self, conn: &Connection, now: UnixMillis) -> rusqlite::Result<()> {
        for month in months_from(now) {
            self.need_month(conn, month)?;
        }
        for day in days_from(now) {
            self.need_day(conn, day)?;
        }
        Ok(())
    }

    /// Creates a month's table if it is missing.
    pub fn need_month(&mut self, conn: &Connection, month: Month) -> rusqlite::Result<()> {
        if !self.months.contains(&month) {
            conn.execute_batch(&format!(
                "CREATE TABLE IF NOT EXISTS message_{month:06} (id INTEGER PRIMARY KEY, page BLOB NOT NULL)"
            ))?;
            self.months.insert(month);
        }
        Ok(())
    }

    /// Creates a day's table if it is missing.
    pub fn need_day(&mut self, conn: &Connection, day: Day) -> rusqlite::Result<()> {
        if !self.days.contains(&day) {
            conn.execute_batch(&format!(
                "CREATE TABLE IF NOT EXISTS sent_{day:08} (sender_id INTEGER NOT NULL, first_cid BLOB NOT NULL, \
                 page BLOB NOT NULL, PRIMARY KEY (sender_id, first_cid)) WITHOUT ROWID"
            ))?;
            self.days.insert(day);
        }
        Ok(())
    }

    /// Drops empty tables of months and days that are not due for long: a clock that was ahead has made them. Returns
    /// the latest month with messages, if that is such a month.
    pub fn drop_far(&mut self, conn: &Connection, now: UnixMillis) -> rusqlite::Result<Option<Month>> {
        let is_empty = |table: &str| -> rusqlite::Result<bool> {
            conn.query_row(&format!("SELECT NOT EXISTS (SELECT 1 FROM {table})"), [], |row| row.get(0))
        };
        let mut latest = None;
        for month in self.months.split_off(&(months_from(now)[2] + 1)) {
            if is_empty(&format!("message_{month:06}"))? {
                conn.execute_batch(&format!("DROP TABLE message_{month:06}"))?;
            } else {
                self.months.insert(month);
                latest = Some(month);
            }
        }
        for day in self.days.split_off(&(days_from(now)[2] + 1)) {
            if is_empty(&format!("sent_{day:08}"))? {
                self.drop_day(conn, day)?;
            } else {
                self.days.insert(day);
            }
        }
        Ok(latest)
    }

    /// The months before `kept_from` that have a table.
    pub fn months_before(&self, kept_from: Month) -> impl Iterator<Item = Month> {
        self.months.range(..kept_from).copied()
    }

    /// The table of a month was dropped.
    pub fn forget_month(&mut self, month: Month) {
        self.months.remove(&month);
    }

    /// A day whose table is outdated, as two later days have begun.
    pub fn outlived_day(&self, now: UnixMillis) -> Option<Day> {
        let today = calendar::day_of(now);
        let oldest = *self.days.first()?;
        (self.days.range(..=today).count() > 2).then_some(oldest)
    }

    /// Drops a day's table.
    pub fn drop_day(&mut self, conn: &Connection, day: Day) -> rusqlite::Result<()> {
        conn.execute_batch(&format!("DROP TABLE IF EXISTS sent_{day:08}"))?;
        self.days.remove(&day);
        Ok(())
    }
}

fn months_from(now: UnixMillis) -> [Month; 3] {
    let this = calendar::month_of(now);
    let next = calendar::next_month(this);
    [this, next, calendar::next_month(next)]
}

fn days_from(now: UnixMillis) -> [Day; 3] {
    [0, 1, 2].map(|ahead| calendar::day_after(now, ahead))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_schema_is_rejected() {
        let conn = Connection::open_in_memory().unwrap();
        migrate(&conn).unwrap();
        migrate(&conn).unwrap();
        conn.execute("UPDATE schema_version SET version = 999", []).unwrap();
        let error = migrate(&conn).unwrap_err();
        assert!(error.to_string().contains("999"), "{error}");
    }

    #[test]
    fn a_journal_of_the_first_version_is_not_discarded() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(
            "CREATE TABLE schema_version (version INTEGER NOT NULL); INSERT INTO schema_version VALUES (1)",
        )
        .unwrap();
        conn.execute_batch(MIGRATIONS[0]).unwrap();
        conn.execute("INSERT INTO journal (batch) VALUES (x'01')", []).unwrap();
        let error = migrate(&conn).unwrap_err();
        assert!(error.to_string().contains("start that version, stop it with SIGTERM"), "{error}");
        conn.execute("DELETE FROM journal", []).unwrap();
        migrate(&conn).unwrap();
        assert_eq!(version(&conn).unwrap() as usize, MIGRATIONS.len());
    }

    #[test]
    fn tables_that_a_clock_ahead_has_made_are_dropped_while_they_are_empty() {
        let conn = Connection::open_in_memory().unwrap();
        let mut tables = Tables::load(&conn).unwrap();
        let noon = |day: u64| UnixMillis((20_000 + day) * 86_400_000 + 43_200_000);
        tables.make_ahead(&conn, noon(0)).unwrap();
        tables.make_ahead(&conn, noon(5_000)).unwrap();
        let far = calendar::month_of(noon(5_000));
        conn.execute(&format!("INSERT INTO message_{far} VALUES (1, x'')"), []).unwrap();
        assert_eq!(tables.drop_far(&conn, noon(1)).unwrap(), Some(far));
        assert_eq!(tables.months.len(), 4);
        assert_eq!(tables.days.len(), 3);
        let left = Tables::load(&conn).unwrap();
        assert_eq!((left.months, left.days), (tables.months, tables.days));
    }

    #[test]
    fn statements_of_an_earlier_version_claim_and_write_nothing() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(
            "CREATE TABLE schema_version (version INTEGER NOT NULL); INSERT INTO schema_version VALUES (3)",
        )
        .unwrap();
        MIGRATIONS[..3].iter().for_each(|sql| conn.execute_batch(sql).unwrap());
        let claim = "INSERT INTO session (user_id, epoch, node, token_hash, changed_at) VALUES (1, 1, 'old~1', x'07', 5) \
                     ON CONFLICT (user_id) DO UPDATE SET epoch = epoch + 1, node = excluded.node";
        let fence = "SELECT NULL FROM session WHERE user_id = 1 AND epoch > 1";
        let statements = [claim, fence, "UPDATE session SET lost_at = 6 WHERE user_id = 1 AND epoch <= 1"];
        let runs = |sql: &&str| conn.execute_batch(sql).is_ok();
        assert!(statements.iter().all(runs));
        migrate(&conn).unwrap();
        assert!(!statements.iter().any(runs));
        let count = "SELECT count(*) FROM account_session";
        assert_eq!(conn.query_row(count, [], |row| row.get(0)), Ok(0), "nobody goes on with its session");
    }

    #[test]
    fn conversations_of_earlier_versions_are_listed_and_counted() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(
            "CREATE TABLE schema_version (version INTEGER NOT NULL); INSERT INTO schema_version VALUES (3)",
        )
        .unwrap();
        MIGRATIONS[..3].iter().for_each(|sql| conn.execute_batch(sql).unwrap());
        conn.execute_batch(
            "INSERT INTO conversation (id, kind, low_id, high_id, last_seq, updated_at) VALUES (5, 0, 1, 2, 3, 700);
             INSERT INTO conversation (id, kind, name, updated_at) VALUES (6, 1, 'climbing', 800);
             INSERT INTO member (conversation_id, user_id, role) VALUES (5, 1, 0), (5, 2, 0), (6, 1, 2), (6, 3, 0)",
        )
        .unwrap();
        migrate(&conn).unwrap();
        let rows = |sql: &str| {
            let mut select = conn.prepare(sql).unwrap();
            let row = |row: &rusqlite::Row<'_>| row.try_into();
            select.query_map([], row).unwrap().collect::<Result<Vec<(i64, i64, i64)>, _>>().unwrap()
        };
        let listed = rows("SELECT user_id, listed_until, conversation_id FROM listing WHERE slack = 0");
        assert_eq!(listed, [(1, 700, 5), (1, 800, 6), (2, 700, 5), (3, 800, 6)]);
        assert_eq!(rows("SELECT id, listed_until, slack FROM conversation"), [(5, 700, 0), (6, 800, 0)]);
        let used = rows("SELECT user_id, groups_owned, conversations FROM account_usage");
        assert_eq!(used, [(1, 1, 1), (3, 0, 1)]);
    }

    #[test]
    fn a_day_is_kept_until_two_later_days_have_begun() {
        let conn = Connection::open_in_memory().unwrap();
        let mut tables = Tables::load(&conn).unwrap();
        let noon = |day: u64| UnixMillis((20_000 + day) * 86_400_000 + 43_200_000);
        for day in 0..5 {
            tables.make_ahead(&conn, noon(day)).unwrap();
            while let Some(old) = tables.outlived_day(noon(day)) {
                tables.drop_day(&conn, old).unwrap();
            }
            let days: Vec<Day> = tables.days().collect();
            assert_eq!(days.first().copied(), Some(calendar::day_of(noon(day.saturating_sub(1)))));
            assert_eq!(Tables::load(&conn).unwrap().days, tables.days);
        }
    }
}
