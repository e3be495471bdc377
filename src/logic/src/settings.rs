//! What a deployment decides about the rules.

use std::sync::Arc;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// What a second login of an account does.
    pub conflict: Conflict,
    /// Milliseconds for which a session outlives its connection; with 0 it ends with it.
    pub grace: u64,
    /// Messages that an account may send each second, with a burst of ten seconds' worth; 0 is no limit.
    pub messages_per_second: u32,
    /// Bytes of the longest object that a legacy client is sent; bounds what is read for it.
    pub legacy_object_bytes: usize,
    /// The name of this run of this node, where it shares its database with others; differs between any two runs.
    pub cluster: Option<Arc<str>>,
    /// The name of this node, for replies.
    pub node: Box<str>,
    /// Where clients connect, `host:port`, for replies.
    pub address: Box<str>,
}

/// A node alone with the default configuration, but without a message rate.
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
    /// It ends the first session.
    Kick,
    /// It is refused.
    Reject,
}
