//! Which read is run next.
//!
//! ```text
//!   system    server . conversations . accounts    \
//!   login     accounts . networks                   > next: the first lane with a query, the requester that has
//!   request   accounts . networks                  /        used least, its oldest query
//! ```
//!
//! Within a lane each requester has a *virtual time*: the microseconds that its queries took. The requester with the
//! lowest is served next (start-time fair queuing, Goyal, Vin and Cheng 1996), so that a requester of expensive
//! queries waits behind its own. One that had nothing waiting starts at the virtual time that the lane has reached:
//! idleness earns nothing. At most one query of a requester runs at a time, so that no requester occupies all threads.
//!
//! A lane that was passed over [`PASSED_MAX`] times is served once, so no lane starves.

use foldhash::HashMap;
use logic::contract::{self, Query, Requester, Ticket};
use std::collections::{BTreeSet, VecDeque};

/// How often a lane with a query is passed over before it is served once.
const PASSED_MAX: u32 = 32;
const LANES: usize = 3;

/// The waiting queries.
#[derive(Debug, Default)]
pub struct ReadSchedule {
    lanes: [Lane; LANES],
}

/// What to do next.
#[derive(Debug)]
pub enum Next {
    /// Run it, then report what it took to [`ReadSchedule::finished`].
    Run(Query),
    /// Answer it without running it: its requester has stopped waiting, or does not want it any more.
    Overdue(Query),
}

#[derive(Debug, Default)]
struct Lane {
    requesters: HashMap<Requester, Account>,
    /// The requesters with a query that may run, by virtual time, then in the order in which they became ready.
    ready: BTreeSet<(u64, u64, Requester)>,
    /// The requesters without a query whose virtual time is ahead of the lane's, by that time.
    idle: BTreeSet<(u64, Requester)>,
    /// The virtual time of the query that was started last.
    reached: u64,
    running: usize,
    serial: u64,
    /// How often it was passed over since it was last served.
    passed: u32,
}

/// A requester's queries and what it has used.
#[derive(Debug, Default)]
struct Account {
    waiting: VecDeque<Query>,
    /// What its queries have taken, microseconds, or the lane's virtual time when it came.
    virtual_time: u64,
    is_running: bool,
}

impl ReadSchedule {
    pub fn push(&mut self, query: Query) {
        self.lanes[query.lane as usize].push(query);
    }

    /// Has a query that still waits answered in its turn without being run.
    pub fn forget_query(&mut self, requester: Requester, ticket: Ticket) {
        let accounts = self.lanes.iter_mut().filter_map(|lane| lane.requesters.get_mut(&requester));
        let mut waiting = accounts.flat_map(|account| &mut account.waiting);
        if let Some(query) = waiting.find(|query| query.ticket == ticket) {
            query.due = Some(0);
        }
    }

    /// The next query, which is removed; `None`: none may run now. `now`: the monotonic clock of the rules, ms.
    pub fn next(&mut self, now: u64) -> Option<Next> {
        let at = self.next_lane()?;
        let lane = &mut self.lanes[at];
        let (virtual_time, serial, requester) = lane.ready.pop_first()?;
        let account = lane.requesters.get_mut(&requester)?;
        let query = account.waiting.pop_front()?;
        if query.due.is_some_and(|due| due <= now) {
            lane.settle(requester, (virtual_time, serial));
            return Some(Next::Overdue(query));
        }
        account.is_running = true;
        lane.running += 1;
        lane.reached = virtual_time;
        lane.passed = 0;
        for lower in self.lanes[at + 1..].iter_mut().filter(|lane| !lane.ready.is_empty()) {
            lower.passed += 1;
        }
        Some(Next::Run(query))
    }

    /// Charges a requester for a query that has been run.
    pub fn finished(&mut self, lane: contract::Lane, requester: Requester, micros: u64) {
        self.lanes[lane as usize].finished(requester, micros);
    }

    /// How many queries may run now, at most one for each requester.
    pub fn ready(&self) -> usize {
        self.lanes.iter().map(|lane| lane.ready.len()).sum()
    }

    /// The first lane with a query, unless a later one was passed over too often.
    fn next_lane(&self) -> Option<usize> {
        let mut with_query = self.lanes.iter().enumerate().filter(|(_, lane)| !lane.ready.is_empty());
        let (first, _) = with_query.next()?;
        let overlooked = with_query.find(|(_, lane)| lane.passed >= PASSED_MAX);
        Some(overlooked.map_or(first, |(at, _)| at))
    }
}

impl Lane {
    fn push(&mut self, query: Query) {
        let requester = query.requester;
        let account = self.requesters.entry(requester).or_default();
        let was_waiting = !account.waiting.is_empty();
        account.waiting.push_back(query);
        if was_waiting || account.is_running {
            return;
        }
        self.idle.remove(&(account.virtual_time, requester));
        account.virtual_time = account.virtual_time.max(self.reached);
        self.serial += 1;
        self.ready.insert((account.virtual_time, self.serial, requester));
    }

