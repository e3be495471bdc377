//! Messages to absent users, who then log in: how fast are they stored, and how fast and how completely delivered?

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

/// Member 1 of each lane is absent at first.
const RECEIVER: usize = 1;

struct Offline {
    talk: Talk,
    /// Whether the receivers have come.
    is_delivery: bool,
    /// Receivers that are to connect in the next turn.
    to_come: Vec<usize>,
    missing: usize,
}

/// Runs the workload: storing, then delivering.
pub fn run(stage: &Stage<'_>, args: &OfflineArgs) -> Result<Vec<Part>, Error> {
    let accounts = stage.accounts(2 * args.pairs)?;
    let mut pending = Talk::set_up(stage, &accounts, 2, &[Spec::direct(0, 1)], args.size as usize, true)?;
    pending.dismiss(RECEIVER, stage.common.dialect.dialect())?;
    stage.ready()?;
    let mut rig = stage.rig("message", 0, stage.length())?;
    let mut talk = pending.adopt(&mut rig)?;
    talk.begin(&PaceArgs { window: Some(args.window), rate: None }, rig.clock.now(), 0)?;
    talk.limit(u64::from(args.messages));
    let receivers: Vec<usize> = talk.lanes.iter().map(|lane| lane.first + RECEIVER).collect();
    receivers.iter().for_each(|number| rig.close(*number));
    let missing = receivers.len();
    let mut offline = Offline { talk, is_delivery: false, to_come: Vec::new(), missing };
    rig.run(&mut offline, stage.drain())?;

    let meter = stage.meter(&rig.clock, "message", 0, stage.length());
    let mut stored = rig.exchange_meter(meter).end();
    stored.sent = offline.talk.close().1;
    (stored.done, stored.latency) = (stored.ack.count(), stored.ack.clone());
    let is_legacy = rig.dialect() == Dialect::Legacy;
    if is_legacy {
        // Nothing says when it is stored, only that the kernel took it.
        stored.done = stored.sent;
    }
    if stored.sent < u64::from(args.messages) {
        stored.trouble.note_many(Trouble::NOT_SENT, u64::from(args.messages) - stored.sent);
    }
    (offline.is_delivery, offline.to_come) = (true, receivers);
    rig.run(&mut offline, stage.drain())?;
    let mut delivered = rig.meter.end();
    (delivered.faults, delivered.sent) = offline.talk.close();
    delivered.trouble.note_many(Trouble::NOT_LOGGED_IN, offline.missing as u64);
    let part = Part::new("store", "message", if is_legacy { "handing over" } else { "ack" }, stored);
    Ok(vec![part, Part::new("deliver", "message", "delivery", delivered)])
}

impl Offline {
    fn handle_login(&mut self, rig: &mut Rig, number: usize, unit: Unit<'_>, now: u64) -> bool {
        match answer(unit) {
            None => return false,
            Some(Answer::LoggedIn) => self.missing -= 1,
            Some(Answer::Refused(refusal)) => rig.meter.trouble.note_refusal(&refusal),
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
        let is_over = if self.is_delivery { !self.talk.has_open() } else { self.talk.is_through() };
        if is_over && phase == Phase::Measured {
            rig.meter.window_mut().finish(now);
        }
    }

    fn handle(&mut self, rig: &mut Rig, number: usize, unit: Unit<'_>, now: u64) {
        if !self.is_delivery || !self.handle_login(rig, number, unit, now) {
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
        self.is_delivery && self.talk.has_open()
    }
}
