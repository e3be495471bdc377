//! Nodes: the servers of the cluster.

use crate::json::count;
use crate::table::{Body, requests};
use serde::{Deserialize, Serialize};

requests! {
    /// Lists the nodes of the cluster.
    20 NODES Nodes -> Nodes(Box<NodesPage>) [BeforeLogin],
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodesPage {
    /// The node to connect to, `host:port`.
    pub best: Box<str>,
    /// Every node that is known.
    pub nodes: Vec<Node>,
}

impl Body for NodesPage {}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    pub node: Box<str>,
    /// Where its clients connect, `host:port`.
    pub address: Box<str>,
    #[serde(deserialize_with = "count")]
    pub connections: u64,
    /// Processor time, in percent of all its processors.
    #[serde(default, deserialize_with = "count")]
    pub cpu: u64,
    /// Messages stored per second.
    #[serde(default, deserialize_with = "count")]
    pub messages_per_second: u64,
    /// Its load; new clients go to the node with the lowest score.
    #[serde(default, deserialize_with = "count")]
    pub score: u64,
    pub alive: bool,
}
