//! The network: sockets, and nothing of what is said over them but how it is framed.
//!
//! ```text
//!                       sockets, batches             Vec<Input>, one a turn
//!   clients --> acceptor ----------------> reactor 0 -----------------------> logic
//!                        \                 reactor 1 <-----------------------
//!                         `--------------> ...        Vec<Order>, one a turn
//! ```
//!
//! * `listen`: listening sockets, the limit of open files.
//! * `acceptor`: one thread; accepts, survives being out of descriptors, hands the sockets out in turn.
//! * `reactor`: a thread each; reads, decodes, answers heartbeats and malformed requests, carries out orders,
//!   writes each connection once a turn, keeps the time limits.
//! * `connection`: one connection; `codec`: what its bytes mean; `transport`: what carries them, and the PROXY header
//!   that a trusted proxy puts before them; `output`: bytes that are not written yet.
//! * `context`: the state that all connections of one reactor share.
//! * `deadline`, `wheel`, `pending_logins`: time limits, and how they are kept without touching idle connections.
//!
//! Waits-for order: acceptor -> reactor -> nobody.

mod acceptor;
mod close;
mod codec;
mod connection;
mod context;
mod deadline;
mod listen;
mod moderation;
mod output;
mod pending_logins;
mod reactor;
mod transport;
mod wheel;

#[cfg(test)]
mod tests;

pub use close::CloseReason;
pub use deadline::{PENDING_LOGINS, Timeouts};
pub use listen::{BindError, bind, raise_fd_limit};

use acceptor::{Acceptor, Reserve};
use context::legacy::local_time::LocalTime;
use context::legacy::pace::Pace;
use context::legacy::synthetic_acks::SyntheticAcks;
use context::{Context, Limits, Ready};
use deadline::{Span, Tick};
use ipnet::IpNet;
use logic::{ConnId, Input, Order};
use mio::{Interest, Poll, Token, Waker};
use moderation::Moderation;
use output::Pool;
use pending_logins::{PendingLoginLimits, PendingLogins};
use reactor::{Control, Endpoints, Reactor, WAKE};
use runtime::queue::{Outbox, poll_bell, queue};
use std::io;
use std::net::TcpListener;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use wheel::Wheel;
use wire::legacy::Style;

/// Batches of orders, and of new sockets, that may wait for one sub-reactor.
const QUEUE: usize = 64;

/// Time between two objects to one legacy connection.
pub const PACE: Duration = Duration::from_millis(2);

/// What a deployment decides about the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetConfig {
    /// Sub-reactors, 1 to [`ConnId::REACTORS_MAX`].
    pub threads: usize,
    /// Open connections; those above it are closed as they come.
    pub connections: usize,
    /// Bytes of a frame's value after login.
    pub frame_bytes: usize,
    /// Unwritten bytes of a connection past which it is not read.
    pub high_water: usize,
    /// Unwritten bytes of a connection past which it is closed.
    pub output_bytes: usize,
    /// How many connections may wait to log in before the oldest of them are closed.
    pub pending_logins: usize,
    /// Who is believed when it says, by the PROXY protocol, whose connection it passes on.
    pub proxies: Vec<IpNet>,
    /// Every time limit of a connection.
    pub timeouts: Timeouts,
    /// How legacy objects are written.
    pub style: Style,
    /// The least time between two legacy objects to one connection; zero: none.
    pub pace: Duration,
}

impl Default for NetConfig {
    fn default() -> NetConfig {
        NetConfig {
            threads: 1,
            connections: 100_000,
            frame_bytes: wire::limits::FRAME_BYTES,
            high_water: 256 * 1024,
            output_bytes: 8 * 1024 * 1024,
            pending_logins: PENDING_LOGINS,
            proxies: Vec::new(),
            timeouts: Timeouts::default(),
            style: Style::default(),
            pace: PACE,
        }
    }
}

