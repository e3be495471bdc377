//! A blocking thread of the server: named, woken by a bell, stopped by a flag, optionally watched.
//!
//! Most threads serve one queue and are a few lines over a [`Mailbox`]:
//!
//! ```
//! use runtime::watchdog::Role;
//! use runtime::worker::{Next, Worker};
//!
//! let (worker, numbers) = Worker::with_mailbox(Role::Storage, "adder", 64, |mut mailbox| {
//!     loop {
//!         match mailbox.next(None) {
//!             Next::Batch(batch) => println!("{}", Vec::into_iter(batch).sum::<u32>()),
//!             Next::Idle => {}
//!             Next::Stop => return,
//!         }
//!     }
//! })?;
//! numbers.send(vec![1, 2, 3]).expect("the worker runs until it is stopped");
//! worker.stop();
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! A thread with several queues behind one bell, or with none, gets the [`Control`] alone ([`Worker::spawn`]).

use crate::queue::{Bell, Inbox, Outbox, queue};
use crate::watchdog::{Pulse, Role};
use std::io;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The handle of a running thread. Dropping it leaves the thread running.
#[derive(Debug)]
pub struct Worker {
    bell: Arc<Bell>,
    stopping: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Worker {
    /// Starts a thread that sleeps on `bell`, which any number of queues may ring.
    ///
    /// # Errors
    /// If the system cannot start another thread.
    pub fn spawn(
        role: Role,
        name: &str,
        bell: Arc<Bell>,
        body: impl FnOnce(Control) + Send + 'static,
    ) -> io::Result<Worker> {
        let stopping = Arc::new(AtomicBool::new(false));
        let control =
            Control { bell: Arc::clone(&bell), stopping: Arc::clone(&stopping), pulse: Pulse::of(role) };
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || body(control));
        let thread = thread.map_err(|error| {
            io::Error::new(error.kind(), format!("cannot start the thread `{name}`: {error}"))
        })?;
        Ok(Worker { bell, stopping, thread })
    }

    /// Starts a thread with one queue of at most `batches` batches.
    ///
    /// # Errors
    /// If the system cannot start another thread.
    pub fn with_mailbox<T: Send + 'static>(
        role: Role,
        name: &str,
        batches: usize,
        body: impl FnOnce(Mailbox<T>) + Send + 'static,
    ) -> io::Result<(Worker, Outbox<T>)> {
        let bell = Arc::new(Bell::new());
        let (outbox, inbox) = queue(batches, &bell);
        let worker = Worker::spawn(role, name, bell, move |control| body(Mailbox { inbox, control }))?;
        Ok((worker, outbox))
    }

    /// Asks the thread to stop and waits until it has. A [`Mailbox`] hands out everything that was sent before.
    ///
    /// # Panics
    /// With the thread's own panic, if it panicked.
    pub fn stop(self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.bell.ring();
        if let Err(panic) = self.thread.join() {
            resume_unwind(panic);
        }
    }
}

/// The thread's side of a [`Worker`].
#[derive(Debug)]
pub struct Control {
    bell: Arc<Bell>,
    stopping: Arc<AtomicBool>,
    pulse: Pulse,
}

impl Control {
    /// Whether [`Worker::stop`] was called.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Shows the watchdog that the loop turns. Call it every turn.
    pub fn beat(&mut self) {
        self.pulse.beat();
    }

    /// Sleeps until the bell rings, for at most `timeout`, or until the next beat is due. Returns at once if
    /// `has_work` finds some. A stop rings the bell, so `has_work` should look at [`Control::is_stopping`] too.
    pub fn wait(&self, timeout: Option<Duration>, has_work: impl Fn() -> bool) {
        self.bell.wait(self.pulse.within(timeout), has_work);
    }
}

/// The inbox of a thread that serves one queue.
#[derive(Debug)]
pub struct Mailbox<T> {
    inbox: Inbox<T>,
    control: Control,
}

/// What [`Mailbox::next`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<T> {
    /// The oldest batch.
    Batch(T),
    /// Nothing came within the timeout.
    Idle,
    /// The thread must stop, and no batch is left.
    Stop,
}

impl<T> Mailbox<T> {
    /// The oldest batch, waiting at most `timeout` for it (`None`: without limit). Keeps the watchdog fed meanwhile.
    pub fn next(&mut self, timeout: Option<Duration>) -> Next<T> {
        let mut deadline = None;
        loop {
            self.control.beat();
            // Read before the queue, so that every batch sent before the stop is still found.
            let is_stopping = self.control.is_stopping();
            if let Some(batch) = self.try_next() {
                return Next::Batch(batch);
            }
            if is_stopping {
                return Next::Stop;
            }
            let left = timeout.map(|timeout| {
                let now = Instant::now();
                deadline.get_or_insert(now + timeout).saturating_duration_since(now)
            });
            if left == Some(Duration::ZERO) {
                return Next::Idle;
            }
            self.control.wait(left, || !self.inbox.is_empty() || self.control.is_stopping());
        }
    }

    /// The oldest batch, if there is one. Never waits.
    pub fn try_next(&self) -> Option<T> {
        // The thread ends only on a stop, not when the senders are gone.
        self.inbox.try_recv().ok().flatten()
    }

    /// Whether the thread must stop. Batches may be left.
    pub fn is_stopping(&self) -> bool {
        self.control.is_stopping()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAR: Option<Duration> = Some(Duration::from_secs(60));

    /// A worker that sends back what it gets until it is stopped.
    fn echo(timeout: Option<Duration>) -> (Worker, Outbox<u32>, crossbeam_channel::Receiver<Next<u32>>) {
        let (back, seen) = crossbeam_channel::unbounded();
        let (worker, outbox) = Worker::with_mailbox(Role::Storage, "echo", 4, move |mut mailbox| {
            loop {
                let next = mailbox.next(timeout);
                let is_last = next == Next::Stop;
                back.send(next).unwrap();
                if is_last {
                    return;
                }
            }
        })
        .unwrap();
        (worker, outbox, seen)
    }

    #[test]
    fn batches_arrive_in_order_and_a_stop_comes_after_the_last() {
        let (worker, outbox, seen) = echo(None);
        for n in 0..1_000 {
            outbox.send(n).unwrap();
        }
        worker.stop();
        let seen: Vec<_> = seen.iter().collect();
        let expected: Vec<_> = (0..1_000).map(Next::Batch).chain([Next::Stop]).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_sleeping_worker_wakes_for_a_batch_and_for_a_stop() {
        for timeout in [None, FAR] {
            let (worker, outbox, seen) = echo(timeout);
            outbox.send(7).unwrap();
            assert_eq!(seen.recv_timeout(Duration::from_secs(20)).unwrap(), Next::Batch(7));
            worker.stop();
            assert_eq!(seen.iter().collect::<Vec<_>>(), [Next::Stop]);
        }
    }

    #[test]
    fn an_idle_worker_is_told_so_after_the_timeout() {
        let (worker, outbox, seen) = echo(Some(Duration::from_millis(5)));
        drop(outbox);
        for _ in 0..3 {
            assert_eq!(seen.recv_timeout(Duration::from_secs(20)).unwrap(), Next::Idle);
        }
        worker.stop();
    }

    #[test]
    #[should_panic(expected = "a bug in the thread")]
    fn a_panic_continues_in_the_thread_that_stops_the_worker() {
        let body = |_: Control| panic!("a bug in the thread");
        Worker::spawn(Role::Password, "buggy", Arc::new(Bell::new()), body).unwrap().stop();
    }
}
