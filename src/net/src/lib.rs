//! The network: sockets and framing. It knows none of the chat server's rules.
//!
//! ```text
//!                       sockets, batches             Vec<Input>, one a turn
//!   clients --> acceptor ----------------> reactor 0 -----------------------> logic
//!                        \                 reactor 1 <-----------------------
//!                         `--------------> ...        Vec<Order>, one a turn
//! ```
//!
//! * `listen`: listening sockets, the limit of open files.
//! * `adopter`: takes over connections that the HTTP listener has upgraded to WebSocket.
//! * `acceptor`: one thread; accepts, survives running out of descriptors, hands connections to the reactors in turn.
//! * `reactor`: a thread each; reads, decodes, carries out orders (`orders`), writes each connection once a turn,
//!   enforces
//!   time limits. It owns the connections (`table`) and their shared state (`context`).
//! * `connection`: one connection, made of
//!   * a `transport`, which carries bytes, over TLS where the client wants that, and the PROXY header that a trusted
//!     proxy may send before them;
//!   * a `codec`, which turns bytes into inputs and orders into bytes;
//!   * a `channel`: identity, flow control (`flow`) and `output` that is not written yet.
//! * `output_budget`: how much unwritten output all connections may have together.
//! * `deadline`, `wheel`: time limits, enforced without touching idle connections.
//! * `counters`: what each reactor counts about itself.
//! * `pending_logins`: connections without a login, whose number is bounded.
//!
//! The acceptor may wait for a reactor; a reactor waits for no other thread.

mod acceptor;
mod adopter;
mod channel;
mod close;
mod codec;
mod config;
mod connection;
mod context;
mod control;
mod counters;
mod deadline;
mod flow;
mod listen;
mod moderation;
mod orders;
mod output;
mod output_budget;
mod peer;
mod pending_logins;
mod reactor;
mod table;
mod token;
mod transport;
mod wheel;

#[cfg(test)]
mod tests;

pub use adopter::{Adopter, WebSocket};
pub use close::CloseReason;
pub use config::{NetConfig, PACE, Timeouts, TlsConfig};
pub use counters::{Counters, DIALECTS, TRANSPORTS, TransportKind};
pub use listen::{BindError, bind, raise_fd_limit};
pub use output_budget::OutputBudget;

use acceptor::{Acceptor, Reserve};
use context::Context;
use control::Control;
use logic::{ConnId, Input, Order};
use mio::{Interest, Poll, Token, Waker};
use pending_logins::PendingLogins;
use reactor::{Endpoints, Reactor};
use runtime::queue::{Outbox, poll_bell, queue};
use std::io;
use std::net::TcpListener;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use table::ConnectionTable;
use token::WAKE;

/// Batches of orders, and of new connections, that may wait for one reactor.
const QUEUE: usize = 64;

/// The running threads.
#[derive(Debug)]
pub struct Net {
    /// `None` once it has stopped.
    acceptor: Option<AcceptorHandle>,
    reactors: Vec<ReactorHandle>,
    pending_logins: Arc<PendingLogins>,
    output: Arc<OutputBudget>,
    is_accepting: Arc<AtomicBool>,
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
    counters: Arc<Counters>,
    thread: JoinHandle<()>,
}

