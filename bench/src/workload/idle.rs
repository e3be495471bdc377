//! N logged-in connections that say nothing but heartbeats: what does the server keep for each?

use super::{Measurement, Setup, handle_push, put_heartbeat};
use crate::accounts::log_in;
use crate::args::workload::IdleArgs;
use crate::clock::nanoseconds;
use crate::connection::Unit;
use crate::error::Error;
use crate::error_counts::ErrorCounts;
use crate::event_loop::{EventLoop, Load};
use crate::measure::Phase;
use crate::schedule::Schedule;
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
pub fn run(setup: &Setup<'_>, args: &IdleArgs) -> Result<Vec<Measurement>, Error> {
    let dialect = setup.common.dialect.dialect();
    let accounts = setup.accounts(args.connections)?;
    let (first, others) = accounts.split_at(1);
    let mut clients = log_in(&setup.endpoints, dialect, 0, first)?;
    thread::sleep(SETTLE);
    let base = setup.base(args.connections - 1)?;
    clients.extend(log_in(&setup.endpoints, dialect, 1, others)?);
    setup.ready()?;

    let mut event_loop = setup.event_loop("heartbeat", setup.warmup(), setup.length())?;
    let mut idlers = Vec::with_capacity(accounts.len());
    for (client, account) in clients.into_iter().zip(&accounts) {
        let (stream, partial) = client.into_parts();
        event_loop.adopt(stream, partial)?;
        idlers.push(Idler { user: account.id, sequence: 0, beating_since: None });
    }
    let (now, period) = (event_loop.clock.now(), nanoseconds(args.heartbeat).max(1));
    let schedule = (dialect == Dialect::Tlv).then(|| Schedule::new(now, u64::from(args.connections), period));
    event_loop.run(&mut Idlers { idlers, schedule }, setup.drain())?;
    let part = Measurement::new("", "heartbeat", "heartbeat", event_loop.meter.end());
    Ok(vec![Measurement { base, ..part }])
}

impl Load for Idlers {
    /// Sends the heartbeats that are due.
    fn turn(&mut self, event_loop: &mut EventLoop, now: u64) {
        let Some(schedule) = &mut self.schedule else { return };
        if event_loop.meter.phases().phase() == Phase::Drain {
            return;
        }
        while let Some((event, due)) = schedule.take(now) {
            let number = (event % self.idlers.len() as u64) as usize;
            let idler = &mut self.idlers[number];
            if !event_loop.connections[number].is_open() {
                continue;
            }
            event_loop.meter.record_lag(due, now);
            if idler.beating_since.replace(due).is_some() {
                event_loop.meter.errors.note(ErrorCounts::SILENT_HEARTBEAT);
            }
            idler.sequence = idler.sequence.wrapping_add(1).max(1);
            put_heartbeat(event_loop.output(number), idler.user, idler.sequence);
        }
    }

    fn handle(&mut self, event_loop: &mut EventLoop, number: usize, unit: Unit<'_>, now: u64) {
        let idler = &mut self.idlers[number];
        let frame = match unit {
            Unit::Frame(frame) => frame,
            Unit::Object(_) => return event_loop.meter.errors.note(ErrorCounts::UNEXPECTED),
        };
        let Frame { kind, value, .. } = frame;
        if kind != REPLY | request::HEARTBEAT {
            return handle_push(event_loop, number, idler.user, frame);
        }
        match Heartbeat::decode(value) {
            Some(beat) if beat.sequence == idler.sequence => {
                if let Some(due) = idler.beating_since.take() {
                    event_loop.meter.record_done(due, now);
                }
            }
            // The answer to the heartbeat that answered a PROBE.
            Some(_) => {}
            None => event_loop.meter.errors.note(ErrorCounts::WRONG_HEARTBEAT),
        }
    }

    fn next_due(&self) -> u64 {
        self.schedule.as_ref().map_or(u64::MAX, Schedule::next_due)
    }

    fn has_open(&self) -> bool {
        self.idlers.iter().any(|idler| idler.beating_since.is_some())
    }
}
