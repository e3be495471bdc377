//! A day of chat in given proportions: circles of friends who write to one and to all, read, page through the history,
//! leave and return.
//!
//! A user who returns receives the messages it missed, and the ledgers check that none is missing. Over TLV a user
//! leaves by closing the connection. The legacy dialect acknowledges nothing, so messages in transit on a closed
//! connection would be lost; there a user logs out and logs in again on the same connection.

use super::login_reply::{LoginReply, read_login_reply};
use super::messaging::Messaging;
use super::setup::Setup;
use crate::accounts::{Account, LoginMethod, in_parallel, unexpected};
use crate::args::workload::{Mix, MixedArgs};
use crate::client::Client;
use crate::clock::{MILLISECOND, SECOND, nanoseconds};
use crate::connection::Inbound;
use crate::endpoints::Endpoints;
use crate::error::Error;
use crate::error_counts::ErrorCounts;
use crate::event_loop::{EventLoop, Load};
use crate::lane_setup::ConversationSpec;
use crate::legacy;
use crate::measure::{Latency, Measurement, Phase, Tally};
use crate::rng::Rng;
use crate::schedule::Schedule;
use std::collections::VecDeque;
use wire::account::Who;
use wire::kind::{REPLY, request};
use wire::{Command, Dialect, Direction, Errno, Reply, Seq, contact, timeline};

/// The shortest absence of a user, ns; the longest is ten times as long.
const AWAY: u64 = 200 * MILLISECOND;
/// Messages of a history page.
const PAGE: u32 = 50;
/// The request number of HISTORY.
const HISTORY_REQUEST: u32 = 1;
/// The channels of every sender: its direct chat, then the group.
const DIRECT: usize = 0;
const GROUP: usize = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Direct,
    Group,
    Read,
    PageBack,
    Leave,
}

const ACTS: [(Action, &str); 5] = [
    (Action::Direct, "direct messages"),
    (Action::Group, "group messages"),
    (Action::Read, "reads"),
    (Action::PageBack, "looks back"),
    (Action::Leave, "new logins"),
];

/// Actions that the legacy dialect does not have.
const ONLY_TLV: [Action; 2] = [Action::Read, Action::PageBack];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    Online,
    Away,
    /// Logging in since this time.
    Returning(u64),
}

struct Mixed {
    messaging: Messaging,
    members: usize,
    mix: Mix,
    rng: Rng,
    schedule: Schedule,
    presences: Vec<Presence>,
    /// Users who are away, by the time of their return.
    away: VecDeque<(u64, usize)>,
    /// The last seq of each user's unanswered HISTORY request.
    history_requests: Vec<Option<u64>>,
    counts: [u64; ACTS.len()],
    /// Actions that were impossible when they were due.
    skipped: u64,
    logins: Latency,
    is_ending: bool,
}

/// Runs the workload.
pub fn run(setup: &Setup<'_>, args: &MixedArgs) -> Result<Vec<Measurement>, Error> {
    let mix = possible(args.mix, setup.common.dialect())?;
    let members = args.members as usize;
    let accounts = setup.accounts(args.circles * args.members)?;
    befriend(&setup.endpoints, &accounts, members)?;
    let baseline = setup.baseline(accounts.len() as u32)?;
    let mut specs: Vec<ConversationSpec> =
        (0..members).map(|member| ConversationSpec::direct(member, (member + 1) % members)).collect();
    specs.push(ConversationSpec::group(members));
    let connected_lanes = Messaging::set_up(setup, &accounts, members, &specs, args.size as usize, false)?;
    setup.ready()?;
    let mut event_loop = setup.event_loop("delivery", setup.warmup(), setup.length())?;
    let messaging = connected_lanes.adopt(&mut event_loop)?;
    let ramp = nanoseconds(setup.common.ramp);
    let mut mixed = Mixed {
        messaging,
        members,
        mix,
        rng: Rng::new(args.seed),
        schedule: Schedule::ramped(event_loop.clock.now(), u64::from(args.rate.max(1)), SECOND, ramp),
        presences: vec![Presence::Online; accounts.len()],
        away: VecDeque::new(),
        history_requests: vec![None; accounts.len()],
        counts: [0; ACTS.len()],
        skipped: 0,
        logins: Latency::default(),
        is_ending: false,
    };
    event_loop.run(&mut mixed, setup.drain())?;
    let missing = mixed.presences.iter().filter(|presence| **presence != Presence::Online).count();
    let mut tally = event_loop.meter.end();
    tally.errors.note_many(ErrorCounts::NOT_LOGGED_IN, missing as u64);
    (tally.faults, tally.sent) = mixed.messaging.close();
    let mut part = Measurement { baseline, ..Measurement::new("", "delivery", "delivery", tally) };
    let counts = ACTS.iter().zip(mix.0).zip(mixed.counts).filter(|((_, part), _)| *part > 0);
    part.counts.extend(counts.map(|(((_, name), _), count)| ((*name).into(), count)));
    part.counts.insert("left out".into(), mixed.skipped);
    let returns = Tally {
        nanoseconds: part.tally.nanoseconds,
        done: mixed.logins.count(),
        latency: mixed.logins,
        generator: part.tally.generator.clone(),
        generators: 1,
        ..Tally::default()
    };
    Ok(vec![part, Measurement::new("returns", "login", "login", returns)])
}

