//! N logged-in connections that say nothing but heartbeats: what does the server keep for each?

use super::{Part, Stage, handle_push, put_heartbeat};
use crate::accounts::log_in;
use crate::args::workload::IdleArgs;
use crate::clock::nanoseconds;
use crate::connection::Unit;
use crate::error::Error;
use crate::measure::Phase;
use crate::rig::{Load, Rig};
use crate::schedule::Schedule;
use crate::trouble::Trouble;
use std::thread;
use std::time::Duration;
use wire::kind::{REPLY, request};
use wire::{Dialect, Frame, Heartbeat, UserId};

/// How long the server may take after a login to come to rest, before its memory is looked at.
const SETTLE: Duration = Duration::from_millis(500);

#[derive(Debug)]
struct Idler {
    user: UserId,
    /// The sequence of the last heartbeat, and when it was due while it is not answered.
    sequence: u32,
    beating_since: Option<u64>,
}

struct Idlers {
    idlers: Vec<Idler>,
    schedule: Option<Schedule>,
}

/// Runs the workload.
pub fn run(stage: &Stage<'_>, args: &IdleArgs) -> Result<Vec<Part>, Error> {
    let dialect = stage.common.dialect.dialect();
    let accounts = stage.accounts(args.connections)?;
    let (first, others) = accounts.split_at(1);
    let mut sessions = log_in(&stage.target, dialect, 0, first)?;
    thread::sleep(SETTLE);
    let base = stage.base(args.connections - 1)?;
    sessions.extend(log_in(&stage.target, dialect, 1, others)?);
    stage.ready()?;

    let mut rig = stage.rig("heartbeat", stage.warmup(), stage.length())?;
    let mut idlers = Vec::with_capacity(accounts.len());
    for (session, account) in sessions.into_iter().zip(&accounts) {
        let (stream, partial) = session.into_parts();
        rig.adopt(stream, partial)?;
        idlers.push(Idler { user: account.id, sequence: 0, beating_since: None });
    }
    let (now, period) = (rig.clock.now(), nanoseconds(args.heartbeat).max(1));
    let schedule = (dialect == Dialect::Tlv).then(|| Schedule::new(now, u64::from(args.connections), period));
    rig.run(&mut Idlers { idlers, schedule }, stage.drain())?;
    let part = Part::new("", "heartbeat", "heartbeat", rig.meter.end());
    Ok(vec![Part { base, ..part }])
}

impl Load for Idlers {
    /// Sends the heartbeats that are due.
    fn turn(&mut self, rig: &mut Rig, now: u64) {
        let Some(schedule) = &mut self.schedule else { return };
        if rig.meter.window().phase() == Phase::Drain {
            return;
        }
        while let Some((event, due)) = schedule.take(now) {
            let number = (event % self.idlers.len() as u64) as usize;
            let idler = &mut self.idlers[number];
            if !rig.connections[number].is_open() {
                continue;
            }
            rig.meter.record_lag(due, now);
            if idler.beating_since.replace(due).is_some() {
                rig.meter.trouble.note(Trouble::SILENT_HEARTBEAT);
            }
            idler.sequence = idler.sequence.wrapping_add(1).max(1);
            put_heartbeat(rig.output(number), idler.user, idler.sequence);
        }
    }

    fn handle(&mut self, rig: &mut Rig, number: usize, unit: Unit<'_>, now: u64) {
        let idler = &mut self.idlers[number];
        let frame = match unit {
            Unit::Frame(frame) => frame,
            Unit::Object(_) => return rig.meter.trouble.note(Trouble::UNEXPECTED),
        };
        let Frame { kind, value, .. } = frame;
        if kind != REPLY | request::HEARTBEAT {
            return handle_push(rig, number, idler.user, frame);
        }
        match Heartbeat::decode(value) {
            Some(beat) if beat.sequence == idler.sequence => {
                if let Some(due) = idler.beating_since.take() {
                    rig.meter.record_done(due, now);
                }
            }
            // The answer to the heartbeat that answered a PROBE.
            Some(_) => {}
            None => rig.meter.trouble.note(Trouble::WRONG_HEARTBEAT),
        }
    }

    fn next_due(&self) -> u64 {
        self.schedule.as_ref().map_or(u64::MAX, Schedule::next_due)
    }

    fn has_open(&self) -> bool {
        self.idlers.iter().any(|idler| idler.beating_since.is_some())
    }
}
