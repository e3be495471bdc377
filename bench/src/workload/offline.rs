//! Messages to offline users, who then log in: how fast messages are stored, and how fast and completely they are
//! delivered.
//!
//! The legacy dialect acknowledges no message. There every sender ends with a request that is answered in order: a
//! second login, which the server refuses because the sender is logged in. Once it is refused, all earlier messages are
//! stored.

use super::login_reply::{LoginReply, read_login_reply};
use super::messaging::Messaging;
use super::setup::Setup;
use crate::accounts::LoginMethod;
use crate::args::workload::{OfflineArgs, PaceArgs};
use crate::connection::Inbound;
use crate::error::Error;
use crate::error_counts::ErrorCounts;
use crate::event_loop::{EventLoop, Load};
use crate::lane_setup::ConversationSpec;
use crate::measure::{Measurement, Phase};
use wire::Dialect;

/// The members of each lane; the receiver is offline at first.
const SENDER: usize = 0;
const RECEIVER: usize = 1;

struct Offline {
    messaging: Messaging,
    /// Whether this is the second measurement: the receivers log in.
    is_delivery: bool,
    /// Receivers to connect in the next turn.
    to_connect: Vec<usize>,
    missing: usize,
    /// Over the legacy dialect, the state of the request that confirms each sender's messages.
    confirmations: Vec<Confirmation>,
    /// When the last of them was answered.
    confirmed_at: u64,
}

/// The request behind all messages of a sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Confirmation {
    NotRequested,
    Requested,
    Received,
}

/// Runs the workload: storing, then delivering.
pub fn run(setup: &Setup<'_>, args: &OfflineArgs) -> Result<Vec<Measurement>, Error> {
    let accounts = setup.accounts(2 * args.pairs)?;
    let mut connected =
        Messaging::set_up(setup, &accounts, 2, &[ConversationSpec::direct(0, 1)], args.size as usize, true)?;
    connected.disconnect(RECEIVER, setup.common.dialect())?;
    setup.ready()?;
    let mut event_loop = setup.event_loop("message", 0, setup.length())?;
    let mut messaging = connected.adopt(&mut event_loop)?;
    let begun_at = event_loop.clock.now();
    messaging.begin(&PaceArgs { window: Some(args.window), rate: None }, begun_at, 0)?;
    messaging.limit(u64::from(args.messages));
    let receivers: Vec<usize> = messaging.lanes.iter().map(|lane| lane.first + RECEIVER).collect();
    receivers.iter().for_each(|number| event_loop.close(*number));
    let missing = receivers.len();
    let is_legacy = event_loop.dialect() == Dialect::Legacy;
    let confirmations = vec![Confirmation::NotRequested; if is_legacy { messaging.lanes.len() } else { 0 }];
    let to_connect = Vec::new();
    let mut offline =
        Offline { messaging, is_delivery: false, to_connect, missing, confirmations, confirmed_at: begun_at };
    event_loop.run(&mut offline, setup.drain())?;
    // Messages that were not sent in time are not sent during delivery either.
    offline.messaging.limit(0);
    setup.ready()?;

    let meter = setup.meter(&event_loop.clock, "message", 0, setup.length());
    let mut stored = event_loop.replace_meter(meter).end();
    stored.sent = offline.messaging.close().1;
    (stored.done, stored.latency) = (stored.ack.count(), stored.ack.clone());
    if is_legacy {
        let answered = offline
            .messaging
            .lanes
            .iter()
            .zip(&offline.confirmations)
            .filter(|(_, confirmation)| **confirmation == Confirmation::Received);
        stored.done = answered.map(|(lane, _)| lane.sent()).sum();
        stored.nanoseconds = offline.confirmed_at - begun_at;
        stored.errors.note_many(ErrorCounts::NOT_CONFIRMED, stored.sent - stored.done);
    }
    if stored.sent < u64::from(args.messages) && !stored.cut_short.measured {
        stored.errors.note_many(ErrorCounts::NOT_SENT, u64::from(args.messages) - stored.sent);
    }
    (offline.is_delivery, offline.to_connect) = (true, receivers);
    event_loop.run(&mut offline, setup.drain())?;
    let mut delivered = event_loop.meter.end();
    (delivered.faults, delivered.sent) = offline.messaging.close();
    delivered.errors.note_many(ErrorCounts::NOT_LOGGED_IN, offline.missing as u64);
    let part = Measurement::new("store", "message", "ack", stored);
    Ok(vec![part, Measurement::new("deliver", "message", "delivery", delivered)])
}

