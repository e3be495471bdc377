//! The nodes of the cluster, and the choice of a node for a client.

use super::State;
use crate::bus::{Load, Report};
use wire::node::{Node, NodesPage};

impl State {
    /// The known nodes, always including this one, and the address of the best.
    pub fn nodes_page(&self) -> NodesPage {
        let known = self.cluster.nodes().iter();
        let mut nodes: Vec<Node> =
            known.filter_map(|node| Some(row(node.report.as_ref()?, node.alive))).collect();
        if !nodes.iter().any(|node| node.address == self.rules.address) {
            nodes.push(row(&self.own_report(), !self.draining));
        }
        nodes.sort_by(|a, b| (&a.node, &a.address).cmp(&(&b.node, &b.address)));
        let best = nodes.iter().filter(|node| node.alive).min_by_key(|node| (node.score, node.connections));
        let best = best.map_or(self.rules.address.clone(), |node| node.address.clone());
        NodesPage { best, nodes }
    }

    /// The address of the best other node, for clients of a draining node.
    pub fn best_other_node(&self) -> Option<Box<str>> {
        let nodes = self.nodes_page().nodes.into_iter();
        let others = nodes.filter(|node| node.alive && node.address != self.rules.address);
        others.min_by_key(|node| (node.score, node.connections)).map(|node| node.address)
    }

    fn own_report(&self) -> Report {
        Report {
            node: self.rules.node.clone(),
            address: self.rules.address.clone(),
            load: Load { connections: self.connections.len() as u64, ..Load::default() },
            cpu: 0,
        }
    }
}

fn row(report: &Report, alive: bool) -> Node {
    Node {
        node: report.node.clone(),
        address: report.address.clone(),
        connections: report.load.connections,
        cpu: report.cpu,
        messages_per_second: report.load.messages_per_second,
        score: score(report),
        alive,
    }
}

/// A load score; clients go to the lowest. Ten for each percent of CPU in use, one for each 20 clients, one for each 50
/// messages a second.
fn score(report: &Report) -> u64 {
    10 * report.cpu + report.load.connections / 20 + report.load.messages_per_second / 50
}
