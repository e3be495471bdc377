//! The threads of the index: one follows the timelines, one answers.

use crate::error::IndexError;
use crate::follower::{FollowError, Follower, SLICE, Step};
use crate::index::{Identity, Index};
use crate::pace::{Pace, Times};
use crate::query::answer;
use crate::queue::Queue;
use crate::reader::IndexReader;
use crate::source::Source;
use logic::contract::search::{self, Query};
use logic::{Found, Ticket};
use parking_lot::Mutex;
use runtime::queue::Bell;
use runtime::watchdog::Role;
use runtime::worker::{Control, Worker};
use rustix::process::{Pid, setpriority_process};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use wire::UnixMillis;

/// How long a query may take.
const QUERY_TIME: Duration = Duration::from_millis(400);
/// How often the follower looks for new entries.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Appends in flight from which on the follower gives way, and for how long before each slice.
const LOAD: usize = 64;
const GIVE_WAY: Duration = Duration::from_millis(50);
const GIVE_WAY_STEP: Duration = Duration::from_millis(5);
/// The pause before something that failed is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// Messages in one transaction of the index where others want the processors.
const SLICE_CONTENDED: usize = 128;
/// The priority of the follower's thread (getpriority(2): 20 is the lowest). See [`crate::pace`].
const NICE: i32 = 5;

#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the index is; its folder is made where it is missing.
    pub file: PathBuf,
    /// The database that is indexed.
    pub identity: Identity,
    /// The zero of the clock on which queries are due.
    pub clock_start: Instant,
}

/// How much storage has to do, as logic tells it.
#[derive(Clone, Debug, Default)]
pub struct Load(Arc<Appends>);

#[derive(Debug, Default)]
struct Appends {
    in_flight: AtomicUsize,
    /// Whether there were some since the follower looked.
    were_some: AtomicBool,
}

impl Load {
    /// Sets how many appends are in flight.
    pub fn set(&self, appends: usize) {
        self.0.in_flight.store(appends, Ordering::Relaxed);
        if appends > 0 {
            self.0.were_some.store(true, Ordering::Relaxed);
        }
    }

    fn is_high(&self) -> bool {
        self.0.in_flight.load(Ordering::Relaxed) >= LOAD
    }

    /// Whether there were appends since the last call.
    fn take(&self) -> bool {
        self.0.were_some.swap(false, Ordering::Relaxed)
    }
}

/// The running threads.
#[derive(Debug)]
pub struct Search {
    outbox: Outbox,
    searcher: Worker,
    follower: Worker,
    shared: Arc<Shared>,
}

/// The sending end of the queue of queries.
#[derive(Clone, Debug)]
pub struct Outbox(Arc<Inbox>);

#[derive(Debug)]
struct Inbox {
    bell: Arc<Bell>,
    state: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    queue: Queue,
    /// For which there was no room.
    refused: Vec<Query>,
}

impl Outbox {
    /// Adds queries. Every one is answered.
    pub fn send(&self, queries: Vec<Query>) {
        let mut state = self.0.state.lock();
        for query in queries {
            if let Err(query) = state.queue.push(query) {
                state.refused.push(query);
            }
        }
        drop(state);
        self.0.bell.ring();
    }
}

/// What the two threads share.
#[derive(Debug, Default)]
struct Shared {
    /// The number of the index that is in the file; 0: there is none that can be asked.
    index: AtomicU64,
    /// Messages before this time are indexed.
    indexed_to: AtomicU64,
    /// Whether a query met damage.
    is_damaged: AtomicBool,
}

