//! The schema: numbered migrations, and tables for each month and day.

use super::connection::{Connection, KEPT_FROM, SCHEMA_WAIT_S};
use super::deployment;
use super::failure::{Cause, Failure};
use super::record::first;
use super::sql::Sql;
use crate::calendar::{self, Day, Month};
use crate::error::StoreError;
use crate::layout::{Layout, VERSION_TABLE};
use crate::machine::system_random;
use crate::peers::node_of;
use crate::retention;
use logic::contract::node::SILENT_MS;
use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Duration;
use wire::UnixMillis;

/// All migrations in order; the first is version 1.
const MIGRATIONS: &[&str] = &[
    include_str!("../../../../sql/mysql/0001_init.sql"),
    include_str!("../../../../sql/mysql/0002_session.sql"),
    include_str!("../../../../sql/mysql/0003_unheard.sql"),
    include_str!("../../../../sql/mysql/0004_trust.sql"),
];
/// The latest version that this program knows.
pub const KNOWN: u32 = MIGRATIONS.len() as u32;

/// The version from which on the tables of months have the column `refs`: what a message refers to, as JSON.
const REFERENCES: u32 = 4;

/// The version from which on nodes show in the table `node` that they live, and the one from which on they record there
/// when they stop.
const NODES: u32 = 2;
const STOPS: u32 = 4;

/// How long to wait for another node that is migrating, seconds.
const LOCK_S: u32 = 60;
/// How often to look for nodes of an older version.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Checks that the tables are this program's, or that there are none, and changes nothing. Returns whether the schema
/// has to be migrated. `place` names the database in an error.
pub fn check(conn: &mut Connection, place: &str) -> Result<bool, StoreError> {
    Ok(version(conn, place)? < KNOWN)
}

/// The version of the schema; 0: there is none. `place` names the database in an error.
fn version(conn: &mut Connection, place: &str) -> Result<u32, StoreError> {
    let found = layout(conn)?;
    let mut version = 0;
    if found.has_version() {
        let mut sql = Sql::new();
        sql.statement(format_args!("SELECT COALESCE(MAX(version), 0) FROM {VERSION_TABLE}"));
        // Another program may record anything under this name.
        version =
            first(&conn.rows(&sql)?)?.number(0).ok().and_then(|found| u32::try_from(found).ok()).unwrap_or(0);
    }
    found.judge(version, KNOWN, expected).version(place, KNOWN)
}

/// The tables, views and their columns.
fn layout(conn: &mut Connection) -> Result<Layout, Failure> {
    let mut sql = Sql::new();
    sql.statement(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = DATABASE()",
    );
    let mut layout = Layout::default();
    for row in conn.rows(&sql)? {
        layout.add(row.text(0)?, row.text(1)?);
    }
    Ok(layout)
}

/// The tables that the migrations up to `version` make, read from their statements.
fn expected(version: u32) -> Layout {
    let mut layout = Layout::default();
    for statement in MIGRATIONS[..version as usize].iter().copied().flat_map(statements) {
        let words: Vec<&str> = statement.split_whitespace().collect();
        match words[..] {
            ["CREATE", "TABLE", "IF", "NOT", "EXISTS", table, ..] => {
                let columns = statement.lines().skip(1).filter_map(|line| line.split_whitespace().next());
                let is_column =
                    |word: &&str| word.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
                columns.filter(is_column).for_each(|column| layout.add(table, column));
            }
            ["ALTER", "TABLE", table, "ADD", "COLUMN", column, ..] => layout.add(table, column),
            ["ALTER", "TABLE", table, "DROP", "COLUMN", column, ..] => layout.remove_column(table, column),
            ["DROP", "TABLE", "IF", "EXISTS", table] => layout.remove(table),
            _ => {}
        }
    }
    layout
}

/// Migrates the schema, one node at a time. `place` names the database in an error.
pub fn migrate(conn: &mut Connection, place: &str) -> Result<(), StoreError> {
    with_lock(conn, |conn| {
        migrate_alone(conn, place)?;
        Ok(deployment::make_once(conn, &mut system_random())?)
    })
}