/// The running threads.
#[derive(Debug)]
pub struct Net {
    /// `None` once it has stopped.
    acceptor: Option<AcceptorHandle>,
    reactors: Vec<ReactorHandle>,
    connections: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct AcceptorHandle {
    stop: Arc<AtomicBool>,
    waker: Waker,
    thread: JoinHandle<()>,
}

#[derive(Debug)]
struct ReactorHandle {
    orders: Outbox<Vec<Order>>,
    controls: Outbox<Control>,
    thread: JoinHandle<()>,
}

/// Serves `listeners`. Everything that can fail is made before the first thread starts.
pub fn start(
    listeners: Vec<TcpListener>,
    config: NetConfig,
    to_logic: Outbox<Vec<Input>>,
) -> io::Result<Net> {
    assert!((1..=ConnId::REACTORS_MAX).contains(&config.threads), "the configuration was checked");
    let connections = Arc::new(AtomicUsize::new(0));
    let unauthenticated = Arc::new(AtomicUsize::new(0));

    let mut reactors = Vec::new();
    for index in 0..config.threads {
        let poll = Poll::new()?;
        let bell = poll_bell(&poll, WAKE)?;
        let (mail_to, controls) = queue(QUEUE, &bell);
        let (orders_to, orders) = queue(QUEUE, &bell);
        let limits = PendingLoginLimits {
            threshold: config.pending_logins,
            age: Span::of(config.timeouts.pending_login_age),
            reactors: config.threads,
        };
        let pending_logins = PendingLogins::new(Arc::clone(&unauthenticated), limits);
        let context = context(&poll, &config)?;
        let endpoints = Endpoints { poll, bell, controls, orders, to_logic: to_logic.clone() };
        let reactor = Reactor::new(index, endpoints, Arc::clone(&connections), pending_logins, context);
        reactors.push((reactor, mail_to, orders_to));
    }

    let poll = Poll::new()?;
    let waker = Waker::new(poll.registry(), WAKE)?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut watched = Vec::new();
    for (index, listener) in listeners.into_iter().enumerate() {
        listener.set_nonblocking(true)?;
        let mut listener = mio::net::TcpListener::from_std(listener);
        poll.registry().register(&mut listener, Token(index), Interest::READABLE)?;
        watched.push(listener);
    }
    let acceptor = Acceptor {
        poll,
        listeners: watched,
        reactors: reactors.iter().map(|(_, controls, _)| controls.clone()).collect(),
        next: 0,
        connections: Arc::clone(&connections),
        connections_max: config.connections,
        stop: Arc::clone(&stop),
        reserve: Reserve::open()?,
        turned_away: None,
    };

    let reactors = reactors
        .into_iter()
        .enumerate()
        .map(|(index, (reactor, controls, orders))| {
            let name = format!("reactor-{index}");
            let thread = thread::Builder::new().name(name).spawn(|| reactor.run())?;
            Ok(ReactorHandle { orders, controls, thread })
        })
        .collect::<io::Result<_>>()?;
    let thread = thread::Builder::new().name("acceptor".to_owned()).spawn(|| acceptor.run())?;
    Ok(Net { acceptor: Some(AcceptorHandle { stop, waker, thread }), reactors, connections })
}

fn context(poll: &Poll, config: &NetConfig) -> io::Result<Context> {
    Ok(Context {
        now: Tick(0),
        inputs: Vec::new(),
        moderation: Moderation::new(Instant::now()),
        synthetic_acks: SyntheticAcks::new(),
        stalled: false,
        dirty: Vec::new(),
        answered: Vec::new(),
        ready: Ready::default(),
        wheel: Wheel::new(),
        pool: Pool::default(),
        style: config.style,
        pace: Pace::new(config.pace),
        local_time: LocalTime::of_this_machine(),
        proxies: config.proxies.as_slice().into(),
        registry: poll.registry().try_clone()?,
        limits: Limits {
            frame_bytes: config.frame_bytes,
            high_water: config.high_water,
            output_bytes: config.output_bytes,
            spans: config.timeouts.into(),
        },
    })
}

impl Net {
    /// Where orders for each sub-reactor go, by [`ConnId::reactor`]. Sending waits while the queue is full, which
    /// ends, for a sub-reactor waits for nobody.
    pub fn orders(&self) -> Vec<Outbox<Vec<Order>>> {
        self.reactors.iter().map(|reactor| reactor.orders.clone()).collect()
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Closes the listeners. When it returns, no connection comes in any more; those that are open live on.
    pub fn stop_accepting(&mut self) {
        if let Some(AcceptorHandle { stop, waker, thread }) = self.acceptor.take() {
            stop.store(true, Ordering::SeqCst);
            waker.wake().expect("an eventfd that is open takes a write");
            join(thread);
        }
    }

    /// Has every sub-reactor carry out the orders that were sent before, write what is unwritten, close its
    /// connections and end, all within this time. [`Net::join`] waits for that.
    pub fn drain(&mut self, within: Duration) {
        self.stop_accepting();
        for reactor in &self.reactors {
            // One that is gone already has panicked; joining it says so.
            let _ = reactor.controls.send(Control::Drain(within));
        }
    }

    /// Waits for all threads to end, which [`Net::drain`] makes them do. A panic in one of them goes on here.
    pub fn join(mut self) {
        self.stop_accepting();
        for reactor in self.reactors {
            join(reactor.thread);
        }
    }
}

fn join(thread: JoinHandle<()>) {
    if let Err(panic) = thread.join() {
        resume_unwind(panic);
    }
}
