//! A connection to the database server: opening, session settings, and queries.

use super::check::{PACKET_MIN, VARIABLES, Variables};
use super::client::{self, ClientError, Credentials, Session};
use super::failure::Failure;
use super::record::{Answer, Record, first};
use super::sql::Sql;
use crate::database::Database;
use logic::contract::Quotas;
use outbound::Stream;
#[cfg(test)]
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use std::time::{Duration, Instant};
use tls::Trust;
use wire::UnixMillis;

/// Time limits for connecting and for each answer.
const CONNECT_TIME: Duration = Duration::from_secs(1);

const ANSWER_TIME: Duration = Duration::from_secs(5);

/// The time limit for changes of the schema: tables may be large.
const SCHEMA_TIME: Duration = Duration::from_secs(3600);

/// How long a change of a table waits for transactions that use it, seconds. Everything that arrives after it queues
/// behind it.
pub const SCHEMA_WAIT_S: u32 = 5;

/// How long the server keeps the lock of a node that is silent, seconds.
pub const LOCK_IDLE_S: u32 = 30;

/// The most bytes of SQL in one packet.
pub const PACKET: usize = PACKET_MIN as usize;

/// A database server, the credentials, and whether weak durability is accepted.
#[derive(Clone)]
pub struct Server {
    pub database: Database,
    pub password: Option<String>,
    /// With TLS, by these authorities; `None`: in plain text.
    pub trust: Option<Trust>,
    /// Whether to use a server that may lose acknowledged messages.
    pub accept_weak_durability: bool,
    pub quotas: Quotas,
    /// How many whole months are kept before the current one; 0: all. `None`: housekeeping leaves that alone.
    pub retention_months: Option<u32>,
    /// The database's clock, set by a test.
    #[cfg(test)]
    pub test_clock: Option<Arc<AtomicU64>>,
}

/// The purpose of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Transactions, which the server aborts if they stall.
    Writing,
    Reading,
    /// Creating and changing tables.
    Schema,
    /// Holding the lock of a node's name.
    Membership,
}

/// An open connection.
pub struct Connection {
    session: Session,
    /// The name of the database.
    database: String,
    pub quotas: Quotas,
    #[cfg(test)]
    test_clock: Option<Arc<AtomicU64>>,
}

/// An SQL expression for the database's clock, Unix milliseconds: the moment at which the statement began.
pub const NOW: &str = "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)";

/// The first month that is kept (see [`crate::retention`]).
pub const KEPT_FROM: &str = "COALESCE((SELECT kept_from FROM retention WHERE one = 1), 0)";

impl Connection {
    /// Connects and configures the session. `with_database`: selects the database, which must exist.
    pub fn open(target: &Server, purpose: Purpose, with_database: bool) -> Result<Connection, Failure> {
        let session = connect(target, purpose, with_database).map_err(|error| Failure::of(&error, 0))?;
        #[cfg(test)]
        let mut conn = Connection {
            session,
            database: target.database.name.clone(),
            quotas: target.quotas,
            test_clock: target.test_clock.clone(),
        };
        #[cfg(not(test))]
        let mut conn = Connection { session, database: target.database.name.clone(), quotas: target.quotas };
        conn.ask(&habits(purpose))?;
        Ok(conn)
    }

    /// Sends all statements in one round trip and returns one answer for each. After a failure the remaining statements
    /// are not executed.
    pub fn ask(&mut self, sql: &Sql) -> Result<Vec<Answer>, Failure> {
        let mut answers = Vec::with_capacity(sql.statements());
        let failed = |error: ClientError, after| Failure::of(&error, after).in_statement(&sql.outline(after));
        self.session.send(sql.as_str()).map_err(|error| failed(error, 0))?;
        while let Some(set) = self.session.next_answer().map_err(|error| failed(error, answers.len()))? {
            answers.push(Answer {
                rows: set.rows.into_iter().map(Record).collect(),
                changed: set.affected_rows,
                made: set.last_insert_id,
            });
        }
        if answers.len() == sql.statements() {
            return Ok(answers);
        }
        Err(Failure::lost("the database did not answer every statement"))
    }

    /// Sends one statement and returns its rows.
    pub fn rows(&mut self, sql: &Sql) -> Result<Vec<Record>, Failure> {
        Ok(self.ask(sql)?.pop().map(|answer| answer.rows).unwrap_or_default())
    }

    /// The statements that begin a transaction.
    pub fn begin(&self) -> Sql {
        let mut sql = Sql::new();
        self.set_clock(&mut sql);
        sql.statement("START TRANSACTION");
        sql
    }

    /// Ends a transaction and undoes what it did.
    pub fn roll_back(&mut self) -> Result<(), Failure> {
        let mut sql = Sql::new();
        self.ask(sql.statement("ROLLBACK")).map(drop)
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
        if let Some(test_clock) = &self.test_clock {
            let time = test_clock.load(Ordering::Relaxed);
            sql.statement(format_args!("SET timestamp = {}.{:03}", time / 1000, time % 1000));
        }
    }

    #[cfg(not(test))]
    fn set_clock(&self, _sql: &mut Sql) {}

    /// The name of the database.
    pub fn database(&self) -> &str {
        &self.database
    }

    pub fn ping(&mut self) -> Result<(), Failure> {
        self.session.ping().map_err(|error| Failure::of(&error, 0))
    }

    /// The server's variables that are checked.
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

/// Connects and logs in within a bounded time.
fn connect(target: &Server, purpose: Purpose, with_database: bool) -> Result<Session, ClientError> {
    let Database { user, host, port, name, .. } = &target.database;
    let mut stream = Stream::dial(host, *port, CONNECT_TIME)?;
    stream.set_deadline(Instant::now() + ANSWER_TIME);
    let credentials = Credentials {
        host,
        user,
        password: target.password.as_deref(),
        database: with_database.then_some(name.as_str()),
        trust: target.trust.as_ref(),
    };
    let mut session = client::log_in(stream, &credentials)?;
    session.set_limit(if purpose == Purpose::Schema { SCHEMA_TIME } else { ANSWER_TIME })?;
    Ok(session)
}

/// The settings of a session. The server aborts a transaction that stalls for 3 s (`wait_timeout` also applies inside
/// transactions, on MariaDB and MySQL), so that a frozen node holds no locks.
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
        Purpose::Membership => sql.statement(format_args!("SET SESSION wait_timeout = {LOCK_IDLE_S}")),
        Purpose::Reading => &mut sql,
    };
    sql
}

/// Sends one statement, written by `question`, and returns its rows.
pub fn rows_of(conn: &mut Connection, question: impl FnOnce(&mut Sql)) -> Result<Vec<Record>, Failure> {
    let mut sql = Sql::new();
    question(&mut sql);
    conn.rows(&sql)
}
