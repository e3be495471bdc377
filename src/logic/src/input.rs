//! The inputs of the rules: the time, and what happens on connections.

use crate::conn::ConnId;
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

/// What sub-reactors report.
#[derive(Debug)]
pub enum Input {
    /// A connection has sent its first byte. Comes before anything else about it.
    Opened {
        conn: ConnId,
        peer: IpAddr,
        /// What its client speaks; decides what it can be sent.
        dialect: Dialect,
    },
    /// A request. After LOGIN or LOGOUT the sub-reactor sends nothing more of the connection until it is answered.
    Request {
        conn: ConnId,
        /// Its number; 0 wants no reply.
        request: u32,
        command: Command,
    },
    /// Everything that was ordered to be written is with the kernel; answers [`Order::NotifyDrained`].
    ///
    /// [`Order::NotifyDrained`]: crate::Order::NotifyDrained
    Drained { conn: ConnId },
    /// The connection is gone. Nothing comes from it afterwards.
    Closed { conn: ConnId },
}

// A queue of them feeds the logic thread.
const _: () = assert!(size_of::<Input>() <= 96);
