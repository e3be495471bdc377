//! Runs the conformance suite against the threads of a MySQL store on a real server.

mod locks;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../../../../server/tests/support/mariadb.rs"]
mod mariadb;
mod members;
#[path = "../../../../server/tests/support/ports.rs"]
mod ports;
mod retention;
mod rights;
#[path = "../../../../server/tests/support/system.rs"]
mod system;
mod threads;
mod unread;
mod upgrade;

use super::connection::{Connection, Purpose, Server};
use super::publish_barrier::PublishBarrier;
use super::record::first;
use super::sql::Sql;
use super::threads::Threads;
use super::{Mysql, schema, token};
use crate::conformance::{BEGIN, CASES, Fixture, Scenario};
use crate::error::StoreError;
use crate::header_cache::HeaderCache;
use crate::outcome::Outcome;
use crate::settings::StorageUrl;
use crate::store::{Publish, Reader, Store};
use logic::contract::{Found, Lane, Query, Quotas, Read, Requester, Ticket, Write, Written, message};
use mariadb::MariaDb;
use runtime::queue::{Bell, Inbox, queue};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use wire::UnixMillis;

const PATIENCE: Duration = Duration::from_secs(60);

/// A new database on the shared server, with a clock that the test sets.
fn target(test_clock: &Arc<AtomicU64>) -> Server {
    target_on(MariaDb::shared(), test_clock)
}

fn target_on(server: &MariaDb, test_clock: &Arc<AtomicU64>) -> Server {
    let StorageUrl::Mysql(database) = StorageUrl::parse(&server.url(&server.new_name())).unwrap() else {
        panic!()
    };
    let password = database.password.clone();
    let (quotas, test_clock) = (Quotas::default(), Some(Arc::clone(test_clock)));
    Server {
        database,
        password,
        trust: None,
        accept_weak_durability: false,
        quotas,
        retention_months: None,
        test_clock,
    }
}

/// A read whose answer is wanted whenever it comes.
fn query(ticket: u64, read: Read) -> Query {
    Query { ticket: Ticket(ticket), lane: Lane::System, requester: Requester::Node, due: None, read }
}

/// Waits for the next message of the threads.
fn next_outcome(outcomes: &Inbox<Outcome>, bell: &Bell) -> Outcome {
    let until = Instant::now() + PATIENCE;
    loop {
        match outcomes.try_recv() {
            Ok(Some(outcome)) => return outcome,
            _ => assert!(Instant::now() < until, "no answer in {PATIENCE:?}"),
        }
        bell.wait(Some(Duration::from_secs(1)), || !outcomes.is_empty());
    }
}

/// All threads of a store on that server, behind the synchronous interface of the suite.
struct OnServer {
    target: Server,
    test_clock: Arc<AtomicU64>,
    /// Months are dropped by `housekeep` only, not by the threads.
    retention_months: u32,
    threads: Option<Threads>,
    outcomes: Inbox<Outcome>,
    bell: Arc<Bell>,
    tickets: u64,
}

impl OnServer {
    fn new() -> OnServer {
        let test_clock = Arc::new(AtomicU64::new(BEGIN.0));
        let target = target(&test_clock);
        let bell = Arc::new(Bell::new());
        let (_, outcomes) = queue(1, &bell);
        let mut fixture =
            OnServer { target, test_clock, retention_months: 0, threads: None, outcomes, bell, tickets: 0 };
        fixture.open();
        fixture
    }

    fn open(&mut self) {
        Mysql::prepare(self.target.clone()).unwrap();
        let (outbox, inbox) = queue(4096, &self.bell);
        // One appender: cases rely on the order of a batch across conversations.
        self.threads = Some(
            Threads::start(&self.target, &Arc::new(PublishBarrier::new(1)), &outbox, Instant::now()).unwrap(),
        );
        self.outcomes = inbox;
    }

    fn now(&self) -> UnixMillis {
        UnixMillis(self.test_clock.load(Ordering::Relaxed))
    }

    fn outcome(&self) -> Outcome {
        next_outcome(&self.outcomes, &self.bell)
    }

    fn threads(&self) -> &Threads {
        self.threads.as_ref().unwrap()
    }

    fn cost_with(&self, headers: &HeaderCache, read: &Read) -> u64 {
        let mut conn = Connection::open(&self.target, Purpose::Reading, true).unwrap();
        let before = rows_read(&mut conn);
        let of_status = rows_read(&mut conn) - before;
        let before = rows_read(&mut conn);
        super::read::answer(&mut conn, headers, read).unwrap();
        rows_read(&mut conn) - before - of_status
    }
}

