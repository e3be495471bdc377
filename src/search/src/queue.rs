//! The queue in front of the search thread: fair over accounts.
//!
//! The account whose queries took least is served next. One that had nothing waiting starts where the others have come
//! to, so that idleness earns nothing.

use foldhash::HashMap;
use logic::contract::search::Query;
use std::collections::VecDeque;
use wire::UserId;

/// Queries that wait at most, of all accounts together.
const WAITING_MAX: usize = 1_024;

#[derive(Debug, Default)]
pub struct Queue {
    accounts: HashMap<UserId, Account>,
    waiting: usize,
    /// The time that the account served last had used.
    reached: u64,
    serial: u64,
}

#[derive(Debug, Default)]
struct Account {
    /// Each with its place in the order of arrival.
    waiting: VecDeque<(u64, Query)>,
    /// What its queries took, microseconds.
    used: u64,
}

impl Queue {
    /// Adds a query, or returns it where too many wait.
    pub fn push(&mut self, query: Query) -> Result<(), Query> {
        if self.waiting >= WAITING_MAX {
            return Err(query);
        }
        let account = self.accounts.entry(query.user).or_default();
        if account.waiting.is_empty() {
            account.used = account.used.max(self.reached);
        }
        self.serial += 1;
        account.waiting.push_back((self.serial, query));
        self.waiting += 1;
        Ok(())
    }

    /// Takes the next query.
    pub fn pop(&mut self) -> Option<Query> {
        let place = |account: &Account| Some((account.used, account.waiting.front()?.0));
        let next = self.accounts.iter().filter_map(|(user, account)| Some((place(account)?, *user))).min();
        let ((used, _), user) = next?;
        self.reached = used;
        self.waiting -= 1;
        self.accounts.get_mut(&user)?.waiting.pop_front().map(|(_, query)| query)
    }

    /// Charges an account for a query.
    pub fn charge(&mut self, user: UserId, micros: u64) {
        if let Some(account) = self.accounts.get_mut(&user) {
            account.used += micros.max(1);
        }
        let reached = self.reached;
        self.accounts.retain(|_, account| !account.waiting.is_empty() || account.used > reached);
    }

    pub fn is_empty(&self) -> bool {
        self.waiting == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use logic::Ticket;
    use wire::search::Search;

    fn query(user: u32, ticket: u64) -> Query {
        let search = Search::new("x", 50);
        Query { ticket: Ticket(ticket), user: UserId(user), due: 0, search: Box::new(search) }
    }

    #[test]
    fn an_account_with_long_queries_waits_behind_its_own() {
        let mut queue = Queue::default();
        (0..100).for_each(|ticket| queue.push(query(1, ticket)).unwrap());
        assert_eq!(queue.pop().unwrap().ticket, Ticket(0));
        queue.charge(UserId(1), 400_000);
        for ticket in 100..110 {
            queue.push(query(2, ticket)).unwrap();
            assert_eq!(queue.pop().unwrap().ticket, Ticket(ticket));
            queue.charge(UserId(2), 10_000);
        }
        assert_eq!(queue.pop().unwrap().ticket, Ticket(1));
    }

    #[test]
    fn idleness_earns_nothing_and_leaves_nothing() {
        let mut queue = Queue::default();
        for ticket in 0..10 {
            queue.push(query(1, ticket)).unwrap();
            queue.push(query(1, ticket)).unwrap();
            queue.pop().unwrap();
            queue.charge(UserId(1), 1_000);
            queue.pop().unwrap();
            queue.charge(UserId(1), 1_000);
        }
        queue.push(query(2, 1)).unwrap();
        queue.push(query(1, 2)).unwrap();
        queue.push(query(2, 3)).unwrap();
        let order: Vec<_> = std::iter::from_fn(|| {
            let query = queue.pop()?;
            queue.charge(query.user, 1_500);
            Some(query.ticket.0)
        })
        .collect();
        assert_eq!(order, [1, 2, 3]);
        assert!(queue.accounts.len() <= 2);
    }

    #[test]
    fn the_queue_is_bounded() {
        let mut queue = Queue::default();
        (0..WAITING_MAX as u64).for_each(|n| queue.push(query(n as u32, n)).unwrap());
        assert_eq!(queue.push(query(1, 9_999)).unwrap_err().ticket, Ticket(9_999));
        while queue.pop().is_some() {}
        assert!(queue.is_empty() && queue.push(query(1, 1)).is_ok());
    }
}
