//! The acceptor: takes connections from the listeners and hands them out to the sub-reactors in turn.
//!
//! When the process is out of descriptors, waiting peers would neither be served nor refused, and the listener
//! would stay readable for ever. So one descriptor is kept in reserve: it is given up for a moment, each that waits
//! is accepted with it and closed at once, and after a pause accepting is tried again.

use crate::reactor::{Control, EVENTS, WAKE};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Poll};
use runtime::queue::Outbox;
use runtime::watchdog::{Pulse, Role};
use rustix::io::Errno;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long accepting rests when there is no room for a connection.
const PAUSE: Duration = Duration::from_millis(50);
/// How long nobody must have been turned away before it is news again.
const EPISODE: Duration = Duration::from_secs(10);
/// How many accepted connections are handed out at once.
const BATCH: usize = 128;

/// A new connection.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub stream: TcpStream,
    pub peer: IpAddr,
}

/// One loop and everything in it.
pub(crate) struct Acceptor {
    pub poll: Poll,
    /// The listeners; their tokens are their places here.
    pub listeners: Vec<TcpListener>,
    /// The sub-reactors.
    pub reactors: Vec<Outbox<Control>>,
    /// Whose turn it is.
    pub next: usize,
    /// Open connections of the whole server, and how many there may be.
    pub connections: Arc<AtomicUsize>,
    pub connections_max: usize,
    /// Set when it is to end; its poll is woken then.
    pub stop: Arc<AtomicBool>,
    pub reserve: Reserve,
    /// When a connection was last turned away.
    pub turned_away: Option<Instant>,
}

/// What became of one attempt to accept.
enum Attempt {
    Accepted(Accepted),
    /// A peer came, and is gone or was sent away.
    Wasted,
    Empty,
    /// Somebody may wait, and there is no room.
    NoRoom,
}

impl Acceptor {
    /// Runs until it is to stop, and closes the listeners.
    pub fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        // With edge triggers, who waits in a listener that was not emptied is not reported again.
        let mut waiting = vec![false; self.listeners.len()];
        let mut timeout = None;
        let mut pulse = Pulse::of(Role::Acceptor);
        loop {
            pulse.beat();
            match self.poll.poll(&mut events, pulse.within(timeout)) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => panic!("epoll_wait on a valid descriptor and buffer: {error}"),
            }
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            for event in events.iter().filter(|event| event.token() != WAKE) {
                waiting[event.token().0] = true;
            }
            timeout = None;
            for (index, waits) in waiting.iter_mut().enumerate().filter(|(_, waits)| **waits) {
                match self.accept_batch(index) {
                    Attempt::Empty => *waits = false,
                    Attempt::NoRoom => timeout = timeout.or(Some(PAUSE)),
                    Attempt::Accepted(_) | Attempt::Wasted => timeout = Some(Duration::ZERO),
                }
            }
        }
    }

    /// Accepts up to a batch and hands it out; how the last attempt went.
    fn accept_batch(&mut self, listener: usize) -> Attempt {
        let mut batches: Vec<Vec<Accepted>> = self.reactors.iter().map(|_| Vec::new()).collect();
        let mut last = Attempt::Wasted;
        for _ in 0..BATCH {
            last = self.accept(listener);
            match last {
                Attempt::Accepted(accepted) => {
                    batches[self.next].push(accepted);
                    self.next = (self.next + 1) % self.reactors.len();
                    last = Attempt::Wasted;
                }
                Attempt::Wasted => {}
                Attempt::Empty | Attempt::NoRoom => break,
            }
        }
        for (reactor, batch) in self.reactors.iter().zip(batches).filter(|(_, batch)| !batch.is_empty()) {
            let count = batch.len();
            // A sub-reactor waits for nobody, so waiting for it ends. One that is gone takes no more.
            if reactor.send(Control::Adopt(batch)).is_err() {
                self.connections.fetch_sub(count, Ordering::Relaxed);
            }
        }
        last
    }

    fn accept(&mut self, listener: usize) -> Attempt {
        match self.listeners[listener].accept() {
            Ok((stream, peer)) => {
                if self.connections.fetch_add(1, Ordering::Relaxed) >= self.connections_max {
                    self.connections.fetch_sub(1, Ordering::Relaxed);
                    self.report_full(&"there are as many as there may be");
                    return Attempt::Wasted;
                }
                // Replies are written whole, once a turn; holding them back could only delay them. It fails only
                // for a peer that is gone, which the first read will tell.
                let _ = stream.set_nodelay(true);
                Attempt::Accepted(Accepted { stream, peer: peer.ip().to_canonical() })
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Attempt::Empty,
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::MFILE | Errno::NFILE) => {
                    self.report_full(&error);
                    self.reserve.refuse_one(&self.listeners[listener])
                }
                // accept(2): that one connection is gone again, or a signal came.
                Some(Errno::CONNABORTED | Errno::INTR) => Attempt::Wasted,
                _ => {
                    self.report_full(&error);
                    Attempt::NoRoom
                }
            },
        }
    }

    /// Logs once an episode: it is over when nobody was turned away for a while.
    fn report_full(&mut self, why: &dyn Display) {
        let now = Instant::now();
        if self.turned_away.is_none_or(|last| now - last > EPISODE) {
            log::warn!("new connections are turned away: {why}");
        }
        self.turned_away = Some(now);
    }
}

/// A descriptor to give up when there is no other.
pub(crate) struct Reserve(Option<File>);

impl Reserve {
    pub fn open() -> io::Result<Reserve> {
        Ok(Reserve(Some(File::open("/dev/null")?)))
    }

    /// Uses it to accept and close one connection.
    fn refuse_one(&mut self, listener: &TcpListener) -> Attempt {
        drop(self.0.take());
        let accepted = listener.accept();
        let attempt = match &accepted {
            Ok(_) => Attempt::Wasted,
            Err(error) if error.kind() == ErrorKind::WouldBlock => Attempt::Empty,
            // Another thread took the descriptor in between.
            Err(_) => Attempt::NoRoom,
        };
        drop(accepted);
        self.0 = File::open("/dev/null").ok();
        attempt
    }
}