impl Store for OnServer {
    fn write(&mut self, batch: Vec<(Ticket, Write)>, publish: Publish<'_>) -> Result<(), StoreError> {
        let tickets: Vec<Ticket> = batch.iter().map(|(ticket, _)| *ticket).collect();
        // The writer does not wait for the appender, so a batch is split where messages and other writes alternate.
        let is_change =
            |write: &Write| !matches!(write, Write::Message(message::Write::Append(_)) | Write::Group(_));
        let mut written: HashMap<Ticket, Written> = HashMap::new();
        for part in batch.chunk_by(|a, b| is_change(&a.1) == is_change(&b.1)) {
            let wanted = written.len() + part.len();
            self.threads().writes().send(part.to_vec()).unwrap();
            while written.len() < wanted {
                match self.outcome() {
                    Outcome::Written(batch) => written.extend(batch),
                    other => panic!("{other:?}"),
                }
            }
        }
        publish(tickets.into_iter().map(|ticket| (ticket, written.remove(&ticket).unwrap())).collect());
        Ok(())
    }

    fn read(&mut self, read: &Read) -> Found {
        self.tickets += 1;
        self.threads().reads().send(vec![query(u64::MAX - self.tickets, read.clone())]).unwrap();
        match self.outcome() {
            Outcome::Found(mut found) if found.len() == 1 => found.pop().unwrap().1,
            other => panic!("{other:?}"),
        }
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        unreachable!("reads have their thread")
    }

    fn housekeep(&mut self) -> Result<bool, StoreError> {
        let mut conn = Connection::open(&self.target, Purpose::Schema, true)?;
        schema::keep_tables(&mut conn)?;
        while token::prune_tokens(&mut conn, 2)? > 0 {}
        while super::claim::prune(&mut conn, 2)? > 0 {}
        super::retention::keep(&mut conn, self.retention_months, || true)?;
        Ok(false)
    }

    fn is_behind(&self) -> bool {
        false
    }

    fn unfiled(&self) -> usize {
        0
    }
}

/// How many rows the connection has read so far, by key or by scanning.
fn rows_read(conn: &mut Connection) -> u64 {
    let mut sql = Sql::new();
    sql.statement("SHOW SESSION STATUS LIKE 'Handler_read%'");
    let rows = conn.rows(&sql).unwrap();
    rows.iter().map(|row| row.text(1).unwrap().parse::<u64>().unwrap()).sum()
}

impl Fixture for OnServer {
    fn store(&mut self) -> &mut dyn Store {
        self
    }

    fn restart(&mut self) {
        self.threads.take().unwrap().stop();
        self.open();
    }

    fn set_quotas(&mut self, quotas: Quotas) {
        self.target.quotas = quotas;
        self.restart();
    }

    fn sessions(&mut self) -> u64 {
        let mut sql = Sql::new();
        sql.statement("SELECT COUNT(*) FROM account_session");
        let rows = Connection::open(&self.target, Purpose::Reading, true).unwrap().rows(&sql).unwrap();
        first(&rows).unwrap().number(0).unwrap() as u64
    }

    /// Rows that the server reads.
    fn cost(&mut self, read: &Read) -> u64 {
        self.cost_with(&HeaderCache::default(), read)
    }

    fn cost_again(&mut self, read: &Read) -> u64 {
        let headers = HeaderCache::default();
        self.cost_with(&headers, read);
        self.cost_with(&headers, read)
    }

    fn set_retention(&mut self, months: u32) {
        self.retention_months = months;
    }

    fn housekeep_some(&mut self, slices: usize) {
        let mut conn = Connection::open(&self.target, Purpose::Schema, true).unwrap();
        schema::keep_tables(&mut conn).unwrap();
        let mut left = slices;
        let goes_on = || {
            left = left.saturating_sub(1);
            left > 0
        };
        super::retention::keep(&mut conn, self.retention_months, goes_on).unwrap();
    }

    fn forget_totals(&mut self) {
        let mut sql = Sql::new();
        sql.statement("DELETE FROM direct_total");
        Connection::open(&self.target, Purpose::Reading, true).unwrap().ask(&sql).unwrap();
    }

    fn set_time(&mut self, time: UnixMillis) {
        self.test_clock.store(time.0, Ordering::Relaxed);
    }

    fn forget_claims(&mut self) {
        let mut sql = Sql::new();
        sql.statement("DELETE FROM name_claim")
            .statement("DELETE FROM name_fold")
            .statement("UPDATE name_claimed SET user_id = 0");
        Connection::open(&self.target, Purpose::Reading, true).unwrap().ask(&sql).unwrap();
    }
}

impl Drop for OnServer {
    fn drop(&mut self) {
        if let Some(threads) = self.threads.take() {
            threads.stop();
        }
    }
}

#[test]
fn every_case_passes_on_a_server() {
    for (name, case) in CASES {
        println!("{name}");
        case(&mut Scenario::on(&mut OnServer::new()));
    }
}

