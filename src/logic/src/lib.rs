//! Every rule of the chat server, as a pure state machine: inputs in, effects out, time is an argument.
//!
//! The crate has no socket, clock, thread, SQL or randomness, so a test can run whole servers with injected faults in
//! one process, reproducibly from a seed. It depends only on the types of `wire`.
//!
//! **Driving it.** One thread owns [`Logic`]. A turn is any number of `handle_*` calls with one [`Now`], after which
//! all [`Effects`] are carried out. [`Logic::handle_timeout`] is called at [`Logic::next_timeout`].
//!
//! **Layers.** Each imports only those below it; a rule hands work to a layer above it as data, a `FollowUp`.
//!
//! ```text
//!   rules      the dispatcher: one row for each noun
//!   sessionless  what clients ask that have a token or a password and no session
//!   message  change  group  contact  timeline  account  node  the nouns
//!   cluster    other nodes: delivery lines, reconciliation, loads
//!   session    login, takeover, welcome, ending
//!   presence   typing   delivery   listening   simple   listing   password
//!   turn       state, time, effects, follow-ups
//!   scheduling on whose behalf a read is run
//!   state      sessions, connections, pending requests, cursors, rates, ...
//!   rights     what a member may do, asked by storage in its transactions
//!   counters   what the rules count about themselves
//!   contract   what storage must do; bus, effect, input: what the shells exchange with the rules
//! ```

#![forbid(unsafe_code)]

mod account;
pub mod attempt;
mod budget;
pub mod bus;
mod change;
mod cluster;
pub mod conflict;
pub mod conn;
mod contact;
pub mod contract;
mod counters;
mod delivery;
pub mod effect;
mod group;
mod input;
pub mod limits;
mod listening;
mod listing;
mod map;
mod message;
mod network;
mod node;
mod password;
mod presence;
mod request;
pub mod rights;
mod rules;
mod scheduling;
mod session;
mod sessionless;
mod settings;
mod simple;
mod state;
mod timeline;
mod turn;
mod typing;

pub use bus::{BusInput, BusOrder};
pub use conflict::{Conflict, Policy};
pub use conn::ConnId;
pub use contract::{Found, Query, Read, Ticket, Write, Written};
pub use counters::{Counters, ERRNOS, Milliseconds};
pub use effect::{Alert, DisconnectReason, Effects, Grant, Order, PasswordJob, PasswordResult};
pub use input::{Input, Now};
pub use network::Network;
pub use request::Sessionless;
pub use rules::Logic;
pub use settings::Rules;
