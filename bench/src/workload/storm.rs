//! Clients that disconnect and reconnect all at once while other users chat: how long until all are back, and the
//! latency of the other users meanwhile.

use super::login_reply::{LoginReply, read_login_reply};
use super::messaging::Messaging;
use super::pushes::handle_push;
use super::setup::Setup;
use crate::accounts::{Account, LoginMethod, log_in};
use crate::args::workload::{PaceArgs, StormArgs};
use crate::clock::MILLISECOND;
use crate::connection::Inbound;
use crate::error::Error;
use crate::error_counts::ErrorCounts;
use crate::event_loop::{EventLoop, Load};
use crate::lane_setup::ConversationSpec;
use crate::measure::{Measurement, Phase};
use crate::stamp::STAMP_BYTES;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// The pause before a refused or lost client tries again, ns; the project's client waits as long the first time.
const RETRY_DELAY: u64 = 250 * MILLISECOND;

/// Clients that disconnect, or connect, in one turn; answers are handled between turns.
const SLICE: usize = 64;

/// The reconnecting clients. The users who chat run in a second event loop on a thread of its own, so that the
/// generator's own work of connecting thousands of clients does not delay their messages.
struct Storm {
    clients: Vec<Account>,
    is_back: Vec<bool>,
    missing: usize,
    /// When the first client disconnected.
    since: Option<u64>,
    /// The number of clients that have disconnected, and how many of these have started to reconnect.
    dropped: usize,
    begun: usize,
    /// Clients that try again: when, and which.
    retries: VecDeque<(u64, usize)>,
    retry_count: u64,
    /// When the last client was back.
    over: Option<u64>,
    /// Tells the other event loop to end.
    is_over: Arc<AtomicBool>,
}

/// Runs the workload. The first measurement is of the clients, the second of the other users.
pub fn run(setup: &Setup<'_>, args: &StormArgs) -> Result<Vec<Measurement>, Error> {
    let accounts = setup.accounts(args.connections + 2 * args.pairs)?;
    let baseline = setup.baseline(accounts.len() as u32)?;
    let (others, clients) = accounts.split_at(2 * args.pairs as usize);
    let connected_lanes =
        Messaging::set_up(setup, others, 2, &[ConversationSpec::direct(0, 1)], STAMP_BYTES, false)?;
    let dialect = setup.common.dialect();
    let connected = log_in(&setup.endpoints, dialect, others.len() as u64, clients)?;
    setup.ready()?;
    let mut event_loop = setup.event_loop("login", setup.warmup(), setup.length())?;
    let mut background = setup.background_event_loop(setup.warmup(), setup.length())?;
    let is_over = Arc::new(AtomicBool::new(false));
    let mut messaging = connected_lanes.adopt(&mut background)?.until(Arc::clone(&is_over));
    for client in connected {
        let (stream, partial) = client.into_parts();
        event_loop.adopt(stream, partial)?;
    }
    messaging.begin(&PaceArgs { window: None, rate: Some(args.rate.max(1)) }, background.clock.now(), 0)?;
    let mut storm = Storm {
        is_back: vec![false; clients.len()],
        missing: clients.len(),
        clients: clients.to_vec(),
        since: None,
        dropped: 0,
        begun: 0,
        retries: VecDeque::new(),
        retry_count: 0,
        over: None,
        is_over: Arc::clone(&is_over),
    };
    let others = thread::scope(|scope| {
        // The name separates the CPU time of the two threads.
        let others = thread::Builder::new()
            .name("others".to_owned())
            .spawn_scoped(scope, || {
                background.run(&mut messaging, setup.drain()).map(|()| messaging.tally(background))
            })
            .map_err(|error| Error::io("start a thread", error))?;
        let ran = event_loop.run(&mut storm, setup.drain());
        is_over.store(true, Ordering::Relaxed);
        let others = others.join().map_err(|_| Error::Usage("a generator thread panicked".to_owned()))?;
        ran.and(others)
    })?;
    let missing = storm.missing as u64;
    let mut clients = event_loop.meter.end();
    clients.done = storm.clients.len() as u64 - missing;
    if let Some((over, since)) = storm.over.zip(storm.since) {
        clients.nanoseconds = over - since;
    }
    clients.errors.note_many(ErrorCounts::NOT_LOGGED_IN, missing);
    let mut back = Measurement { baseline, ..Measurement::new("", "login", "back", clients) };
    back.counts.insert("tried again".into(), storm.retry_count);
    Ok(vec![back, Measurement::new("others", "message", "delivery", others)])
}

