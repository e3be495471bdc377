//! The threads of a MySQL store.
//!
//! ```text
//!   logic --writes--> store --- messages, joins, by conversation --> store-1 .. store-n --+--> outcomes --> logic
//!     |                 |                                                 | (curtains)    |
//!     |                 +------ all else ------------------------------> clerk -----------+
//!     +------reads--------------------------------------------------> read-1 .. read-n ---+
//! ```
//!
//! `store` finds out which conversation each message goes to (and makes the direct ones that are missing) before it
//! hands it on, so all that goes to one conversation passes one thread in the order in which it came, however it was
//! addressed.

use super::append::Entry;
use super::clerk::Clerk;
use super::curtain::Curtains;
use super::directory::Directory;
use super::failure::{Cause, Failure};
use super::link::{Line, Purpose, Target};
use super::scribe::{Job, Join, Scribe};
use super::{account, schema, view};
use crate::grounded::Grounded;
use crate::thread::{Running, spawn};
use crate::{Outcome, StoreError, system_random};
use logic::contract::message::Append;
use logic::contract::{Epoch, Fence, Found, Read, Ticket, Write, Written, group, message};
use runtime::queue::{Bell, Inbox, Outbox};
use runtime::watchdog::{Pulse, Role};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use wire::ConversationId;

/// Threads that store messages.
pub const SCRIBES: usize = 4;
/// Tries to learn where messages go.
const TRIES: usize = 3;
/// How often an idle connection is used.
const IDLE: Duration = Duration::from_secs(1);
/// How often housekeeping is done, and how soon again where it could not be.
const HOUSE_EVERY: Duration = Duration::from_secs(60);
const HOUSE_AGAIN: Duration = Duration::from_secs(1);
/// Reads that are answered together.
const READS_MAX: usize = 32;
/// How long a commit may hide what a read has seen, before the read is given up.
const CURTAIN_TIME: Duration = Duration::from_secs(1);
/// Expired tokens that are deleted in one go.
const PRUNE_MAX: u64 = 500;

/// The running threads.
#[derive(Debug)]
pub struct Threads {
    writes: Outbox<Vec<(Ticket, Write)>>,
    reads: Outbox<Vec<(Ticket, Read)>>,
    router: Running,
    scribes: Vec<Running>,
    clerk: Running,
    reader: Running,
    keeper: Running,
}

impl Threads {
    /// Starts them, `scribes` of those that store messages; everything they have to say goes to `outcomes`.
    pub fn start(target: &Target, scribes: usize, outcomes: &Outbox<Outcome>) -> Result<Threads, StoreError> {
        let failed =
            |source: io::Error| StoreError::Unavailable(format!("a thread could not be started: {source}"));
        let curtains = Arc::new(Curtains::new(scribes));
        let line = |purpose| Line::new(target, purpose);
        let (mut running, mut doors) = (Vec::new(), Vec::new());
        for number in 0..scribes {
            let scribe = Scribe::new(number, line(Purpose::Writing), Arc::clone(&curtains), outcomes.clone());
            let name = format!("store-{}", number + 1);
            let (thread, jobs) =
                spawn(&name, move |inbox, bell, stopping| scribe.serve(&inbox, &bell, &stopping))
                    .map_err(failed)?;
            running.push(thread);
            doors.push(jobs);
        }
        let clerk = Clerk::new(line(Purpose::Writing), system_random(), outcomes.clone());
        let (clerk, changes) =
            spawn("clerk", move |inbox, bell, stopping| clerk.serve(&inbox, &bell, &stopping))
                .map_err(failed)?;
        let router = Router {
            line: line(Purpose::Writing),
            directory: Directory::new(),
            grounded: Grounded::default(),
            scribes: doors,
            clerk: changes,
            outcomes: outcomes.clone(),
        };
        let (router, writes) =
            spawn("store", move |inbox, bell, stopping| router.serve(&inbox, &bell, &stopping))
                .map_err(failed)?;
        let reader =
            Answers { line: line(Purpose::Reading), curtains, outcomes: outcomes.clone(), is_failing: false };
        let (reader, reads) =
            spawn("read", move |inbox, bell, stopping| reader.serve(&inbox, &bell, &stopping))
                .map_err(failed)?;
        let line = line(Purpose::Writing);
        let (keeper, _) =
            spawn("keeper", move |_: Inbox<()>, bell, stopping| keep_house(line, &bell, &stopping))
                .map_err(failed)?;
        Ok(Threads { writes, reads, router, scribes: running, clerk, reader, keeper })
    }

