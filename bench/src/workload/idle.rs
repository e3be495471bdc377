//! Logged-in connections that send only heartbeats: the server's memory for each.

use super::pushes::{handle_push, put_heartbeat};
use super::setup::Setup;
use crate::accounts::log_in;
use crate::args::workload::IdleArgs;
use crate::clock::nanoseconds;
use crate::connection::Inbound;
use crate::error::Error;
use crate::error_counts::ErrorCounts;
use crate::event_loop::{EventLoop, Load};
use crate::measure::{Measurement, Phase};
use crate::schedule::Schedule;
use std::thread;
use std::time::Duration;
use wire::kind::{REPLY, request};
use wire::{Dialect, Frame, Heartbeat, UserId};

/// How long the server gets to settle after the first login, before its memory is sampled.
const SETTLE: Duration = Duration::from_millis(500);

#[derive(Debug)]
struct IdleConnection {
    user: UserId,
    /// The sequence number of the last heartbeat, and its due time while it is unanswered.
    sequence: u32,
    unanswered_since: Option<u64>,
}

struct IdleConnections {
    connections: Vec<IdleConnection>,
    schedule: Option<Schedule>,
}

/// Runs the workload.
pub fn run(setup: &Setup<'_>, args: &IdleArgs) -> Result<Vec<Measurement>, Error> {
    let dialect = setup.common.dialect();
    let accounts = setup.accounts(args.connections)?;
    let (first, others) = accounts.split_at(1);
    let mut clients = log_in(&setup.endpoints, dialect, 0, first)?;
    thread::sleep(SETTLE);
    let baseline = setup.baseline(args.connections - 1)?;
    clients.extend(log_in(&setup.endpoints, dialect, 1, others)?);
    setup.ready()?;

    let mut event_loop = setup.event_loop("heartbeat", setup.warmup(), setup.length())?;
    let mut connections = Vec::with_capacity(accounts.len());
    for (client, account) in clients.into_iter().zip(&accounts) {
        let (stream, partial) = client.into_parts();
        event_loop.adopt(stream, partial)?;
        connections.push(IdleConnection { user: account.id, sequence: 0, unanswered_since: None });
    }
    let (now, period) = (event_loop.clock.now(), nanoseconds(args.heartbeat).max(1));
    let schedule = (dialect == Dialect::Tlv).then(|| Schedule::new(now, u64::from(args.connections), period));
    event_loop.run(&mut IdleConnections { connections, schedule }, setup.drain())?;
    let part = Measurement::new("", "heartbeat", "heartbeat", event_loop.meter.end());
    Ok(vec![Measurement { baseline, ..part }])
}

impl Load for IdleConnections {
    fn turn(&mut self, event_loop: &mut EventLoop, now: u64) {
        let Some(schedule) = &mut self.schedule else { return };
        if event_loop.meter.phases().phase() == Phase::Drain {
            return;
        }
        while let Some((event, due)) = schedule.take(now) {
            let number = (event % self.connections.len() as u64) as usize;
            let connection = &mut self.connections[number];
            if !event_loop.connections[number].is_open() {
                continue;
            }
            event_loop.meter.record_lag(due, now);
            if connection.unanswered_since.replace(due).is_some() {
                event_loop.meter.errors.note(ErrorCounts::SILENT_HEARTBEAT);
            }
            connection.sequence = connection.sequence.wrapping_add(1).max(1);
            put_heartbeat(event_loop.output(number), connection.user, connection.sequence);
        }
    }

    fn handle(&mut self, event_loop: &mut EventLoop, number: usize, inbound: Inbound<'_>, now: u64) {
        let connection = &mut self.connections[number];
        let frame = match inbound {
            Inbound::Frame(frame) => frame,
            Inbound::Object(_) => return event_loop.meter.errors.note(ErrorCounts::UNEXPECTED),
        };
        let Frame { kind, value, .. } = frame;
        if kind != REPLY | request::HEARTBEAT {
            return handle_push(event_loop, number, connection.user, frame);
        }
        match Heartbeat::decode(value) {
            Some(beat) if beat.sequence == connection.sequence => {
                if let Some(due) = connection.unanswered_since.take() {
                    event_loop.meter.record_done(due, now);
                }
            }
            // The reply to the heartbeat that answered a PROBE.
            Some(_) => {}
            None => event_loop.meter.errors.note(ErrorCounts::WRONG_HEARTBEAT),
        }
    }

    fn next_due(&self) -> u64 {
        self.schedule.as_ref().map_or(u64::MAX, Schedule::next_due)
    }

    fn has_open(&self) -> bool {
        self.connections.iter().any(|connection| connection.unanswered_since.is_some())
    }
}
