//! Queues between threads: a bounded channel of *batches*, and a bell that makes a system call only for a sleeping
//! receiver.
//!
//! Waking a thread that sleeps on another core takes about 40 us for the round trip, a push into a channel about 20 ns.
//! A sender therefore pushes the work of a whole turn at once and rings afterwards, and a ring makes a system call only
//! if the receiver has announced that it is about to sleep:
//!
//! ```text
//!   receiver                          sender
//!   state := asleep                   push
//!   queues empty? ---- no: go on      state.swap(awake)? ---- awake: done
//!        | yes                             | asleep
//!   sleep  <------------------------- wake
//! ```
//!
//! Both sides use sequentially consistent operations on `state`, so at least one of them sees the other.

use crossbeam_channel::{Receiver, Sender, TryRecvError, TrySendError};
use std::io;
use std::sync::atomic::{AtomicU8, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::Duration;

/// Wakes one thread, if it sleeps.
#[derive(Debug, Default)]
pub struct Bell {
    /// [`AWAKE`], [`PARKED`] or [`POLLING`].
    state: AtomicU8,
    /// Set when the thread first waits.
    thread: OnceLock<Thread>,
    /// Ends the thread's poll, if it sleeps in one.
    waker: Option<mio::Waker>,
}

const AWAKE: u8 = 0;
/// In [`Bell::wait`].
const PARKED: u8 = 1;
/// In its `mio::Poll`, see [`Bell::about_to_poll`].
const POLLING: u8 = 2;

impl Bell {
    /// A bell for the one thread that will sleep in [`Bell::wait`].
    pub fn new() -> Bell {
        Bell::default()
    }

    /// A bell for the thread that polls the registry of `waker`; that thread may sleep in [`Bell::wait`] too.
    pub fn for_poll(waker: mio::Waker) -> Bell {
        Bell { waker: Some(waker), ..Bell::default() }
    }

    /// Wakes the thread if it sleeps or is about to. Call it once a batch, after the push.
    pub fn ring(&self) {
        fence(Ordering::SeqCst);
        if self.state.load(Ordering::Relaxed) == AWAKE {
            return;
        }
        match (self.state.swap(AWAKE, Ordering::SeqCst), self.thread.get(), &self.waker) {
            (PARKED, Some(thread), _) => thread.unpark(),
            (POLLING, _, Some(waker)) => waker.wake().expect("an eventfd that is open takes a write"),
            _ => {}
        }
    }

    /// Announces that the receiver is about to sleep in its poll. It must check its queues once more after this.
    pub fn about_to_poll(&self) {
        self.about_to(POLLING);
    }

    fn about_to(&self, sleep: u8) {
        self.state.store(sleep, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    pub fn awake(&self) {
        self.state.store(AWAKE, Ordering::SeqCst);
    }

    /// Sleeps until rung, or for at most `timeout`. Returns at once if `has_work` finds some. Every call must come from
    /// the same thread, which also runs the poll.
    pub fn wait(&self, timeout: Option<Duration>, has_work: impl Fn() -> bool) {
        self.thread.get_or_init(thread::current);
        self.about_to(PARKED);
        if !has_work() {
            match timeout {
                Some(timeout) => thread::park_timeout(timeout),
                None => thread::park(),
            }
        }
        self.awake();
    }
}

/// The sending end of a queue of batches. Clones share the queue.
#[derive(Debug)]
pub struct Outbox<T> {
    sender: Sender<T>,
    bell: Arc<Bell>,
}

impl<T> Clone for Outbox<T> {
    fn clone(&self) -> Self {
        Outbox { sender: self.sender.clone(), bell: Arc::clone(&self.bell) }
    }
}

/// The receiving end of a queue of batches.
#[derive(Debug)]
pub struct Inbox<T> {
    receiver: Receiver<T>,
}

/// A queue of at most `batches` batches for the thread that `bell` wakes. One bell may serve several queues.
pub fn queue<T>(batches: usize, bell: &Arc<Bell>) -> (Outbox<T>, Inbox<T>) {
    let (sender, receiver) = crossbeam_channel::bounded(batches);
    (Outbox { sender, bell: Arc::clone(bell) }, Inbox { receiver })
}

/// The other end was dropped: the server is shutting down.
#[derive(Debug, PartialEq, Eq)]
pub struct Gone;

impl<T> Outbox<T> {
    /// Pushes and rings; waits while the queue is full. Use it only if the receiver never waits for the caller.
    pub fn send(&self, batch: T) -> Result<(), Gone> {
        match self.sender.try_send(batch) {
            Ok(()) => {}
            Err(TrySendError::Disconnected(_)) => return Err(Gone),
            Err(TrySendError::Full(batch)) => {
                self.bell.ring();
                self.sender.send(batch).map_err(|_| Gone)?;
            }
        }
        self.bell.ring();
        Ok(())
    }

    /// Pushes and rings; returns the batch if the queue is full.
    pub fn try_send(&self, batch: T) -> Result<Result<(), T>, Gone> {
        match self.sender.try_send(batch) {
            Ok(()) => {
                self.bell.ring();
                Ok(Ok(()))
            }
            Err(TrySendError::Full(batch)) => Ok(Err(batch)),
            Err(TrySendError::Disconnected(_)) => Err(Gone),
        }
    }

    /// Batches that wait.
    pub fn waiting(&self) -> usize {
        self.sender.len()
    }
}

impl<T> Inbox<T> {
    /// The next batch, if there is one; `Err` if the queue is empty and every sender is gone.
    pub fn try_recv(&self) -> Result<Option<T>, Gone> {
        match self.receiver.try_recv() {
            Ok(batch) => Ok(Some(batch)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(Gone),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.receiver.is_empty()
    }
}

/// A bell for the thread that sleeps in `poll`. Its wake-ups carry `token`.
pub fn poll_bell(poll: &mio::Poll, token: mio::Token) -> io::Result<Arc<Bell>> {
    Ok(Arc::new(Bell::for_poll(mio::Waker::new(poll.registry(), token)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two threads pass a number back and forth; one of them sleeps in `wait` and in its poll by turns. A lost wake
    /// would hang, so each wait has a far deadline.
    #[test]
    fn no_wake_is_lost() {
        let (to_main, from_thread) = crossbeam_channel::bounded(1);
        let (mut poll, mut events) = (mio::Poll::new().unwrap(), mio::Events::with_capacity(4));
        let main_bell = poll_bell(&poll, mio::Token(0)).unwrap();
        let (back, inbox) = queue::<u32>(4, &main_bell);
        let far = Some(Duration::from_secs(20));
        let thread = thread::spawn(move || {
            let bell = Arc::new(Bell::new());
            let (outbox, inbox) = queue::<u32>(4, &bell);
            to_main.send(outbox).unwrap();
            loop {
                match inbox.try_recv() {
                    Ok(Some(n)) => back.send(n + 1).unwrap(),
                    Ok(None) => bell.wait(far, || !inbox.is_empty()),
                    Err(Gone) => return,
                }
                if inbox.receiver.is_empty() && Arc::strong_count(&bell) == 1 {
                    return;
                }
            }
        });
        let outbox = from_thread.recv().unwrap();
        let started = std::time::Instant::now();
        for n in 0..20_000 {
            outbox.send(n).unwrap();
            loop {
                if let Some(answer) = inbox.try_recv().unwrap() {
                    assert_eq!(answer, n + 1);
                    break;
                }
                if n % 2 == 0 {
                    main_bell.wait(far, || !inbox.is_empty());
                } else {
                    main_bell.about_to_poll();
                    let timeout = if inbox.is_empty() { far } else { Some(Duration::ZERO) };
                    poll.poll(&mut events, timeout).unwrap();
                    main_bell.awake();
                }
            }
        }
        assert!(started.elapsed() < Duration::from_secs(15), "a wake was lost");
        drop(outbox);
        thread.thread().unpark();
        thread.join().unwrap();
    }
}
