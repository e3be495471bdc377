//! Every rule of the chat server, as a pure state machine: inputs in, effects out, time is an argument.
//!
//! No socket, clock, thread, SQL or randomness inside, so a whole server with faults can be run in one test process
//! from a seed. It knows the types of `wire` and nothing else.
//!
//! **Driving it.** One thread owns [`Logic`]. A turn is any number of `handle_*` calls with one [`Now`], then the
//! carrying out of all [`Effects`]. [`Logic::handle_timeout`] is called when [`Logic::next_timeout`] has come.

#![forbid(unsafe_code)]

mod account;
pub mod conn;
mod contact;
mod cursor;
mod delivery;
pub mod effect;
mod group;
mod guard;
pub mod limits;
mod line;
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
pub mod store;
mod welcome;

pub use conn::ConnId;
pub use effect::{CloseReason, Effects, Order, PasswordJob, PasswordResult};
pub use rules::Logic;
pub use store::{Found, Read, Ticket, Write, Written};

use std::net::IpAddr;
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
        /// Which.
        conn: ConnId,
        /// From where.
        peer: IpAddr,
        /// What its client speaks, and so what it can be told.
        dialect: Dialect,
    },
    /// A request. After LOGIN and LOGOUT the sub-reactor sends nothing of that connection until it was answered.
    Request {
        /// From whom.
        conn: ConnId,
        /// Its number; 0 wants no reply.
        request: u32,
        /// What.
        command: Command,
    },
    /// All that was ordered to be written to it is with the kernel; answers [`Order::NotifyDrained`].
    Drained {
        /// Which.
        conn: ConnId,
    },
    /// The connection is gone. Nothing comes from it after.
    Closed {
        /// Which.
        conn: ConnId,
    },
}

/// What a deployment decides about the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// What a second login of an account does.
    pub conflict: Conflict,
    /// Messages that an account may send each second, with a burst of ten seconds' worth; 0: any number.
    pub messages_per_second: u32,
    /// Bytes of the longest object that a legacy client is sent: how much is worth reading for it.
    pub legacy_object_bytes: usize,
    /// Name of this node, for replies.
    pub node: Box<str>,
    /// Where clients connect, `host:port`, for replies.
    pub address: Box<str>,
}

/// What a second login of an account does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// Ends the first session.
    Kick,
    /// Is refused.
    Reject,
}
