use std::sync::Arc;
use std::time::Instant;

/// How this node presents itself to the others.
#[derive(Clone, Debug)]
pub struct NodeIdentity {
    /// The node's name and a random suffix, which tells this run from earlier ones.
    pub run: Arc<str>,
    pub node: Box<str>,
    /// The id of the deployment's database.
    pub server: Box<str>,
    /// Where clients connect to this node, `host:port`.
    pub address: Box<str>,
    /// The zero of logic's monotonic clock.
    pub clock_start: Instant,
}
