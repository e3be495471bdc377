//! The nodes of a cluster, as alternatives for the next connection.

use crate::requests::Purpose;
use crate::state::Session;
use crate::timing::NODES_MS;
use wire::Command;
use wire::node::{Reply, Request};

impl Session {
    /// Asks for the nodes after each login, then every [`NODES_MS`].
    pub(crate) fn pump_nodes(&mut self, now: u64) {
        if self.nodes_at <= now {
            self.nodes_at = now + NODES_MS;
            self.transmit(now, &Command::Node(Request::Nodes), Purpose::Nodes);
        }
    }

    pub(crate) fn handle_node_reply(&mut self, reply: wire::Reply) -> bool {
        match reply {
            wire::Reply::Node(Reply::Nodes(page)) => self.route.learn(*page, &self.node),
            // The known nodes stay in use.
            wire::Reply::Refused(_) => {}
            _ => return false,
        }
        true
    }
}
