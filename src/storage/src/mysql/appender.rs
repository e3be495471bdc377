//! A store thread: stores the messages of the conversations that fall to it, and lets members in.
//!
//! What may not overtake it waits with it: behind a message that waits (its conversation is locked elsewhere, or it is
//! in doubt), whatever goes to the same conversation waits, too. Nothing is said of a message in doubt before the
//! database has been looked at, however long that takes; logic answers its sender in time by itself.

use super::failure::{Cause, Failure};
use super::group::{Join, admit};
use super::member_cache::MemberCache;
use super::message::{self, Entry, LATE, Plan, Undone, Verdict};
use super::publish_barrier::PublishBarrier;
use super::reconnect::AutoConnection;
use super::schema;
use crate::failed_streams::FailedStreams;
use crate::outcome::Outcome;
use foldhash::HashSet;
use logic::contract::{Ticket, Written};
use runtime::queue::Outbox;
use runtime::worker::{Mailbox, Next};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use wire::{ConversationId, UnixMillis};

/// Messages and content bytes of one transaction.
const MESSAGES_MAX: usize = 2048;
const BYTES_MAX: usize = super::connection::PACKET / 4;
/// Tries of one message by itself.
const TRIES: usize = 5;
/// Pause before what is locked elsewhere is tried again.
const LOCKED_PAUSE: Duration = Duration::from_millis(10);
/// How often an idle connection is used.
const IDLE: Duration = Duration::from_secs(1);
/// How long what is in doubt may stay so when the server stops.
const END: Duration = Duration::from_secs(5);

/// Something for a store thread to do, in the order of its conversation.
#[derive(Debug)]
pub enum Job {
    /// Store a message.
    Append(Entry),
    /// Let a user into a group.
    Join(Join),
}

impl Job {
    fn conversation(&self) -> ConversationId {
        match self {
            Job::Append(entry) => entry.conversation,
            Job::Join(join) => join.conversation,
        }
    }

    fn is_in_doubt(&self) -> bool {
        match self {
            Job::Append(entry) => entry.is_in_doubt,
            Job::Join(join) => join.is_in_doubt,
        }
    }
}

/// The state of one store thread.
pub struct Appender {
    number: usize,
    connection: AutoConnection,
    cache: MemberCache,
    /// What the database's clock said last.
    clock: Option<UnixMillis>,
    barrier: Arc<PublishBarrier>,
    outcomes: Outbox<Outcome>,
    waiting: Vec<Job>,
    /// The conversations in which something waits.
    held: HashSet<ConversationId>,
    failed: FailedStreams,
    /// Whether the database was away when it was last needed.
    is_away: bool,
    refuses: bool,
}

impl Appender {
    /// The `number`th of those that share the barrier.
    pub fn new(
        number: usize,
        connection: AutoConnection,
        barrier: Arc<PublishBarrier>,
        outcomes: Outbox<Outcome>,
    ) -> Appender {
        Appender {
            number,
            connection,
            cache: MemberCache::default(),
            clock: None,
            barrier,
            outcomes,
            waiting: Vec::new(),
            held: HashSet::default(),
            failed: FailedStreams::default(),
            is_away: false,
            refuses: false,
        }
    }

