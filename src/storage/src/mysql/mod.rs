//! A MySQL or MariaDB server as the database: of one node, or of all nodes of a cluster.
//!
//! Its own journal and group commit do what the embedded database's do, so messages go straight into their tables:
//! many in one transaction, in two round trips whatever their number ([`append`]), by several threads, each with the
//! conversations that fall to it ([`threads`]). Everything that decides whether a message may be stored is read after
//! the lock on its conversation, so that several nodes can do this at once.
//!
//! The answer to a COMMIT may be lost, and with it the knowledge whether it happened. Then the same messages are tried
//! again, and the look at their `cid`s, behind the lock that the lost transaction held, says what is true ([`scribe`]).

mod account;
mod append;
mod check;
mod clerk;
mod cursor;
mod curtain;
mod directory;
mod failure;
mod heads;
mod link;
mod record;
mod schema;
mod scribe;
mod sent;
mod session;
mod social;
mod sql;
#[cfg(test)]
mod tests;
mod threads;
mod timeline;
mod view;

pub use threads::Threads;

use super::{Outcome, StoreError};
use crate::{Database, Settings};
use failure::{Cause, Failure};
use link::{Link, Purpose, Target, accept};
use runtime::queue::Outbox;
use sql::Sql;
use std::thread;
use std::time::{Duration, Instant};

/// How long a start waits for a server that is not there yet.
const START_TIME: Duration = Duration::from_secs(5);
const START_PAUSE: Duration = Duration::from_millis(100);

/// A database that was looked at and brought up to date.
pub struct Mysql {
    target: Target,
}

impl Mysql {
    /// Connects, checks that nothing can be lost there, makes the database and its tables where they are missing.
    pub fn open(database: &Database, settings: &Settings) -> Result<Mysql, StoreError> {
        Mysql::prepare(Target {
            database: Database { password: None, ..database.clone() },
            password: settings.password.as_ref().or(database.password.as_ref()).cloned(),
            accept_weak_durability: settings.accept_weak_durability,
            #[cfg(test)]
            hands: None,
        })
    }

    fn prepare(target: Target) -> Result<Mysql, StoreError> {
        let mut link = wait_for(&target)?;
        let variables = link.variables()?;
        accept(&target, &variables)?;
        if let Some(sentence) = check::weakness(&variables) {
            log::warn!("{sentence}. storage.accept_weak_durability is true: IT IS USED AS IT IS");
        }
        schema::migrate(&mut link)?;
        schema::inspect(&mut link)?;
        schema::keep_tables(&mut link)?;
        Ok(Mysql { target })
    }

    /// Starts the threads; everything they have to say goes to `outcomes`.
    pub fn start(&self, outcomes: &Outbox<Outcome>) -> Result<Threads, StoreError> {
        Threads::start(&self.target, threads::SCRIBES, outcomes)
    }
}

/// A connection to the database, for a while also to a server that is only starting: a machine's services start at
/// the same time. What the server says no to is not tried again.
fn wait_for(target: &Target) -> Result<Link, StoreError> {
    let until = Instant::now() + START_TIME;
    let mut was_said = false;
    loop {
        match Link::open(target, Purpose::Schema, true) {
            Ok(link) => return Ok(link),
            Err(Failure { cause: Cause::NoDatabase, .. }) => make(target)?,
            Err(failure) if failure.cause == Cause::Lost && Instant::now() < until => {
                if !std::mem::replace(&mut was_said, true) {
                    log::warn!("{} cannot be reached yet: {failure}", target.database);
                }
                thread::sleep(START_PAUSE);
            }
            Err(failure) => {
                return Err(StoreError::Unsuitable(format!("{} cannot be used: {failure}", target.database)));
            }
        }
    }
}

/// Makes the database, if the account may.
fn make(target: &Target) -> Result<(), StoreError> {
    let name = &target.database.name;
    let create = format!("CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb4");
    let mut sql = Sql::new();
    sql.statement(&create);
    match Link::open(target, Purpose::Schema, false).and_then(|mut link| link.ask(&sql)) {
        Ok(_) => {
            log::info!("made the database `{name}`");
            Ok(())
        }
        Err(failure) => Err(StoreError::Unsuitable(format!(
            "there is no database `{name}`, and this account may not make it ({failure}); make it: {create}"
        ))),
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> StoreError {
        match failure.cause {
            Cause::Refused | Cause::NoDatabase => StoreError::Unsuitable(failure.to_string()),
            _ => StoreError::Unavailable(failure.to_string()),
        }
    }
}