/// Does some work that no other node may do at the same time.
pub fn with_lock<T>(
    conn: &mut Connection,
    work: impl FnOnce(&mut Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let lock = "CONCAT('chatserver schema ', DATABASE())";
    let mut sql = Sql::new();
    sql.statement(format_args!("SELECT GET_LOCK({lock}, {LOCK_S})"));
    if first(&conn.rows(&sql)?)?.maybe_number(0)? != Some(1) {
        return Err(StoreError::Unavailable(
            "another node has been starting or migrating the schema for a minute; try again later".to_owned(),
        ));
    }
    let done = work(conn);
    let mut sql = Sql::new();
    sql.statement(format_args!("DO RELEASE_LOCK({lock})"));
    conn.ask(&sql)?;
    done
}

fn migrate_alone(conn: &mut Connection, place: &str) -> Result<(), StoreError> {
    // Again, as another node may have migrated it meanwhile.
    let found = version(conn, place)?;
    if (NODES..KNOWN).contains(&found) {
        wait_for_older_nodes(conn, found)?;
    }
    let mut sql = Sql::new();
    sql.statement(format_args!(
        "CREATE TABLE IF NOT EXISTS {VERSION_TABLE} (version INT NOT NULL PRIMARY KEY) ENGINE = InnoDB"
    ));
    conn.ask(&sql)?;
    for (version, text) in (1..).zip(MIGRATIONS).skip(found as usize) {
        for statement in statements(text) {
            change(conn, &statement)?;
        }
        if version == REFERENCES {
            add_references(conn)?;
        }
        let mut sql = Sql::new();
        sql.statement(format_args!("INSERT INTO schema_version (version) VALUES ({version})"));
        conn.ask(&sql)?;
    }
    Ok(())
}

/// Waits until no node runs on the schema of an older version, which it would use wrongly after the migration: a node
/// that was seen less than [`SILENT_MS`] ago may. Refuses as soon as one gives a sign of life.
fn wait_for_older_nodes(conn: &mut Connection, version: u32) -> Result<(), StoreError> {
    let has_not_stopped = if version >= STOPS { "AND left_at IS NULL" } else { "" };
    let mut before: Option<BTreeMap<String, UnixMillis>> = None;
    loop {
        let now = conn.now()?;
        let since = now.0.saturating_sub(SILENT_MS);
        let mut sql = Sql::new();
        sql.statement(format_args!(
            "SELECT name, seen_at FROM node WHERE seen_at > {since} {has_not_stopped} ORDER BY seen_at"
        ));
        let seen = conn.rows(&sql)?;
        let seen = seen.iter().map(|row| Ok((row.text(0)?.to_owned(), row.time(1)?)));
        let seen: BTreeMap<String, UnixMillis> = seen.collect::<Result<_, Failure>>()?;
        let Some((name, last)) = seen.iter().max_by_key(|(_, last)| **last) else { return Ok(()) };
        match &before {
            None => log::warn!(
                "the node `{}` was seen {} s ago and may still run an older version, which must not use the database \
                 after it is migrated: waiting until it has been silent for {} s",
                node_of(name),
                now.0.saturating_sub(last.0) / 1_000,
                SILENT_MS / 1_000
            ),
            Some(before) => {
                let is_later = |(name, seen): &(&String, &UnixMillis)| before.get(*name) != Some(*seen);
                if let Some((name, _)) = seen.iter().find(is_later) {
                    return Err(StoreError::Unsuitable(format!(
                        "the node `{}` runs an older version, which must not use the database after it is migrated: stop \
                         all nodes, then start the new version",
                        node_of(name)
                    )));
                }
            }
        }
        before = Some(seen);
        thread::sleep(LOOK_EVERY);
    }
}

/// Adds the column `refs` to the tables of all months, in no time where the server can do that.
fn add_references(conn: &mut Connection) -> Result<(), StoreError> {
    for month in Tables::load(conn)?.months {
        let add = format!("ALTER TABLE message_{month:06} ADD COLUMN refs TEXT");
        match change(conn, &format!("{add}, ALGORITHM = INSTANT")) {
            // The table has a format in which a column cannot be added like that.
            Err(StoreError::Unsuitable(_)) => change(conn, &add)?,
            done => done?,
        }
    }
    Ok(())
}

/// Executes one statement of a migration. It may have been executed before: each statement commits by itself, so an
/// aborted start may have executed it without recording its version.
fn change(conn: &mut Connection, statement: &str) -> Result<(), StoreError> {
    let mut sql = Sql::new();
    sql.statement(statement);
    match conn.ask(&sql) {
        Ok(_) => Ok(()),
        // MySQL has no ADD COLUMN IF NOT EXISTS.
        Err(failure) if failure.cause == Cause::DuplicateColumn => Ok(()),
        Err(failure) if failure.cause == Cause::Conflict => Err(StoreError::Unavailable(format!(
            "a table that has to be changed has been in use for {SCHEMA_WAIT_S} s: end the transaction that uses it (SHOW \
             PROCESSLIST names it) and start again ({failure})"
        ))),
        Err(failure) => Err(failure.into()),
    }
}

/// Splits a migration into statements: a comment ends with its line, a statement with a semicolon at the end of a line.
fn statements(text: &str) -> impl Iterator<Item = String> {
    let code: String = text
        .lines()
        .map(|connection| connection.split("--").next().unwrap_or_default().trim_end())
        .fold(String::new(), |mut code, connection| {
            code += connection;
            code.push('\n');
            code
        });
    let whole: Vec<String> =
        code.split(";\n").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect();
    whole.into_iter()
}

/// Checks that all tables are InnoDB and hold all of Unicode. The error names one that does not.
pub fn inspect(conn: &mut Connection) -> Result<(), StoreError> {
    let mut sql = Sql::new();
    sql.statement(
        "SELECT table_name, engine, table_collation FROM information_schema.tables WHERE table_schema = DATABASE() \
         AND table_type = 'BASE TABLE' AND (engine <> 'InnoDB' OR table_collation NOT LIKE 'utf8mb4%')",
    );
    match conn.rows(&sql)?.first() {
        None => Ok(()),
        Some(row) => Err(StoreError::Unsuitable(format!(
            "the table `{0}` is {1} with the collation {2}; run ALTER TABLE `{0}` ENGINE = InnoDB, CONVERT TO \
             CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
            row.text(0)?,
            row.text(1)?,
            row.text(2)?
        ))),
    }
}

/// The monthly and daily tables that exist.
#[derive(Debug, Default)]
struct Tables {
    months: BTreeSet<Month>,
    days: BTreeSet<Day>,
}

impl Tables {
    fn load(conn: &mut Connection) -> Result<Tables, Failure> {
        let mut tables = Tables::default();
        let mut sql = Sql::new();
        sql.statement(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() \
             AND (table_name LIKE 'message\\_%' OR table_name LIKE 'sent\\_%')",
        );
        for row in conn.rows(&sql)? {
            let name = row.text(0)?;
            if let Some(month) = name.strip_prefix("message_").and_then(|month| month.parse().ok()) {
                tables.months.insert(month);
            } else if let Some(day) = name.strip_prefix("sent_").and_then(|day| day.parse().ok()) {
                tables.days.insert(day);
            }
        }
        Ok(tables)
    }
}

/// The months before `kept_from` that have a table.
pub fn months_before(conn: &mut Connection, kept_from: Month) -> Result<Vec<Month>, Failure> {
    Ok(Tables::load(conn)?.months.range(..kept_from).copied().collect())
}

/// Creates the missing tables of this month and the next two, of yesterday, today and the next two days, and drops
/// those of earlier days. No transaction can still be using these, as transactions end within seconds.
pub fn keep_tables(conn: &mut Connection) -> Result<(), Failure> {
    let mut sql = Sql::new();
    sql.statement(format_args!("SELECT {KEPT_FROM}"));
    let kept_from = first(&conn.rows(&sql)?)?.month(0)?;
    let now = conn.now()?;
    let tables = Tables::load(conn)?;
    let mut sql = Sql::new();
    // While the clock is behind, entries are dated by the first month that is kept.
    let dated = months_from(retention::dated(now, kept_from));
    let months: BTreeSet<Month> = months_from(now).into_iter().chain(dated).collect();
    for month in months.difference(&tables.months) {
        sql.statement(format_args!(
            "CREATE TABLE IF NOT EXISTS message_{month:06} (conversation_id INT NOT NULL, seq BIGINT NOT NULL, \
             sender_id INT NOT NULL, cid VARBINARY(64) NOT NULL, type VARCHAR(32) NOT NULL, content TEXT NOT NULL, \
             status TINYINT NOT NULL DEFAULT 0, created_at BIGINT NOT NULL, refs TEXT, \
             PRIMARY KEY (conversation_id, seq)) \
             ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
        ));
    }
    let days = days_from(now);
    for day in days.into_iter().filter(|day| !tables.days.contains(day)) {
        sql.statement(format_args!(
            "CREATE TABLE IF NOT EXISTS sent_{day:08} (sender_id INT NOT NULL, cid VARBINARY(64) NOT NULL, \
             conversation_id INT NOT NULL, seq BIGINT NOT NULL, created_at BIGINT NOT NULL, \
             PRIMARY KEY (sender_id, cid)) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
        ));
    }
    for day in tables.days.range(..days[0]) {
        sql.statement(format_args!("DROP TABLE IF EXISTS sent_{day:08}"));
    }
    if sql.statements() > 0 { conn.ask(&sql).map(drop) } else { Ok(()) }
}

fn months_from(now: UnixMillis) -> [Month; 3] {
    let this = calendar::month_of(now);
    let next = calendar::next_month(this);
    [this, next, calendar::next_month(next)]
}

/// Yesterday, today, and two days ahead.
fn days_from(now: UnixMillis) -> [Day; 4] {
    let [today, yesterday] = super::sent::days(now);
    [yesterday, today, calendar::day_after(now, 1), calendar::day_after(now, 2)]
}

/// Asserts that the tables are the expected ones.
#[cfg(test)]
pub fn assert_expected(conn: &mut Connection) {
    let mut found = layout(conn).unwrap();
    let dated: Vec<String> = found.tables().filter(|table| crate::layout::is_dated(table)).collect();
    dated.iter().for_each(|table| found.remove(table));
    found.remove(VERSION_TABLE);
    assert_eq!(found, expected(KNOWN));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_is_split_into_statements() {
        let text = "-- a; b\nCREATE TABLE a (x INT); -- c\n\nCREATE TABLE b (\n y INT -- why; not\n);\n";
        let cut: Vec<String> = statements(text).collect();
        assert_eq!(cut, ["CREATE TABLE a (x INT)", "CREATE TABLE b (\n y INT\n)"]);
    }

    #[test]
    fn tables_of_days_are_kept_for_a_day() {
        let noon = UnixMillis(1_769_774_400_000);
        assert_eq!(days_from(noon), [20_260_129, 20_260_130, 20_260_131, 20_260_201]);
        assert_eq!(months_from(noon), [202_601, 202_602, 202_603]);
    }
}