/// The proportions of the actions that `dialect` has.
fn possible(Mix(mut parts): Mix, dialect: Dialect) -> Result<Mix, Error> {
    if dialect == Dialect::Legacy {
        for (part, (act, _)) in parts.iter_mut().zip(ACTS) {
            *part = if ONLY_TLV.contains(&act) { 0 } else { *part };
        }
    }
    if parts.iter().all(|part| *part == 0) {
        return Err(Error::Usage(
            "the legacy dialect has neither reads nor a history: --mix needs another action".to_owned(),
        ));
    }
    Ok(Mix(parts))
}

/// Makes neighbours friends, so that they receive each other's presence. Uses TLV, where the request has a reply.
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
                    // Friends since an earlier run by the same accounts.
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

impl Mixed {
    /// Performs a random action that was due at `due`.
    fn perform(&mut self, event_loop: &mut EventLoop, due: u64) {
        let action = ACTS[self.rng.choose(&self.mix.0)].0;
        let number = self.rng.below(self.presences.len() as u64) as usize;
        // Drawn for every action, so that the sequence of choices does not depend on which actions were possible.
        let away = AWAY + self.rng.below(9 * AWAY);
        if self.presences[number] != Presence::Online || !event_loop.connections[number].is_open() {
            return self.skip(event_loop, due);
        }
        let (lane, member) = (&mut self.messaging.lanes[number / self.members], number % self.members);
        let padding = &self.messaging.state.padding;
        match action {
            Action::Direct => lane.send_in(event_loop, member, DIRECT, due, padding),
            Action::Group => lane.send_in(event_loop, member, GROUP, due, padding),
            Action::Read => {
                // The messages of the previous neighbour.
                let (conversation, seq) = lane.progress((member + self.members - 1) % self.members, member);
                if seq == 0 {
                    return self.skip(event_loop, due);
                }
                let cursor = timeline::Cursor { conversation, seq: Seq(seq) };
                Command::Timeline(timeline::Request::Read(cursor)).encode(0, event_loop.output(number));
            }
            Action::PageBack => {
                if self.history_requests[number].is_some() {
                    return self.skip(event_loop, due);
                }
                let (conversation, seq) = lane.progress(self.members, member);
                let (direction, limit) = (Direction::Before(Seq(seq + 1)), PAGE);
                self.history_requests[number] = Some(seq);
                let history = timeline::History { conversation, direction, limit, with_changes: true };
                Command::Timeline(timeline::Request::History(history))
                    .encode(HISTORY_REQUEST, event_loop.output(number));
            }
            Action::Leave => {
                match event_loop.dialect() {
                    // Outstanding replies would be lost.
                    Dialect::Tlv if lane.is_waiting(member) || self.history_requests[number].is_some() => {
                        return self.skip(event_loop, due);
                    }
                    Dialect::Tlv => event_loop.close(number),
                    Dialect::Legacy => {
                        legacy::put(event_loop.output(number), &legacy::logout(lane.members[member].id.0));
                    }
                }
                self.presences[number] = Presence::Away;
                let back = due + away;
                let at = self.away.partition_point(|(other, _)| *other <= back);
                self.away.insert(at, (back, number));
            }
        }
        let counts = event_loop.meter.phases().holds(due);
        self.counts[ACTS.iter().position(|known| known.0 == action).unwrap_or(0)] += u64::from(counts);
    }

