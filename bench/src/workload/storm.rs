//! N clients drop and reconnect all at once, while others chat: how long until all are back, and what do the others feel?

use super::login::{Answer, answer};
use super::messaging::Messaging;
use super::{Measurement, Setup, handle_push};
use crate::accounts::{Account, LoginMethod, log_in};
use crate::args::workload::{PaceArgs, StormArgs};
use crate::clock::MILLISECOND;
use crate::connection::Unit;
use crate::error::Error;
use crate::error_counts::ErrorCounts;
use crate::event_loop::{EventLoop, Load};
use crate::lane_setup::ConversationSpec;
use crate::measure::Phase;
use crate::message::STAMP_BYTES;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// When a client tries again that was refused or lost; clients of this project wait as long the first time.
const TRY_AGAIN: u64 = 250 * MILLISECOND;

/// Clients that drop, or connect, in one turn: what is answered is taken in between.
const SLICE: usize = 64;

/// The clients. Those who chat meanwhile are a load of their own, on a thread of their own: the generator's work of
/// connecting thousands must not stand between them and what they are told.
struct Storm {
    clients: Vec<Account>,
    /// Whether each is back.
    is_back: Vec<bool>,
    missing: usize,
    /// When they began to drop.
    since: Option<u64>,
    /// How many have dropped, and how many of those have begun to connect again.
    dropped: usize,
    begun: usize,
    /// Clients that try again: when, who.
    again: VecDeque<(u64, usize)>,
    tries_again: u64,
    /// When the last one was back.
    over: Option<u64>,
    /// The same for the others, who end then.
    is_over: Arc<AtomicBool>,
}

/// Runs the workload: the clients, then the others.
pub fn run(setup: &Setup<'_>, args: &StormArgs) -> Result<Vec<Measurement>, Error> {
    let accounts = setup.accounts(args.connections + 2 * args.pairs)?;
    let base = setup.base(accounts.len() as u32)?;
    let (others, clients) = accounts.split_at(2 * args.pairs as usize);
    let pending = Messaging::set_up(setup, others, 2, &[ConversationSpec::direct(0, 1)], STAMP_BYTES, false)?;
    let dialect = setup.common.dialect.dialect();
    let connected = log_in(&setup.endpoints, dialect, others.len() as u64, clients)?;
    setup.ready()?;
    let mut event_loop = setup.event_loop("login", setup.warmup(), setup.length())?;
    let mut beside = setup.quiet_event_loop(setup.warmup(), setup.length())?;
    let is_over = Arc::new(AtomicBool::new(false));
    let mut messaging = pending.adopt(&mut beside)?.until(Arc::clone(&is_over));
    for client in connected {
        let (stream, partial) = client.into_parts();
        event_loop.adopt(stream, partial)?;
    }
    messaging.begin(&PaceArgs { window: None, rate: Some(args.rate.max(1)) }, beside.clock.now(), 0)?;
    let mut storm = Storm {
        is_back: vec![false; clients.len()],
        missing: clients.len(),
        clients: clients.to_vec(),
        since: None,
        dropped: 0,
        begun: 0,
        again: VecDeque::new(),
        tries_again: 0,
        over: None,
        is_over: Arc::clone(&is_over),
    };
    let others = thread::scope(|scope| {
        // Of a name of its own, so that what each of the two threads uses is told apart.
        let others = thread::Builder::new()
            .name("others".to_owned())
            .spawn_scoped(scope, || {
                beside.run(&mut messaging, setup.drain()).map(|()| messaging.tally(beside))
            })
            .map_err(|error| Error::io("start a thread", error))?;
        let ran = event_loop.run(&mut storm, setup.drain());
        is_over.store(true, Ordering::Relaxed);
        let others =
            others.join().map_err(|_| Error::Usage("a thread of the generator panicked".to_owned()))?;
        ran.and(others)
    })?;
    let missing = storm.missing as u64;
    let mut clients = event_loop.meter.end();
    clients.done = storm.clients.len() as u64 - missing;
    if let Some((over, since)) = storm.over.zip(storm.since) {
        clients.nanoseconds = over - since;
    }
    clients.errors.note_many(ErrorCounts::NOT_LOGGED_IN, missing);
    let mut back = Measurement { base, ..Measurement::new("", "login", "back", clients) };
    back.counts.insert("tried again".into(), storm.tries_again);
    Ok(vec![back, Measurement::new("others", "message", "delivery", others)])
}

impl Storm {
    /// First all drop, then all connect.
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

    /// Client `number` connects anew and logs in.
    fn connect(&mut self, event_loop: &mut EventLoop, number: usize, now: u64) {
        if event_loop.open(number).is_err() {
            event_loop.meter.errors.note(ErrorCounts::CANNOT_CONNECT);
            return self.again.push_back((now + TRY_AGAIN, number));
        }
        let dialect = event_loop.dialect();
        self.clients[number].put_login(dialect, LoginMethod::Token, event_loop.output(number));
    }

    fn try_again(&mut self, number: usize, at: u64) {
        self.tries_again += 1;
        self.again.push_back((at, number));
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
        while let Some(&(_, number)) = self.again.front().filter(|(at, _)| *at <= now) {
            self.again.pop_front();
            self.connect(event_loop, number, now);
        }
        if phase == Phase::Measured && self.missing == 0 {
            self.over.get_or_insert(now);
            self.is_over.store(true, Ordering::Relaxed);
            event_loop.meter.phases_mut().finish(now);
        }
    }

    fn handle(&mut self, event_loop: &mut EventLoop, client: usize, unit: Unit<'_>, now: u64) {
        match (answer(unit), self.since) {
            (Some(Answer::LoggedIn), Some(since)) if !self.is_back[client] => {
                self.is_back[client] = true;
                self.missing -= 1;
                event_loop.meter.record_done(since, now);
            }
            (Some(Answer::Refused(_, retry_after_ms)), _) => {
                event_loop.close(client);
                let pause = retry_after_ms.map_or(TRY_AGAIN, |ms| ms * MILLISECOND);
                self.try_again(client, now + pause);
            }
            (Some(_), _) => event_loop.meter.errors.note(ErrorCounts::UNEXPECTED),
            (None, _) => {
                if let Unit::Frame(frame) = unit {
                    handle_push(event_loop, client, self.clients[client].id, frame);
                }
            }
        }
    }

    fn handle_lost(&mut self, event_loop: &mut EventLoop, client: usize) -> bool {
        let is_on_its_way = self.since.is_some() && !self.is_back[client];
        if is_on_its_way {
            self.try_again(client, event_loop.clock.now() + TRY_AGAIN);
        }
        is_on_its_way
    }

    fn next_due(&self) -> u64 {
        u64::MAX
    }

    fn next_look(&self) -> u64 {
        if self.since.is_some() && self.begun < self.clients.len() {
            return 0;
        }
        self.again.front().map_or(u64::MAX, |(at, _)| *at)
    }

    fn has_open(&self) -> bool {
        false
    }
}
