//! A day of chat in given proportions: circles of friends who write to one and to all, edit, recall, react, search, read,
//! page through the history, leave and return.
//!
//! Over TLV every client keeps what it would show: what it was pushed, with the changes applied. After the load that is
//! compared with the timelines, at every client.
//!
//! A user who returns receives the messages it missed, and the ledgers check that none is missing. Over TLV a user
//! leaves by closing the connection. The legacy dialect acknowledges nothing, so messages in transit on a closed
//! connection would be lost; there a user logs out and logs in again on the same connection.

mod action;
mod change;
mod comparison;
#[cfg(test)]
mod samples;
mod search;
mod user;
mod view;

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
use crate::lane::Lane;
use crate::lane_setup::ConversationSpec;
use crate::legacy;
use crate::measure::{Latency, Measurement, Phase, Tally};
use crate::rng::Rng;
use crate::schedule::Schedule;
use action::{ACTIONS, Action, possible};
use comparison::{Comparison, Finished, compare};
use std::collections::VecDeque;
use std::sync::Arc;
use user::User;
use view::View;
use wire::account::Who;
use wire::kind::{REPLY, push, request};
use wire::{Command, Dialect, Direction, Errno, Frame, Push, Reply, Seq, contact, message, timeline};

/// The shortest absence of a user, ns; the longest is ten times as long.
const AWAY: u64 = 200 * MILLISECOND;
/// Messages of a history page.
const PAGE: u32 = 50;
/// The type of the reply to SEND.
const SENT: u16 = REPLY | request::SEND;
/// The request number of HISTORY, changes and SEARCH: a user waits for one of each at most.
const REQUEST: u32 = 1;
/// The channels of every sender: its direct chat, then the group.
const DIRECT: usize = 0;
const GROUP: usize = 1;

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
    users: Vec<User>,
    /// Edits so far; they number the texts.
    edits: u64,
    counts: [u64; ACTIONS.len()],
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
    let mut messaging = connected_lanes.adopt(&mut event_loop)?;
    messaging.lanes.iter_mut().for_each(Lane::allow_changes);
    let ramp = nanoseconds(setup.common.ramp);
    let mut mixed = Mixed {
        users: users(&messaging.lanes, members, setup.common.dialect()),
        edits: 0,
        messaging,
        members,
        mix,
        rng: Rng::new(args.seed),
        schedule: Schedule::ramped(event_loop.clock.now(), u64::from(args.rate.max(1)), SECOND, ramp),
        presences: vec![Presence::Online; accounts.len()],
        away: VecDeque::new(),
        history_requests: vec![None; accounts.len()],
        counts: [0; ACTIONS.len()],
        skipped: 0,
        logins: Latency::default(),
        is_ending: false,
    };
    event_loop.run(&mut mixed, setup.drain())?;
    // The clients log in again to read the timelines.
    drop(event_loop.connections);
    let missing = mixed.presences.iter().filter(|presence| **presence != Presence::Online).count();
    let mut tally = event_loop.meter.end();
    tally.errors.note_many(ErrorCounts::NOT_LOGGED_IN, missing as u64);
    (tally.faults, tally.sent) = mixed.messaging.close();
    let mut part = Measurement { baseline, ..Measurement::new("", "delivery", "delivery", tally) };
    let counts = ACTIONS.iter().zip(mix.0).zip(mixed.counts).filter(|((_, part), _)| *part > 0);
    part.counts.extend(counts.map(|(((_, name), _), count)| ((*name).into(), count)));
    part.counts.insert("left out".into(), mixed.skipped);
    if setup.common.dialect() == Dialect::Tlv {
        let has_searches = mix.0[Action::Search.number()] > 0;
        compare_users(&setup.endpoints, mixed.users, &accounts, members, has_searches, &mut part);
    }
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

/// The users of all lanes. Over the legacy dialect entries have no numbers, and nothing is kept.
fn users(lanes: &[Lane], members: usize, dialect: Dialect) -> Vec<User> {
    let user = |lane: &Lane, member: usize| {
        // Its own direct chat, that of the previous neighbour, and the group.
        let mine = [member, (member + members - 1) % members, members];
        let known = mine.iter().filter(|_| dialect == Dialect::Tlv);
        let conversations = known.map(|number| {
            let (conversation, last) = lane.progress(*number, member);
            (conversation, Seq(last))
        });
        User::new(View::new(lane.members[member].id, conversations))
    };
    lanes.iter().flat_map(|lane| (0..members).map(move |member| user(lane, member))).collect()
}

