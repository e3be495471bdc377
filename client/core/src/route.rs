//! [`Route`]: where to connect next, the configured address or a node of the cluster.

use std::collections::VecDeque;
use wire::node::NodesPage;

/// The most nodes remembered.
pub const NODES_MAX: usize = 16;

/// The order of connection attempts.
///
/// Every other attempt goes to the configured address. It may be a load balancer, and the nodes behind it may be
/// unreachable from here: so an unreachable node delays the next attempt at the configured address by one attempt only.
#[derive(Clone, Debug, Default)]
pub struct Route {
    /// The best first; a node that was tried moves to the end.
    nodes: VecDeque<Box<str>>,
    /// The node named by a server when it announced its shutdown.
    named: Option<Box<str>>,
    /// The last attempt went to the configured address, and no login followed.
    configured_failed: bool,
    /// The last attempt went to a node.
    away: bool,
}

impl Route {
    /// Learns the nodes from the reply of the node `here`. That node is tried last, because it has just failed when the
    /// list is used.
    pub fn learn(&mut self, page: NodesPage, here: &str) {
        let mut nodes: Vec<_> = page.nodes.into_iter().filter(|node| node.alive).collect();
        if nodes.iter().all(|node| *node.node == *here) {
            // The configured address reaches this node.
            return self.nodes.clear();
        }
        nodes.sort_by_key(|node| (*node.node == *here, node.address != page.best, node.score));
        self.nodes = nodes.into_iter().take(NODES_MAX).map(|node| node.address).collect();
    }

    /// The next attempt goes to this node.
    pub fn go_to(&mut self, node: Option<Box<str>>) {
        self.named = node;
    }

    /// A login succeeded: after the next loss the configured address is tried first again.
    pub fn arrived(&mut self) {
        self.configured_failed = false;
    }

    /// The login ended: its nodes are not used by another one.
    pub fn forget(&mut self) {
        *self = Route::default();
    }

    /// Whether the next attempt goes to a node because the configured address did not answer.
    pub fn turns_to_a_node(&self) -> bool {
        self.named.is_none() && self.configured_failed && !self.nodes.is_empty()
    }

    /// Whether the last attempt went to a node.
    pub fn is_away(&self) -> bool {
        self.away
    }

    /// Where the next attempt goes; `None`: to the configured address.
    pub fn take_next(&mut self) -> Option<Box<str>> {
        let node = self.named.take().or_else(|| {
            // The node tried last moves to the end.
            self.nodes.rotate_left(usize::from(self.turns_to_a_node()));
            self.nodes.back().filter(|_| self.configured_failed).cloned()
        });
        self.away = node.is_some();
        self.configured_failed = node.is_none();
        node
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::node::Node;

    fn page(nodes: &[(&str, u64, bool)], best: &str) -> NodesPage {
        let node = |(name, score, alive): &(&str, u64, bool)| Node {
            node: (*name).into(),
            address: format!("{name}:6000").into(),
            connections: 0,
            cpu: 0,
            messages_per_second: 0,
            score: *score,
            alive: *alive,
        };
        NodesPage { best: format!("{best}:6000").into(), nodes: nodes.iter().map(node).collect() }
    }

    fn attempts(route: &mut Route, count: usize) -> Vec<String> {
        let name =
            |node: Option<Box<str>>| node.map_or("configured".to_owned(), |node| node.replace(":6000", ""));
        (0..count).map(|_| name(route.take_next())).collect()
    }

    #[test]
    fn attempts_alternate_between_the_configured_address_and_the_nodes_best_first() {
        let mut route = Route::default();
        let nodes = [("n1", 5, true), ("n2", 30, true), ("n3", 20, true), ("n4", 0, false)];
        route.learn(page(&nodes, "n1"), "n1");
        let expected = ["configured", "n3", "configured", "n2", "configured", "n1", "configured", "n3"];
        assert_eq!(attempts(&mut route, 8), expected);
        assert!(route.is_away() && !route.turns_to_a_node());
        route.arrived();
        assert_eq!(
            attempts(&mut route, 2),
            ["configured", "n2"],
            "a node that was tried is not the first again"
        );
    }

    #[test]
    fn a_node_named_at_shutdown_is_tried_first_and_once() {
        let mut route = Route::default();
        route.learn(page(&[("n1", 0, true), ("n2", 0, true)], "n1"), "n1");
        route.go_to(Some("n9:6000".into()));
        assert!(!route.turns_to_a_node());
        assert_eq!(attempts(&mut route, 4), ["n9", "configured", "n2", "configured"]);
    }

    #[test]
    fn a_single_node_is_reached_only_by_the_configured_address() {
        let mut route = Route::default();
        route.learn(page(&[("n1", 0, true), ("n2", 0, false)], "n1"), "n1");
        assert_eq!(attempts(&mut route, 3), ["configured"; 3]);
        assert!(!route.is_away() && !route.turns_to_a_node());
    }
}
