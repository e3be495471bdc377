//! One node: logic, and the queues to and from it.

use crate::dice::Dice;
use logic::contract::{Epoch, node, search};
use logic::{
    BusInput, Effects, Found, Input, Logic, Now, PasswordJob, PasswordResult, Policy, Read, Rules, Ticket,
    Write, Written,
};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use wire::UserId;

/// Short, so that it ends in many runs.
pub const GRACE: u64 = 3_000;

pub struct Node {
    pub logic: Logic,
    pub fx: Effects,
    /// The name of this run, in a cluster.
    pub run: Option<Arc<str>>,
    pub writes: VecDeque<(Ticket, Write)>,
    /// Reads, and when they were issued.
    pub reads: VecDeque<(Ticket, Read, u64)>,
    /// Searches, and when they were issued.
    pub searches: VecDeque<(search::Query, u64)>,
    pub passwords: VecDeque<(Ticket, PasswordJob)>,
    pub outcomes: VecDeque<Outcome>,
    pub inputs: VecDeque<Input>,
    /// The sessions that it has claimed.
    pub claims: BTreeMap<UserId, Vec<Epoch>>,
    /// It has read all claims that were made before this time.
    pub knows: u64,
    /// What it learns in this turn: the number of orders that it had given before, and the new value of `knows`.
    pub learns: Vec<(usize, u64)>,
}

pub enum Outcome {
    Written(Vec<(Ticket, Written)>),
    Found(Ticket, Found, u64),
    Password(Ticket, PasswordResult),
}

/// A single node begins a new history with each run, which its devices compare with what they have.
fn rules(name: usize, run: Option<Arc<str>>, boot: u64, sessions: Policy) -> Rules {
    let (node, address) = (format!("n{name}").into(), format!("127.0.0.1:{name}").into());
    let history = if run.is_some() { "history".into() } else { format!("history {boot}").into() };
    Rules { sessions, grace: GRACE, cluster: run, node, address, history, ..Rules::default() }
}

impl Node {
    pub fn new(name: usize, clustered: bool, boot: u64, sessions: Policy) -> Node {
        let run: Option<Arc<str>> = clustered.then(|| format!("n{name}-{boot:016x}").into());
        Node {
            logic: Logic::new(rules(name, run.clone(), boot, sessions), boot),
            fx: Effects::new(1),
            run,
            writes: VecDeque::new(),
            reads: VecDeque::new(),
            searches: VecDeque::new(),
            passwords: VecDeque::new(),
            outcomes: VecDeque::new(),
            inputs: VecDeque::new(),
            claims: BTreeMap::new(),
            knows: 0,
            learns: Vec::new(),
        }
    }

    /// Handles some of its input, outcomes first, then what is due; the effects are left in `fx`.
    pub fn turn(&mut self, now: Now, most: usize, mut heard: impl FnMut() -> Option<BusInput>) {
        for _ in 0..most {
            let Some(outcome) = self.outcomes.pop_front() else { break };
            match outcome {
                Outcome::Written(batch) => {
                    for (ticket, written) in batch {
                        self.logic.handle_written(now, ticket, written, &mut self.fx);
                    }
                }
                Outcome::Found(ticket, found, issued) => {
                    if matches!(found, Found::Node(node::Found::Claims(_))) {
                        self.learns.push((self.fx.reactors[0].len(), issued));
                    }
                    self.logic.handle_found(now, ticket, found, &mut self.fx);
                }
                Outcome::Password(ticket, result) => {
                    self.logic.handle_password(now, ticket, result, &mut self.fx);
                }
            }
        }
        for _ in 0..most {
            let Some(input) = heard() else { break };
            self.logic.handle_bus(now, input, &mut self.fx);
        }
        for _ in 0..most {
            let Some(input) = self.inputs.pop_front() else { break };
            self.logic.handle_input(now, input, &mut self.fx);
        }
        if self.logic.next_timeout().is_some_and(|due| due <= now.monotonic) {
            self.logic.handle_timeout(now, &mut self.fx);
        }
        self.writes.extend(self.fx.writes.drain(..));
        self.reads.extend(self.fx.reads.drain(..).map(|query| (query.ticket, query.read, now.monotonic)));
        for (_, ticket) in self.fx.unwanted.drain(..) {
            if let Some(at) = self.reads.iter().position(|(waiting, ..)| *waiting == ticket) {
                let (_, _, issued) = self.reads.remove(at).expect("it was just found");
                self.outcomes.push_back(Outcome::Found(ticket, Found::Unavailable, issued));
            }
        }
        self.passwords.extend(self.fx.passwords.drain(..));
        self.searches.extend(self.fx.searches.drain(..).map(|query| (query, now.monotonic)));
    }

    pub fn check_password(&mut self) {
        let Some((ticket, job)) = self.passwords.pop_front() else { return };
        let result = match job {
            PasswordJob::Verify { hash, password } => {
                PasswordResult::Verified(hash.is_some_and(|hash| hash == password))
            }
            PasswordJob::Hash { password } => PasswordResult::Hashed(password),
        };
        self.outcomes.push_back(Outcome::Password(ticket, result));
    }

    /// Any one of the waiting reads.
    pub fn take_read(&mut self, dice: &mut Dice) -> Option<(Ticket, Read, u64)> {
        if self.reads.is_empty() {
            return None;
        }
        let at = dice.below(self.reads.len());
        self.reads.remove(at)
    }

    pub fn is_quiet(&self) -> bool {
        self.passwords.is_empty()
            && self.searches.is_empty()
            && self.inputs.is_empty()
            && self.logic.is_settled()
    }
}
