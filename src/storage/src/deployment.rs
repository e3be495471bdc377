//! A deployment: a database and all nodes that share it.

use crate::hex::Hex;
use crate::peers::PeerView;
use std::fmt;
use std::sync::Arc;

/// 128 random bits, shown in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RandomId(pub [u8; 16]);

impl fmt::Display for RandomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(f)
    }
}

/// The deployment that a node has joined.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// The database's identity, made with it.
    pub server: RandomId,
    /// Replaced by every start that finds no other live node. A restored database, whose timelines may differ from what
    /// clients have seen, therefore has a new one.
    pub history: RandomId,
    /// What this node knows of the others; `None` for an embedded database, which has no other node.
    pub peers: Option<Arc<PeerView>>,
}

/// How a node presents itself to the others.
#[derive(Clone, Debug)]
pub struct Joining {
    /// Its configured name, unique in the cluster.
    pub node: Box<str>,
    /// The name and a suffix that tells this run from earlier ones.
    pub run: Arc<str>,
}
