//! Leases and load reports, of this node and of the others.
//!
//! A lease shows that a node is alive; it lasts four seconds and is renewed each second. A report shows how busy the
//! node is; reports are 5 to 15 s apart, at random, so that nodes do not report in step. After three missed reports a
//! node is no longer offered to clients.

use super::reconcile;
use crate::bus::{BusOrder, Load, NodeState};
use crate::limits::{POLL_MS, REPORT_LEAST_MS, REPORT_MORE_MS};
use crate::turn::Turn;
use foldhash::fast::FixedState;
use std::collections::BTreeSet;
use std::hash::BuildHasher;

/// Renews the lease and reports the load, if due.
pub(super) fn handle_timeout(turn: &mut Turn<'_>) {
    let connections = turn.state.connections.len() as u64;
    let Some(membership) = turn.state.cluster.membership() else { return };
    let (loads, now) = (&mut membership.loads, turn.now.monotonic);
    if now >= loads.next_lease {
        loads.next_lease = now + POLL_MS;
        turn.effects.bus.push(BusOrder::Lease);
    }
    if now >= loads.next_report {
        let more = FixedState::with_seed(loads.seed).hash_one(loads.reports) % (REPORT_MORE_MS + 1);
        loads.next_report = now + REPORT_LEAST_MS + more;
        loads.reports += 1;
        let elapsed = (now - loads.reported_at).max(1);
        loads.reported_at = now;
        let messages_per_second = std::mem::take(&mut loads.stored) * 1_000 / elapsed;
        if !turn.state.draining {
            turn.effects.bus.push(BusOrder::Report(Load { connections, messages_per_second }));
        }
    }
    let mut is_over = false;
    while let Some(first) = loads.graces.first_entry()
        && first.key().0 <= now
    {
        first.remove();
        is_over = true;
    }
    // The dead node cannot announce that its users went offline.
    if is_over {
        reconcile::announce_changed(turn, None);
    }
}

/// Takes the list of nodes that have a lease or a report. A run whose lease has expired may have stored messages
/// without publishing them.
pub(super) fn nodes_known(turn: &mut Turn<'_>, nodes: Vec<NodeState>) {
    let grace = turn.state.rules.grace;
    let Some(membership) = turn.state.cluster.membership() else { return };
    let loads = &mut membership.loads;
    let alive: BTreeSet<&str> = nodes.iter().filter(|node| node.alive).map(|node| &*node.run).collect();
    let died = loads.nodes.iter().filter(|node| node.alive && !alive.contains(&*node.run));
    let died: Vec<Box<str>> = died.map(|node| node.run.clone()).collect();
    let own = nodes.iter().find(|node| *node.run == *membership.run);
    if own.is_none_or(|own| own.report.is_none()) {
        // The bus was restarted and lost this node's report.
        loads.next_report = loads.next_report.min(turn.now.monotonic + POLL_MS);
    }
    loads.nodes = nodes;
    for run in &died {
        loads.graces.insert((turn.now.monotonic + grace, run.clone()), ());
    }
    if !died.is_empty() {
        reconcile::missed(turn);
    }
}
