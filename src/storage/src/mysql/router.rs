//! Routes each write to the thread that executes it.

use super::appender::Job;
use super::change::{Change, Work};
use super::failure::{Cause, Failure};
use super::message::QueuedAppend;
use super::reconnect::{AutoConnection, IDLE};
use super::targets::Targets;
use crate::failed_streams::FailedStreams;
use crate::fault;
use crate::outcome::Outcome;
use logic::contract::message::Append;
use logic::contract::{Ticket, Write, Written, message, session};
use runtime::queue::Outbox;
use runtime::worker::{Mailbox, Next};
use std::sync::Arc;
use std::time::Instant;
use wire::ConversationId;

/// Attempts after a lost connection or a conflict.
const TRIES: usize = 3;

/// Routes messages and changes that entries tell of to the appender of their conversation, and everything else to the
/// writer.
pub struct Router {
    pub connection: AutoConnection,
    pub targets: Targets,
    pub failed: FailedStreams,
    pub appenders: Vec<Outbox<Vec<Job>>>,
    pub writer: Outbox<Vec<(Ticket, Write)>>,
    pub outcomes: Outbox<Outcome>,
}

impl Router {
    pub fn serve(mut self, mut mailbox: Mailbox<Vec<(Ticket, Write)>>) {
        loop {
            self.connection.keep_alive();
            match mailbox.next(Some(IDLE)) {
                Next::Batch(batch) => self.route(batch),
                Next::Idle => {}
                Next::Stop => return,
            }
        }
    }

    fn route(&mut self, batch: Vec<(Ticket, Write)>) {
        let unknown: Vec<&Append> = batch
            .iter()
            .filter_map(|(_, write)| match write {
                Write::Message(message::Write::Append(append)) => Some(append),
                Write::Message(message::Write::AppendByToken(by)) => Some(&by.append),
                _ => None,
            })
            .filter(|append| self.targets.conversation(append).is_none())
            .collect();
        let learnt = if unknown.is_empty() {
            Ok(())
        } else {
            learn(&mut self.connection, &mut self.targets, &unknown)
        };
        let mut jobs: Vec<Vec<Job>> = self.appenders.iter().map(|_| Vec::new()).collect();
        let (mut changes, mut lost, mut settles) = (Vec::new(), Vec::new(), Vec::new());
        let since = Instant::now();
        for (ticket, write) in batch {
            match write {
                Write::Message(write) => {
                    let (append, token) = match write {
                        message::Write::Append(append) => (append, None),
                        message::Write::AppendByToken(by) => (by.append, Some(by.token)),
                    };
                    match self.targets.conversation(&append) {
                        Some(conversation) if !self.failed.contains(append.stream) => {
                            let is_in_doubt = false;
                            let entry =
                                QueuedAppend { ticket, conversation, append, token, since, is_in_doubt };
                            jobs[self.appender_of(conversation)].push(Job::Append(entry));
                        }
                        _ => lost.push((ticket, append)),
                    }
                }
                Write::Fenced(fence, write) => match work_of(*write) {
                    Ok(work) => {
                        let change = Change::new(ticket, Some(fence), work, since);
                        jobs[self.appender_for(&change)].push(Job::Change(change));
                    }
                    Err(write) => changes.push((ticket, Write::Fenced(fence, Box::new(write)))),
                },
                Write::Session(session::Write::Settle) => settles.push(ticket),
                other => match work_of(other) {
                    Ok(work) => {
                        let change = Change::new(ticket, None, work, since);
                        jobs[self.appender_for(&change)].push(Job::Change(change));
                    }
                    Err(other) => changes.push((ticket, other)),
                },
            }
        }
        // At shutdown these threads and logic may be gone already.
        for (jobs, appender) in jobs.into_iter().zip(&self.appenders).filter(|(jobs, _)| !jobs.is_empty()) {
            let _ = appender.send(jobs);
        }
        if !changes.is_empty() {
            let _ = self.writer.send(changes);
        }
        if !lost.is_empty() {
            let refused = self.refuse(lost, learnt);
            let _ = self.outcomes.send(Outcome::Written(refused));
        }
        for ticket in settles {
            self.settle(ticket);
        }
    }

    /// Passes a [`session::Write::Settle`] through all threads, behind everything that they were sent so far.
    fn settle(&self, ticket: Ticket) {
        let settle = Arc::new(ticket);
        let shares: Vec<Arc<Ticket>> = self.appenders.iter().map(|_| Arc::clone(&settle)).collect();
        drop(settle);
        for (share, appender) in shares.into_iter().zip(&self.appenders) {
            let _ = appender.send(vec![Job::Settle(share)]);
        }
    }

    /// The outcomes of messages without a conversation, found with one query. If the look-up succeeded, their targets
    /// do not exist.
    fn refuse(&mut self, lost: Vec<(Ticket, Append)>, learnt: Result<(), Failure>) -> Vec<(Ticket, Written)> {
        let is_certain = learnt.is_ok();
        let uncertain = match learnt {
            Err(failure) if failure.cause.is_permanent() => {
                fault::report(&failure.to_string());
                Written::Failed
            }
            _ => Written::Unavailable,
        };
        let Router { connection, targets, failed, .. } = self;
        let (stays, certain): (Vec<_>, Vec<_>) =
            lost.into_iter().partition(|(_, append)| !is_certain || failed.contains(append.stream));
        let appends: Vec<&Append> = certain.iter().map(|(_, append)| append).collect();
        let refusals = match appends.is_empty() {
            true => Vec::new(),
            false => connection.with(|conn| targets.refusals(conn, &appends)).unwrap_or_default(),
        };
        let refusals = refusals.into_iter().chain(std::iter::repeat(Written::Unavailable));
        let written = certain.into_iter().zip(refusals);
        let written = written.chain(stays.into_iter().map(|append| (append, uncertain.clone())));
        let mut answered = Vec::new();
        for ((ticket, append), written) in written {
            failed.note(append.stream, &written);
            answered.push((ticket, written));
        }
        answered
    }

    /// The appender of a change's conversation; new conversations are distributed by their creators.
    fn appender_for(&self, change: &Change) -> usize {
        self.appender_of(change.conversation().unwrap_or(ConversationId(change.actor().user.0)))
    }

    fn appender_of(&self, conversation: ConversationId) -> usize {
        conversation.0 as usize % self.appenders.len()
    }
}

/// The work of an appender; any other write is given back.
fn work_of(write: Write) -> Result<Work, Write> {
    match write {
        Write::Group(write) => Ok(Work::Group(write)),
        Write::Change(write) => Ok(Work::Entry(write)),
        other => Err(other),
    }
}

/// Resolves the targets of messages; repeats after a conflict or a lost connection.
fn learn(connection: &mut AutoConnection, targets: &mut Targets, unknown: &[&Append]) -> Result<(), Failure> {
    let mut tries = 0;
    loop {
        tries += 1;
        match connection.with(|conn| targets.learn(conn, unknown)) {
            Err(failure)
                if tries < TRIES
                    && matches!(failure.cause, Cause::Lost | Cause::Conflict)
                    && connection.due().is_none() => {}
            done => return done,
        }
    }
}
