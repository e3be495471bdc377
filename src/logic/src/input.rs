//! The inputs of the rules: the time, and what happens on connections.

use crate::conn::ConnId;
use crate::request::Sessionless;
use std::net::IpAddr;
use wire::{Command, Dialect, UnixMillis};

/// The two clocks at the beginning of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds of a clock that never jumps; deadlines are set on it.
    pub monotonic: u64,
    /// The wall clock, for display only.
    pub wall: UnixMillis,
}

/// An input from a reactor.
#[derive(Debug)]
pub enum Input {
    /// A connection has sent its first byte. Comes before anything else about it.
    Opened {
        conn: ConnId,
        peer: IpAddr,
        /// The client's protocol, which decides what can be sent to it.
        dialect: Dialect,
    },
    /// A request. After LOGIN or LOGOUT the reactor forwards no further request of the connection until it is
    /// answered.
    Request {
        conn: ConnId,
        /// Its number; 0 wants no reply.
        request: u32,
        command: Command,
    },
    /// A request of a client that has no session and never has one on this connection.
    Sessionless { conn: ConnId, request: Box<Sessionless> },
    /// The client is there, without a request.
    Heartbeat { conn: ConnId },
    /// The kernel has accepted all output of the connection; answers [`Order::NotifyDrained`].
    ///
    /// [`Order::NotifyDrained`]: crate::Order::NotifyDrained
    Drained { conn: ConnId },
    /// The connection is gone; no further input comes from it.
    Closed { conn: ConnId },
}

// Inputs pass through queues by value, in large numbers.
const _: () = assert!(size_of::<Input>() <= 96);
