//! The queue in front of the read threads: logic pushes batches of queries, several threads take them in the order of
//! the [`ReadSchedule`].

use crate::read_schedule::{Next, ReadSchedule};
use logic::contract::{Lane, Query, Requester, Ticket};
use parking_lot::{Mutex, MutexGuard};
use runtime::queue::{Bell, Gone};
use runtime::watchdog::Role;
use runtime::worker::{Control, Worker};
use std::io;
use std::sync::Arc;
use std::time::Instant;

/// The number of threads that read, each with a connection of its own.
pub const READERS: usize = 2;

/// The sending end of the queue.
#[derive(Clone, Debug)]
pub struct ReadOutbox(Arc<ReadQueue>);

#[derive(Debug)]
struct ReadQueue {
    /// The zero of the clock on which deadlines are set.
    clock_start: Instant,
    state: Mutex<State>,
    /// The bell of each thread.
    bells: Vec<Arc<Bell>>,
}

#[derive(Debug, Default)]
struct State {
    schedule: ReadSchedule,
    /// The threads that found nothing and may sleep.
    idle: Vec<usize>,
    has_ended: bool,
}

impl ReadOutbox {
    /// Queries that need not be run any more, if they still wait. They are answered.
    pub fn forget(&self, unwanted: impl Iterator<Item = (Requester, Ticket)>) {
        let mut state = self.0.state.lock();
        unwanted.for_each(|(requester, ticket)| state.schedule.forget_query(requester, ticket));
    }

    /// Adds queries and wakes as many threads as they need. Never waits for the database.
    ///
    /// # Errors
    /// If the threads have ended.
    pub fn send(&self, queries: Vec<Query>) -> Result<(), Gone> {
        let mut state = self.0.state.lock();
        if state.has_ended {
            return Err(Gone);
        }
        queries.into_iter().for_each(|query| state.schedule.push(query));
        self.0.wake(state);
        Ok(())
    }
}

impl ReadQueue {
    /// Wakes as many threads as there is work for.
    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let needed = state.schedule.ready().min(state.idle.len());
        let kept = state.idle.len() - needed;
        let woken = state.idle.split_off(kept);
        drop(state);
        woken.into_iter().for_each(|thread| self.bells[thread].ring());
    }
}

/// Takes queries on behalf of one thread.
#[derive(Debug)]
pub struct ReadInbox {
    queue: Arc<ReadQueue>,
    thread: usize,
    control: Control,
}

impl ReadInbox {
    /// The next query, waiting for it; `None`: the thread must stop, and nothing is left for it.
    pub fn next(&mut self) -> Option<Next> {
        loop {
            self.control.beat();
            // Read before the queue, so that every query sent before the stop is still found.
            let is_stopping = self.control.is_stopping();
            if let Some(next) = self.take(true) {
                return Some(next);
            }
            if is_stopping {
                return None;
            }
            let has_work = || self.control.is_stopping() || self.queue.state.lock().schedule.ready() > 0;
            self.control.wait(None, has_work);
        }
    }

    /// The next query, if there is one. Never waits.
    pub fn try_next(&mut self) -> Option<Next> {
        self.take(false)
    }

    fn take(&self, goes_idle: bool) -> Option<Next> {
        let now = self.queue.clock_start.elapsed().as_millis() as u64;
        let mut state = self.queue.state.lock();
        state.idle.retain(|thread| *thread != self.thread);
        let next = state.schedule.next(now);
        if next.is_none() && goes_idle {
            state.idle.push(self.thread);
        }
        next
    }

    /// Leaves what waits to the other threads, before this one waits for something else.
    pub fn pass_on(&self) {
        self.queue.wake(self.queue.state.lock());
    }

    /// Charges the requester of a query that began to run at `begun`.
    pub fn finished(&self, lane: Lane, requester: Requester, begun: Instant) {
        let micros = begun.elapsed().as_micros() as u64;
        self.queue.state.lock().schedule.finished(lane, requester, micros);
    }
}

/// The threads that read.
#[derive(Debug)]
pub struct ReadThreads {
    queue: Arc<ReadQueue>,
    threads: Vec<Worker>,
}

