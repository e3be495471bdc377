//! Every rule of the chat server, as a pure state machine: inputs in, effects out, time is an argument.
//!
//! No socket, clock, thread, SQL or randomness inside, so a whole server with faults can be run in one test process
//! from a seed. It knows the types of `wire` and nothing else.
//!
//! **Driving it.** One thread owns [`Logic`]. A turn is any number of `handle_*` calls with one [`Now`], then the
//! carrying out of all [`Effects`]. [`Logic::handle_timeout`] is called when [`Logic::next_timeout`] has come.

#![forbid(unsafe_code)]

mod account;
pub mod bus;
mod cluster;
pub mod conn;
mod contact;
pub mod contract;
mod cursor;
mod delivery;
pub mod effect;
mod grace;
mod group;
mod guard;
pub mod limits;
mod listing;
mod login;
mod map;
mod message;
mod parked;
mod rate;
mod receipt;
mod request;
mod rules;
mod session;
mod state;
mod waiting_line;
mod welcome;

pub use bus::{BusInput, BusOrder};
pub use conn::ConnId;
pub use contract::{Found, Read, Ticket, Write, Written};
pub use effect::{CloseReason, Effects, Order, PasswordJob, PasswordResult};
pub use rules::Logic;

use std::net::IpAddr;
use std::sync::Arc;
use wire::{Command, Dialect, UnixMillis};

/// The two clocks at the beginning of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds on a clock that never jumps; deadlines are set on it.
    pub monotonic: u64,
    /// The wall clock, for show.
    pub wall: UnixMillis,
}

/// What the sub-reactors tell logic.
#[derive(Debug)]
pub enum Input {
    /// A connection has spoken its first byte. Comes before anything else about it.
    Opened {
        conn: ConnId,
        peer: IpAddr,
        /// What its client speaks, and so what it can be told.
        dialect: Dialect,
    },
    /// A request. After LOGIN and LOGOUT the sub-reactor sends nothing of that connection until it was answered.
    Request {
        conn: ConnId,
        /// Its number; 0 wants no reply.
        request: u32,
        command: Command,
    },
    /// All that was ordered to be written to it is with the kernel; answers [`Order::NotifyDrained`].
    Drained { conn: ConnId },
    /// The connection is gone. Nothing comes from it after.
    Closed { conn: ConnId },
}

/// What a deployment decides about the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// What a second login of an account does.
    pub conflict: Conflict,
    /// Milliseconds for which a session outlives its connection; 0: it ends with it.
    pub grace: u64,
    /// Messages that an account may send each second, with a burst of ten seconds' worth; 0: any number.
    pub messages_per_second: u32,
    /// Bytes of the longest object that a legacy client is sent: how much is worth reading for it.
    pub legacy_object_bytes: usize,
    /// The name of this run of this node, where it shares its database with others; differs between any two runs.
    pub cluster: Option<Arc<str>>,
    /// Name of this node, for replies.
    pub node: Box<str>,
    /// Where clients connect, `host:port`, for replies.
    pub address: Box<str>,
}

/// A node alone, as it is configured by default, without a limit of messages.
impl Default for Rules {
    fn default() -> Rules {
        Rules {
            conflict: Conflict::Kick,
            grace: 300_000,
            messages_per_second: 0,
            legacy_object_bytes: 1_024,
            cluster: None,
            node: "local".into(),
            address: "127.0.0.1:6000".into(),
        }
    }
}

/// What a second login of an account does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// Ends the first session.
    Kick,
    Reject,
}
