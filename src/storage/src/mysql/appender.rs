//! An appender thread: stores the messages of its share of the conversations and makes the changes of which their
//! entries tell.
//!
//! Order is kept within a conversation: when a job has to wait, because its conversation is locked by another node or
//! its outcome is in doubt, every later job of that conversation waits behind it. The outcome of a job in doubt is
//! reported only after the database has been consulted, however long that takes; logic meanwhile times out and answers
//! the sender.

use super::change::Change;
use super::failure::{Cause, Failure, Undone};
use super::member_cache::MemberCache;
use super::message::{self, LATE, Plan, QueuedAppend, Verdict};
use super::publish_barrier::PublishBarrier;
use super::reconnect::{AutoConnection, IDLE};
use super::schema;
use crate::counters::Counters;
use crate::failed_streams::FailedStreams;
use crate::fault;
use crate::outcome::Outcome;
use foldhash::HashSet;
use logic::contract::session::Write as SessionWrite;
use logic::contract::{Ticket, Write, Written};
use runtime::queue::Outbox;
use runtime::worker::{Mailbox, Next};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use wire::{ConversationId, UnixMillis};

/// The most messages and content bytes of one transaction.
const MESSAGES_MAX: usize = 2048;
const BYTES_MAX: usize = super::connection::PACKET / 4;
/// Attempts to store one message alone.
const TRIES: usize = 5;
/// The pause before a locked conversation is tried again.
const LOCKED_PAUSE: Duration = Duration::from_millis(10);
/// How long appends may stay in doubt at shutdown.
const END: Duration = Duration::from_secs(5);

/// A job of an appender. Jobs of one conversation are executed in order.
#[derive(Debug)]
pub enum Job {
    Append(QueuedAppend),
    Change(Change),
    /// Done once this appender has decided every job before it. The last appender to get there passes it to the writer.
    Settle(Arc<Ticket>),
}

impl Job {
    /// `None`: a new one, or none.
    fn conversation(&self) -> Option<ConversationId> {
        match self {
            Job::Append(entry) => Some(entry.conversation),
            Job::Change(change) => change.conversation(),
            Job::Settle(_) => None,
        }
    }

    fn is_in_doubt(&self) -> bool {
        match self {
            Job::Append(entry) => entry.is_in_doubt,
            Job::Change(change) => change.is_in_doubt,
            Job::Settle(_) => false,
        }
    }
}

/// The state of one appender thread.
pub struct Appender {
    number: usize,
    connection: AutoConnection,
    cache: MemberCache,
    /// The database's clock at the last batch.
    clock: Option<UnixMillis>,
    barrier: Arc<PublishBarrier>,
    writer: Outbox<Vec<(Ticket, Write)>>,
    outcomes: Outbox<Outcome>,
    waiting: Vec<Job>,
    /// The conversations with waiting jobs.
    held: HashSet<ConversationId>,
    failed: FailedStreams,
    /// Whether the database was unreachable at the last attempt.
    is_unreachable: bool,
    is_rejecting: bool,
    counters: Arc<Counters>,
}

impl Appender {
    /// Creates the `number`th of the appenders that share the barrier.
    pub fn new(
        number: usize,
        connection: AutoConnection,
        barrier: Arc<PublishBarrier>,
        writer: Outbox<Vec<(Ticket, Write)>>,
        outcomes: Outbox<Outcome>,
    ) -> Appender {
        Appender {
            number,
            connection,
            cache: MemberCache::default(),
            clock: None,
            barrier,
            writer,
            outcomes,
            waiting: Vec::new(),
            held: HashSet::default(),
            failed: FailedStreams::default(),
            is_unreachable: false,
            is_rejecting: false,
            counters: Arc::default(),
        }
    }

    /// What this appender counts about itself.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Runs until it is stopped and has nothing left to do.
    pub fn serve(mut self, mut mailbox: Mailbox<Vec<Job>>) {
        let mut give_up_at = None;
        loop {
            let pause = if self.waiting.is_empty() {
                self.connection.keep_open();
                self.counters.is_away.set(self.connection.is_lost());
                IDLE
            } else {
                let due = self.connection.due();
                due.map_or(LOCKED_PAUSE, |due| due.saturating_duration_since(Instant::now()))
            };
            match mailbox.next(Some(pause)) {
                Next::Batch(jobs) => self.waiting.extend(jobs),
                Next::Idle if self.waiting.is_empty() => continue,
                Next::Idle => {}
                Next::Stop if self.waiting.is_empty() => return,
                Next::Stop => {
                    if Instant::now() > *give_up_at.get_or_insert_with(|| Instant::now() + END) {
                        log::warn!("shutting down with {} appends in doubt", self.waiting.len());
                        return;
                    }
                    thread::sleep(pause);
                }
            }
            while self.waiting.len() < MESSAGES_MAX
                && let Some(jobs) = mailbox.try_next()
            {
                self.waiting.extend(jobs);
            }
            self.round();
        }
    }

