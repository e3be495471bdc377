//! A day of chat, in stated proportions: circles of friends who write to one and to all, read, look back, leave and return.
//!
//! Whoever leaves and returns is told what was missed; the ledgers hold that against what was said meanwhile. Over TLV one
//! leaves by dropping the connection. The legacy dialect acknowledges nothing, so what was on its way over a connection
//! that drops would be nobody's fault; there one logs out, as those clients do, and logs in again on the same connection.

use super::login::{Answer, answer};
use super::messaging::Messaging;
use super::{Measurement, Setup};
use crate::accounts::{Account, LoginMethod, in_parallel, unexpected};
use crate::args::workload::{Mix, MixedArgs};
use crate::client::Client;
use crate::clock::{MILLISECOND, SECOND, nanoseconds};
use crate::connection::Unit;
use crate::endpoints::Endpoints;
use crate::error::Error;
use crate::error_counts::ErrorCounts;
use crate::event_loop::{EventLoop, Load};
use crate::lane_setup::ConversationSpec;
use crate::legacy;
use crate::measure::{Latency, Phase, Tally};
use crate::rng::Rng;
use crate::schedule::Schedule;
use std::collections::VecDeque;
use wire::account::Who;
use wire::kind::{REPLY, request};
use wire::{Command, Dialect, Direction, Errno, Reply, Seq, contact, timeline};

/// How long one stays away, ns: from this to ten times this.
const AWAY: u64 = 200 * MILLISECOND;
/// Messages of one look into the history.
const PAGE: u32 = 50;
/// Who looks back asks by this number.
const HISTORY_REQUEST: u32 = 1;
/// A sender's channels: first its own direct chat, then the group.
const DIRECT: usize = 0;
const GROUP: usize = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Direct,
    Group,
    Read,
    LookBack,
    Leave,
}

const ACTS: [(Act, &str); 5] = [
    (Act::Direct, "direct messages"),
    (Act::Group, "group messages"),
    (Act::Read, "reads"),
    (Act::LookBack, "looks back"),
    (Act::Leave, "new logins"),
];

/// What nobody can do over the legacy dialect.
const ONLY_TLV: [Act; 2] = [Act::Read, Act::LookBack];

/// Where a user is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Here,
    Away,
    Returning(u64),
}

struct Day {
    messaging: Messaging,
    members: usize,
    mix: Mix,
    rng: Rng,
    schedule: Schedule,
    states: Vec<State>,
    /// Who returns when, in the order of leaving.
    away: VecDeque<(u64, usize)>,
    /// Up to which seq a look into the history goes, while it is not answered.
    looking: Vec<Option<u64>>,
    counts: [u64; ACTS.len()],
    /// Acts that could not be done.
    left_out: u64,
    logins: Latency,
    is_ending: bool,
}

/// Runs the workload.
pub fn run(setup: &Setup<'_>, args: &MixedArgs) -> Result<Vec<Measurement>, Error> {
    let mix = possible(args.mix, setup.common.dialect.dialect())?;
    let members = args.members as usize;
    let accounts = setup.accounts(args.circles * args.members)?;
    befriend(&setup.endpoints, &accounts, members)?;
    let base = setup.base(accounts.len() as u32)?;
    let mut specs: Vec<ConversationSpec> =
        (0..members).map(|member| ConversationSpec::direct(member, (member + 1) % members)).collect();
    specs.push(ConversationSpec::group(members));
    let pending = Messaging::set_up(setup, &accounts, members, &specs, args.size as usize, false)?;
    setup.ready()?;
    let mut event_loop = setup.event_loop("delivery", setup.warmup(), setup.length())?;
    let messaging = pending.adopt(&mut event_loop)?;
    let ramp = nanoseconds(setup.common.ramp);
    let mut day = Day {
        messaging,
        members,
        mix,
        rng: Rng::new(args.seed),
        schedule: Schedule::ramped(event_loop.clock.now(), u64::from(args.rate.max(1)), SECOND, ramp),
        states: vec![State::Here; accounts.len()],
        away: VecDeque::new(),
        looking: vec![None; accounts.len()],
        counts: [0; ACTS.len()],
        left_out: 0,
        logins: Latency::default(),
        is_ending: false,
    };
    event_loop.run(&mut day, setup.drain())?;
    let missing = day.states.iter().filter(|state| **state != State::Here).count();
    let mut tally = event_loop.meter.end();
    tally.errors.note_many(ErrorCounts::NOT_LOGGED_IN, missing as u64);
    (tally.faults, tally.sent) = day.messaging.close();
    let mut part = Measurement { base, ..Measurement::new("", "delivery", "delivery", tally) };
    let counts = ACTS.iter().zip(mix.0).zip(day.counts).filter(|((_, part), _)| *part > 0);
    part.counts.extend(counts.map(|(((_, name), _), count)| ((*name).into(), count)));
    part.counts.insert("left out".into(), day.left_out);
    let returns = Tally {
        nanoseconds: part.tally.nanoseconds,
        done: day.logins.count(),
        latency: day.logins,
        generator: part.tally.generator.clone(),
        generators: 1,
        ..Tally::default()
    };
    Ok(vec![part, Measurement::new("returns", "login", "login", returns)])
}

