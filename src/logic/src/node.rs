//! Nodes: NODES, and the reads and writes that this node issues for itself.

use crate::cluster;
use crate::contract::{Found, Written};
use crate::state::pending::node::Pending;
use crate::state::reply_to::ReplyTo;
use crate::turn::Turn;
use wire::node::{Reply, Request};

/// NODES is answered from memory.
pub(crate) fn begins_when_busy() -> bool {
    true
}

pub(crate) fn begin(turn: &mut Turn<'_>, reply_to: ReplyTo, request: &Request) {
    let Request::Nodes = request;
    let page = turn.state.nodes_page();
    turn.answer(reply_to, Reply::Nodes(Box::new(page)));
}

pub(crate) fn found(turn: &mut Turn<'_>, pending: Pending, found: Found) {
    cluster::found(turn, pending, found);
}

pub(crate) fn written(turn: &mut Turn<'_>, pending: &Pending, written: &Written) {
    cluster::written(turn, pending, written);
}