    /// Tries every waiting job once.
    fn round(&mut self) {
        self.cache.bound();
        self.held.clear();
        self.is_unreachable = self.connection.due().is_some();
        let (mut run, mut bytes) = (Vec::new(), 0);
        for job in std::mem::take(&mut self.waiting) {
            match job {
                Job::Append(entry) => {
                    bytes += entry.append.bytes();
                    run.push(entry);
                    if run.len() >= MESSAGES_MAX || bytes >= BYTES_MAX {
                        bytes = 0;
                        self.store(std::mem::take(&mut run));
                    }
                }
                Job::Change(change) => {
                    bytes = 0;
                    self.store(std::mem::take(&mut run));
                    self.make(change);
                }
                Job::Settle(settle) => {
                    bytes = 0;
                    self.store(std::mem::take(&mut run));
                    self.settle(settle);
                }
            }
        }
        self.store(run);
        self.counters.is_away.set(self.connection.is_lost());
        self.lift_barrier();
    }

    /// Stores messages, or postpones them.
    fn store(&mut self, entries: Vec<QueuedAppend>) {
        let (held, entries): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .partition(|entry| self.is_unreachable || self.held.contains(&entry.conversation));
        self.postpone(held.into_iter().map(Job::Append));
        let follows = |entry: &QueuedAppend| !entry.is_in_doubt && self.failed.contains(entry.append.stream);
        let (failed, mut entries): (Vec<_>, Vec<_>) = entries.into_iter().partition(follows);
        self.publish(failed, std::iter::repeat(Verdict::Late));
        if entries.is_empty() {
            return;
        }
        let mut tries = 0;
        loop {
            tries += 1;
            let begun = Instant::now();
            let failure = match self.attempt(&mut entries) {
                Ok(plan) => {
                    let stored = plan.verdicts.iter().filter(|v| matches!(v, Verdict::Stored(_))).count();
                    self.counters.committed(stored, begun);
                    self.is_rejecting = false;
                    self.publish(entries, plan.verdicts);
                    break;
                }
                Err(failure) => failure,
            };
            let is_alone = entries.len() == 1;
            match failure.cause {
                // Repeat on a new connection, if one may be opened at once.
                Cause::Lost if tries < 3 && self.connection.due().is_none() => {}
                Cause::Lost => {
                    self.is_unreachable = true;
                    self.postpone(entries.into_iter().map(Job::Append));
                    break;
                }
                Cause::NoTable if tries < TRIES => {
                    // After days without a batch, that of the day in which cids were looked up is gone.
                    self.clock = None;
                    // If this fails, so does the next attempt.
                    let _ = self.connection.with(schema::keep_tables);
                }
                Cause::Conflict | Cause::Duplicate if tries == 1 || (is_alone && tries < TRIES) => {}
                Cause::Conflict if is_alone => {
                    self.publish(entries, [Verdict::Elsewhere]);
                    break;
                }
                // Split in halves down to single messages, so that one bad message does not fail the others.
                Cause::Conflict | Cause::Duplicate | Cause::Damaged if !is_alone => {
                    self.store_halves(entries);
                    break;
                }
                // Only messages that refer to others read tables of earlier months.
                Cause::NoTable | Cause::Refused if !is_alone && entries.iter().any(has_references) => {
                    self.store_halves(entries);
                    break;
                }
                cause => {
                    let verdict = match cause.is_permanent() {
                        true => Verdict::Failed,
                        false => Verdict::Late,
                    };
                    if cause == Cause::Damaged {
                        fault::report(&failure.to_string());
                    } else if !std::mem::replace(&mut self.is_rejecting, true) {
                        log::error!("the database rejects messages: {failure}");
                    }
                    let (in_doubt, rejected): (Vec<_>, Vec<_>) =
                        entries.into_iter().partition(|entry| entry.is_in_doubt);
                    self.publish(rejected, std::iter::repeat(verdict));
                    self.postpone(in_doubt.into_iter().map(Job::Append));
                    break;
                }
            }
        }
    }

    fn store_halves(&mut self, mut entries: Vec<QueuedAppend>) {
        let rest = entries.split_off(entries.len() / 2);
        self.store(entries);
        self.store(rest);
    }

    /// Tries once. After a failure, entries that may have been stored are marked as in doubt.
    fn attempt(&mut self, entries: &mut [QueuedAppend]) -> Result<Plan, Failure> {
        let Appender { cache, clock, barrier, number, .. } = self;
        let mut in_doubt = None;
        let done = self.connection.with(|conn| {
            let plan = Plan::make(conn, cache, clock, entries)?;
            barrier.raise(*number);
            match plan.execute(conn, entries) {
                Ok(()) => Ok(plan),
                Err(Undone { failure, is_in_doubt }) => {
                    in_doubt = is_in_doubt.then_some(plan);
                    Err(failure)
                }
            }
        });
        for (entry, verdict) in entries.iter_mut().zip(in_doubt.iter().flat_map(|plan| &plan.verdicts)) {
            entry.is_in_doubt |= matches!(verdict, Verdict::Stored(_));
        }
        done
    }

