//! The threads that drive a store: one writes, one reads.
//!
//! The store thread takes all batches that wait and commits them as one. Under heavy load it gathers for a moment first, as
//! a commit costs the same for one message or a thousand; else it does not wait. Housekeeping is done in slices between commits: as many as keep it up with what comes in, and all of them when nothing does.

use crate::error::StoreError;
use crate::failed_streams::FailedStreams;
use crate::outcome::{BATCHES_MAX, Outcome};
use crate::store::{Reader, Store};
use foldhash::HashMap;
use logic::contract::message::StreamId;
use logic::contract::{Read, Ticket, Write, Written, message};
use runtime::queue::Outbox;
use runtime::watchdog::Role;
use runtime::worker::{Mailbox, Next, Worker};
use std::thread;
use std::time::{Duration, Instant};

/// Writes of one transaction, about: batches are taken whole.
const WRITES_MAX: usize = 2048;
/// A commit of at least so many writes says that the load is heavy. Below, waiting only makes answers late: what comes
/// during one commit is the next.
const LOAD: usize = 32;
/// How long writes are gathered then. Measured with 500 pairs: none costs more processor time a message, four times as
/// long saves no more and answers later.
const GATHER: Duration = Duration::from_micros(50);
/// After how long without a commit housekeeping goes on at once. Until then a slice is done only where it falls
/// behind: slices one after another take the processor from what comes in, and the more messages are filed together,
/// the less each costs.
const CALM: Duration = Duration::from_secs(1);
/// How often an idle store looks for housekeeping: tables ahead of time, expired tokens.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// When housekeeping that could not be done is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// What is not filed so long after the end is left to the next start.
const FILE_AT_END: Duration = Duration::from_secs(10);

/// The running threads.
#[derive(Debug)]
pub struct Threads {
    writes: Outbox<Vec<(Ticket, Write)>>,
    reads: Outbox<Vec<(Ticket, Read)>>,
    store: Worker,
    reader: Worker,
}

/// Starts the threads of a store, which send everything they have to say to `outcomes`.
pub fn start(store: Box<dyn Store>, outcomes: Outbox<Outcome>) -> Result<Threads, StoreError> {
    let reader = store.reader()?;
    let to_logic = outcomes.clone();
    let (store, writes) = Worker::with_mailbox(Role::Storage, "store", BATCHES_MAX, move |mailbox| {
        StoreThread {
            store,
            outcomes: to_logic,
            mailbox,
            last: 0,
            due: Instant::now(),
            refuses: false,
            is_stuck: false,
            failed: FailedStreams::default(),
        }
        .run();
    })?;
    let (reader, reads) = Worker::with_mailbox(Role::Storage, "read", BATCHES_MAX, move |mailbox| {
        answer(reader, mailbox, &outcomes);
    })?;
    Ok(Threads { writes, reads, store, reader })
}

impl Threads {
    pub fn writes(&self) -> Outbox<Vec<(Ticket, Write)>> {
        self.writes.clone()
    }

    pub fn reads(&self) -> Outbox<Vec<(Ticket, Read)>> {
        self.reads.clone()
    }

    /// Finishes everything that is queued, files what is resident, closes the database. Nothing may be sent any more.
    pub fn stop(self) {
        // The reader first: the last connection to close removes the write-ahead log.
        self.reader.stop();
        self.store.stop();
    }
}

/// Answers reads until it is stopped.
fn answer(
    mut reader: Box<dyn Reader>,
    mut mailbox: Mailbox<Vec<(Ticket, Read)>>,
    outcomes: &Outbox<Outcome>,
) {
    loop {
        match mailbox.next(None) {
            Next::Batch(batch) => {
                for (ticket, read) in batch {
                    // One by one, so that a quick answer does not wait for a slow one behind it. At shutdown logic
                    // may be gone already.
                    let _ = outcomes.send(Outcome::Found(vec![(ticket, reader.read(&read))]));
                }
            }
            Next::Idle => {}
            Next::Stop => return,
        }
    }
}

struct StoreThread {
    store: Box<dyn Store>,
    outcomes: Outbox<Outcome>,
    mailbox: Mailbox<Vec<(Ticket, Write)>>,
    /// Writes of the last commit.
    last: usize,
    /// When housekeeping is to be done.
    due: Instant,
    /// Whether the last batch was refused for lack of storage.
    refuses: bool,
    /// Whether the last slice of housekeeping could not be done.
    is_stuck: bool,
    failed: FailedStreams,
}

impl StoreThread {
    fn run(mut self) {
        if let Err(error) = self.serve() {
            log::error!("{error}");
            let _ = self.outcomes.send(Outcome::Fatal(error.to_string()));
        }
    }

    /// Serves until told to stop; an error is fatal.
    fn serve(&mut self) -> Result<(), StoreError> {
        loop {
            let mut batch = match self.mailbox.next(Some(self.due.saturating_duration_since(Instant::now())))
            {
                Next::Batch(batch) => batch,
                Next::Idle => {
                    self.keep_house()?;
                    continue;
                }
                Next::Stop => return self.finish(),
            };
            self.take(&mut batch);
            self.gather(&mut batch);
            self.last = batch.len();
            self.write(batch)?;
            while self.store.is_behind() && (!self.is_stuck || self.due <= Instant::now()) {
                self.keep_house()?;
            }
            // What could not be done is tried again when it is due, also while messages come.
            if !self.is_stuck {
                self.due = Instant::now() + CALM;
            }
        }
    }