impl Offline {
    /// Requests confirmation for senders that have sent all their messages, or for all senders.
    fn request_confirmations(&mut self, event_loop: &mut EventLoop, of_all: bool) {
        for (lane, confirmation) in self.messaging.lanes.iter().zip(&mut self.confirmations) {
            let is_ready = of_all || lane.senders.iter().all(|sender| sender.left == 0);
            if *confirmation == Confirmation::NotRequested && is_ready {
                *confirmation = Confirmation::Requested;
                let sender = &lane.members[SENDER];
                sender.put_login(
                    Dialect::Legacy,
                    LoginMethod::Password,
                    event_loop.output(lane.first + SENDER),
                );
            }
        }
    }

    /// Returns whether this was the answer to a confirmation request.
    fn handle_confirmation(&mut self, number: usize, inbound: Inbound<'_>, now: u64) -> bool {
        let (lane, _) = self.messaging.position_of(number);
        let is_answer = self.confirmations.get(lane) == Some(&Confirmation::Requested)
            && read_login_reply(inbound).is_some();
        if is_answer {
            (self.confirmations[lane], self.confirmed_at) = (Confirmation::Received, now);
        }
        is_answer
    }

    fn handle_login(
        &mut self,
        event_loop: &mut EventLoop,
        number: usize,
        inbound: Inbound<'_>,
        now: u64,
    ) -> bool {
        if self.messaging.position_of(number).1 != RECEIVER {
            return false;
        }
        match read_login_reply(inbound) {
            None => return false,
            Some(LoginReply::LoggedIn) => self.missing -= 1,
            Some(LoginReply::Refused { why, .. }) => event_loop.meter.errors.note(why),
            Some(LoginReply::Malformed) => event_loop.meter.errors.note(ErrorCounts::UNEXPECTED),
        }
        self.messaging.receive_missed(event_loop, number, inbound, now);
        true
    }
}

impl Load for Offline {
    fn turn(&mut self, event_loop: &mut EventLoop, now: u64) {
        let phase = event_loop.meter.phases().phase();
        if phase == Phase::Measured {
            for number in std::mem::take(&mut self.to_connect) {
                if event_loop.open(number).is_err() {
                    event_loop.meter.errors.note(ErrorCounts::CANNOT_CONNECT);
                    continue;
                }
                let (lane, member) = self.messaging.position_of(number);
                let (lane, dialect) = (&mut self.messaging.lanes[lane], event_loop.dialect());
                lane.handle_return(member, now);
                lane.members[member].put_login(dialect, LoginMethod::Token, event_loop.output(number));
            }
        }
        if !self.is_delivery || phase != Phase::Warmup {
            self.messaging.turn(event_loop, now);
        }
        if !self.is_delivery {
            self.request_confirmations(event_loop, false);
        }
        let is_over = match self.is_delivery {
            true => !self.messaging.has_open(),
            false => {
                self.messaging.is_finished()
                    && self.confirmations.iter().all(|confirmation| *confirmation == Confirmation::Received)
            }
        };
        if is_over && phase == Phase::Measured {
            event_loop.meter.phases_mut().finish(now);
        }
    }

    fn finish(&mut self, event_loop: &mut EventLoop, _close: u64) {
        if !self.is_delivery {
            self.request_confirmations(event_loop, true);
        }
    }

    fn handle(&mut self, event_loop: &mut EventLoop, number: usize, inbound: Inbound<'_>, now: u64) {
        let is_taken = match self.is_delivery {
            true => self.handle_login(event_loop, number, inbound, now),
            false => self.handle_confirmation(number, inbound, now),
        };
        if !is_taken {
            self.messaging.handle(event_loop, number, inbound, now);
        }
    }

    fn handle_lost(&mut self, event_loop: &mut EventLoop, number: usize) -> bool {
        self.messaging.handle_lost(event_loop, number)
    }

    fn is_hopeless(&self) -> bool {
        self.messaging.is_hopeless()
    }

    fn next_due(&self) -> u64 {
        self.messaging.next_due()
    }

    fn next_coarse_due(&self) -> u64 {
        self.messaging.next_coarse_due()
    }

    fn has_open(&self) -> bool {
        if self.is_delivery {
            self.messaging.has_open()
        } else {
            self.confirmations.contains(&Confirmation::Requested)
        }
    }
}