    /// Sends the outcomes; postpones entries whose conversations are locked elsewhere.
    fn publish(&mut self, entries: Vec<QueuedAppend>, verdicts: impl IntoIterator<Item = Verdict>) {
        let mut outcomes = Vec::with_capacity(entries.len());
        for (entry, verdict) in entries.into_iter().zip(verdicts) {
            if verdict == Verdict::Elsewhere {
                self.postpone([Job::Append(entry)].into_iter());
            } else {
                let stream = entry.append.stream;
                let (ticket, written) = message::outcome(entry, verdict, &self.cache);
                self.failed.note(stream, &written);
                outcomes.push((ticket, written));
            }
        }
        self.send(outcomes);
    }

    fn send(&self, outcomes: Vec<(Ticket, Written)>) {
        if !outcomes.is_empty() {
            // At shutdown logic may be gone already.
            let _ = self.outcomes.send(Outcome::Written(outcomes));
        }
    }

    /// Postpones jobs to the next round. While the database is unreachable only jobs in doubt wait; others are answered
    /// `Unavailable`, or `Failed` if it refuses this server.
    fn postpone(&mut self, jobs: impl Iterator<Item = Job>) {
        let mut outcomes = Vec::new();
        let is_refused = self.connection.is_refused();
        let undone = || if is_refused { Written::Failed } else { Written::Unavailable };
        for job in jobs {
            match job {
                Job::Append(entry) if self.is_unreachable && !entry.is_in_doubt => {
                    self.failed.note(entry.append.stream, &Written::Unavailable);
                    outcomes.push((entry.ticket, undone()));
                }
                Job::Change(change) if self.is_unreachable && !change.is_in_doubt => {
                    outcomes.push((change.ticket, undone()));
                }
                job => {
                    self.held.extend(job.conversation());
                    self.waiting.push(job);
                }
            }
        }
        self.send(outcomes);
    }

    /// Lifts this thread's barrier, unless some job is in doubt: it may be committed without an outcome.
    fn lift_barrier(&self) {
        if !self.waiting.iter().any(Job::is_in_doubt) {
            self.barrier.lift(self.number);
        }
    }

    /// Has settled what came before, or postpones that it has: some of it waits.
    fn settle(&mut self, settle: Arc<Ticket>) {
        if !self.waiting.is_empty() {
            return self.waiting.push(Job::Settle(settle));
        }
        if let Some(ticket) = Arc::into_inner(settle) {
            // At shutdown the writer may be gone already.
            let _ = self.writer.send(vec![(ticket, Write::Session(SessionWrite::Settle))]);
        }
    }

    /// Makes a change, or postpones it.
    fn make(&mut self, mut change: Change) {
        let is_held = change.conversation().is_some_and(|conversation| self.held.contains(&conversation));
        if self.is_unreachable || is_held {
            return self.postpone([Job::Change(change)].into_iter());
        }
        let mut tries = 0;
        let outcome = loop {
            tries += 1;
            let begun = Instant::now();
            let Appender { cache, barrier, number, .. } = self;
            let mut is_in_doubt = false;
            let done = self.connection.with(|conn| {
                let done = change.execute(conn, cache, &mut || barrier.raise(*number));
                done.map_err(|undone| {
                    is_in_doubt = undone.is_in_doubt;
                    undone.failure
                })
            });
            change.is_in_doubt |= is_in_doubt;
            match done {
                Ok(Some(written)) => {
                    self.is_rejecting = false;
                    self.counters.committed(1, begun);
                    break written;
                }
                Err(Failure { cause: Cause::Conflict | Cause::Lost, .. })
                    if tries < TRIES && self.connection.due().is_none() => {}
                Err(Failure { cause: Cause::NoTable, .. }) if tries < TRIES => {
                    // If this fails, so does the next attempt.
                    let _ = self.connection.with(schema::keep_tables);
                }
                undone => {
                    self.is_unreachable |= matches!(undone, Err(Failure { cause: Cause::Lost, .. }));
                    if let Err(failure) = &undone
                        && !self.is_unreachable
                        && !std::mem::replace(&mut self.is_rejecting, true)
                    {
                        log::error!("the database rejects a change: {failure}");
                    }
                    let is_locked = undone.is_ok() && change.since.elapsed() < LATE;
                    if is_locked || change.is_in_doubt {
                        return self.postpone([Job::Change(change)].into_iter());
                    }
                    match undone {
                        Err(failure) if failure.cause.is_permanent() => {
                            fault::report(&failure.to_string());
                            break Written::Failed;
                        }
                        _ => break Written::Unavailable,
                    }
                }
            }
        };
        self.send(vec![(change.ticket, outcome)]);
    }
}

fn has_references(entry: &QueuedAppend) -> bool {
    entry.append.references.is_some()
}
