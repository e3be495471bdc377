//! A connection to the database server: how it is opened, set up, and asked.

use super::check::{PACKET_MIN, VARIABLES, Variables};
use super::failure::Failure;
use super::record::{Answer, Record, first};
use super::sql::Sql;
use crate::database::Database;
use mysql::prelude::Queryable;
use mysql::{Conn, OptsBuilder};
#[cfg(test)]
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use std::time::Duration;
use wire::UnixMillis;

/// How long a connection may take to be made, and the server to answer anything on it.
const CONNECT_TIME: Duration = Duration::from_secs(1);

const ANSWER_TIME: Duration = Duration::from_secs(5);

/// How long changing the schema may take: tables may be large.
const SCHEMA_TIME: Duration = Duration::from_secs(3600);

/// How long changing a table waits for transactions that use it: whoever comes after it waits behind it. Seconds.
pub const SCHEMA_WAIT_S: u32 = 5;

/// Bytes of SQL that one packet holds at most.
pub const PACKET: usize = PACKET_MIN as usize;

/// A database, how to log in to it, and what is accepted of it.
#[derive(Clone)]
pub struct Server {
    pub database: Database,
    pub password: Option<String>,
    /// Whether one will do that may lose what it acknowledged.
    pub accept_weak_durability: bool,
    /// The time that the database is to believe, which a test sets.
    #[cfg(test)]
    pub hands: Option<Arc<AtomicU64>>,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Transactions, which the server breaks where they stand still.
    Writing,
    Reading,
    /// Making and changing tables.
    Schema,
}

/// An open connection.
pub struct Connection {
    conn: Conn,
    #[cfg(test)]
    hands: Option<Arc<AtomicU64>>,
}

/// The column that is the database's clock, in Unix milliseconds. Of each statement it is the moment it was begun.
pub const NOW: &str = "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)";

impl Connection {
    /// Connects and says how this connection is to behave. `with_database`: uses the database, which must be there.
    pub fn open(target: &Server, purpose: Purpose, with_database: bool) -> Result<Connection, Failure> {
        let answer_time = if purpose == Purpose::Schema { SCHEMA_TIME } else { ANSWER_TIME };
        let Database { user, host, port, name, .. } = &target.database;
        let options = OptsBuilder::new()
            .ip_or_hostname(Some(host))
            .tcp_port(*port)
            .user(Some(user))
            .pass(target.password.as_deref())
            .db_name(with_database.then_some(name))
            // Where the URL says, and nowhere else.
            .prefer_socket(false)
            .stmt_cache_size(0)
            .max_allowed_packet(Some(1 << 30))
            .tcp_connect_timeout(Some(CONNECT_TIME))
            .read_timeout(Some(answer_time))
            .write_timeout(Some(answer_time));
        let conn = Conn::new(options).map_err(|error| Failure::of(&error, 0))?;
        #[cfg(test)]
        let mut conn = Connection { conn, hands: target.hands.clone() };
        #[cfg(not(test))]
        let mut conn = Connection { conn };
        conn.ask(&habits(purpose))?;
        Ok(conn)
    }

    /// Asks everything in one round trip; one answer a statement. After a failure the statements behind are not done.
    pub fn ask(&mut self, sql: &Sql) -> Result<Vec<Answer>, Failure> {
        let mut answers = Vec::with_capacity(sql.statements());
        let result = self.conn.query_iter(sql.as_str());
        let mut result = result.map_err(|error| Failure::of(&error, 0))?;
        while let Some(set) = result.iter() {
            let mut answer = Answer {
                rows: Vec::new(),
                changed: set.affected_rows(),
                made: set.last_insert_id().unwrap_or(0),
            };
            for row in set {
                answer.rows.push(Record(row.map_err(|error| Failure::of(&error, answers.len()))?));
            }
            answers.push(answer);
        }
        if answers.len() == sql.statements() {
            return Ok(answers);
        }
        Err(Failure::lost("the database did not answer everything it was asked"))
    }

    /// Asks one question; its rows.
    pub fn rows(&mut self, sql: &Sql) -> Result<Vec<Record>, Failure> {
        Ok(self.ask(sql)?.pop().map(|answer| answer.rows).unwrap_or_default())
    }

    /// The beginning of a transaction.
    pub fn begin(&self) -> Sql {
        let mut sql = Sql::new();
        self.set_clock(&mut sql);
        sql.statement("START TRANSACTION");
        sql
    }

    /// The database's clock.
    pub fn now(&mut self) -> Result<UnixMillis, Failure> {
        let mut sql = Sql::new();
        self.set_clock(&mut sql);
        sql.statement(format_args!("SELECT {NOW}"));
        first(&self.rows(&sql)?)?.time(0)
    }

    #[cfg(test)]
    fn set_clock(&self, sql: &mut Sql) {
        if let Some(hands) = &self.hands {
            let time = hands.load(Ordering::Relaxed);
            sql.statement(format_args!("SET timestamp = {}.{:03}", time / 1000, time % 1000));
        }
    }

    #[cfg(not(test))]
    fn set_clock(&self, _sql: &mut Sql) {}

    /// Keeps the server from taking the connection for one that stands still.
    pub fn ping(&mut self) -> Result<(), Failure> {
        self.conn.ping().map_err(|error| Failure::of(&error, 0))
    }

    /// The server's variables that count.
    pub fn variables(&mut self) -> Result<Variables, Failure> {
        let mut sql = Sql::new();
        sql.push("SHOW VARIABLES WHERE Variable_name IN (")
            .list(",", VARIABLES, |sql, name| {
                sql.text(name);
            })
            .push(")")
            .end();
        let rows = self.rows(&sql)?;
        rows.iter().map(|row| Ok((row.text(0)?.to_lowercase(), row.text(1)?.to_owned()))).collect()
    }
}

/// What a session is told at its beginning. A transaction that stands still is broken by the server within 3 s
/// (`wait_timeout` counts in transactions as well, on MariaDB and MySQL), so that a node that is frozen holds no locks.
fn habits(purpose: Purpose) -> Sql {
    let mut sql = Sql::new();
    sql.statement("SET NAMES utf8mb4 COLLATE utf8mb4_bin")
        .statement(
            "SET SESSION sql_mode = 'STRICT_ALL_TABLES', SESSION time_zone = '+00:00', SESSION autocommit = 1, \
             SESSION innodb_lock_wait_timeout = 1",
        )
        .statement("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
    match purpose {
        Purpose::Writing => sql.statement(
            "SET SESSION wait_timeout = 3, SESSION net_read_timeout = 3, SESSION net_write_timeout = 3, \
             SESSION lock_wait_timeout = 3",
        ),
        Purpose::Schema => sql.statement(format_args!("SET SESSION lock_wait_timeout = {SCHEMA_WAIT_S}")),
        Purpose::Reading => &mut sql,
    };
    sql
}

/// Asks one question, which `question` writes.
pub fn rows_of(conn: &mut Connection, question: impl FnOnce(&mut Sql)) -> Result<Vec<Record>, Failure> {
    let mut sql = Sql::new();
    question(&mut sql);
    conn.rows(&sql)
}
