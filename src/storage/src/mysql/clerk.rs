//! The thread for all that is no message: accounts, tokens, friends, groups, cursors. One transaction a batch, in order.

use super::failure::{Cause, Failure};
use super::link::{Line, Link, NOW, first};
use super::sql::Sql;
use super::{account, cursor, session, social};
use crate::claim::Claim;
use crate::{Outcome, Random};
use logic::contract::{self, Ticket, Write, Written, contact, group, message, node, timeline};
use runtime::queue::{Bell, Inbox, Outbox};
use runtime::watchdog::{Pulse, Role};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Writes of one transaction, about: batches are taken whole.
const WRITES_MAX: usize = 256;
/// Tries of one write by itself.
const TRIES: usize = 5;
const IDLE: Duration = Duration::from_secs(1);

/// The state of the thread.
pub struct Clerk {
    line: Line,
    random: Random,
    outcomes: Outbox<Outcome>,
}

impl Clerk {
    /// One that works on this line.
    pub fn new(line: Line, random: Random, outcomes: Outbox<Outcome>) -> Clerk {
        Clerk { line, random, outcomes }
    }

    /// Serves until told to stop and done.
    pub fn serve(mut self, inbox: &Inbox<Vec<(Ticket, Write)>>, bell: &Bell, stopping: &AtomicBool) {
        let stops = || stopping.load(Ordering::SeqCst);
        let mut pulse = Pulse::of(Role::Storage);
        loop {
            pulse.beat();
            let mut batch = Vec::new();
            while batch.len() < WRITES_MAX
                && let Ok(Some(more)) = inbox.try_recv()
            {
                batch.extend(more);
            }
            if !batch.is_empty() {
                let outcomes = self.write(&batch);
                // Logic may be gone at the end: then nobody waits for an answer.
                let _ = self.outcomes.send(Outcome::Written(outcomes));
            } else if stops() && inbox.is_empty() {
                return;
            } else {
                self.line.keep_alive();
                bell.wait(pulse.within(Some(IDLE)), || !inbox.is_empty() || stops());
            }
        }
    }

    /// Carries out a batch: all at once, or, where something stands in the way, one by one.
    fn write(&mut self, batch: &[(Ticket, Write)]) -> Vec<(Ticket, Written)> {
        let tickets = batch.iter().map(|(ticket, _)| *ticket);
        let Undone { failure, is_in_doubt } = match self.attempt(batch) {
            Ok(written) => return tickets.zip(written).collect(),
            Err(undone) => undone,
        };
        log::debug!("writes are tried one by one: {failure}");
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
                    if self.line.due().is_some() =>
                {
                    break;
                }
                Err(Undone { failure, .. }) if failure.cause == Cause::Refused => {
                    log::error!("the database refuses a change: {failure}");
                    break;
                }
                Err(_) => {}
            }
        }
        Written::Unavailable
    }

    /// Tries once, in one transaction.
    fn attempt(&mut self, batch: &[(Ticket, Write)]) -> Result<Vec<Written>, Undone> {
        let (random, mut commits) = (&mut self.random, false);
        let done = self.line.with(|link| {
            let mut sql = link.begin();
            sql.statement(format_args!("SELECT {NOW}"));
            let now = first(&link.rows(&sql)?)?.time(0)?;
            let mut written = Vec::with_capacity(batch.len());
            for (_, write) in batch {
                written.push(execute(link, now, random, write)?);
            }
            commits = true;
            let mut sql = Sql::new();
            link.ask(sql.statement("COMMIT"))?;
            Ok(written)
        });
        done.map_err(|failure| Undone { failure, is_in_doubt: commits })
    }
}

/// Whether a write that may have happened can be done again without harm. A second group, a second claim that takes the
/// first for the session before it, or a friendship that is a conflict with itself would be wrong answers.
fn may_be_repeated(write: &Write) -> bool {
    match write {
        Write::Fenced(_, write) => may_be_repeated(write),
        // Nobody gets to know a token that was made in vain; it expires.
        Write::Session(contract::session::Write::CreateToken { .. })
        | Write::Session(contract::session::Write::ExtendToken { .. })
        | Write::Session(contract::session::Write::RevokeToken(_))
        | Write::Timeline(timeline::Write::MoveCursors(_))
        | Write::Session(contract::session::Write::Release { .. })
        | Write::Node(node::Write::See { .. }) => true,
        Write::Message(message::Write::Append(_))
        | Write::Account(contract::account::Write::Create { .. })
        | Write::Contact(contact::Write::Add { .. })
        | Write::Group(group::Write::Create { .. })
        | Write::Group(group::Write::Join { .. })
        | Write::Session(contract::session::Write::Claim { .. }) => false,
    }
}

/// A batch that was not carried out, or may have been.
struct Undone {
    failure: Failure,
    is_in_doubt: bool,
}

fn execute(
    link: &mut Link,
    now: wire::UnixMillis,
    random: &mut Random,
    write: &Write,
) -> Result<Written, Failure> {
    match write {
        Write::Account(contract::account::Write::Create { name, password, nick }) => {
            account::create(link, now, random, name, password, nick.as_deref())
        }
        Write::Session(contract::session::Write::CreateToken { user, device }) => {
            account::create_token(link, now, random, *user, device.as_deref())
        }
        Write::Session(contract::session::Write::ExtendToken { token }) => {
            account::extend_token(link, now, token)
        }
        Write::Session(contract::session::Write::RevokeToken(hash)) => account::revoke_token(link, hash),
        Write::Contact(contact::Write::Add { user, who }) => social::add_friend(link, *user, who),
        Write::Group(group::Write::Create { owner, name, desc }) => {
            social::create_group(link, now, *owner, name, desc)
        }
        Write::Timeline(timeline::Write::MoveCursors(moves)) => cursor::move_all(link, moves),
        Write::Fenced(fence, write) => match session::is_in_force(link, *fence)? {
            true => execute(link, now, random, write),
            false => Ok(Written::Superseded),
        },
        Write::Session(contract::session::Write::Claim { user, node, token, grace, unless_held }) => {
            let (user, grace, unless_held) = (*user, *grace, *unless_held);
            session::claim(link, now, &Claim { user, node, token, grace, unless_held })
        }
        Write::Session(contract::session::Write::Release { fence, ended }) => {
            session::release(link, now, *fence, *ended)
        }
        Write::Node(node::Write::See { node, unheard }) => session::see_node(link, now, node, *unheard),
        Write::Message(message::Write::Append(_)) | Write::Group(group::Write::Join { .. }) => {
            unreachable!("these go to the store threads")
        }
    }
}
