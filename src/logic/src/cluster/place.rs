//! Who is how busy: this node's lease and reports, what is known of the others, and the answer to NODES.
//!
//! A lease says that a node lives; it is renewed each second and lasts four. A report says how busy it is; one comes every
//! 5 s and a random 0 to 10 more, so that nodes do not report together, and after three that are missed it is no place to go.

use super::watch;
use crate::Now;
use crate::bus::{BusOrder, Load, NodeState, Report};
use crate::effect::Effects;
use crate::limits::{POLL_MS, REPORT_LEAST_MS, REPORT_MORE_MS};
use crate::state::State;
use foldhash::fast::FixedState;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher;
use wire::node::{Node, NodesPage};

/// What is known of all nodes.
#[derive(Debug)]
pub(crate) struct Placement {
    nodes: Vec<NodeState>,
    next_lease: u64,
    next_report: u64,
    reported_at: u64,
    stored: u64,
    /// Reports so far; makes the random part of their times.
    reports: u64,
    seed: u64,
    /// When the sessions of a run that died are over.
    over: BTreeMap<(u64, Box<str>), ()>,
}

impl Placement {
    pub fn new(seed: u64) -> Placement {
        Placement {
            nodes: Vec::new(),
            next_lease: 0,
            next_report: 0,
            reported_at: 0,
            stored: 0,
            reports: 0,
            seed,
            over: BTreeMap::new(),
        }
    }

    /// When [`timeout`] has something to do.
    pub fn next(&self) -> u64 {
        let over = self.over.keys().next().map(|(at, _)| *at);
        [Some(self.next_lease), Some(self.next_report), over].into_iter().flatten().min().unwrap_or(0)
    }

    /// A message was stored here.
    pub fn count(&mut self) {
        self.stored += 1;
    }
}

/// The lower, the better a place for the next client: ten for each percent of the node's processors in use, one for
/// each 20 clients, one for each 50 messages a second.
fn score(report: &Report) -> u64 {
    10 * report.cpu + report.load.connections / 20 + report.load.messages_per_second / 50
}

/// Renews the lease and reports, when it is time.
pub(crate) fn timeout(state: &mut State, now: Now, fx: &mut Effects) {
    let connections = state.connections.len() as u64;
    let Some(cluster) = &mut state.cluster else { return };
    let (placement, at) = (&mut cluster.placement, now.monotonic);
    if at >= placement.next_lease {
        placement.next_lease = at + POLL_MS;
        fx.bus.push(BusOrder::Lease);
    }
    if at >= placement.next_report {
        let more = FixedState::with_seed(placement.seed).hash_one(placement.reports) % (REPORT_MORE_MS + 1);
        placement.next_report = at + REPORT_LEAST_MS + more;
        placement.reports += 1;
        let elapsed = (at - placement.reported_at).max(1);
        placement.reported_at = at;
        let messages_per_second = std::mem::take(&mut placement.stored) * 1_000 / elapsed;
        if !state.draining {
            fx.bus.push(BusOrder::Report(Load { connections, messages_per_second }));
        }
    }
    let mut over = false;
    while let Some(first) = placement.over.first_entry()
        && first.key().0 <= at
    {
        first.remove();
        over = true;
    }
    // Nobody is left who could say that its users are gone.
    if over {
        watch::changed(state, fx);
    }
}

/// Who has a lease, who has reported. A run whose lease has ended may have stored what it did not publish.
pub(crate) fn known(state: &mut State, now: Now, nodes: Vec<NodeState>) {
    let Some(cluster) = &mut state.cluster else { return };
    let placement = &mut cluster.placement;
    let alive: BTreeSet<&str> = nodes.iter().filter(|node| node.alive).map(|node| &*node.run).collect();
    let died = placement.nodes.iter().filter(|node| node.alive && !alive.contains(&*node.run));
    let died: Vec<Box<str>> = died.map(|node| node.run.clone()).collect();
    let own = nodes.iter().find(|node| *node.run == *cluster.run);
    if own.is_none_or(|own| own.report.is_none()) {
        // It was lost with the bus's memory.
        placement.next_report = placement.next_report.min(now.monotonic + POLL_MS);
    }
    placement.nodes = nodes;
    for run in &died {
        placement.over.insert((now.monotonic + state.rules.grace, run.clone()), ());
    }
    if !died.is_empty() {
        watch::missed(state, now);
    }
}

/// The nodes that are known, this one in any case, and the one to go to.
pub(crate) fn page(state: &State) -> NodesPage {
    let own = Report {
        node: state.rules.node.clone(),
        address: state.rules.address.clone(),
        load: Load { connections: state.connections.len() as u64, ..Load::default() },
        cpu: 0,
    };
    let line = |report: &Report, alive: bool| Node {
        node: report.node.clone(),
        address: report.address.clone(),
        connections: report.load.connections,
        cpu: report.cpu,
        messages_per_second: report.load.messages_per_second,
        score: score(report),
        alive,
    };
    let known = state.cluster.iter().flat_map(|cluster| &cluster.placement.nodes);
    let known = known.filter_map(|node| Some(line(node.report.as_ref()?, node.alive)));
    let mut nodes: Vec<Node> = known.collect();
    if !nodes.iter().any(|node| node.address == own.address) {
        nodes.push(line(&own, !state.draining));
    }
    nodes.sort_by(|a, b| (&a.node, &a.address).cmp(&(&b.node, &b.address)));
    let best = nodes.iter().filter(|node| node.alive).min_by_key(|node| (node.score, node.connections));
    let best = best.map_or(own.address, |node| node.address.clone());
    NodesPage { best, nodes }
}

/// Where clients of this node go when it drains.
pub(crate) fn elsewhere(state: &State) -> Option<Box<str>> {
    let page = page(state);
    let others = page.nodes.into_iter().filter(|node| node.alive && node.address != state.rules.address);
    others.min_by_key(|node| (node.score, node.connections)).map(|node| node.address)
}