    /// Serves until told to stop and done.
    pub fn serve(mut self, mut mailbox: Mailbox<Vec<Job>>) {
        let mut give_up_at = None;
        loop {
            let pause = if self.waiting.is_empty() {
                self.connection.keep_alive();
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

    /// Tries everything that waits once.
    fn round(&mut self) {
        self.cache.bound();
        self.held.clear();
        self.is_away = self.connection.due().is_some();
        let (mut run, mut bytes) = (Vec::new(), 0);
        for job in std::mem::take(&mut self.waiting) {
            match job {
                Job::Append(entry) => {
                    bytes += entry.append.content.len();
                    run.push(entry);
                    if run.len() >= MESSAGES_MAX || bytes >= BYTES_MAX {
                        bytes = 0;
                        self.store(std::mem::take(&mut run));
                    }
                }
                Job::Join(join) => {
                    bytes = 0;
                    self.store(std::mem::take(&mut run));
                    self.let_in(join);
                }
            }
        }
        self.store(run);
    }

    /// Stores messages, or has them wait.
    fn store(&mut self, entries: Vec<Entry>) {
        let (held, entries): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| self.is_away || self.held.contains(&entry.conversation));
        self.postpone(held.into_iter().map(Job::Append));
        let follows = |entry: &Entry| !entry.is_in_doubt && self.failed.has(entry.append.stream);
        let (failed, mut entries): (Vec<_>, Vec<_>) = entries.into_iter().partition(follows);
        self.publish(failed, std::iter::repeat(Verdict::Late));
        if entries.is_empty() {
            return;
        }
        let mut tries = 0;
        loop {
            tries += 1;
            let failure = match self.attempt(&mut entries) {
                Ok(plan) => {
                    self.refuses = false;
                    self.publish(entries, plan.verdicts);
                    break;
                }
                Err(failure) => failure,
            };
            let is_alone = entries.len() == 1;
            match failure.cause {
                // On a new connection, if one can be made at once.
                Cause::Lost if tries < 3 && self.connection.due().is_none() => {}
                Cause::Lost => {
                    self.is_away = true;
                    self.postpone(entries.into_iter().map(Job::Append));
                    break;
                }
                Cause::NoTable if tries < TRIES => {
                    // Its failure is that of the next try.
                    let _ = self.connection.with(schema::keep_tables);
                }
                Cause::Conflict | Cause::Duplicate if tries == 1 || (is_alone && tries < TRIES) => {}
                Cause::Conflict if is_alone => {
                    self.publish(entries, [Verdict::Elsewhere]);
                    break;
                }
                // By halves, down to one, so that none costs the others.
                Cause::Conflict | Cause::Duplicate if !is_alone => {
                    let rest = entries.split_off(entries.len() / 2);
                    self.store(entries);
                    self.store(rest);
                    break;
                }
                _ => {
                    if !std::mem::replace(&mut self.refuses, true) {
                        log::error!("the database refuses messages: {failure}");
                    }
                    let (in_doubt, refused): (Vec<_>, Vec<_>) =
                        entries.into_iter().partition(|entry| entry.is_in_doubt);
                    self.publish(refused, std::iter::repeat(Verdict::Late));
                    self.postpone(in_doubt.into_iter().map(Job::Append));
                    break;
                }
            }
        }
        self.lift_barrier();
    }

    /// Tries once. After a failure those entries are in doubt that may have been stored.
    fn attempt(&mut self, entries: &mut [Entry]) -> Result<Plan, Failure> {
        let Appender { cache, clock, barrier, number, .. } = self;
        let mut in_doubt = None;
        let done = self.connection.with(|conn| {
            let plan = Plan::make(conn, cache, clock, entries)?;
            barrier.raise(*number);
            match plan.carry_out(conn, entries) {
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

    /// Queues the outcomes; what is locked elsewhere waits.
    fn publish(&mut self, entries: Vec<Entry>, verdicts: impl IntoIterator<Item = Verdict>) {
        let mut outcomes = Vec::with_capacity(entries.len());
        for (entry, verdict) in entries.into_iter().zip(verdicts) {
            if verdict == Verdict::Elsewhere {
                self.postpone([Job::Append(entry)].into_iter());
            } else {
                let stream = entry.append.stream;
                let (ticket, written) = message::outcome(entry, verdict, &self.cache);
                self.failed.learn(stream, &written);
                outcomes.push((ticket, written));
            }
        }
        self.say(outcomes);
    }

    fn say(&self, outcomes: Vec<(Ticket, Written)>) {
        if !outcomes.is_empty() {
            // Logic may be gone at the end: then nobody waits for an answer.
            let _ = self.outcomes.send(Outcome::Written(outcomes));
        }
    }

    /// Has jobs wait for the next round. While the database is away only what is in doubt may.
    fn postpone(&mut self, jobs: impl Iterator<Item = Job>) {
        let mut outcomes = Vec::new();
        for job in jobs {
            if self.is_away && !job.is_in_doubt() {
                if let Job::Append(entry) = &job {
                    self.failed.learn(entry.append.stream, &Written::Unavailable);
                }
                let (Job::Append(Entry { ticket, .. }) | Job::Join(Join { ticket, .. })) = job;
                outcomes.push((ticket, Written::Unavailable));
            } else {
                self.held.insert(job.conversation());
                self.waiting.push(job);
            }
        }
        self.say(outcomes);
    }

    /// Lets readers see what this thread has committed, unless some of it has no outcome yet.
    fn lift_barrier(&self) {
        let hides = |job: &Job| matches!(job, Job::Append(entry) if entry.is_in_doubt);
        if !self.waiting.iter().any(hides) {
            self.barrier.lift(self.number);
        }
    }

    /// Makes a user a member; what was said before stays unseen.
    fn let_in(&mut self, mut join: Join) {
        if self.is_away || self.held.contains(&join.conversation) {
            return self.postpone([Job::Join(join)].into_iter());
        }
        let mut tries = 0;
        let outcome = loop {
            tries += 1;
            let mut commits = false;
            let done = self.connection.with(|conn| admit(conn, &join, &mut commits));
            join.is_in_doubt |= commits && done.is_err();
            match done {
                Ok(Some(written)) => break written,
                Err(Failure { cause: Cause::Conflict | Cause::Lost, .. })
                    if tries < TRIES && self.connection.due().is_none() => {}
                undone => {
                    self.is_away |= matches!(undone, Err(Failure { cause: Cause::Lost, .. }));
                    let is_locked = undone.is_ok() && join.since.elapsed() < LATE;
                    if is_locked || join.is_in_doubt {
                        return self.postpone([Job::Join(join)].into_iter());
                    }
                    break Written::Unavailable;
                }
            }
        };
        self.say(vec![(join.ticket, outcome)]);
    }
}
