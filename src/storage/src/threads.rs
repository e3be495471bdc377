//! The threads that drive an embedded store: one writes, several read.
//!
//! The store thread takes all waiting batches and commits them together. Under heavy load it first gathers for a
//! moment, as a commit costs the same for one message or a thousand; otherwise it does not wait. Housekeeping runs in
//! slices between commits: as many as needed to keep up with the incoming messages, and all of them when none arrive.

use crate::counters::Counters;
use crate::error::StoreError;
use crate::failed_streams::FailedStreams;
use crate::outcome::{BATCHES_MAX, Outcome};
use crate::read_queue::{READERS, ReadInbox, ReadOutbox, ReadThreads};
use crate::read_schedule::Next as NextRead;
use crate::store::{Reader, Store};
use foldhash::HashMap;
use logic::contract::message::StreamId;
use logic::contract::{Found, Ticket, Write, Written, message};
use runtime::queue::Outbox;
use runtime::watchdog::Role;
use runtime::worker::{Mailbox, Next, Worker};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// The approximate number of writes in one transaction; batches are not split.
const WRITES_MAX: usize = 2048;
/// A commit of at least this many writes indicates heavy load. Below it, gathering would only add latency: what arrives
/// during one commit forms the next.
const LOAD: usize = 32;
/// How long writes are gathered under heavy load. Measured with 500 pairs of clients: without gathering a message costs
/// more processor time; four times as long saves nothing more and adds latency.
const GATHER: Duration = Duration::from_micros(50);
/// After this time without a commit, housekeeping runs continuously. Until then a slice runs only when filing falls
/// behind: consecutive slices take the processor from incoming writes, and the more messages are filed together, the
/// less each costs.
const CALM: Duration = Duration::from_secs(1);
/// How often an idle store looks for due housekeeping: tables to create, expired tokens.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How long a rejected batch counts against the store.
const REJECTION_LASTS: Duration = Duration::from_secs(10);
/// The pause before failed housekeeping is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How long a stopping store files; the next start files what is left.
const FILE_AT_END: Duration = Duration::from_secs(10);

/// The running threads.
#[derive(Debug)]
pub struct Threads {
    writes: Outbox<Vec<(Ticket, Write)>>,
    store: Worker,
    readers: ReadThreads,
    counters: Arc<Counters>,
}

/// Starts the threads of a store, which send all outcomes and answers to `outcomes`. `clock_start` is the zero of the
/// clock on which the deadlines of reads are set.
pub fn start(
    store: Box<dyn Store>,
    outcomes: Outbox<Outcome>,
    clock_start: Instant,
) -> Result<Threads, StoreError> {
    let readers = (0..READERS).map(|_| store.reader()).collect::<Result<Vec<_>, _>>()?;
    let to_logic = outcomes.clone();
    let counters = Arc::<Counters>::default();
    let of_store = Arc::clone(&counters);
    let (store, writes) = Worker::with_mailbox(Role::Storage, "store", BATCHES_MAX, move |mailbox| {
        StoreThread {
            store,
            outcomes: to_logic,
            mailbox,
            last: 0,
            due: Instant::now(),
            is_rejecting: false,
            is_stuck: false,
            rejected: None,
            failed: FailedStreams::default(),
            counters: of_store,
        }
        .run();
    })?;
    let bodies = readers.into_iter().map(|reader| {
        let outcomes = outcomes.clone();
        move |inbox| answer(reader, inbox, &outcomes)
    });
    let readers = ReadThreads::start(clock_start, bodies.collect())?;
    Ok(Threads { writes, store, readers, counters })
}

impl Threads {
    pub fn writes(&self) -> Outbox<Vec<(Ticket, Write)>> {
        self.writes.clone()
    }

    pub fn reads(&self) -> ReadOutbox {
        self.readers.outbox()
    }

    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Finishes everything that is queued, files what is resident, closes the database. Nothing may be sent any more.
    pub fn stop(self) {
        // The readers first: the last connection to close removes the write-ahead log.
        self.readers.stop();
        self.store.stop();
    }
}

/// Answers reads until it is stopped.
fn answer(mut reader: Box<dyn Reader>, mut inbox: ReadInbox, outcomes: &Outbox<Outcome>) {
    while let Some(next) = inbox.next() {
        let (ticket, found) = match next {
            NextRead::Overdue(query) => (query.ticket, Found::Unavailable),
            NextRead::Run(query) => {
                let begun = Instant::now();
                let found = reader.read(&query.read);
                inbox.finished(query.lane, query.requester, begun);
                (query.ticket, found)
            }
        };
        // At shutdown logic may be gone already.
        let _ = outcomes.send(Outcome::Found(vec![(ticket, found)]));
    }
}

struct StoreThread {
    store: Box<dyn Store>,
    outcomes: Outbox<Outcome>,
    mailbox: Mailbox<Vec<(Ticket, Write)>>,
    /// The number of writes in the last commit.
    last: usize,
    /// When housekeeping is due.
    due: Instant,
    /// Whether the last batch was rejected because storage was unavailable.
    is_rejecting: bool,
    /// Whether the last slice of housekeeping failed.
    is_stuck: bool,
    /// When the last batch was rejected.
    rejected: Option<Instant>,
    failed: FailedStreams,
    counters: Arc<Counters>,
}

