//! Connections with input to continue in the next turns.

use logic::ConnId;
use std::collections::VecDeque;

/// Connections of logged-in users that one turn continues with.
const ESTABLISHED_PER_TURN: usize = 128;
/// Connections that are not logged in or have ended that one turn takes in or continues with.
pub(crate) const TRANSIENT_PER_TURN: usize = 64;

/// Two queues, so that a storm of logins or disconnects does not starve active users.
#[derive(Debug, Default)]
pub(crate) struct ReadyQueue {
    established: VecDeque<ConnId>,
    transient: VecDeque<ConnId>,
}

impl ReadyQueue {
    pub fn push(&mut self, id: ConnId, is_established: bool) {
        if is_established { self.established.push_back(id) } else { self.transient.push_back(id) }
    }

    /// The connections of the next turn, those that have waited longest first; empty only if none waits.
    pub fn take_turn(&mut self) -> Vec<ConnId> {
        let established = self.established.drain(..self.established.len().min(ESTABLISHED_PER_TURN));
        established.chain(self.transient.drain(..self.transient.len().min(TRANSIENT_PER_TURN))).collect()
    }
}