/// Serves `listeners`. Everything that can fail, except starting a thread, happens before the first thread starts.
pub fn start(
    listeners: Vec<TcpListener>,
    config: NetConfig,
    to_logic: Outbox<Vec<Input>>,
) -> io::Result<Net> {
    assert!((1..=ConnId::REACTORS_MAX).contains(&config.threads), "the configuration was checked");
    let mut polls = Vec::new();
    for _ in 0..config.threads {
        let poll = Poll::new()?;
        let bell = poll_bell(&poll, WAKE)?;
        polls.push((poll, bell));
    }
    let bells = polls.iter().map(|(_, bell)| Arc::clone(bell)).collect();
    let pending_logins = Arc::new(PendingLogins::new(config.connections, bells));
    let output = Arc::new(OutputBudget::new(config.output_total_bytes, config.output_bytes));
    let mut reactors = Vec::new();
    for (index, (poll, bell)) in polls.into_iter().enumerate() {
        let (controls_to, controls) = queue(QUEUE, &bell);
        let (orders_to, orders) = queue(QUEUE, &bell);
        let table = ConnectionTable::new(index);
        let context = Context::new(
            poll.registry().try_clone()?,
            Arc::clone(&pending_logins),
            Arc::clone(&output),
            &config,
        );
        let counters = Arc::clone(&context.counters);
        let endpoints = Endpoints { poll, bell, controls, orders, to_logic: to_logic.clone() };
        reactors.push((Reactor::new(index, endpoints, table, context), controls_to, orders_to, counters));
    }

    let poll = Poll::new()?;
    let waker = Waker::new(poll.registry(), WAKE)?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut watched = Vec::new();
    for (index, listener) in listeners.into_iter().enumerate() {
        listen::prepare(&listener)?;
        let mut listener = mio::net::TcpListener::from_std(listener);
        poll.registry().register(&mut listener, Token(index), Interest::READABLE)?;
        watched.push(listener);
    }
    let acceptor = Acceptor {
        poll,
        listeners: watched,
        reactors: reactors.iter().map(|(_, controls, ..)| controls.clone()).collect(),
        next: 0,
        pending_logins: Arc::clone(&pending_logins),
        connections_max: config.connections,
        stop: Arc::clone(&stop),
        reserve: Reserve::open()?,
        refused: None,
    };

    let reactors = reactors
        .into_iter()
        .enumerate()
        .map(|(index, (reactor, controls, orders, counters))| {
            let name = format!("reactor-{index}");
            let thread = thread::Builder::new().name(name).spawn(|| reactor.run())?;
            Ok(ReactorHandle { orders, controls, counters, thread })
        })
        .collect::<io::Result<_>>()?;
    let thread = thread::Builder::new().name("acceptor".to_owned()).spawn(|| acceptor.run())?;
    Ok(Net {
        acceptor: Some(AcceptorHandle { stop, waker, thread }),
        reactors,
        pending_logins,
        output,
        is_accepting: Arc::new(AtomicBool::new(true)),
    })
}

impl Net {
    /// The queues of orders, by [`ConnId::reactor`]. Sending waits while a queue is full. That wait ends, because a
    /// reactor waits for no other thread.
    pub fn orders(&self) -> Vec<Outbox<Vec<Order>>> {
        self.reactors.iter().map(|reactor| reactor.orders.clone()).collect()
    }

    /// Takes over connections that another listener has upgraded to WebSocket.
    pub fn adopter(&self) -> Adopter {
        Adopter {
            reactors: self.reactors.iter().map(|reactor| reactor.controls.clone()).collect(),
            next: AtomicUsize::new(0),
            pending_logins: Arc::clone(&self.pending_logins),
            is_accepting: Arc::clone(&self.is_accepting),
        }
    }

    /// What each reactor counts about itself.
    pub fn counters(&self) -> Vec<Arc<Counters>> {
        self.reactors.iter().map(|reactor| Arc::clone(&reactor.counters)).collect()
    }

    /// The budget of unwritten output, which bounds what logic may send to a session.
    pub fn output_budget(&self) -> Arc<OutputBudget> {
        Arc::clone(&self.output)
    }

    /// The number of open connections.
    pub fn connections(&self) -> usize {
        self.pending_logins.open.load(Ordering::Relaxed)
    }

    /// Closes the listeners. When it returns, no new connection is accepted; open ones are served on.
    pub fn stop_accepting(&mut self) {
        self.is_accepting.store(false, Ordering::Relaxed);
        if let Some(AcceptorHandle { stop, waker, thread }) = self.acceptor.take() {
            stop.store(true, Ordering::SeqCst);
            waker.wake().expect("an eventfd that is open takes a write");
            join(thread);
        }
    }

    /// Has every reactor carry out the orders that were sent before, write its output, close its connections and end,
    /// all within this time. [`Net::join`] waits for that.
    pub fn drain(&mut self, within: Duration) {
        self.stop_accepting();
        for reactor in &self.reactors {
            // A reactor that has already ended has panicked; joining it reports the panic.
            let _ = reactor.controls.send(Control::Drain(within));
        }
    }

    /// Waits for all threads to end, which [`Net::drain`] makes them do. A panic in one of them is resumed here.
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
