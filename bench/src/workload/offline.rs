//! Messages to absent users, who then log in: how fast are they stored, and how fast and how completely delivered?
//!
//! The legacy dialect answers no message. There each sender, when it has sent all, asks for something that is answered,
//! and behind all that it asked before: a login, which is refused, as it is logged in. Then all of it is stored.

use super::login::{Answer, answer};
use super::talk::Talk;
use super::{Part, Stage};
use crate::accounts::Means;
use crate::args::workload::{OfflineArgs, PaceArgs};
use crate::connection::Unit;
use crate::error::Error;
use crate::measure::Phase;
use crate::opening::Spec;
use crate::rig::{Load, Rig};
use crate::trouble::Trouble;
use wire::Dialect;

/// The members of each lane; the second is absent at first.
const SENDER: usize = 0;
const RECEIVER: usize = 1;

struct Offline {
    talk: Talk,
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
pub fn run(stage: &Stage<'_>, args: &OfflineArgs) -> Result<Vec<Part>, Error> {
    let accounts = stage.accounts(2 * args.pairs)?;
    let mut pending = Talk::set_up(stage, &accounts, 2, &[Spec::direct(0, 1)], args.size as usize, true)?;
    pending.dismiss(RECEIVER, stage.common.dialect.dialect())?;
    stage.ready()?;
    let mut rig = stage.rig("message", 0, stage.length())?;
    let mut talk = pending.adopt(&mut rig)?;
    let begun_at = rig.clock.now();
    talk.begin(&PaceArgs { window: Some(args.window), rate: None }, begun_at, 0)?;
    talk.limit(u64::from(args.messages));
    let receivers: Vec<usize> = talk.lanes.iter().map(|lane| lane.first + RECEIVER).collect();
    receivers.iter().for_each(|number| rig.close(*number));
    let missing = receivers.len();
    let is_legacy = rig.dialect() == Dialect::Legacy;
    let asked = vec![Asked::NotYet; if is_legacy { talk.lanes.len() } else { 0 }];
    let to_come = Vec::new();
    let mut offline = Offline { talk, is_delivery: false, to_come, missing, asked, answered_at: begun_at };
    rig.run(&mut offline, stage.drain())?;
    // What was not sent in its time is not sent at all.
    offline.talk.limit(0);
    stage.ready()?;

    let meter = stage.meter(&rig.clock, "message", 0, stage.length());
    let mut stored = rig.exchange_meter(meter).end();
    stored.sent = offline.talk.close().1;
    (stored.done, stored.latency) = (stored.ack.count(), stored.ack.clone());
    if is_legacy {
        let answered =
            offline.talk.lanes.iter().zip(&offline.asked).filter(|(_, asked)| **asked == Asked::Answered);
        stored.done = answered.map(|(lane, _)| lane.sent()).sum();
        stored.nanoseconds = offline.answered_at - begun_at;
        stored.trouble.note_many(Trouble::NOT_CONFIRMED, stored.sent - stored.done);
    }
    if stored.sent < u64::from(args.messages) && !stored.cut.measured {
        stored.trouble.note_many(Trouble::NOT_SENT, u64::from(args.messages) - stored.sent);
    }
    (offline.is_delivery, offline.to_come) = (true, receivers);
    rig.run(&mut offline, stage.drain())?;
    let mut delivered = rig.meter.end();
    (delivered.faults, delivered.sent) = offline.talk.close();
    delivered.trouble.note_many(Trouble::NOT_LOGGED_IN, offline.missing as u64);
    let part = Part::new("store", "message", "ack", stored);
    Ok(vec![part, Part::new("deliver", "message", "delivery", delivered)])
}

impl Offline {
    /// Has senders ask whether all is stored that they have sent: those that have sent all, or `everybody`.
    fn ask(&mut self, rig: &mut Rig, everybody: bool) {
        for (lane, asked) in self.talk.lanes.iter().zip(&mut self.asked) {
            let is_through = everybody || lane.senders.iter().all(|sender| sender.left == 0);
            if *asked == Asked::NotYet && is_through {
                *asked = Asked::Waiting;
                let sender = &lane.members[SENDER];
                sender.put_login(Dialect::Legacy, Means::Password, rig.output(lane.first + SENDER));
            }
        }
    }

    /// Whether it was the answer to that.
    fn handle_answer(&mut self, number: usize, unit: Unit<'_>, now: u64) -> bool {
        let (lane, _) = self.talk.seat_of(number);
        let is_answer = self.asked.get(lane) == Some(&Asked::Waiting) && answer(unit).is_some();
        if is_answer {
            (self.asked[lane], self.answered_at) = (Asked::Answered, now);
        }
        is_answer
    }

    fn handle_login(&mut self, rig: &mut Rig, number: usize, unit: Unit<'_>, now: u64) -> bool {
        if self.talk.seat_of(number).1 != RECEIVER {
            return false;
        }
        match answer(unit) {
            None => return false,
            Some(Answer::LoggedIn) => self.missing -= 1,
            Some(Answer::Refused(why, _)) => rig.meter.trouble.note(why),
            Some(Answer::Wrong) => rig.meter.trouble.note(Trouble::UNEXPECTED),
        }
        self.talk.receive_missed(rig, number, unit, now);
        true
    }
}

impl Load for Offline {
    fn turn(&mut self, rig: &mut Rig, now: u64) {
        let phase = rig.meter.window().phase();
        if phase == Phase::Measured {
            for number in std::mem::take(&mut self.to_come) {
                if rig.open(number).is_err() {
                    rig.meter.trouble.note(Trouble::CANNOT_CONNECT);
                    continue;
                }
                let (lane, member) = self.talk.seat_of(number);
                let (lane, dialect) = (&mut self.talk.lanes[lane], rig.dialect());
                lane.handle_return(member, now);
                lane.members[member].put_login(dialect, Means::Token, rig.output(number));
            }
        }
        if !self.is_delivery || phase != Phase::Warmup {
            self.talk.turn(rig, now);
        }
        if !self.is_delivery {
            self.ask(rig, false);
        }
        let is_over = match self.is_delivery {
            true => !self.talk.has_open(),
            false => self.talk.is_through() && self.asked.iter().all(|asked| *asked == Asked::Answered),
        };
        if is_over && phase == Phase::Measured {
            rig.meter.window_mut().finish(now);
        }
    }

    fn finish(&mut self, rig: &mut Rig, _close: u64) {
        if !self.is_delivery {
            self.ask(rig, true);
        }
    }

    fn handle(&mut self, rig: &mut Rig, number: usize, unit: Unit<'_>, now: u64) {
        let is_taken = match self.is_delivery {
            true => self.handle_login(rig, number, unit, now),
            false => self.handle_answer(number, unit, now),
        };
        if !is_taken {
            self.talk.handle(rig, number, unit, now);
        }
    }

    fn handle_lost(&mut self, rig: &mut Rig, number: usize) -> bool {
        self.talk.handle_lost(rig, number)
    }

    fn is_hopeless(&self) -> bool {
        self.talk.is_hopeless()
    }

    fn next_due(&self) -> u64 {
        self.talk.next_due()
    }

    fn next_look(&self) -> u64 {
        self.talk.next_look()
    }

    fn has_open(&self) -> bool {
        if self.is_delivery { self.talk.has_open() } else { self.asked.contains(&Asked::Waiting) }
    }
}
