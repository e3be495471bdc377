//! The bus between nodes: Redis, which carries hints and leases and nothing that cannot be rebuilt.
//!
//! ```text
//!   logic --orders--> commander --pipelined batches--> Redis <--connection 2-- subscriber --inputs--> logic
//!                         |     SUBSCRIBE and PING, written to connection 2 ------^
//! ```
//!
//! The commander owns one connection and sends all orders of a turn in one pipeline. The subscriber reads a second
//! connection and never stops reading: if logic's inbox is full, it drops hints and reports a gap. The commander writes
//! SUBSCRIBE and PING to that second connection. Their replies come back in order, so the subscriber knows when a
//! channel is active. A PING twice a second shows that the connection is alive; after [`client::SILENCE`] without
//! any data it counts as lost.
//!
//! Redis is not trusted. Everything that a node sends is sealed ([`seal`]) with a key from the database, and everything
//! that a node receives is checked ([`inspector`]) before it is decoded: others who reach Redis can delay messages and
//! logins, but not forge, repeat or redirect anything.

mod check;
mod client;
pub mod codec;
mod commander;
mod connection;
mod endpoint;
mod identity;
pub mod inspector;
mod load_report;
pub mod names;
pub mod rejection;
pub mod seal;
mod subscriber;
#[cfg(test)]
mod tests;
mod values;

pub use check::check;
pub use endpoint::Endpoint;
pub use identity::NodeIdentity;

use commander::Commander;
use connection::SubscriberConnection;
use inspector::Inspector;
use logic::{BusInput, BusOrder};
use names::Names;
use runtime::queue::{Bell, Outbox};
use runtime::watchdog::Role;
use runtime::worker::Worker;
use seal::{Keys, Sealer};
use std::io;
use std::sync::Arc;
use storage::PeerView;

/// Batches of orders that wait for the commander; beyond this logic keeps them and drops publications.
const ORDER_BATCHES: usize = 1_024;

/// The threads of the bus.
#[derive(Debug)]
pub struct Bus {
    orders: Outbox<Vec<BusOrder>>,
    commander: Worker,
    subscriber: Worker,
    connection: Arc<SubscriberConnection>,
}

/// Starts the threads. They connect by themselves, and reconnect whenever a connection is lost.
///
/// # Errors
/// If the system cannot start another thread.
pub fn start(
    endpoint: Endpoint,
    identity: NodeIdentity,
    peers: &Arc<PeerView>,
    inputs: Outbox<Vec<BusInput>>,
) -> io::Result<Bus> {
    let names = Names::new(&identity.server);
    let keys = || Keys::new(Arc::clone(peers));
    let connection = Arc::new(SubscriberConnection::new(endpoint, names.clone(), identity.run.clone()));
    let subscriber = {
        let (connection, inputs) = (Arc::clone(&connection), inputs.clone());
        let inspector = Inspector::new(names.clone(), keys(), identity.run.clone());
        let run = identity.run.clone();
        Worker::spawn(Role::Bus, "bus-in", Arc::new(Bell::new()), move |_| {
            subscriber::run(&connection, &run, inspector, &inputs);
        })?
    };
    let sealer = Sealer::new(keys(), identity.run.clone());
    let commander = Commander::new(Arc::clone(&connection), identity, names, sealer, inputs);
    let (commander, orders) =
        Worker::with_mailbox(Role::Bus, "bus-out", ORDER_BATCHES, move |orders| commander.run(orders))?;
    Ok(Bus { orders, commander, subscriber, connection })
}

impl Bus {
    pub fn orders(&self) -> Outbox<Vec<BusOrder>> {
        self.orders.clone()
    }

    /// Sends what is queued, withdraws this node's lease, and ends both threads.
    pub fn stop(self) {
        self.commander.stop();
        self.connection.close();
        self.subscriber.stop();
    }
}
