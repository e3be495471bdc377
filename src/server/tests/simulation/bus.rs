//! A bus that loses, delays and reorders what is published, goes away and forgets.

use crate::dice::Dice;
use logic::Ticket;
use logic::bus::{BusInput, BusOrder, Channel, Hint, LEASE_MS, LOCK_MS, NodeState, REPORT_MS, Report};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use wire::UserId;

#[derive(Default)]
pub struct Bus {
    /// Each node's end of it.
    ends: Vec<End>,
    locks: BTreeMap<UserId, (usize, Ticket, u64)>,
    leases: BTreeMap<Arc<str>, u64>,
    reports: BTreeMap<Arc<str>, (Report, u64)>,
    /// One in this many publications is lost; 0: none.
    pub loses: usize,
}

#[derive(Default)]
struct End {
    run: Arc<str>,
    is_away: bool,
    /// Whether it can listen only.
    is_mute: bool,
    /// When it went away.
    away_since: u64,
    listens: BTreeSet<Channel>,
    /// On its way to the node, in order of sending.
    flying: Vec<BusInput>,
}

impl Bus {
    /// A node begins its next run; the run before has ended without notice.
    pub fn begin(&mut self, node: usize, run: &Arc<str>) {
        if self.ends.len() <= node {
            self.ends.resize_with(node + 1, End::default);
        }
        let (is_away, is_mute) = (self.ends[node].is_away, self.ends[node].is_mute);
        let listens = BTreeSet::from([Channel::Node(Arc::clone(run))]);
        let flying = if is_away { Vec::new() } else { vec![BusInput::Up] };
        let away_since = self.ends[node].away_since;
        self.ends[node] = End { run: Arc::clone(run), is_away, is_mute, away_since, listens, flying };
    }

    /// How long a node has been without the bus.
    pub fn away_for(&self, node: usize, now: u64) -> u64 {
        let end = &self.ends[node];
        if end.is_away { now - end.away_since } else { 0 }
    }

    /// A node loses its connection, or gets it back.
    pub fn set_away(&mut self, node: usize, is_away: bool, now: u64) {
        let end = &mut self.ends[node];
        if end.is_away == is_away {
            return;
        }
        end.is_away = is_away;
        end.away_since = now;
        // Pending requests get no answer, and are told so.
        let waiting = std::mem::take(&mut end.flying).into_iter().filter_map(|input| match input {
            BusInput::Locked { ticket, user, .. } => Some(BusInput::Locked { ticket, user, held: false }),
            BusInput::Subscribed(ticket) => Some(BusInput::Subscribed(ticket)),
            _ => None,
        });
        end.flying = waiting.collect();
        end.flying.push(if is_away { BusInput::Down } else { BusInput::Up });
    }

    /// A node's commands are lost, or are not any more; its subscription works all the while.
    pub fn set_mute(&mut self, node: usize, is_mute: bool) {
        self.ends[node].is_mute = is_mute;
    }

    /// The bus forgets all it holds.
    pub fn flush(&mut self) {
        self.locks.clear();
        self.leases.clear();
        self.reports.clear();
    }

    /// A node's inbox overflows: what was on its way is lost, and the node is told.
    pub fn overflow(&mut self, node: usize) {
        let flying = &mut self.ends[node].flying;
        flying.retain(|input| !matches!(input, BusInput::Hint { .. }));
        flying.push(BusInput::Gap);
    }

    pub fn carry_out(&mut self, node: usize, order: BusOrder, now: u64, dice: &mut Dice) {
        let end = &mut self.ends[node];
        match order {
            BusOrder::Subscribe { ticket, channels } => {
                end.listens.extend(channels);
                end.flying.push(BusInput::Subscribed(ticket));
            }
            BusOrder::Unsubscribe(channels) => channels.iter().for_each(|channel| {
                end.listens.remove(channel);
            }),
            BusOrder::Lock { ticket, user } => {
                let is_free = self.locks.get(&user).is_none_or(|(_, _, until)| *until <= now);
                let held = is_free && !end.is_away && !end.is_mute;
                if held {
                    self.locks.insert(user, (node, ticket, now + LOCK_MS));
                }
                end.flying.push(BusInput::Locked { ticket, user, held });
            }
            BusOrder::Publish { .. } if end.is_away || end.is_mute => end.flying.push(BusInput::Unheard),
            _ if end.is_away => {}
            // Hearing needs no command.
            BusOrder::Lease if end.is_mute => end.flying.push(BusInput::Heard { at: now }),
            _ if end.is_mute => {}
            BusOrder::Publish { channel, hint } => self.publish(node, &channel, &hint, dice),
            BusOrder::Renew { ticket, user } => {
                if let Some(lock) =
                    self.locks.get_mut(&user).filter(|lock| (lock.0, lock.1) == (node, ticket))
                {
                    lock.2 = now + LOCK_MS;
                }
            }
            BusOrder::Unlock { ticket, user } => {
                if self.locks.get(&user).is_some_and(|lock| (lock.0, lock.1) == (node, ticket)) {
                    self.locks.remove(&user);
                }
            }
            BusOrder::Lease => {
                self.leases.insert(Arc::clone(&end.run), now + LEASE_MS);
                end.flying.push(BusInput::Heard { at: now });
                let nodes = self.nodes(now);
                self.ends[node].flying.push(BusInput::Nodes(nodes));
            }
            BusOrder::Report(load) => {
                let (name, address) = (format!("n{node}").into(), format!("127.0.0.1:{node}").into());
                let report = Report { node: name, address, load, cpu: 1 };
                self.reports.insert(Arc::clone(&end.run), (report, now + REPORT_MS));
            }
            // The server does not read the online set.
            BusOrder::Seen { .. } | BusOrder::Unseen(_) => {}
            BusOrder::Leave => {
                self.reports.remove(&end.run);
            }
        }
    }

    /// The bus admits nothing but what a node published, once, on a channel that carries it.
    fn publish(&mut self, from: usize, channel: &Channel, hint: &Hint, dice: &mut Dice) {
        assert!(channel.carries(hint), "{channel:?} does not carry {hint:?}");
        for (node, end) in self.ends.iter_mut().enumerate() {
            let listens = node != from && !end.is_away && end.listens.contains(channel);
            if listens && !(self.loses > 0 && dice.once_in(self.loses)) {
                end.flying.push(BusInput::Hint { channel: channel.clone(), hint: hint.clone() });
            }
        }
    }

    fn nodes(&mut self, now: u64) -> Vec<NodeState> {
        self.leases.retain(|_, until| *until > now);
        self.reports.retain(|_, (_, until)| *until > now);
        let runs: BTreeSet<&Arc<str>> = self.leases.keys().chain(self.reports.keys()).collect();
        let state = |run: &Arc<str>| NodeState {
            run: (&**run).into(),
            alive: self.leases.contains_key(run),
            report: self.reports.get(run).map(|(report, _)| report.clone()),
        };
        runs.into_iter().map(state).collect()
    }

    /// Something of what is on its way to a node arrives: in order, or not. Hints may be overtaken; that the bus was
    /// heard says that all before it was.
    pub fn arrive(&mut self, node: usize, dice: &mut Dice) -> Option<BusInput> {
        let flying = &mut self.ends[node].flying;
        if flying.is_empty() {
            return None;
        }
        let until = flying.iter().position(|input| !matches!(input, BusInput::Hint { .. }));
        let at = if dice.once_in(3) { dice.below(until.unwrap_or(flying.len()).max(1)) } else { 0 };
        Some(flying.remove(at))
    }
}