impl StoreThread {
    fn run(mut self) {
        if let Err(error) = self.serve() {
            log::error!("{error}");
            let _ = self.outcomes.send(Outcome::Fatal(error.to_string()));
        }
    }

    /// Runs until it is stopped. An error is fatal.
    fn serve(&mut self) -> Result<(), StoreError> {
        loop {
            let mut batch = match self.mailbox.next(Some(self.due.saturating_duration_since(Instant::now())))
            {
                Next::Batch(batch) => batch,
                Next::Idle => {
                    self.housekeep()?;
                    continue;
                }
                Next::Stop => return self.finish(),
            };
            self.take(&mut batch);
            self.gather(&mut batch);
            self.last = batch.len();
            let begun = Instant::now();
            self.write(batch)?;
            match self.is_rejecting {
                true => self.rejected = Some(Instant::now()),
                false => self.counters.committed(self.last, begun),
            }
            self.show();
            while self.store.is_behind() && (!self.is_stuck || self.due <= Instant::now()) {
                self.housekeep()?;
            }
            // A failed slice is tried again when it is due, even while messages arrive.
            if !self.is_stuck {
                self.due = Instant::now() + self.store.urgency().unwrap_or(CALM);
            }
        }
    }

    /// Takes the waiting batches, up to a bound.
    fn take(&self, batch: &mut Vec<(Ticket, Write)>) {
        while batch.len() < WRITES_MAX
            && let Some(more) = self.mailbox.try_next()
        {
            batch.extend(more);
        }
    }

    /// Under heavy load, waits once for more writes.
    fn gather(&self, batch: &mut Vec<(Ticket, Write)>) {
        if self.last >= LOAD && batch.len() < (2 * self.last).min(WRITES_MAX) {
            thread::sleep(GATHER);
            self.take(batch);
        }
    }

    fn write(&mut self, mut batch: Vec<(Ticket, Write)>) -> Result<(), StoreError> {
        let (outcomes, failed) = (&self.outcomes, &mut self.failed);
        // At shutdown logic may be gone already.
        let say = |written| drop(outcomes.send(Outcome::Written(written)));
        let rejected = batch.extract_if(.., |(_, write)| failed.contains(stream_of(write)));
        let rejected: Vec<_> = rejected.map(|(ticket, _)| (ticket, Written::Unavailable)).collect();
        if !rejected.is_empty() {
            say(rejected);
        }
        let streams = batch.iter().filter_map(|(ticket, write)| Some((*ticket, stream_of(write)?)));
        let streams: HashMap<Ticket, StreamId> = streams.collect();
        let written = self.store.write(batch, &mut |written| {
            if !streams.is_empty() {
                for (ticket, written) in &written {
                    failed.note(streams.get(ticket).copied(), written);
                }
            }
            say(written);
        });
        availability(written, &mut self.is_rejecting, "writes are rejected")?;
        Ok(())
    }

    /// Runs one slice of housekeeping.
    fn housekeep(&mut self) -> Result<(), StoreError> {
        let more = availability(self.store.housekeep(), &mut self.is_stuck, "filing is suspended")?;
        let pause = match more {
            Some(true) => Duration::ZERO,
            Some(false) if self.store.unfiled() > 0 => CALM,
            Some(false) => self.store.urgency().unwrap_or(LOOK_EVERY),
            None => RETRY_AFTER,
        };
        // While it is not known whether writes are accepted again, that is looked at often.
        let pause = if self.is_rejecting { pause.min(RETRY_AFTER) } else { pause };
        self.due = Instant::now() + pause;
        self.show();
        Ok(())
    }

    /// Shows others how the store is.
    fn show(&self) {
        self.counters.unfiled.set(self.store.unfiled() as u64);
        // Whoever asks before it sends clients here would otherwise wait for a write that never comes.
        let has_rejected = self.rejected.is_some_and(|at| at.elapsed() < REJECTION_LASTS);
        self.counters.is_away.set(self.is_stuck || (self.is_rejecting && has_rejected));
    }

    /// Files what is resident within a bounded time; the next start files the rest.
    fn finish(&mut self) -> Result<(), StoreError> {
        let until = Instant::now() + FILE_AT_END;
        self.store.close();
        while self.store.unfiled() > 0 && Instant::now() < until {
            if availability(self.store.housekeep(), &mut self.is_stuck, "filing is suspended")?.is_none() {
                break;
            }
        }
        Ok(())
    }
}

fn stream_of(write: &Write) -> Option<StreamId> {
    match write {
        Write::Message(message::Write::Append(append)) => append.stream,
        _ => None,
    }
}