/// Starts the threads, which read from `sources` and pass the answers to `answers`.
///
/// # Errors
/// If the system cannot start another thread.
pub fn start<S: Source + 'static>(
    settings: Settings,
    sources: [S; 2],
    load: Load,
    answers: impl FnMut(Ticket, Found) + Send + 'static,
) -> io::Result<Search> {
    let shared = Arc::new(Shared::default());
    let of_search = Arc::clone(&shared);
    let [following, asking] = sources;
    let bell = Arc::new(Bell::new());
    let inbox = Arc::new(Inbox { bell: Arc::clone(&bell), state: Mutex::default() });
    let searcher = Searcher {
        file: settings.file.clone(),
        clock_start: settings.clock_start,
        source: asking,
        answers,
        shared: Arc::clone(&shared),
        inbox: Arc::clone(&inbox),
        reader: None,
    };
    let searcher = Worker::spawn(Role::Search, "search", bell, move |control| searcher.run(control))?;
    let follower = Worker::spawn(Role::Search, "search-index", Arc::new(Bell::new()), move |control| {
        // Where it is refused, the follower still gives way to appends.
        let _ = setpriority_process(None::<Pid>, NICE);
        let mut thread = FollowerThread { settings, load, shared, control, serial: 0, complaint: None };
        thread.run(following);
    })?;
    Ok(Search { outbox: Outbox(inbox), searcher, follower, shared: of_search })
}

impl Search {
    pub fn outbox(&self) -> Outbox {
        self.outbox.clone()
    }

    pub fn progress(&self) -> Progress {
        Progress(Arc::clone(&self.shared))
    }

    /// Answers what waits, and ends. Nothing may be sent any more.
    pub fn stop(self) {
        self.searcher.stop();
        self.follower.stop();
    }
}

/// How far the index has come.
#[derive(Clone, Debug)]
pub struct Progress(Arc<Shared>);

impl Progress {
    /// Messages before this time can be found; 0: it is not known yet.
    pub fn indexed_to(&self) -> UnixMillis {
        UnixMillis(self.0.indexed_to.load(Ordering::SeqCst))
    }
}

struct Searcher<S, A> {
    file: PathBuf,
    clock_start: Instant,
    source: S,
    answers: A,
    shared: Arc<Shared>,
    inbox: Arc<Inbox>,
    /// With the number of its index.
    reader: Option<(u64, IndexReader)>,
}

impl<S: Source, A: FnMut(Ticket, Found)> Searcher<S, A> {
    fn run(mut self, mut control: Control) {
        loop {
            control.beat();
            // Read before the queue, so that every query sent before the stop is still found.
            let is_stopping = control.is_stopping();
            let (query, refused) = {
                let mut state = self.inbox.state.lock();
                (state.queue.pop(), std::mem::take(&mut state.refused))
            };
            let is_idle = query.is_none() && refused.is_empty();
            for query in refused {
                (self.answers)(query.ticket, Found::Search(search::Found::Busy));
            }
            if let Some(query) = query {
                let (ticket, user, begun) = (query.ticket, query.user, Instant::now());
                let found = self.find(query);
                self.inbox.state.lock().queue.charge(user, begun.elapsed().as_micros() as u64);
                (self.answers)(ticket, found);
            }
            if is_idle {
                if is_stopping {
                    return;
                }
                control.wait(None, || {
                    let state = self.inbox.state.lock();
                    control.is_stopping() || !state.queue.is_empty() || !state.refused.is_empty()
                });
            }
        }
    }

    fn find(&mut self, query: Query) -> Found {
        if query.due <= self.clock_start.elapsed().as_millis() as u64 {
            return Found::Search(search::Found::Busy);
        }
        let number = self.shared.index.load(Ordering::SeqCst);
        if number == 0 {
            self.reader = None;
            return Found::Unavailable;
        }
        match self.find_in(number, &query) {
            Ok(found) => found,
            Err(error) => {
                self.reader = None;
                if matches!(error, IndexError::Damaged(_))
                    && self.shared.index.load(Ordering::SeqCst) == number
                {
                    log::warn!("a query failed: {error}");
                    self.shared.is_damaged.store(true, Ordering::SeqCst);
                }
                Found::Unavailable
            }
        }
    }

    fn find_in(&mut self, number: u64, query: &Query) -> Result<Found, IndexError> {
        let reader = match self.reader.take() {
            Some((of, reader)) if of == number => reader,
            _ => IndexReader::open(&self.file)?,
        };
        reader.allow(QUERY_TIME);
        let indexed_to = UnixMillis(self.shared.indexed_to.load(Ordering::SeqCst));
        let found = answer(&reader, &mut self.source, query.user, &query.search, indexed_to);
        self.reader = Some((number, reader));
        found
    }
}