impl Storm {
    /// All clients disconnect before the first connects.
    fn next_slice(&mut self, event_loop: &mut EventLoop, now: u64) {
        let all = self.clients.len();
        if self.dropped < all {
            let end = all.min(self.dropped + SLICE);
            (self.dropped..end).for_each(|client| event_loop.close(client));
            self.dropped = end;
        } else if self.begun < all {
            let end = all.min(self.begun + SLICE);
            (self.begun..end).for_each(|client| self.connect(event_loop, client, now));
            self.begun = end;
        }
    }

    /// Client `number` connects again and logs in.
    fn connect(&mut self, event_loop: &mut EventLoop, number: usize, now: u64) {
        if event_loop.open(number).is_err() {
            event_loop.meter.errors.note(ErrorCounts::CANNOT_CONNECT);
            return self.retries.push_back((now + RETRY_DELAY, number));
        }
        let dialect = event_loop.dialect();
        self.clients[number].put_login(dialect, LoginMethod::Token, event_loop.output(number));
    }

    fn schedule_retry(&mut self, number: usize, at: u64) {
        self.retry_count += 1;
        self.retries.push_back((at, number));
    }
}

impl Load for Storm {
    fn turn(&mut self, event_loop: &mut EventLoop, now: u64) {
        let phase = event_loop.meter.phases().phase();
        if phase == Phase::Measured && self.since.is_none() {
            self.since = Some(now);
        }
        if self.since.is_some() {
            self.next_slice(event_loop, now);
        }
        while let Some(&(_, number)) = self.retries.front().filter(|(at, _)| *at <= now) {
            self.retries.pop_front();
            self.connect(event_loop, number, now);
        }
        if phase == Phase::Measured && self.missing == 0 {
            self.over.get_or_insert(now);
            self.is_over.store(true, Ordering::Relaxed);
            event_loop.meter.phases_mut().finish(now);
        }
    }

    fn handle(&mut self, event_loop: &mut EventLoop, client: usize, inbound: Inbound<'_>, now: u64) {
        match (read_login_reply(inbound), self.since) {
            (Some(LoginReply::LoggedIn), Some(since)) if !self.is_back[client] => {
                self.is_back[client] = true;
                self.missing -= 1;
                event_loop.meter.record_done(since, now);
            }
            (Some(LoginReply::Refused { retry_after_ms, .. }), _) => {
                event_loop.close(client);
                let pause = retry_after_ms.map_or(RETRY_DELAY, |ms| ms * MILLISECOND);
                self.schedule_retry(client, now + pause);
            }
            (Some(_), _) => event_loop.meter.errors.note(ErrorCounts::UNEXPECTED),
            (None, _) => {
                if let Inbound::Frame(frame) = inbound {
                    handle_push(event_loop, client, self.clients[client].id, frame);
                }
            }
        }
    }

    fn handle_lost(&mut self, event_loop: &mut EventLoop, client: usize) -> bool {
        let is_connecting = self.since.is_some() && !self.is_back[client];
        if is_connecting {
            self.schedule_retry(client, event_loop.clock.now() + RETRY_DELAY);
        }
        is_connecting
    }

    fn next_due(&self) -> u64 {
        u64::MAX
    }

    fn next_coarse_due(&self) -> u64 {
        if self.since.is_some() && self.begun < self.clients.len() {
            return 0;
        }
        self.retries.front().map_or(u64::MAX, |(at, _)| *at)
    }

    fn has_open(&self) -> bool {
        false
    }
}
