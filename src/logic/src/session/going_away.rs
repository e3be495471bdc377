//! GOING_AWAY: a draining server tells its clients when and where to reconnect.

use crate::conn::ConnId;
use crate::effect::{Effects, Order};
use crate::limits::{DRAIN_RETRY_MS, DRAIN_SPREAD_MS, DRAIN_STEP_MS};
use crate::turn::Turn;
use wire::session::{GoingAway, Push};

/// Notifies every client. A client whose login is still pending is notified after the reply.
pub(crate) fn tell_all(turn: &mut Turn<'_>) {
    let node = turn.state.best_other_node();
    let sessions = turn.state.sessions.iter().filter(|session| session.login.is_none());
    for (nth, session) in (0..).zip(sessions) {
        // Spread evenly, so that they do not reconnect all at once.
        let wait = DRAIN_RETRY_MS + nth * DRAIN_STEP_MS % DRAIN_SPREAD_MS;
        push(session.conn, wait, node.clone(), turn.effects);
    }
}

/// Notifies a client whose login completes while the server drains.
pub(super) fn tell(turn: &mut Turn<'_>, conn: ConnId) {
    push(conn, DRAIN_RETRY_MS, turn.state.best_other_node(), turn.effects);
}

fn push(conn: ConnId, retry_after_ms: u64, node: Option<Box<str>>, effects: &mut Effects) {
    let push = GoingAway { reason: "it is being stopped".into(), retry_after_ms, node };
    effects.order(conn, Order::Push { conn, push: Push::GoingAway(Box::new(push)).into() });
}
