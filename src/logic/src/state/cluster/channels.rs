//! The bus channels that this node subscribes to: a user's while the user is connected here, a group's while a member
//! is.

use crate::bus::Channel;
use crate::contract::Ticket;
use crate::map::{Map, map};
use std::collections::VecDeque;

#[derive(Debug)]
pub(crate) struct Channels {
    held: Map<Channel, Held>,
    /// Tickets that the bus must answer, by deadline, monotonic ms. After the deadline the request continues without an
    /// answer.
    deadlines: VecDeque<(u64, Ticket)>,
}

#[derive(Debug, Default)]
struct Held {
    /// The number of sessions that need it.
    count: u32,
    /// The latest SUBSCRIBE order, until the bus confirms it.
    ordered: Option<Ticket>,
    is_confirmed: bool,
}

impl Channels {
    pub fn new(seed: u64) -> Channels {
        Channels { held: map(seed), deadlines: VecDeque::new() }
    }

    /// The next deadline, monotonic ms.
    pub fn next(&self) -> Option<u64> {
        self.deadlines.front().map(|(due, _)| *due)
    }

    /// Sets a deadline for the bus's answer.
    pub fn set_deadline(&mut self, ticket: Ticket, due: u64) {
        let at = self.deadlines.partition_point(|(other, _)| *other <= due);
        self.deadlines.insert(at, (due, ticket));
    }

    /// Takes a ticket whose deadline has passed. It may have been answered in time.
    pub fn take_due(&mut self, now: u64) -> Option<Ticket> {
        self.deadlines.front().filter(|(due, _)| *due <= now)?;
        self.deadlines.pop_front().map(|(_, ticket)| ticket)
    }

    /// Counts one more session that needs these channels. Returns those that are not confirmed.
    pub fn hold(&mut self, channels: &[Channel]) -> Vec<Channel> {
        let mut missing = Vec::new();
        for channel in channels {
            let held = self.held.entry(channel.clone()).or_default();
            held.count += 1;
            if !held.is_confirmed {
                missing.push(channel.clone());
            }
        }
        missing
    }

    /// Counts one session less that needs these channels. Returns those that no session needs any more.
    pub fn release(&mut self, channels: &[Channel]) -> Vec<Channel> {
        let mut unused = Vec::new();
        for channel in channels {
            let Some(held) = self.held.get_mut(channel) else { continue };
            held.count -= 1;
            if held.count == 0 {
                self.held.remove(channel);
                unused.push(channel.clone());
            }
        }
        unused
    }

    /// Notes that the bus was asked to subscribe to these channels.
    pub fn order(&mut self, channels: &[Channel], ticket: Ticket) {
        for channel in channels {
            if let Some(held) = self.held.get_mut(channel) {
                held.ordered = Some(ticket);
            }
        }
    }

    /// Handles a confirmation. An order that a later one has replaced (subscribe, unsubscribe, subscribe) confirms
    /// nothing.
    pub fn confirm(&mut self, channels: &[Channel], ticket: Ticket) {
        for channel in channels {
            if let Some(held) = self.held.get_mut(channel).filter(|held| held.ordered == Some(ticket)) {
                held.is_confirmed = true;
            }
        }
    }
}
