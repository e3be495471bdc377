//! Where to connect: the address that was given, and, while that does not answer, the nodes that the server told of.

use std::collections::VecDeque;
use wire::node::NodesPage;

/// Nodes that are remembered at most.
pub const NODES_MAX: usize = 16;

/// The order of attempts.
///
/// Every other attempt goes to the given address: it may stand for all nodes, and those may be out of reach from here,
/// so that each of them costs no more than one attempt between two to the address that should work.
#[derive(Clone, Debug, Default)]
pub struct Route {
    /// The best first; one that was tried goes to the end.
    nodes: VecDeque<Box<str>>,
    /// Where a server that leaves sent its clients.
    named: Option<Box<str>>,
    /// The given address was tried last, and is not what the client is connected to.
    given_failed: bool,
    /// The last attempt went to a node.
    away: bool,
}

impl Route {
    /// Takes the server's word for its nodes; `here` is the one that says it, the last to go to when it is lost.
    pub fn learn(&mut self, page: NodesPage, here: &str) {
        let mut nodes: Vec<_> = page.nodes.into_iter().filter(|node| node.alive).collect();
        if nodes.iter().all(|node| *node.node == *here) {
            // The given address leads there.
            return self.nodes.clear();
        }
        nodes.sort_by_key(|node| (*node.node == *here, node.address != page.best, node.score));
        self.nodes = nodes.into_iter().take(NODES_MAX).map(|node| node.address).collect();
    }

    /// The next attempt goes to this node.
    pub fn go_to(&mut self, node: Option<Box<str>>) {
        self.named = node;
    }

    /// A login succeeded: after the next loss the given address is tried first again.
    pub fn arrived(&mut self) {
        self.given_failed = false;
    }

    /// Nobody is logged in any more: nodes are for the sessions that heard of them.
    pub fn forget(&mut self) {
        *self = Route::default();
    }

    /// Whether the next attempt goes to a node because the given address did not answer.
    pub fn turns_to_a_node(&self) -> bool {
        self.named.is_none() && self.given_failed && !self.nodes.is_empty()
    }

    /// Whether the last attempt went to a node, not to the given address.
    pub fn is_away(&self) -> bool {
        self.away
    }

    /// Where the next attempt goes; `None`: to the given address.
    pub fn take_next(&mut self) -> Option<Box<str>> {
        let node = self.named.take().or_else(|| {
            // All move up by one.
            self.nodes.rotate_left(usize::from(self.turns_to_a_node()));
            self.nodes.back().filter(|_| self.given_failed).cloned()
        });
        self.away = node.is_some();
        self.given_failed = node.is_none();
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
        let name = |node: Option<Box<str>>| node.map_or("given".to_owned(), |node| node.replace(":6000", ""));
        (0..count).map(|_| name(route.take_next())).collect()
    }

    #[test]
    fn every_other_attempt_goes_to_the_given_address_and_the_others_to_nodes_best_first() {
        let mut route = Route::default();
        let nodes = [("n1", 5, true), ("n2", 30, true), ("n3", 20, true), ("n4", 0, false)];
        route.learn(page(&nodes, "n1"), "n1");
        let expected = ["given", "n3", "given", "n2", "given", "n1", "given", "n3"];
        assert_eq!(attempts(&mut route, 8), expected);
        assert!(route.is_away() && !route.turns_to_a_node());
        route.arrived();
        assert_eq!(attempts(&mut route, 2), ["given", "n2"], "a node that was tried is not the first again");
    }

    #[test]
    fn a_node_that_was_named_is_tried_once_before_all() {
        let mut route = Route::default();
        route.learn(page(&[("n1", 0, true), ("n2", 0, true)], "n1"), "n1");
        route.go_to(Some("n9:6000".into()));
        assert!(!route.turns_to_a_node());
        assert_eq!(attempts(&mut route, 4), ["n9", "given", "n2", "given"]);
    }

    #[test]
    fn a_server_that_is_alone_is_only_where_it_was_found() {
        let mut route = Route::default();
        route.learn(page(&[("n1", 0, true), ("n2", 0, false)], "n1"), "n1");
        assert_eq!(attempts(&mut route, 3), ["given"; 3]);
        assert!(!route.is_away() && !route.turns_to_a_node());
    }
}