/// Compares what the clients show at the end, and notes the differences in `part`.
fn compare_users(
    endpoints: &Endpoints,
    users: Vec<User>,
    accounts: &[Account],
    members: usize,
    has_searches: bool,
    part: &mut Measurement,
) {
    let (mut finished, mut found) = (Vec::with_capacity(users.len()), 0);
    for ((user, account), number) in users.into_iter().zip(accounts).zip(0..) {
        let User { view, answered, missing, wrong, found: right, .. } = user;
        part.note_differences(wrong);
        found += right;
        finished.push(Finished { number, account: account.clone(), view, answered, missing });
    }
    let mut rest = finished.into_iter();
    let circles = std::iter::from_fn(|| {
        let circle: Vec<Finished> = rest.by_ref().take(members).collect();
        (!circle.is_empty()).then_some(circle)
    });
    match compare(endpoints, circles.collect(), has_searches) {
        Ok(Comparison { entries, searches, differences }) => {
            part.counts.insert("entries compared".into(), entries);
            part.counts.insert("searches that found all".into(), found + searches);
            part.note_differences(differences);
        }
        Err(error) => {
            part.tally.errors.note(ErrorCounts::NOT_COMPARED);
            part.differences.push(format!("the timelines could not be read: {error}"));
        }
    }
}

impl Mixed {
    /// Performs a random action that was due at `due`.
    fn perform(&mut self, event_loop: &mut EventLoop, due: u64) {
        let action = ACTIONS[self.rng.choose(&self.mix.0)].0;
        let number = self.rng.below(self.presences.len() as u64) as usize;
        // Drawn for every action, so that the sequence of choices does not depend on which actions were possible.
        let away = AWAY + self.rng.below(9 * AWAY);
        let pick = self.rng.below(u64::MAX);
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
                    .encode(REQUEST, event_loop.output(number));
            }
            Action::Leave => {
                match event_loop.dialect() {
                    // Outstanding replies would be lost.
                    Dialect::Tlv
                        if lane.is_waiting(member)
                            || self.history_requests[number].is_some()
                            || self.users[number].is_waiting() =>
                    {
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
            Action::Edit | Action::Recall | Action::React => {
                let (user, now, creator) =
                    (&mut self.users[number], event_loop.clock.now(), lane.members[0].id);
                let wanted = match action {
                    _ if user.changing.is_some() => None,
                    Action::Edit => user.edit(pick, now, self.edits),
                    Action::Recall => user.recall(pick, now, creator),
                    _ => user.react(pick, now),
                };
                let Some(wanted) = wanted else { return self.skip(event_loop, due) };
                self.edits += 1;
                wanted.command().encode(REQUEST, event_loop.output(number));
                user.changing = Some(wanted);
            }
            Action::Search => {
                let user = &mut self.users[number];
                let query = if user.searching.is_none() { user.search(pick) } else { None };
                let Some(query) = query else { return self.skip(event_loop, due) };
                query.command().encode(REQUEST, event_loop.output(number));
                user.searching = Some(query);
            }
        }
        let counts = event_loop.meter.phases().holds(due);
        self.counts[action.number()] += u64::from(counts);
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

    /// Keeps what a frame tells user `number`: an entry, or the reply that an own message is stored.
    fn keep(&mut self, number: usize, frame: Frame<'_>, now: u64) {
        let entry = match frame.kind {
            push::MESSAGE => match Push::decode(frame.kind, frame.value) {
                Ok(Some(Push::Message(message::Push::New(entry)))) => Some(Arc::unwrap_or_clone(entry)),
                // The ledger counts it.
                _ => None,
            },
            _ => {
                let (lane, member) = (&self.messaging.lanes[number / self.members], number % self.members);
                lane.stored(member, frame.request, frame.value, &self.messaging.state.padding)
            }
        };
        if let Some(entry) = entry {
            self.users[number].view.take(entry, now);
        }
    }

    fn handle_history(&mut self, number: usize, frame: Frame<'_>) -> Result<(), &'static str> {
        let reply = Reply::decode(frame.kind, frame.value);
        match (self.history_requests[number].take(), &reply) {
            (Some(last), Ok(reply)) if Mixed::is_page(reply, last) => Ok(()),
            _ => Err(ErrorCounts::WRONG_HISTORY),
        }
    }

    /// Handles what is not the reply to a HISTORY, change or SEARCH.
    fn handle_other(&mut self, event_loop: &mut EventLoop, number: usize, inbound: Inbound<'_>, now: u64) {
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
        if let Inbound::Frame(frame) = inbound {
            let errors = &mut event_loop.meter.errors;
            let handled = match frame.kind.checked_sub(REPLY) {
                Some(request::HISTORY) => self.handle_history(number, frame),
                Some(request::EDIT | request::RECALL | request::REACT) => {
                    self.users[number].handle_changed(frame)
                }
                Some(request::SEARCH) => self.users[number].handle_results(frame),
                _ => {
                    if matches!(frame.kind, push::MESSAGE | SENT) {
                        self.keep(number, frame, now);
                    }
                    return self.handle_other(event_loop, number, inbound, now);
                }
            };
            return handled.unwrap_or_else(|why| errors.note(why));
        }
        self.handle_other(event_loop, number, inbound, now);
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
            || self.users.iter().any(User::is_waiting)
            || self.messaging.has_open()
    }
}