    pub fn writes(&self) -> Outbox<Vec<(Ticket, Write)>> {
        self.writes.clone()
    }

    pub fn reads(&self) -> Outbox<Vec<(Ticket, Read)>> {
        self.reads.clone()
    }

    /// Finishes all that is queued. Nobody may send any more.
    pub fn stop(self) {
        self.router.stop("store");
        for scribe in self.scribes {
            scribe.stop("store");
        }
        self.clerk.stop("clerk");
        self.reader.stop("read");
        self.keeper.stop("keeper");
    }
}

/// Hands each write to the thread that it falls to.
struct Router {
    line: Line,
    directory: Directory,
    grounded: Grounded,
    scribes: Vec<Outbox<Vec<Job>>>,
    clerk: Outbox<Vec<(Ticket, Write)>>,
    outcomes: Outbox<Outcome>,
}

impl Router {
    fn serve(mut self, inbox: &Inbox<Vec<(Ticket, Write)>>, bell: &Bell, stopping: &AtomicBool) {
        let stops = || stopping.load(Ordering::SeqCst);
        let mut pulse = Pulse::of(Role::Storage);
        loop {
            pulse.beat();
            match inbox.try_recv() {
                Ok(Some(batch)) => self.route(batch),
                Ok(None) if stops() => return,
                Ok(None) => {
                    self.line.keep_alive();
                    bell.wait(pulse.within(Some(IDLE)), || !inbox.is_empty() || stops());
                }
                Err(_) => return,
            }
        }
    }

    fn route(&mut self, batch: Vec<(Ticket, Write)>) {
        let unknown: Vec<&Append> = batch
            .iter()
            .filter_map(|(_, write)| match write {
                Write::Message(message::Write::Append(append))
                    if self.directory.conversation(append).is_none() =>
                {
                    Some(append)
                }
                _ => None,
            })
            .collect();
        let learnt =
            if unknown.is_empty() { Ok(()) } else { learn(&mut self.line, &mut self.directory, &unknown) };
        let mut jobs: Vec<Vec<Job>> = self.scribes.iter().map(|_| Vec::new()).collect();
        let (mut changes, mut lost) = (Vec::new(), Vec::new());
        let since = Instant::now();
        for (ticket, write) in batch {
            match write {
                Write::Message(message::Write::Append(append)) => {
                    match self.directory.conversation(&append) {
                        Some(conversation) if !self.grounded.has(append.stream) => {
                            let entry = Entry { ticket, conversation, append, since, is_in_doubt: false };
                            jobs[self.scribe_of(conversation)].push(Job::Append(entry));
                        }
                        _ => lost.push((ticket, append)),
                    }
                }
                Write::Group(group::Write::Join { user, conversation }) => {
                    let join = Join::new(ticket, Fence { user, epoch: Epoch::NONE }, conversation, since);
                    jobs[self.scribe_of(conversation)].push(Job::Join(join));
                }
                Write::Fenced(fence, write) => match *write {
                    Write::Group(group::Write::Join { conversation, .. }) => {
                        let join = Join::new(ticket, fence, conversation, since);
                        jobs[self.scribe_of(conversation)].push(Job::Join(join));
                    }
                    write => {
                        changes.push((ticket, Write::Fenced(fence, Box::new(write))));
                    }
                },
                other => changes.push((ticket, other)),
            }
        }
        // Threads and logic that are gone need nothing any more: the server ends.
        for (jobs, scribe) in jobs.into_iter().zip(&self.scribes).filter(|(jobs, _)| !jobs.is_empty()) {
            let _ = scribe.send(jobs);
        }
        if !changes.is_empty() {
            let _ = self.clerk.send(changes);
        }
        if !lost.is_empty() {
            let refused = self.refuse(lost, learnt.is_ok());
            let _ = self.outcomes.send(Outcome::Written(refused));
        }
    }

    /// What becomes of messages that have no conversation to go to, in one look; `is_certain`: because there is none.
    fn refuse(&mut self, lost: Vec<(Ticket, Append)>, is_certain: bool) -> Vec<(Ticket, Written)> {
        let Router { line, directory, grounded, .. } = self;
        let (stays, certain): (Vec<_>, Vec<_>) =
            lost.into_iter().partition(|(_, append)| !is_certain || grounded.has(append.stream));
        let appends: Vec<&Append> = certain.iter().map(|(_, append)| append).collect();
        let refusals = match appends.is_empty() {
            true => Vec::new(),
            false => line.with(|link| directory.refusals(link, &appends)).unwrap_or_default(),
        };
        let refusals = refusals.into_iter().chain(std::iter::repeat(Written::Unavailable));
        let written = certain.into_iter().zip(refusals);
        let written = written.chain(stays.into_iter().map(|append| (append, Written::Unavailable)));
        let mut told = Vec::new();
        for ((ticket, append), written) in written {
            grounded.learn(append.stream, &written);
            told.push((ticket, written));
        }
        told
    }