#[test]
fn every_migration_can_be_repeated() {
    let target = target(&Arc::new(AtomicU64::new(BEGIN.0)));
    Mysql::prepare(target.clone()).unwrap();
    let mut conn = Connection::open(&target, Purpose::Schema, true).unwrap();
    let version = |conn: &mut Connection| {
        let mut sql = Sql::new();
        sql.statement("SELECT MAX(version) FROM schema_version");
        first(&conn.rows(&sql).unwrap()).unwrap().number(0).unwrap()
    };
    let newest = version(&mut conn);
    for done in 0..newest {
        // As if the node had been killed after the last statement of a migration.
        let mut sql = Sql::new();
        sql.statement(format_args!("DELETE FROM schema_version WHERE version > {done}"));
        conn.ask(&sql).unwrap();
        Mysql::prepare(target.clone()).unwrap();
        assert_eq!(version(&mut conn), newest);
    }
}

#[test]
fn the_expected_tables_are_those_that_the_migrations_make() {
    let target = target(&Arc::new(AtomicU64::new(BEGIN.0)));
    Mysql::prepare(target.clone()).unwrap();
    let mut conn = Connection::open(&target, Purpose::Reading, true).unwrap();
    schema::assert_expected(&mut conn);
}

#[test]
fn databases_of_other_programs_are_refused_and_left_as_they_are() {
    let server = MariaDb::shared();
    let target = target(&Arc::new(AtomicU64::new(BEGIN.0)));
    let name = target.database.name.clone();
    server.ask(&format!("CREATE DATABASE {name} CHARACTER SET utf8mb4"));
    let tables = || {
        let sql = format!(
            "SELECT table_name, column_name, data_type FROM information_schema.columns \
             WHERE table_schema = '{name}' ORDER BY table_name, ordinal_position"
        );
        format!("{:?}", server.ask(&sql))
    };
    let refused = |statement: &str| {
        server.ask(&statement.replace("DB", &name));
        let before = tables();
        let error = Mysql::prepare(target.clone()).err().expect("it is not ours").to_string();
        assert_eq!(tables(), before, "{error}");
        error
    };
    let error = refused("CREATE TABLE DB.orders (id INT)");
    let place = target.database.to_string();
    assert!(error.starts_with(&format!("{place} holds tables of another program (`orders`)")), "{error}");
    let error = refused("CREATE TABLE DB.schema_version (version INT NOT NULL)");
    assert!(error.contains("(`orders`)"), "{error}");
    refused("INSERT INTO DB.schema_version VALUES (900)");
    refused("CREATE TABLE DB.user (id INT, login VARCHAR(50))");
    server.ask(&format!("DROP TABLE {name}.orders, {name}.user, {name}.schema_version"));
    Mysql::prepare(target.clone()).unwrap();
    let error = refused("ALTER TABLE DB.user DROP COLUMN nick");
    assert!(error.contains("lacks the column `nick` of the table `user`"), "{error}");
    server.ask(&format!("ALTER TABLE {name}.user ADD COLUMN nick VARCHAR(200)"));
    Mysql::prepare(target.clone()).unwrap();
    let error = refused("INSERT INTO DB.schema_version VALUES (999)");
    assert!(error.contains("schema version 999"), "{error}");
}

/// A peer that accepts connections and never says a word.
#[test]
fn a_silent_server_is_given_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut target = target(&Arc::new(AtomicU64::new(BEGIN.0)));
    target.database.port = silent.local_addr().unwrap().port();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _ = sender.send(Connection::open(&target, Purpose::Schema, true).err());
        let _ = sender.send(Connection::open(&target, Purpose::Reading, true).err());
    });
    for _ in 0..2 {
        let failure = receiver.recv_timeout(PATIENCE).unwrap().expect("nobody answers");
        assert!(failure.to_string().contains("no answer within 5 s"), "{failure}");
    }
}

#[test]
fn a_migration_waits_for_a_table_in_use_and_then_names_the_reason() {
    let target = target(&Arc::new(AtomicU64::new(BEGIN.0)));
    Mysql::prepare(target.clone()).unwrap();
    let mut sql = Sql::new();
    sql.statement("ALTER TABLE node DROP COLUMN unheard_at")
        .statement("DELETE FROM schema_version WHERE version >= 3")
        .statement("START TRANSACTION")
        .statement("SELECT * FROM node");
    let mut user = Connection::open(&target, Purpose::Reading, true).unwrap();
    user.ask(&sql).unwrap();
    let refused = Mysql::prepare(target.clone()).err().expect("the table is in use").to_string();
    assert!(refused.contains("has been in use for 5 s: end the transaction"), "{refused}");
    drop(user);
    Mysql::prepare(target).unwrap();
}