/// Converts an unavailable storage to `None`, and logs once when it becomes unavailable and once when it is available
/// again.
fn availability<T>(
    result: Result<T, StoreError>,
    is_unavailable: &mut bool,
    consequence: &str,
) -> Result<Option<T>, StoreError> {
    match result {
        Ok(done) => {
            if std::mem::take(is_unavailable) {
                log::info!("storage is available again");
            }
            Ok(Some(done))
        }
        Err(error) if error.is_fatal() => Err(error),
        Err(error) => {
            if !std::mem::replace(is_unavailable, true) {
                log::error!("{error}; {consequence} until it is available again");
            }
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::append;
    use crate::store::Publish;
    use logic::contract::Read;
    use logic::contract::message::Append;
    use runtime::queue::{Bell, queue};
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use wire::{Target, UserId};

    /// Rejects its first batch and accepts the following ones. Falls behind with every batch and never runs out of
    /// housekeeping.
    #[derive(Default)]
    struct RejectsFirstBatch {
        has_refused: bool,
        is_behind: bool,
        slices: Arc<AtomicUsize>,
    }

    impl Store for RejectsFirstBatch {
        fn write(&mut self, writes: Vec<(Ticket, Write)>, publish: Publish<'_>) -> Result<(), StoreError> {
            let is_rejecting = !std::mem::replace(&mut self.has_refused, true);
            self.is_behind = true;
            let written = || if is_rejecting { Written::Unavailable } else { Written::Done };
            publish(writes.into_iter().map(|(ticket, _)| (ticket, written())).collect());
            match is_rejecting {
                true => Err(StoreError::Unavailable("the disk is full".to_owned())),
                false => Ok(()),
            }
        }

        fn read(&mut self, _: &Read) -> Found {
            Found::Unavailable
        }

        fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
            Ok(Box::new(UnavailableReader))
        }

        fn housekeep(&mut self) -> Result<bool, StoreError> {
            self.is_behind = false;
            self.slices.fetch_add(1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(1));
            Ok(true)
        }

        fn is_behind(&self) -> bool {
            self.is_behind
        }

        fn unfiled(&self) -> usize {
            0
        }
    }

    struct UnavailableReader;

    impl Reader for UnavailableReader {
        fn read(&mut self, _: &Read) -> Found {
            Found::Unavailable
        }
    }

    #[test]
    fn housekeeping_only_keeps_up_while_messages_arrive() {
        let bell = Arc::new(Bell::new());
        let (outbox, outcomes) = queue(64, &bell);
        let slices = Arc::new(AtomicUsize::new(0));
        let storage = start(
            Box::new(RejectsFirstBatch { slices: Arc::clone(&slices), ..RejectsFirstBatch::default() }),
            outbox,
            Instant::now(),
        )
        .unwrap();
        let mut checked = 0;
        for ticket in 0..20 {
            let written = Instant::now();
            let write = append(UserId(1), Target::User(UserId(2)), "", "x");
            storage.writes().send(vec![(Ticket(ticket), write)]).unwrap();
            while outcomes.try_recv().unwrap().is_none() {
                bell.wait(Some(Duration::from_secs(1)), || !outcomes.is_empty());
            }
            let before = slices.load(Ordering::SeqCst);
            thread::sleep(Duration::from_millis(20));
            let more = slices.load(Ordering::SeqCst) - before;
            // On a stalled machine the store may have been idle in between.
            if written.elapsed() < CALM {
                assert!(more <= 1, "{more} slices behind one write");
                checked += 1;
            }
        }
        assert!(checked > 0, "this machine is too slow for this test");
        storage.stop();
    }

    #[test]
    fn a_stream_is_rejected_after_its_first_failed_append() {
        let bell = Arc::new(Bell::new());
        let (outbox, outcomes) = queue(64, &bell);
        let storage = start(Box::<RejectsFirstBatch>::default(), outbox, Instant::now()).unwrap();
        let say = |ticket: u64, stream| match append(UserId(1), Target::User(UserId(2)), "", "x") {
            Write::Message(message::Write::Append(append)) => {
                (Ticket(ticket), Write::Message(message::Write::Append(Append { stream, ..append })))
            }
            _ => unreachable!(),
        };
        let answers = |writes: Vec<(Ticket, Write)>| {
            let wanted = writes.len();
            storage.writes().send(writes).unwrap();
            let (mut told, until) = (BTreeMap::new(), Instant::now() + Duration::from_secs(60));
            while told.len() < wanted {
                match outcomes.try_recv() {
                    Ok(Some(Outcome::Written(batch))) => {
                        told.extend(batch.into_iter().map(|(t, w)| (t.0, matches!(w, Written::Done))));
                    }
                    _ => assert!(Instant::now() < until, "no answer"),
                }
                bell.wait(Some(Duration::from_secs(1)), || !outcomes.is_empty());
            }
            told.into_values().collect::<Vec<_>>()
        };
        let (first, again) = (Some(StreamId(1)), Some(StreamId(2)));
        assert_eq!(answers(vec![say(1, first)]), [false]);
        assert_eq!(answers(vec![say(2, first), say(3, None), say(4, first)]), [false, true, false]);
        assert_eq!(answers(vec![say(1, again), say(2, again), say(4, again)]), [true; 3]);
        storage.stop();
    }
}
