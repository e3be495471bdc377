//! Messages to absent users, who then log in: how fast are they stored, and how fast and how completely delivered?
//!
//! The legacy dialect answers no message. There each sender, when it has sent all, asks for something that is answered,
//! and behind all that it asked before: a login, which is refused, as it is logged in. Then all of it is stored.

use super::login::{Answer, answer};
use super::messaging::Messaging;
use super::{Measurement, Setup};
use crate::accounts::LoginMethod;
use crate::args::workload::{OfflineArgs, PaceArgs};
use crate::connection::Unit;
use crate::error::Error;
use crate::error_counts::ErrorCounts;
use crate::event_loop::{EventLoop, Load};
use crate::lane_setup::ConversationSpec;
use crate::measure::Phase;
use wire::Dialect;

/// The members of each lane; the second is absent at first.
const SENDER: usize = 0;
const RECEIVER: usize = 1;

struct Offline {
    messaging: Messaging,
    /// Whether the receivers have come.
    is_delivery: bool,
    /// Receivers that are to connect in the next turn.
    to_come: Vec<usize>,
    missing: usize,
    /// Over the legacy dialect, how far each lane's sender is with asking whether all is stored.
    asked: Vec<Asked>,
    /// When the last of them was answered.
    answered_at: u64,
}

/// How far a sender is with asking whether all is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    NotYet,
    Waiting,
    Answered,
}

/// Runs the workload: storing, then delivering.
pub fn run(setup: &Setup<'_>, args: &OfflineArgs) -> Result<Vec<Measurement>, Error> {
    let accounts = setup.accounts(2 * args.pairs)?;
    let mut pending =
        Messaging::set_up(setup, &accounts, 2, &[ConversationSpec::direct(0, 1)], args.size as usize, true)?;
    pending.dismiss(RECEIVER, setup.common.dialect.dialect())?;
    setup.ready()?;
    let mut event_loop = setup.event_loop("message", 0, setup.length())?;
    let mut messaging = pending.adopt(&mut event_loop)?;
    let begun_at = event_loop.clock.now();
    messaging.begin(&PaceArgs { window: Some(args.window), rate: None }, begun_at, 0)?;
    messaging.limit(u64::from(args.messages));
    let receivers: Vec<usize> = messaging.lanes.iter().map(|lane| lane.first + RECEIVER).collect();
    receivers.iter().for_each(|number| event_loop.close(*number));
    let missing = receivers.len();
    let is_legacy = event_loop.dialect() == Dialect::Legacy;
    let asked = vec![Asked::NotYet; if is_legacy { messaging.lanes.len() } else { 0 }];
    let to_come = Vec::new();
    let mut offline =
        Offline { messaging, is_delivery: false, to_come, missing, asked, answered_at: begun_at };
    event_loop.run(&mut offline, setup.drain())?;
    // What was not sent in its time is not sent at all.
    offline.messaging.limit(0);
    setup.ready()?;

    let meter = setup.meter(&event_loop.clock, "message", 0, setup.length());
    let mut stored = event_loop.exchange_meter(meter).end();
    stored.sent = offline.messaging.close().1;
    (stored.done, stored.latency) = (stored.ack.count(), stored.ack.clone());
    if is_legacy {
        let answered = offline
            .messaging
            .lanes
            .iter()
            .zip(&offline.asked)
            .filter(|(_, asked)| **asked == Asked::Answered);
        stored.done = answered.map(|(lane, _)| lane.sent()).sum();
        stored.nanoseconds = offline.answered_at - begun_at;
        stored.errors.note_many(ErrorCounts::NOT_CONFIRMED, stored.sent - stored.done);
    }
    if stored.sent < u64::from(args.messages) && !stored.cut.measured {
        stored.errors.note_many(ErrorCounts::NOT_SENT, u64::from(args.messages) - stored.sent);
    }
    (offline.is_delivery, offline.to_come) = (true, receivers);
    event_loop.run(&mut offline, setup.drain())?;
    let mut delivered = event_loop.meter.end();
    (delivered.faults, delivered.sent) = offline.messaging.close();
    delivered.errors.note_many(ErrorCounts::NOT_LOGGED_IN, offline.missing as u64);
    let part = Measurement::new("store", "message", "ack", stored);
    Ok(vec![part, Measurement::new("deliver", "message", "delivery", delivered)])
}

impl Offline {
    /// Has senders ask whether all is stored that they have sent: those that have sent all, or `everybody`.
    fn ask(&mut self, event_loop: &mut EventLoop, everybody: bool) {
        for (lane, asked) in self.messaging.lanes.iter().zip(&mut self.asked) {
            let is_through = everybody || lane.senders.iter().all(|sender| sender.left == 0);
            if *asked == Asked::NotYet && is_through {
                *asked = Asked::Waiting;
                let sender = &lane.members[SENDER];
                sender.put_login(
                    Dialect::Legacy,
                    LoginMethod::Password,
                    event_loop.output(lane.first + SENDER),
                );
            }
        }
    }

    /// Whether it was the answer to that.
    fn handle_answer(&mut self, number: usize, unit: Unit<'_>, now: u64) -> bool {
        let (lane, _) = self.messaging.position_of(number);
        let is_answer = self.asked.get(lane) == Some(&Asked::Waiting) && answer(unit).is_some();
        if is_answer {
            (self.asked[lane], self.answered_at) = (Asked::Answered, now);
        }
        is_answer
    }

    fn handle_login(&mut self, event_loop: &mut EventLoop, number: usize, unit: Unit<'_>, now: u64) -> bool {
        if self.messaging.position_of(number).1 != RECEIVER {
            return false;
        }
        match answer(unit) {
            None => return false,
            Some(Answer::LoggedIn) => self.missing -= 1,
            Some(Answer::Refused(why, _)) => event_loop.meter.errors.note(why),
            Some(Answer::FaultKind) => event_loop.meter.errors.note(ErrorCounts::UNEXPECTED),
        }
        self.messaging.receive_missed(event_loop, number, unit, now);
        true
    }
}

impl Load for Offline {
    fn turn(&mut self, event_loop: &mut EventLoop, now: u64) {
        let phase = event_loop.meter.phases().phase();
        if phase == Phase::Measured {
            for number in std::mem::take(&mut self.to_come) {
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
            self.ask(event_loop, false);
        }
        let is_over = match self.is_delivery {
            true => !self.messaging.has_open(),
            false => self.messaging.is_through() && self.asked.iter().all(|asked| *asked == Asked::Answered),
        };
        if is_over && phase == Phase::Measured {
            event_loop.meter.phases_mut().finish(now);
        }
    }

    fn finish(&mut self, event_loop: &mut EventLoop, _close: u64) {
        if !self.is_delivery {
            self.ask(event_loop, true);
        }
    }

    fn handle(&mut self, event_loop: &mut EventLoop, number: usize, unit: Unit<'_>, now: u64) {
        let is_taken = match self.is_delivery {
            true => self.handle_login(event_loop, number, unit, now),
            false => self.handle_answer(number, unit, now),
        };
        if !is_taken {
            self.messaging.handle(event_loop, number, unit, now);
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

    fn next_look(&self) -> u64 {
        self.messaging.next_look()
    }

    fn has_open(&self) -> bool {
        if self.is_delivery { self.messaging.has_open() } else { self.asked.contains(&Asked::Waiting) }
    }
}
