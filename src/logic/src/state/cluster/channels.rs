//! The bus channels that this node listens to: a user's while connected here, a group's while a member is.

use crate::bus::Channel;
use crate::contract::Ticket;
use crate::map::{Map, map};
use std::collections::VecDeque;

#[derive(Debug)]
pub(crate) struct Channels {
    held: Map<Channel, Held>,
    /// Tickets that the bus is to answer, by deadline, monotonic ms. After it the request goes on without an answer.
    deadlines: VecDeque<(u64, Ticket)>,
}

#[derive(Debug, Default)]
struct Held {
    /// How many sessions need it.
    count: u32,
    /// The latest order to listen, until the bus confirms it.
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

    /// One more session needs these channels. Gives those that are not confirmed.
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

    /// One session less needs these channels. Gives those that no session needs any more.
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

    /// The bus is ordered to listen to these channels.
    pub fn order(&mut self, channels: &[Channel], ticket: Ticket) {
        for channel in channels {
            if let Some(held) = self.held.get_mut(channel) {
                held.ordered = Some(ticket);
            }
        }
    }

    /// The bus has carried out an order. One that a later order overtook (listen, stop, listen) confirms nothing.
    pub fn confirm(&mut self, channels: &[Channel], ticket: Ticket) {
        for channel in channels {
            if let Some(held) = self.held.get_mut(channel).filter(|held| held.ordered == Some(ticket)) {
                held.is_confirmed = true;
            }
        }
    }
}