struct FollowerThread {
    settings: Settings,
    load: Load,
    shared: Arc<Shared>,
    control: Control,
    /// How many indexes this thread has opened.
    serial: u64,
    /// What was last logged as the reason why the index cannot be used.
    complaint: Option<String>,
}

impl FollowerThread {
    fn run(&mut self, mut source: impl Source) {
        while !self.control.is_stopping() {
            let identity = self.settings.identity.clone();
            match Index::open(&self.settings.file, &identity) {
                Ok((index, is_unverified)) => {
                    let follower = Follower::new(&mut source, index, identity, is_unverified);
                    self.follow(follower);
                }
                Err(error) => self.complain(&error),
            }
            self.pause(RETRY_AFTER);
        }
    }

    /// Follows until the index cannot be used, or the thread must stop.
    fn follow<S: Source>(&mut self, mut follower: Follower<S>) {
        self.publish();
        let mut pace = Pace::of_this_thread();
        let mut times = pace.lap();
        while !self.control.is_stopping() {
            if self.shared.is_damaged.swap(false, Ordering::SeqCst) {
                let Some(anew) = self.reset(follower) else { return };
                follower = anew;
            }
            self.give_way(times);
            let slice = if times.is_contended() { SLICE_CONTENDED } else { SLICE };
            pace.lap();
            let step = follower.step(slice);
            times = pace.lap();
            match step {
                Ok(Step::Worked { .. }) => self.recover(),
                Ok(Step::CaughtUp(time)) => {
                    self.recover();
                    self.shared.indexed_to.fetch_max(time.0, Ordering::SeqCst);
                    self.pause(LOOK_EVERY);
                }
                Err(FollowError::Database) => self.pause(RETRY_AFTER),
                Err(FollowError::Index(IndexError::Damaged(what))) => {
                    log::warn!("the search index is damaged and is made anew: {what}");
                    let Some(anew) = self.reset(follower) else { return };
                    follower = anew;
                }
                Err(FollowError::Index(error)) => {
                    self.complain(&error);
                    self.pause(RETRY_AFTER);
                }
            }
        }
    }

    fn reset<S: Source>(&mut self, follower: Follower<S>) -> Option<Follower<S>> {
        self.shared.index.store(0, Ordering::SeqCst);
        self.shared.indexed_to.store(0, Ordering::SeqCst);
        match follower.reset() {
            Ok(follower) => {
                self.publish();
                Some(follower)
            }
            Err(error) => {
                self.complain(&error);
                None
            }
        }
    }

    /// Lets queries use the index that is in the file now.
    fn publish(&mut self) {
        self.serial += 1;
        self.shared.is_damaged.store(false, Ordering::SeqCst);
        self.shared.index.store(self.serial, Ordering::SeqCst);
    }

    /// Logs why the index cannot be used, once. Until it can, queries are answered UNAVAILABLE.
    fn complain(&mut self, error: &IndexError) {
        self.shared.index.store(0, Ordering::SeqCst);
        let text = error.to_string();
        if self.complaint.as_ref() != Some(&text) {
            log::error!("{text}; messages cannot be searched until it can");
            self.complaint = Some(text);
        }
    }

    fn recover(&mut self) {
        if self.complaint.take().is_some() {
            log::info!("the search index can be used again");
            self.publish();
        }
    }

    /// Lets messages go first, for a bounded time. `times`: of the last slice.
    fn give_way(&self, times: Times) {
        if self.load.take() {
            self.pause(times.pause());
        }
        let until = Instant::now() + GIVE_WAY;
        while self.load.is_high() && Instant::now() < until && !self.control.is_stopping() {
            self.pause(GIVE_WAY_STEP);
        }
    }

    /// Waits, or returns at once where the thread must stop.
    fn pause(&self, time: Duration) {
        self.control.wait(Some(time), || self.control.is_stopping());
    }
}
