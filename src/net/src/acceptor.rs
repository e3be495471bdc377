//! The acceptor: takes connections from the listeners and hands them to the reactors in turn.
//!
//! When the process is out of file descriptors, waiting peers could neither be served nor refused, and the listener
//! would stay readable for ever. So one descriptor is kept in reserve: it is closed for a moment, a waiting peer is
//! accepted in its place and disconnected at once, and this repeats until no peer waits.

use crate::control::{Accepted, Control};
use crate::pending_logins::PendingLogins;
use crate::token::WAKE;
use crate::transport::{Tcp, Transport};
use mio::net::TcpListener;
use mio::{Events, Poll};
use runtime::queue::Outbox;
use runtime::watchdog::{Pulse, Role};
use rustix::io::Errno;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Time before accepting is tried again when there are no resources for a connection.
const PAUSE: Duration = Duration::from_millis(50);
/// Time for the reactors to close connections that have not logged in.
const EVICTION_PAUSE: Duration = Duration::from_millis(2);
/// Time without a refused connection after which the next one is logged again.
const EPISODE: Duration = Duration::from_secs(10);
/// Connections that are accepted before they are handed out.
const BATCH: usize = 128;
/// Events that one poll returns at most; there are few listeners.
const EVENTS: usize = 64;

pub(crate) struct Acceptor {
    pub poll: Poll,
    /// Their tokens are their indexes here.
    pub listeners: Vec<TcpListener>,
    pub reactors: Vec<Outbox<Control>>,
    /// The reactor that gets the next connection.
    pub next: usize,
    pub pending_logins: Arc<PendingLogins>,
    pub connections_max: usize,
    /// Set, before the poll is woken, to end the acceptor.
    pub stop: Arc<AtomicBool>,
    pub reserve: Reserve,
    /// When a connection was last refused.
    pub refused: Option<Instant>,
}

/// The outcome of one attempt to accept.
enum Attempt {
    Accepted(Accepted),
    /// A peer was refused or has already left.
    Wasted,
    /// No peer waits.
    Empty,
    /// A peer may be waiting, but there are no resources to accept it.
    NoRoom,
    /// A peer may be waiting, and the reactors are making room for it.
    Later,
}

impl Acceptor {
    /// Runs until it is stopped, then closes the listeners.
    pub fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        // With edge triggers, peers in a listener that was not emptied are not reported again.
        let mut waiting = vec![false; self.listeners.len()];
        let mut timeout = None;
        let mut pulse = Pulse::of(Role::Acceptor);
        loop {
            pulse.beat();
            match self.poll.poll(&mut events, pulse.within(timeout)) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => panic!("epoll_wait failed on a valid descriptor and buffer: {error}"),
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
                    Attempt::Later => timeout = timeout.or(Some(EVICTION_PAUSE)),
                    Attempt::Accepted(_) | Attempt::Wasted => timeout = Some(Duration::ZERO),
                }
            }
        }
    }

    /// Accepts up to a batch and hands it out. Returns the outcome of the last attempt.
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
                Attempt::Empty | Attempt::NoRoom | Attempt::Later => break,
            }
        }
        for (reactor, batch) in self.reactors.iter().zip(batches).filter(|(_, batch)| !batch.is_empty()) {
            let count = batch.len();
            // A reactor waits for no other thread, so this wait ends. A reactor that has ended takes nothing.
            if reactor.send(Control::Adopt(batch)).is_err() {
                self.pending_logins.open.fetch_sub(count, Ordering::Relaxed);
            }
        }
        last
    }

    fn accept(&mut self, listener: usize) -> Attempt {
        if self.pending_logins.is_exceeded() && self.pending_logins.have_room() {
            return Attempt::Later;
        }
        match self.listeners[listener].accept() {
            Ok((stream, peer)) => {
                if !self.pending_logins.have_room() {
                    let limit = self.connections_max;
                    self.report_refused(&format_args!(
                        "all {limit} connections are in use (first refused peer: {peer})"
                    ));
                    return Attempt::Wasted;
                }
                self.pending_logins.accept();
                let transport = Transport::new(Tcp::accepted(stream), None);
                Attempt::Accepted(Accepted { transport, peer: peer.into() })
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Attempt::Empty,
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::MFILE | Errno::NFILE) => match self.reserve.refuse_one(&self.listeners[listener])
                {
                    Ok(peer) => {
                        self.report_refused(&format_args!("{error} (first refused peer: {peer})"));
                        Attempt::Wasted
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => Attempt::Empty,
                    // Another thread took the descriptor in between.
                    Err(error) => {
                        self.report_refused(&error);
                        Attempt::NoRoom
                    }
                },
                // accept(2): the connection was aborted, or a signal interrupted the call.
                Some(Errno::CONNABORTED | Errno::INTR) => Attempt::Wasted,
                _ => {
                    self.report_refused(&error);
                    Attempt::NoRoom
                }
            },
        }
    }

    /// Logs once per episode. An episode ends after some time without a refused connection.
    fn report_refused(&mut self, why: &dyn Display) {
        let now = Instant::now();
        if self.refused.is_none_or(|last| now - last > EPISODE) {
            log::warn!("refusing new connections: {why}");
        }
        self.refused = Some(now);
    }
}

/// A spare descriptor, to be closed when no other is left.
pub(crate) struct Reserve(Option<File>);

impl Reserve {
    pub fn open() -> io::Result<Reserve> {
        Ok(Reserve(Some(File::open("/dev/null")?)))
    }

    /// Uses the descriptor to accept and disconnect one peer.
    fn refuse_one(&mut self, listener: &TcpListener) -> io::Result<SocketAddr> {
        drop(self.0.take());
        let refused = listener.accept().map(|(_disconnected, peer)| peer);
        self.0 = File::open("/dev/null").ok();
        refused
    }
}