    fn finished(&mut self, requester: Requester, micros: u64) {
        let Some(account) = self.requesters.get_mut(&requester) else { return };
        account.is_running = false;
        account.virtual_time += micros.max(1);
        self.running -= 1;
        self.serial += 1;
        let place = (account.virtual_time, self.serial);
        self.settle(requester, place);
    }

    /// Files a requester of which nothing runs: as ready at `place`, or as idle.
    fn settle(&mut self, requester: Requester, place: (u64, u64)) {
        let Some(account) = self.requesters.get_mut(&requester) else { return };
        if account.waiting.is_empty() {
            self.idle.insert((account.virtual_time, requester));
        } else {
            self.ready.insert((place.0, place.1, requester));
        }
        self.forget();
    }

    /// Drops the requesters whose past no longer counts.
    fn forget(&mut self) {
        if self.ready.is_empty() && self.running == 0 {
            self.requesters.clear();
            self.idle.clear();
            (self.reached, self.passed) = (0, 0);
            return;
        }
        while let Some((virtual_time, requester)) = self.idle.first().copied()
            && virtual_time <= self.reached
        {
            self.idle.pop_first();
            self.requesters.remove(&requester);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use logic::contract::{Lane, Read, contact};
    use proptest::prelude::*;
    use wire::UserId;

    fn query(ticket: u64, lane: Lane, user: u32) -> Query {
        let (requester, read) =
            (Requester::Account(UserId(user)), contact::Read::FriendIds { user: UserId(user) });
        Query { ticket: Ticket(ticket), lane, requester, due: None, read: Read::from(read) }
    }

    fn run(schedule: &mut ReadSchedule) -> Option<Query> {
        match schedule.next(0)? {
            Next::Run(query) => Some(query),
            Next::Overdue(query) => panic!("{query:?} has no deadline"),
        }
    }

    /// Runs everything that waits, each query for its requester's time; returns the tickets in order.
    fn run_all(schedule: &mut ReadSchedule, micros: impl Fn(u32) -> u64) -> Vec<u64> {
        let mut order = Vec::new();
        while let Some(query) = run(schedule) {
            let Requester::Account(user) = query.requester else { panic!() };
            order.push(query.ticket.0);
            schedule.finished(query.lane, query.requester, micros(user.0));
        }
        order
    }

    #[test]
    fn lanes_are_served_in_order() {
        let mut schedule = ReadSchedule::default();
        schedule.push(query(1, Lane::Request, 1));
        schedule.push(query(2, Lane::Login, 2));
        schedule.push(query(3, Lane::System, 3));
        assert_eq!(run_all(&mut schedule, |_| 1), [3, 2, 1]);
    }

    #[test]
    fn no_lane_starves() {
        let mut schedule = ReadSchedule::default();
        schedule.push(query(0, Lane::Request, 1));
        for ticket in 1..200 {
            schedule.push(query(ticket, Lane::System, 2));
        }
        let order = run_all(&mut schedule, |_| 1);
        assert_eq!(order.iter().position(|ticket| *ticket == 0), Some(PASSED_MAX as usize));
    }

    #[test]
    fn expensive_queries_wait_behind_their_own() {
        let mut schedule = ReadSchedule::default();
        for ticket in 0..31 {
            schedule.push(query(ticket, Lane::Request, 1));
        }
        let first = run(&mut schedule).unwrap();
        assert_eq!(first.ticket, Ticket(0));
        for ticket in 100..103 {
            schedule.push(query(ticket, Lane::Request, 2));
        }
        schedule.finished(first.lane, first.requester, 400_000);
        assert_eq!(
            run_all(&mut schedule, |user| if user == 1 { 400_000 } else { 100 })[..4],
            [100, 101, 102, 1]
        );
    }

    #[test]
    fn one_query_of_a_requester_runs_at_a_time() {
        let mut schedule = ReadSchedule::default();
        schedule.push(query(1, Lane::Request, 1));
        schedule.push(query(2, Lane::Request, 1));
        let first = run(&mut schedule).unwrap();
        assert!(run(&mut schedule).is_none(), "its second query waits for the first");
        schedule.push(query(3, Lane::Request, 2));
        assert_eq!(run(&mut schedule).unwrap().ticket, Ticket(3));
        schedule.finished(first.lane, first.requester, 10);
        assert_eq!(run(&mut schedule).unwrap().ticket, Ticket(2));
    }

    #[test]
    fn an_overdue_query_is_not_run_and_not_charged() {
        let mut schedule = ReadSchedule::default();
        for (ticket, due) in [(1, 100), (2, 200)] {
            schedule.push(Query { due: Some(due), ..query(ticket, Lane::Request, 1) });
        }
        assert!(matches!(schedule.next(100), Some(Next::Overdue(query)) if query.ticket == Ticket(1)));
        assert!(matches!(schedule.next(199), Some(Next::Run(query)) if query.ticket == Ticket(2)));
    }

    #[test]
    fn a_query_that_is_not_wanted_is_answered_in_its_turn_and_not_run() {
        let mut schedule = ReadSchedule::default();
        (1..=3).for_each(|ticket| schedule.push(query(ticket, Lane::Login, 1)));
        let first = run(&mut schedule).unwrap();
        // The first one runs already, and there is no other of these.
        for (user, ticket) in [(1, 1), (1, 2), (2, 3)] {
            schedule.forget_query(Requester::Account(UserId(user)), Ticket(ticket));
        }
        schedule.finished(first.lane, first.requester, 5);
        assert!(matches!(schedule.next(0), Some(Next::Overdue(query)) if query.ticket == Ticket(2)));
        assert_eq!(run(&mut schedule).unwrap().ticket, Ticket(3));
    }

    #[test]
    fn memory_is_released_when_nothing_waits() {
        let mut schedule = ReadSchedule::default();
        for user in 0..1_000 {
            schedule.push(query(u64::from(user), Lane::Login, user));
        }
        assert_eq!(run_all(&mut schedule, u64::from).len(), 1_000);
        let lane = &schedule.lanes[Lane::Login as usize];
        assert!(lane.requesters.is_empty() && lane.idle.is_empty() && lane.ready.is_empty());
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push { lane: usize, user: u32, cost: u64 },
        Start,
        Finish(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let push =
            (0..LANES, 0..5u32, 1..1_000u64).prop_map(|(lane, user, cost)| Step::Push { lane, user, cost });
        let step = prop_oneof![3 => push, 3 => Just(Step::Start), 2 => (0..4usize).prop_map(Step::Finish)];
        prop::collection::vec(step, 0..400)
    }

    proptest! {
        /// Whatever happens in whatever order: each query is run exactly once, those of a requester in order and one
        /// at a time.
        #[test]
        fn every_query_is_run_once_and_in_order(steps in steps()) {
            const ALL: [Lane; LANES] = [Lane::System, Lane::Login, Lane::Request];
            let mut schedule = ReadSchedule::default();
            let (mut costs, mut running, mut ran) = (Vec::new(), Vec::<Query>::new(), Vec::new());
            let finish = |schedule: &mut ReadSchedule, query: Query, costs: &[u64]| {
                schedule.finished(query.lane, query.requester, costs[query.ticket.0 as usize]);
            };
            for step in steps {
                match step {
                    Step::Push { lane, user, cost } => {
                        schedule.push(query(costs.len() as u64, ALL[lane], user));
                        costs.push(cost);
                    }
                    Step::Start => {
                        if let Some(query) = run(&mut schedule) {
                            let is_twin = |other: &Query| (other.lane, other.requester) == (query.lane, query.requester);
                            prop_assert!(!running.iter().any(is_twin));
                            ran.push((query.lane, query.requester, query.ticket.0));
                            running.push(query);
                        }
                    }
                    Step::Finish(at) if at < running.len() => {
                        let query = running.remove(at);
                        finish(&mut schedule, query, &costs);
                    }
                    Step::Finish(_) => {}
                }
            }
            for query in running {
                finish(&mut schedule, query, &costs);
            }
            while let Some(query) = run(&mut schedule) {
                ran.push((query.lane, query.requester, query.ticket.0));
                finish(&mut schedule, query, &costs);
            }
            let mut tickets: Vec<u64> = ran.iter().map(|(.., ticket)| *ticket).collect();
            tickets.sort_unstable();
            prop_assert!(tickets.into_iter().eq(0..costs.len() as u64));
            ran.sort_by_key(|(lane, requester, _)| (*lane, *requester));
            for of_one in ran.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
                prop_assert!(of_one.is_sorted_by_key(|(.., ticket)| *ticket));
            }
        }

        /// Requesters that always have queries waiting get the same time, to within one query.
        #[test]
        fn requesters_share_a_lane_equally(costs in prop::collection::vec(1..1_000u64, 2..6)) {
            let mut schedule = ReadSchedule::default();
            let mut used = vec![0u64; costs.len()];
            for ticket in 0..2 {
                (0..costs.len() as u32).for_each(|user| schedule.push(query(ticket, Lane::Request, user)));
            }
            for ticket in 2..2_000 {
                let query_run = run(&mut schedule).unwrap();
                let Requester::Account(UserId(user)) = query_run.requester else { panic!() };
                used[user as usize] += costs[user as usize];
                schedule.finished(query_run.lane, query_run.requester, costs[user as usize]);
                schedule.push(query(ticket, Lane::Request, user));
                let (least, most) = (used.iter().min().unwrap(), used.iter().max().unwrap());
                prop_assert!(most - least <= *costs.iter().max().unwrap(), "{used:?}");
            }
        }
    }
}
