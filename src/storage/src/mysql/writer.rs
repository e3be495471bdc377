//! The writer thread: executes everything except messages and changes of groups, in order, one transaction a batch.

use super::connection::NOW;
use super::failure::{Cause, Failure};
use super::reconnect::{AutoConnection, IDLE};
use super::record::first;
use super::sql::Sql;
use super::write::{execute, lock_accounts, may_be_repeated};
use crate::fault;
use crate::machine::Random;
use crate::outcome::Outcome;
use logic::contract::{Ticket, Write, Written};
use runtime::queue::Outbox;
use runtime::worker::{Mailbox, Next};

/// The approximate number of writes in one transaction; batches are not split.
const WRITES_MAX: usize = 256;
/// Attempts to execute one write alone.
const TRIES: usize = 5;

/// The state of the writer thread.
pub struct Writer {
    connection: AutoConnection,
    random: Random,
    outcomes: Outbox<Outcome>,
}

impl Writer {
    pub fn new(connection: AutoConnection, random: Random, outcomes: Outbox<Outcome>) -> Writer {
        Writer { connection, random, outcomes }
    }

    /// Runs until it is stopped and has nothing left to do.
    pub fn serve(mut self, mut mailbox: Mailbox<Vec<(Ticket, Write)>>) {
        loop {
            self.connection.keep_alive();
            let mut batch = match mailbox.next(Some(IDLE)) {
                Next::Batch(batch) => batch,
                Next::Idle => continue,
                Next::Stop => return,
            };
            while batch.len() < WRITES_MAX
                && let Some(more) = mailbox.try_next()
            {
                batch.extend(more);
            }
            let outcomes = self.write(&batch);
            // At shutdown logic may be gone already.
            let _ = self.outcomes.send(Outcome::Written(outcomes));
        }
    }

    /// Executes a batch in one transaction, or after a failure write by write.
    pub fn write(&mut self, batch: &[(Ticket, Write)]) -> Vec<(Ticket, Written)> {
        let tickets = batch.iter().map(|(ticket, _)| *ticket);
        let Undone { failure, is_in_doubt } = match self.attempt(batch) {
            Ok(written) => return tickets.zip(written).collect(),
            Err(undone) => undone,
        };
        log::debug!("executing a batch write by write after a failure: {failure}");
        let try_one = |one: &(Ticket, Write)| match is_in_doubt && !may_be_repeated(&one.1) {
            true => (one.0, Written::Unavailable),
            false => (one.0, self.write_one(one)),
        };
        batch.iter().map(try_one).collect()
    }

    fn write_one(&mut self, one: &(Ticket, Write)) -> Written {
        for _ in 0..TRIES {
            match self.attempt(std::slice::from_ref(one)) {
                Ok(mut written) => return written.pop().unwrap_or(Written::Unavailable),
                Err(Undone { is_in_doubt: true, .. }) => break,
                Err(Undone { failure: Failure { cause: Cause::Lost, .. }, .. })
                    if self.connection.due().is_some() =>
                {
                    break;
                }
                Err(Undone { failure, .. }) if failure.cause.is_permanent() => {
                    fault::report(&failure.to_string());
                    return Written::Failed;
                }
                Err(_) => {}
            }
        }
        Written::Unavailable
    }

    /// Tries once, in one transaction.
    fn attempt(&mut self, batch: &[(Ticket, Write)]) -> Result<Vec<Written>, Undone> {
        let (random, mut commits) = (&mut self.random, false);
        let done = self.connection.with(|conn| {
            let mut sql = conn.begin();
            lock_accounts(&mut sql, batch.iter().map(|(_, write)| write));
            sql.statement(format_args!("SELECT {NOW}"));
            let now = first(&conn.rows(&sql)?)?.time(0)?;
            let mut written = Vec::with_capacity(batch.len());
            for (_, write) in batch {
                written.push(execute(conn, now, random, write)?);
            }
            commits = true;
            let mut sql = Sql::new();
            conn.ask(sql.statement("COMMIT"))?;
            Ok(written)
        });
        done.map_err(|failure| Undone { failure, is_in_doubt: commits })
    }
}

/// A batch that failed, or may have been executed.
struct Undone {
    failure: Failure,
    is_in_doubt: bool,
}
