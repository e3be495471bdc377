//! Opening the database: waits for the server, checks it, creates or migrates the schema.

use super::check;
use super::connection::{Connection, Purpose, Server};
use super::deployment;
use super::failure::{Cause, Failure};
use super::membership::{self, Membership};
use super::name;
use super::publish_barrier::PublishBarrier;
use super::reader::MysqlReader;
use super::reconnect::{AutoConnection, accept};
use super::schema;
use super::sql::Sql;
use super::threads::{APPENDERS, Threads};
use crate::database::Database;
use crate::deployment::{Deployment, Joining};
use crate::error::StoreError;
use crate::machine::system_random;
use crate::outcome::Outcome;
use crate::settings::Settings;
use runtime::queue::Outbox;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// How long a start waits for a server that is not reachable yet.
const START_TIME: Duration = Duration::from_secs(5);

const START_PAUSE: Duration = Duration::from_millis(100);

/// A database that was checked and migrated.
pub struct Mysql {
    pub(super) target: Server,
    barrier: Arc<PublishBarrier>,
    membership: Option<Membership>,
}

impl Mysql {
    /// Connects, checks that the server cannot lose acknowledged messages, and creates the database and its tables if
    /// they are missing.
    pub fn open(database: &Database, settings: &Settings) -> Result<Mysql, StoreError> {
        Mysql::prepare(Server {
            database: Database { password: None, ..database.clone() },
            password: settings.password.as_ref().or(database.password.as_ref()).cloned(),
            trust: settings.trust.clone(),
            accept_weak_durability: settings.accept_weak_durability,
            quotas: settings.quotas,
            retention_months: Some(settings.retention_months),
            #[cfg(test)]
            test_clock: None,
        })
    }

    pub(super) fn prepare(target: Server) -> Result<Mysql, StoreError> {
        let mut conn = wait_for(&target)?;
        let variables = conn.variables()?;
        accept(&target, &variables)?;
        if let Some(sentence) = check::weakness(&variables) {
            log::warn!("{sentence}. Using it anyway, as storage.accept_weak_durability is true");
        }
        let place = target.database.to_string();
        if schema::check(&mut conn, &place)? {
            schema::migrate(&mut Connection::open(&target, Purpose::Schema, true)?, &place)?;
        }
        schema::inspect(&mut conn)?;
        name::claim_existing(&mut conn)?;
        schema::keep_tables(&mut conn)?;
        Ok(Mysql { target, barrier: Arc::new(PublishBarrier::new(APPENDERS)), membership: None })
    }

    /// Joins the deployment as a node of this name. [`Mysql::start`] then keeps the membership.
    pub fn join(&mut self, joining: Joining) -> Result<Deployment, StoreError> {
        let (deployment, membership) = membership::join(&self.target, joining, &mut system_random())?;
        self.membership = Some(membership);
        Ok(deployment)
    }

    /// Replaces the key of the bus.
    pub fn rotate_key(&self) -> Result<u32, StoreError> {
        let mut conn = Connection::open(&self.target, Purpose::Writing, true)?;
        deployment::rotate_key(&mut conn, &mut system_random())
    }

    /// A reader with a connection of its own, for another thread.
    pub fn reader(&self) -> MysqlReader {
        let connection = AutoConnection::new(&self.target, Purpose::Reading);
        MysqlReader::new(connection, Arc::clone(&self.barrier), Arc::default())
    }

    /// Starts the threads, which send outcomes and answers to `outcomes`.
    pub fn start(self, outcomes: &Outbox<Outcome>, clock_start: Instant) -> Result<Threads, StoreError> {
        let threads = Threads::start(&self.target, &self.barrier, outcomes, clock_start)?;
        match self.membership {
            Some(membership) => threads.with_membership(membership, outcomes),
            None => Ok(threads),
        }
    }
}

/// Connects, and for a while waits for a server that is still starting, as the services of a machine start together. A
/// rejection by the server is not retried.
fn wait_for(target: &Server) -> Result<Connection, StoreError> {
    let until = Instant::now() + START_TIME;
    let mut was_said = false;
    loop {
        match Connection::open(target, Purpose::Reading, true) {
            Ok(conn) => return Ok(conn),
            Err(Failure { cause: Cause::NoDatabase, .. }) => make(target)?,
            Err(failure) if failure.cause == Cause::Lost && Instant::now() < until => {
                if !std::mem::replace(&mut was_said, true) {
                    log::warn!("waiting for {}: {failure}", target.database);
                }
                thread::sleep(START_PAUSE);
            }
            Err(failure) => {
                return Err(StoreError::Unsuitable(format!("cannot use {}: {failure}", target.database)));
            }
        }
    }
}

/// Creates the database, if the account is allowed to.
fn make(target: &Server) -> Result<(), StoreError> {
    let name = &target.database.name;
    let create = format!("CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb4");
    let mut sql = Sql::new();
    sql.statement(&create);
    match Connection::open(target, Purpose::Reading, false).and_then(|mut conn| conn.ask(&sql)) {
        Ok(_) => {
            log::info!("created the database `{name}`");
            Ok(())
        }
        Err(failure) => Err(StoreError::Unsuitable(format!(
            "the database `{name}` does not exist, and this account may not create it ({failure}); create it with: {create}"
        ))),
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> StoreError {
        match failure.cause {
            cause if cause.is_permanent() => StoreError::Unsuitable(failure.to_string()),
            _ => StoreError::Unavailable(failure.to_string()),
        }
    }
}