    /// Takes what waits, up to a bound.
    fn take(&self, batch: &mut Vec<(Ticket, Write)>) {
        while batch.len() < WRITES_MAX
            && let Some(more) = self.mailbox.try_next()
        {
            batch.extend(more);
        }
    }

    /// Under heavy load, waits once for a moment.
    fn gather(&self, batch: &mut Vec<(Ticket, Write)>) {
        if self.last >= LOAD && batch.len() < (2 * self.last).min(WRITES_MAX) {
            thread::sleep(GATHER);
            self.take(batch);
        }
    }

    fn write(&mut self, mut batch: Vec<(Ticket, Write)>) -> Result<(), StoreError> {
        let (outcomes, failed) = (&self.outcomes, &mut self.failed);
        // Logic may be gone at the end: then nobody waits for an answer.
        let say = |written| drop(outcomes.send(Outcome::Written(written)));
        let given_back = batch.extract_if(.., |(_, write)| failed.has(stream_of(write)));
        let given_back: Vec<_> = given_back.map(|(ticket, _)| (ticket, Written::Unavailable)).collect();
        if !given_back.is_empty() {
            say(given_back);
        }
        let streams = batch.iter().filter_map(|(ticket, write)| Some((*ticket, stream_of(write)?)));
        let streams: HashMap<Ticket, StreamId> = streams.collect();
        let written = self.store.write(batch, &mut |written| {
            if !streams.is_empty() {
                for (ticket, written) in &written {
                    failed.learn(streams.get(ticket).copied(), written);
                }
            }
            say(written);
        });
        away(written, &mut self.refuses, "writes are refused")?;
        Ok(())
    }

    /// One slice of housekeeping.
    fn keep_house(&mut self) -> Result<(), StoreError> {
        let more = away(self.store.housekeep(), &mut self.is_stuck, "filing waits")?;
        let pause = match more {
            Some(true) => Duration::ZERO,
            Some(false) if self.store.backlog() > 0 => CALM,
            Some(false) => LOOK_EVERY,
            None => RETRY_AFTER,
        };
        self.due = Instant::now() + pause;
        Ok(())
    }

    /// Files what is resident, within a bounded time; the next start does what is left.
    fn finish(&mut self) -> Result<(), StoreError> {
        let until = Instant::now() + FILE_AT_END;
        while self.store.backlog() > 0 && Instant::now() < until {
            if away(self.store.housekeep(), &mut self.is_stuck, "filing waits")?.is_none() {
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

/// Passes a result on; `None`: storage is away. Says so once when it goes and once when it is back.
fn away<T>(
    result: Result<T, StoreError>,
    is_away: &mut bool,
    what_then: &str,
) -> Result<Option<T>, StoreError> {
    match result {
        Ok(done) => {
            if std::mem::take(is_away) {
                log::info!("storage is back");
            }
            Ok(Some(done))
        }
        Err(error) if error.is_fatal() => Err(error),
        Err(error) => {
            if !std::mem::replace(is_away, true) {
                log::error!("{error}; {what_then} until it is back");
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
    use logic::contract::Found;
    use logic::contract::message::Append;
    use runtime::queue::{Bell, queue};
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use wire::{Target, UserId};

    /// Refuses its first batch, and is there again for the next one. Falls behind with every batch, and has no end of
    /// housekeeping.
    #[derive(Default)]
    struct Fickle {
        has_refused: bool,
        is_behind: bool,
        slices: Arc<AtomicUsize>,
    }

    impl Store for Fickle {
        fn write(&mut self, writes: Vec<(Ticket, Write)>, publish: Publish<'_>) -> Result<(), StoreError> {
            let refuses = !std::mem::replace(&mut self.has_refused, true);
            self.is_behind = true;
            let written = || if refuses { Written::Unavailable } else { Written::Done };
            publish(writes.into_iter().map(|(ticket, _)| (ticket, written())).collect());
            match refuses {
                true => Err(StoreError::Unavailable("the disk is full".to_owned())),
                false => Ok(()),
            }
        }

        fn read(&mut self, _: &Read) -> Found {
            Found::Unavailable
        }

        fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
            Ok(Box::new(Mute))
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

        fn backlog(&self) -> usize {
            0
        }
    }

    struct Mute;

    impl Reader for Mute {
        fn read(&mut self, _: &Read) -> Found {
            Found::Unavailable
        }
    }

    #[test]
    fn while_messages_come_housekeeping_only_keeps_up() {
        let bell = Arc::new(Bell::new());
        let (outbox, outcomes) = queue(64, &bell);
        let slices = Arc::new(AtomicUsize::new(0));
        let storage =
            start(Box::new(Fickle { slices: Arc::clone(&slices), ..Fickle::default() }), outbox).unwrap();
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
            // A machine that stood still gave the store time to be idle.
            if written.elapsed() < CALM {
                assert!(more <= 1, "{more} slices behind one write");
                checked += 1;
            }
        }
        assert!(checked > 0, "this machine is too slow to tell");
        storage.stop();
    }

    #[test]
    fn what_follows_a_message_that_was_given_back_is_given_back() {
        let bell = Arc::new(Bell::new());
        let (outbox, outcomes) = queue(64, &bell);
        let storage = start(Box::<Fickle>::default(), outbox).unwrap();
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
