//! Strategies for nodes.

use super::fields::{number, text};
use proptest::collection::vec;
use proptest::prelude::*;
use wire::kind::request;
use wire::node::{Node, NodesPage, Reply, Request};

pub fn requests() -> impl Strategy<Value = Request> {
    Just(Request::Nodes)
}

pub fn replies() -> impl Strategy<Value = (u16, Reply)> {
    let load = (number(), number(), number(), number());
    let node = (text(20), text(20), load, any::<bool>()).prop_map(|(node, address, load, alive)| {
        let (connections, cpu, messages_per_second, score) = load;
        Node { node, address, connections, cpu, messages_per_second, score, alive }
    });
    (text(20), vec(node, 0..4))
        .prop_map(|(best, nodes)| (request::NODES, Reply::Nodes(Box::new(NodesPage { best, nodes }))))
}