impl ReadThreads {
    /// Starts a thread for each body. `clock_start`: the zero of the clock on which deadlines are set.
    pub fn start<B: FnOnce(ReadInbox) + Send + 'static>(
        clock_start: Instant,
        bodies: Vec<B>,
    ) -> io::Result<ReadThreads> {
        let bells = bodies.iter().map(|_| Arc::new(Bell::new())).collect();
        let queue = Arc::new(ReadQueue { clock_start, state: Mutex::default(), bells });
        let mut threads = Vec::new();
        for (thread, body) in bodies.into_iter().enumerate() {
            let (inbox_queue, bell) = (Arc::clone(&queue), Arc::clone(&queue.bells[thread]));
            let name = format!("read-{}", thread + 1);
            threads.push(Worker::spawn(Role::Storage, &name, bell, move |control| {
                body(ReadInbox { queue: inbox_queue, thread, control });
            })?);
        }
        Ok(ReadThreads { queue, threads })
    }

    pub fn outbox(&self) -> ReadOutbox {
        ReadOutbox(Arc::clone(&self.queue))
    }

    /// Answers everything that waits, then ends.
    pub fn stop(self) {
        self.threads.into_iter().for_each(Worker::stop);
        self.queue.state.lock().has_ended = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use logic::contract::{Read, Ticket, contact};
    use runtime::queue::{Inbox, Outbox, queue};
    use std::time::Duration;
    use wire::UserId;

    const GREEDY: UserId = UserId(1);
    const PATIENCE: Duration = Duration::from_secs(20);

    fn query(ticket: u64, lane: Lane, user: UserId) -> Query {
        let read = Read::from(contact::Read::FriendIds { user });
        Query { ticket: Ticket(ticket), lane, requester: Requester::Account(user), due: None, read }
    }

    /// A reader that stays in each query of `GREEDY` until the test lets it go on.
    fn read(mut inbox: ReadInbox, gate: &crossbeam_channel::Receiver<()>, answers: &Outbox<(u64, bool)>) {
        while let Some(next) = inbox.next() {
            let (query, is_run) = match next {
                Next::Run(query) => (query, true),
                Next::Overdue(query) => (query, false),
            };
            if is_run {
                let begun = Instant::now();
                if query.requester == Requester::Account(GREEDY) {
                    gate.recv_timeout(PATIENCE).expect("the test lets it go on");
                }
                inbox.finished(query.lane, query.requester, begun);
            }
            answers.send((query.ticket.0, is_run)).expect("the test reads answers");
        }
    }

    struct Fixture {
        threads: ReadThreads,
        gate: crossbeam_channel::Sender<()>,
        bell: Arc<Bell>,
        answers: Inbox<(u64, bool)>,
    }

    impl Fixture {
        fn new() -> Fixture {
            let (open_gate, gate) = crossbeam_channel::unbounded();
            let bell = Arc::new(Bell::new());
            let (outbox, answers) = queue(1_024, &bell);
            let bodies = (0..READERS).map(|_| {
                let (gate, outbox) = (gate.clone(), outbox.clone());
                move |inbox| read(inbox, &gate, &outbox)
            });
            let threads = ReadThreads::start(Instant::now(), bodies.collect()).unwrap();
            Fixture { threads, gate: open_gate, bell, answers }
        }

        fn answer(&self) -> (u64, bool) {
            let until = Instant::now() + PATIENCE;
            loop {
                if let Ok(Some(answer)) = self.answers.try_recv() {
                    return answer;
                }
                assert!(Instant::now() < until, "no answer in {PATIENCE:?}");
                self.bell.wait(Some(Duration::from_secs(1)), || !self.answers.is_empty());
            }
        }
    }

    #[test]
    fn slow_reads_of_one_account_delay_no_other() {
        let fixture = Fixture::new();
        let outbox = fixture.threads.outbox();
        outbox.send((0..31).map(|ticket| query(ticket, Lane::Request, GREEDY)).collect()).unwrap();
        for round in 0..20 {
            let (page, login) = (100 + round, 200 + round);
            outbox.send(vec![query(page, Lane::Request, UserId(2))]).unwrap();
            assert_eq!(fixture.answer(), (page, true));
            outbox.send(vec![query(login, Lane::Login, UserId(3))]).unwrap();
            assert_eq!(fixture.answer(), (login, true));
        }
        for ticket in 0..31 {
            fixture.gate.send(()).unwrap();
            assert_eq!(fixture.answer(), (ticket, true));
        }
        fixture.threads.stop();
        assert!(outbox.send(Vec::new()).is_err(), "the threads are gone");
    }

    #[test]
    fn everything_is_answered_before_the_threads_end() {
        let fixture = Fixture::new();
        let outbox = fixture.threads.outbox();
        let queries = (0..500).map(|ticket| query(ticket, Lane::Request, UserId(2 + ticket as u32 % 7)));
        outbox.send(queries.collect()).unwrap();
        let overdue =
            (500..600).map(|ticket| Query { due: Some(0), ..query(ticket, Lane::Request, UserId(2)) });
        outbox.send(overdue.collect()).unwrap();
        fixture.threads.stop();
        let mut answers: Vec<_> = std::iter::from_fn(|| fixture.answers.try_recv().ok().flatten()).collect();
        answers.sort_unstable();
        assert!(answers.into_iter().eq((0..600).map(|ticket| (ticket, ticket < 500))));
    }
}
