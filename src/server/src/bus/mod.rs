//! The bus between nodes: Redis, which carries hints and leases and nothing that cannot be rebuilt.
//!
//! ```text
//!   logic --orders--> commander --pipelined batches--> Redis <--connection 2-- subscriber --inputs--> logic
//!                         |     SUBSCRIBE and PING, written to connection 2 ------^
//! ```
//!
//! The commander owns one connection and sends all orders of a turn at once. The subscriber blocks on reading the other
//! one and never stops: where logic's inbox is full it drops what it read and says that there is a gap. What is
//! subscribed to is written by the commander to that second connection, whose stream both share; the answers come back
//! in order, so the subscriber knows when a channel is listened to. A PING there, twice a second, shows that it lives:
//! silence for longer than that is a bus that is away.

mod codec;
mod commander;
mod link;
mod subscriber;

use logic::{BusInput, BusOrder};
use redis::{ConnectionInfo, IntoConnectionInfo};
use runtime::queue::{Bell, Inbox, Outbox, queue};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Batches of orders on their way to the commander; when there are more, they are dropped.
const ORDER_BATCHES: usize = 1_024;
/// How long Redis may take to answer, or be silent, before it counts as away.
pub(crate) const SILENCE: Duration = Duration::from_millis(1_500);
/// How often the subscriber's connection is asked whether it lives.
pub(crate) const PING_EVERY: Duration = Duration::from_millis(500);
/// When a connection that was lost is tried again.
pub(crate) const RETRY_AFTER: Duration = Duration::from_millis(500);

/// What this node is to the others.
#[derive(Clone, Debug)]
pub struct Member {
    /// The name of this run.
    pub run: Arc<str>,
    pub node: Box<str>,
    /// Where its clients connect, `host:port`.
    pub address: Box<str>,
    /// When logic's monotonic clock began.
    pub started: Instant,
}

/// The threads of the bus.
#[derive(Debug)]
pub struct Bus {
    orders: Outbox<Vec<BusOrder>>,
    bell: Arc<Bell>,
    stopping: Arc<AtomicBool>,
    commander: JoinHandle<()>,
    subscriber: JoinHandle<()>,
    link: Arc<link::Link>,
}

/// Reads where Redis is: `redis://[user:password@]host[:port][/db]`.
///
/// # Errors
/// A sentence on what is wrong with it.
pub fn address(url: &str) -> Result<ConnectionInfo, String> {
    url.into_connection_info().map_err(|error| format!("must be `redis://HOST:PORT`: {error}"))
}

/// Starts the threads; they connect, and connect again, by themselves.
///
/// # Errors
/// Where the system has no further thread.
pub fn start(redis: ConnectionInfo, member: Member, inputs: Outbox<Vec<BusInput>>) -> io::Result<Bus> {
    let stopping = Arc::new(AtomicBool::new(false));
    let link = Arc::new(link::Link::new(redis, member.run.clone()));
    let subscriber = {
        let (link, stopping, inputs, started) =
            (Arc::clone(&link), Arc::clone(&stopping), inputs.clone(), member.started);
        let run = member.run.clone();
        thread::Builder::new()
            .name("bus-in".into())
            .spawn(move || subscriber::run(&link, &run, started, &inputs, &stopping))?
    };
    let (ready, made) = crossbeam_channel::bounded(1);
    let commander = {
        let (link, stopping) = (Arc::clone(&link), Arc::clone(&stopping));
        thread::Builder::new().name("bus-out".into()).spawn(move || {
            let bell = Arc::new(Bell::new());
            let (orders, inbox): (Outbox<Vec<BusOrder>>, Inbox<Vec<BusOrder>>) = queue(ORDER_BATCHES, &bell);
            if ready.send((orders, Arc::clone(&bell))).is_ok() {
                commander::Commander::new(link, member, inputs).run(&inbox, &bell, &stopping);
            }
        })?
    };
    let (orders, bell) = made.recv().map_err(io::Error::other)?;
    Ok(Bus { orders, bell, stopping, commander, subscriber, link })
}

impl Bus {
    pub fn orders(&self) -> Outbox<Vec<BusOrder>> {
        self.orders.clone()
    }

    /// Gives the lease back and ends.
    pub fn stop(self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.bell.ring();
        if self.commander.join().is_err() {
            log::error!("the bus-out thread panicked");
        }
        self.link.close();
        if self.subscriber.join().is_err() {
            log::error!("the bus-in thread panicked");
        }
    }
}
