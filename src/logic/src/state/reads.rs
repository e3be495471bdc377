//! Reads that wait for storage, counted for each requester.

use crate::contract::{Requester, Ticket};
use crate::map::{Map, map};

#[derive(Debug)]
pub(crate) struct Reads {
    /// The most that one requester may have waiting; 0: any number.
    most: u32,
    waiting: Map<Requester, u32>,
    requesters: Map<Ticket, Requester>,
}

impl Reads {
    pub fn new(most: u32, seed: u64) -> Reads {
        Reads { most, waiting: map(seed), requesters: map(seed) }
    }

    pub fn issued(&mut self, ticket: Ticket, requester: Requester) {
        if self.most > 0 {
            *self.waiting.entry(requester).or_default() += 1;
            self.requesters.insert(ticket, requester);
        }
    }

    /// Notes that a read was answered, whether or not anything waits for the answer.
    pub fn answered(&mut self, ticket: Ticket) {
        let Some(requester) = self.requesters.remove(&ticket) else { return };
        if let Some(waiting) = self.waiting.get_mut(&requester) {
            *waiting -= 1;
            if *waiting == 0 {
                self.waiting.remove(&requester);
            }
        }
    }

    /// Whether this requester has as many reads waiting as it may have.
    pub fn is_full(&self, requester: Requester) -> bool {
        self.most > 0 && self.waiting.get(&requester).is_some_and(|waiting| *waiting >= self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::UserId;

    const ANNA: Requester = Requester::Account(UserId(1));
    const BEN: Requester = Requester::Account(UserId(2));

    #[test]
    fn each_requester_has_a_bound_of_its_own() {
        let mut reads = Reads::new(2, 1);
        reads.issued(Ticket(1), ANNA);
        assert!(!reads.is_full(ANNA));
        reads.issued(Ticket(2), ANNA);
        assert!(reads.is_full(ANNA) && !reads.is_full(BEN));
        reads.answered(Ticket(1));
        reads.answered(Ticket(1));
        assert!(!reads.is_full(ANNA));
        reads.answered(Ticket(2));
        assert!(reads.waiting.is_empty() && reads.requesters.is_empty());
    }

    #[test]
    fn a_bound_of_zero_is_none() {
        let mut reads = Reads::new(0, 1);
        (0..100).for_each(|ticket| reads.issued(Ticket(ticket), ANNA));
        assert!(!reads.is_full(ANNA));
    }
}