    fn scribe_of(&self, conversation: ConversationId) -> usize {
        conversation.0 as usize % self.scribes.len()
    }
}

/// Learns where messages go, again where something stands in the way.
fn learn(line: &mut Line, directory: &mut Directory, unknown: &[&Append]) -> Result<(), Failure> {
    let mut tries = 0;
    loop {
        tries += 1;
        match line.with(|link| directory.learn(link, unknown)) {
            Err(failure)
                if tries < TRIES
                    && matches!(failure.cause, Cause::Lost | Cause::Conflict)
                    && line.due().is_none() => {}
            done => return done,
        }
    }
}

/// The reading thread.
struct Answers {
    line: Line,
    curtains: Arc<Curtains>,
    outcomes: Outbox<Outcome>,
    is_failing: bool,
}

impl Answers {
    fn serve(mut self, inbox: &Inbox<Vec<(Ticket, Read)>>, bell: &Bell, stopping: &AtomicBool) {
        let stops = || stopping.load(Ordering::SeqCst);
        let mut batch: Vec<(Ticket, Read)> = Vec::new();
        let mut pulse = Pulse::of(Role::Storage);
        loop {
            pulse.beat();
            while batch.len() < READS_MAX
                && let Ok(Some(more)) = inbox.try_recv()
            {
                batch.extend(more);
            }
            if batch.is_empty() {
                if stops() && inbox.is_empty() {
                    return;
                }
                bell.wait(pulse.within(None), || !inbox.is_empty() || stops());
                continue;
            }
            // A few at a time: a quick answer does not wait for many slow ones after it.
            let rest = batch.split_off(batch.len().min(READS_MAX));
            self.answer(std::mem::replace(&mut batch, rest));
        }
    }

    /// Answers some, and tells what they show when logic knows of it.
    fn answer(&mut self, reads: Vec<(Ticket, Read)>) {
        let (mut found, mut behind) = (Vec::new(), Vec::new());
        for (ticket, read) in reads {
            let answer = self.find(&read);
            if view::shows_messages(&read) {
                behind.push((ticket, answer));
            } else {
                found.push((ticket, answer));
            }
        }
        self.say(found);
        if !behind.is_empty() {
            if !self.curtains.wait(CURTAIN_TIME) {
                behind.iter_mut().for_each(|(_, answer)| *answer = Found::Unavailable);
            }
            self.say(behind);
        }
    }

    fn say(&self, found: Vec<(Ticket, Found)>) {
        if !found.is_empty() {
            // Logic may be gone at the end.
            let _ = self.outcomes.send(Outcome::Found(found));
        }
    }

    fn find(&mut self, read: &Read) -> Found {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.line.with(|link| view::answer(link, read)) {
                Ok(found) => {
                    self.is_failing = false;
                    return found;
                }
                // A connection may have been lost long ago.
                Err(failure)
                    if tries < TRIES && failure.cause == Cause::Lost && self.line.due().is_none() => {}
                Err(failure) => {
                    if failure.cause != Cause::Lost && !std::mem::replace(&mut self.is_failing, true) {
                        log::error!("a read failed: {failure}");
                    }
                    return Found::Unavailable;
                }
            }
        }
    }
}

/// Makes tables ahead of time, drops those that nobody needs, forgets expired tokens.
fn keep_house(mut line: Line, bell: &Bell, stopping: &AtomicBool) {
    let mut due = Instant::now();
    while !stopping.load(Ordering::SeqCst) {
        if Instant::now() >= due {
            let kept = line.with(|link| {
                schema::keep_tables(link)?;
                while account::prune_tokens(link, PRUNE_MAX)? == PRUNE_MAX {}
                Ok(())
            });
            due = Instant::now() + if kept.is_ok() { HOUSE_EVERY } else { HOUSE_AGAIN };
            if let Err(failure) = kept
                && failure.cause != Cause::Lost
            {
                log::error!("housekeeping has to wait: {failure}");
            }
        }
        line.keep_alive();
        bell.wait(Some(IDLE), || stopping.load(Ordering::SeqCst));
    }
}