    /// Counts an action that its user cannot perform now, being away or waiting for a reply.
    fn skip(&mut self, event_loop: &EventLoop, due: u64) {
        self.skipped += u64::from(event_loop.meter.phases().holds(due));
    }

    fn return_user(&mut self, event_loop: &mut EventLoop, number: usize, now: u64) {
        let dialect = event_loop.dialect();
        if dialect == Dialect::Tlv && event_loop.open(number).is_err() {
            return event_loop.meter.errors.note(ErrorCounts::CANNOT_CONNECT);
        }
        self.presences[number] = Presence::Returning(now);
        let (lane, member) = (&mut self.messaging.lanes[number / self.members], number % self.members);
        lane.handle_return(member, now);
        lane.members[member].put_login(dialect, LoginMethod::Token, event_loop.output(number));
    }

    /// Whether a page ends with `last` and has no holes.
    fn is_page(reply: &Reply, last: u64) -> bool {
        let Reply::Timeline(timeline::Reply::History(page)) = reply else { return false };
        let seqs = page.messages.iter().map(|message| message.seq.0);
        let first = last + 1 - page.messages.len() as u64;
        seqs.eq(first..=last) && (page.messages.len() as u64) >= last.min(1)
    }
}

impl Load for Mixed {
    fn turn(&mut self, event_loop: &mut EventLoop, now: u64) {
        if event_loop.meter.phases().phase() != Phase::Drain {
            while let Some((_, due)) = self.schedule.take(now) {
                event_loop.meter.record_lag(due, now);
                self.perform(event_loop, due);
            }
        }
        while let Some(&(_, number)) = self.away.front().filter(|(at, _)| *at <= now || self.is_ending) {
            self.away.pop_front();
            self.return_user(event_loop, number, now);
        }
        self.messaging.turn(event_loop, now);
    }

    fn finish(&mut self, _event_loop: &mut EventLoop, _close: u64) {
        self.is_ending = true;
    }

    fn handle(&mut self, event_loop: &mut EventLoop, number: usize, inbound: Inbound<'_>, now: u64) {
        if let Inbound::Frame(frame) = inbound
            && frame.kind == REPLY | request::HISTORY
        {
            let reply = Reply::decode(frame.kind, frame.value);
            let is_right = match (self.history_requests[number].take(), &reply) {
                (Some(last), Ok(reply)) => Mixed::is_page(reply, last),
                _ => false,
            };
            return event_loop.meter.errors.note_many(ErrorCounts::WRONG_HISTORY, u64::from(!is_right));
        }
        if let Presence::Returning(since) = self.presences[number]
            && let Some(answer) = read_login_reply(inbound)
        {
            return match answer {
                LoginReply::LoggedIn => {
                    self.presences[number] = Presence::Online;
                    if event_loop.meter.phases().holds(since) {
                        self.logins.record(now - since);
                    }
                    self.messaging.receive_missed(event_loop, number, inbound, now);
                }
                LoginReply::Refused { why, .. } => event_loop.meter.errors.note(why),
                LoginReply::Malformed => event_loop.meter.errors.note(ErrorCounts::UNEXPECTED),
            };
        }
        self.messaging.handle(event_loop, number, inbound, now);
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

    fn next_coarse_due(&self) -> u64 {
        self.messaging.next_coarse_due().min(self.away.front().map_or(u64::MAX, |(at, _)| *at))
    }

    fn has_open(&self) -> bool {
        self.presences.iter().any(|presence| *presence != Presence::Online)
            || self.history_requests.iter().any(Option::is_some)
            || self.messaging.has_open()
    }
}
