//! The settings of the rules.

use crate::conflict::{Conflict, Policy};
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Which sessions of an account a login ends.
    pub sessions: Policy,
    /// Milliseconds for which a session outlives its connection; with 0 the session ends with it.
    pub grace: u64,
    /// Messages that an account may send each second, with bursts of ten seconds' worth; 0 disables the limit.
    pub messages_per_second: u32,
    /// Units of requests that an account, or before login a client's network, may spend each second, with bursts of ten
    /// seconds' worth; 0 disables the limit.
    pub requests_per_second: u32,
    /// Reads that an account, or before login a client's network, may have waiting; 0 disables the limit.
    pub reads_waiting: u32,
    /// For how long a message may be edited, and recalled by its sender, milliseconds; 0: never.
    pub edit_window: u64,
    pub recall_window: u64,
    /// Whether messages can be searched.
    pub search: bool,
    /// Accounts that may be registered from one address (IPv6: from one /64) in an hour; 0 disables the limit.
    pub registrations_per_hour: u32,
    /// Bytes of the longest object sent to a legacy client; bounds what is read for it.
    pub legacy_object_bytes: usize,
    /// The name of this run of this node, unique to the run; `None` on a single node.
    pub cluster: Option<Arc<str>>,
    /// The name of this node, for replies.
    pub node: Box<str>,
    /// Where clients connect, `host:port`, for replies.
    pub address: Box<str>,
    /// The database's identity, for replies.
    pub server: Box<str>,
    /// Its history: what clients have seen is compared with another one.
    pub history: Box<str>,
    /// Where browsers reach the server.
    pub http: Option<Box<str>>,
}

/// A single node with the default configuration, but without limits on rates and registrations.
impl Default for Rules {
    fn default() -> Rules {
        Rules {
            sessions: Policy { conflict: Conflict::Kind, sessions_max: 10 },
            grace: 300_000,
            messages_per_second: 0,
            requests_per_second: 0,
            reads_waiting: 32,
            edit_window: 15 * 60_000,
            recall_window: 2 * 60_000,
            search: true,
            registrations_per_hour: 0,
            legacy_object_bytes: 1_024,
            cluster: None,
            node: "local".into(),
            address: "127.0.0.1:6000".into(),
            server: "server".into(),
            history: "history".into(),
            http: None,
        }
    }
}