/// The proportions of what can be done over `dialect`.
fn possible(Mix(mut parts): Mix, dialect: Dialect) -> Result<Mix, Error> {
    if dialect == Dialect::Legacy {
        for (part, (act, _)) in parts.iter_mut().zip(ACTS) {
            *part = if ONLY_TLV.contains(&act) { 0 } else { *part };
        }
    }
    if parts.iter().all(|part| *part == 0) {
        return Err(Error::Usage(
            "the legacy dialect can neither read nor look back: --mix needs something else".to_owned(),
        ));
    }
    Ok(Mix(parts))
}

/// Makes neighbours friends, so that they see each other come and go. Over TLV, which says when it is done.
fn befriend(endpoints: &Endpoints, accounts: &[Account], members: usize) -> Result<(), Error> {
    let circles: Vec<&[Account]> = accounts.chunks(members).collect();
    in_parallel(circles, |circles| {
        for circle in circles {
            for (number, account) in circle.iter().enumerate() {
                let mut client = Client::connect(endpoints, 0)?;
                let login = account.login(account.cheapest_login());
                client.send(&login, 1)?;
                client.answer("LOGIN", &login)?;
                let next = circle[(number + 1) % circle.len()].id;
                let add = contact::Add { who: Who::Id(next), message: None };
                let add = Command::Contact(contact::Request::Add(add));
                client.send(&add, 1)?;
                match client.answer("ADD_FRIEND", &add) {
                    Ok(Reply::Contact(contact::Reply::Added(_))) => {}
                    // An earlier run by the same accounts.
                    Err(Error::Refused { refusal, .. }) if refusal.errno == Errno::Conflict => {}
                    Ok(other) => return Err(unexpected("ADD_FRIEND", &other)),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(Vec::<()>::new())
    })?;
    Ok(())
}

impl Day {
    /// Somebody does something that was due at `due`.
    fn act(&mut self, event_loop: &mut EventLoop, due: u64) {
        let act = ACTS[self.rng.choose(&self.mix.0)].0;
        let number = self.rng.below(self.states.len() as u64) as usize;
        // Rolled for every act, so that what comes later does not depend on what could be done.
        let away = AWAY + self.rng.below(9 * AWAY);
        if self.states[number] != State::Here || !event_loop.connections[number].is_open() {
            return self.leave_out(event_loop, due);
        }
        let (lane, member) = (&mut self.messaging.lanes[number / self.members], number % self.members);
        let padding = &self.messaging.common.padding;
        match act {
            Act::Direct => lane.send_in(event_loop, member, DIRECT, due, padding),
            Act::Group => lane.send_in(event_loop, member, GROUP, due, padding),
            Act::Read => {
                // What the neighbour before wrote.
                let (conversation, seq) = lane.place((member + self.members - 1) % self.members, member);
                if seq == 0 {
                    return self.leave_out(event_loop, due);
                }
                let cursor = timeline::Cursor { conversation, seq: Seq(seq) };
                Command::Timeline(timeline::Request::Read(cursor)).encode(0, event_loop.output(number));
            }
            Act::LookBack => {
                if self.looking[number].is_some() {
                    return self.leave_out(event_loop, due);
                }
                let (conversation, seq) = lane.place(self.members, member);
                let (direction, limit) = (Direction::Before(Seq(seq + 1)), PAGE);
                self.looking[number] = Some(seq);
                let history = timeline::History { conversation, direction, limit };
                Command::Timeline(timeline::Request::History(history))
                    .encode(HISTORY_REQUEST, event_loop.output(number));
            }
            Act::Leave => {
                match event_loop.dialect() {
                    // What is still to be answered would be lost.
                    Dialect::Tlv if lane.is_waiting(member) || self.looking[number].is_some() => {
                        return self.leave_out(event_loop, due);
                    }
                    Dialect::Tlv => event_loop.close(number),
                    Dialect::Legacy => {
                        legacy::put(event_loop.output(number), &legacy::logout(lane.members[member].id.0));
                    }
                }
                self.states[number] = State::Away;
                let back = due + away;
                let at = self.away.partition_point(|(other, _)| *other <= back);
                self.away.insert(at, (back, number));
            }
        }
        let counts = event_loop.meter.phases().holds(due);
        self.counts[ACTS.iter().position(|known| known.0 == act).unwrap_or(0)] += u64::from(counts);
    }

    /// What was due at `due` cannot be done by who was to do it: they are away, say, or have not been answered yet.
    fn leave_out(&mut self, event_loop: &EventLoop, due: u64) {
        self.left_out += u64::from(event_loop.meter.phases().holds(due));
    }

    fn come_back(&mut self, event_loop: &mut EventLoop, number: usize, now: u64) {
        let dialect = event_loop.dialect();
        if dialect == Dialect::Tlv && event_loop.open(number).is_err() {
            return event_loop.meter.errors.note(ErrorCounts::CANNOT_CONNECT);
        }
        self.states[number] = State::Returning(now);
        let (lane, member) = (&mut self.messaging.lanes[number / self.members], number % self.members);
        lane.handle_return(member, now);
        lane.members[member].put_login(dialect, LoginMethod::Token, event_loop.output(number));
    }

    /// Whether a page is what the timeline must hold up to `last`.
    fn is_page(reply: &Reply, last: u64) -> bool {
        let Reply::Timeline(timeline::Reply::History(page)) = reply else { return false };
        let seqs = page.messages.iter().map(|message| message.seq.0);
        let first = last + 1 - page.messages.len() as u64;
        seqs.eq(first..=last) && (page.messages.len() as u64) >= last.min(1)
    }
}

impl Load for Day {
    fn turn(&mut self, event_loop: &mut EventLoop, now: u64) {
        if event_loop.meter.phases().phase() != Phase::Drain {
            while let Some((_, due)) = self.schedule.take(now) {
                event_loop.meter.record_lag(due, now);
                self.act(event_loop, due);
            }
        }
        while let Some(&(_, number)) = self.away.front().filter(|(at, _)| *at <= now || self.is_ending) {
            self.away.pop_front();
            self.come_back(event_loop, number, now);
        }
        self.messaging.turn(event_loop, now);
    }

    fn finish(&mut self, _rig: &mut EventLoop, _close: u64) {
        self.is_ending = true;
    }

    fn handle(&mut self, event_loop: &mut EventLoop, number: usize, unit: Unit<'_>, now: u64) {
        if let Unit::Frame(frame) = unit
            && frame.kind == REPLY | request::HISTORY
        {
            let reply = Reply::decode(frame.kind, frame.value);
            let is_right = match (self.looking[number].take(), &reply) {
                (Some(last), Ok(reply)) => Day::is_page(reply, last),
                _ => false,
            };
            return event_loop.meter.errors.note_many(ErrorCounts::WRONG_HISTORY, u64::from(!is_right));
        }
        if let State::Returning(since) = self.states[number]
            && let Some(answer) = answer(unit)
        {
            return match answer {
                Answer::LoggedIn => {
                    self.states[number] = State::Here;
                    if event_loop.meter.phases().holds(since) {
                        self.logins.record(now - since);
                    }
                    self.messaging.receive_missed(event_loop, number, unit, now);
                }
                Answer::Refused(why, _) => event_loop.meter.errors.note(why),
                Answer::FaultKind => event_loop.meter.errors.note(ErrorCounts::UNEXPECTED),
            };
        }
        self.messaging.handle(event_loop, number, unit, now);
    }

    fn handle_lost(&mut self, event_loop: &mut EventLoop, number: usize) -> bool {
        self.messaging.handle_lost(event_loop, number)
    }

    fn is_hopeless(&self) -> bool {
        self.messaging.is_hopeless()
    }

    fn next_due(&self) -> u64 {
        self.schedule.next_due()
    }

    fn next_look(&self) -> u64 {
        self.messaging.next_look().min(self.away.front().map_or(u64::MAX, |(at, _)| *at))
    }

    fn has_open(&self) -> bool {
        self.states.iter().any(|state| *state != State::Here)
            || self.looking.iter().any(Option::is_some)
            || self.messaging.has_open()
    }
}
