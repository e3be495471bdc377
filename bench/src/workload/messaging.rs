//! Pairs and groups: users who send as fast as a window allows, or at an even pace.

use super::pushes::handle_push;
use super::setup::Setup;
use crate::accounts::{Account, random};
use crate::args::workload::{GroupArgs, PaceArgs, PairsArgs};
use crate::client::Client;
use crate::clock::{SECOND, nanoseconds};
use crate::connection::Inbound;
use crate::error::Error;
use crate::error_counts::ErrorCounts;
use crate::event_loop::{EventLoop, Load};
use crate::lane::{Lane, LaneOptions, RunState};
use crate::lane_setup::{ConversationSpec, open};
use crate::ledger::Faults;
use crate::legacy;
use crate::measure::{Measurement, Phase, Tally};
use crate::schedule::Schedule;
use serde_json::Value;
use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use wire::Dialect;
use wire::kind::{REPLY, push, request};

/// At a fixed rate the load ends when this many messages are outstanding: the server does not keep up.
const OUTSTANDING_MAX: usize = 2_000_000;

#[derive(Debug)]
pub enum Pace {
    /// Outstanding messages of every sender.
    Window(usize),
    /// An even pace over all senders in turn.
    Rate(Schedule),
    /// The owner of these lanes decides who sends when.
    External,
}

/// Lanes of users who send, and their pace.
#[derive(Debug)]
pub struct Messaging {
    pub lanes: Vec<Lane>,
    pub state: RunState,
    pace: Pace,
    /// The event loop's number of the first connection.
    first: usize,
    /// Lane and member of every connection: a look-up is cheaper than a division.
    positions: Vec<(u32, u32)>,
    /// All senders, in the order in which they send at a fixed rate.
    rotation: Vec<(u32, u32)>,
    /// Senders that pause.
    held: Vec<(u32, u32)>,
    has_overrun: bool,
    /// Set when the load ends that this one runs beside.
    is_over: Option<Arc<AtomicBool>>,
}

/// Runs the workload `pairs`.
pub fn pairs(setup: &Setup<'_>, args: &PairsArgs) -> Result<Vec<Measurement>, Error> {
    let specs = match args.conversations {
        1 => vec![ConversationSpec::direct(0, 1)],
        many => vec![ConversationSpec::group(1); many as usize],
    };
    let layout = Layout { lanes: args.pairs, members: 2, specs: &specs, size: args.size };
    run(setup, &args.pace, layout, "message")
}

/// Runs the workload `group`.
pub fn group(setup: &Setup<'_>, args: &GroupArgs) -> Result<Vec<Measurement>, Error> {
    let (members, senders) = (args.members as usize, args.senders as usize);
    let specs = [ConversationSpec::group(senders)];
    let layout = Layout { lanes: args.groups, members, specs: &specs, size: args.size };
    run(setup, &args.pace, layout, "delivery")
}

/// Lanes of `members` users, with these conversations and messages of `size` bytes.
struct Layout<'a> {
    lanes: u32,
    members: usize,
    specs: &'a [ConversationSpec],
    size: u32,
}

fn run(
    setup: &Setup<'_>,
    pace: &PaceArgs,
    layout: Layout<'_>,
    unit: &'static str,
) -> Result<Vec<Measurement>, Error> {
    let Layout { lanes, members, specs, size } = layout;
    let accounts = setup.accounts(lanes * members as u32)?;
    let baseline = setup.baseline(accounts.len() as u32)?;
    let connected_lanes = Messaging::set_up(setup, &accounts, members, specs, size as usize, false)?;
    setup.ready()?;
    let mut event_loop = setup.event_loop(unit, setup.warmup(), setup.length())?;
    let mut messaging = connected_lanes.adopt(&mut event_loop)?;
    messaging.begin(pace, event_loop.clock.now(), nanoseconds(setup.common.ramp))?;
    event_loop.run(&mut messaging, setup.drain())?;
    let tally = messaging.tally(event_loop);
    Ok(vec![Measurement { baseline, ..Measurement::new("", unit, "delivery", tally) }])
}

/// Lanes whose connections are not in an event loop yet.
pub struct ConnectedLanes {
    messaging: Messaging,
    clients: Vec<Client>,
}

impl Messaging {
    /// Logs `accounts` in, `members` to a lane, and opens their conversations.
    pub fn set_up(
        setup: &Setup<'_>,
        accounts: &[Account],
        members: usize,
        specs: &[ConversationSpec],
        size: usize,
        receivers_are_offline: bool,
    ) -> Result<ConnectedLanes, Error> {
        let dialect = setup.common.dialect();
        let (opened, clients) = open(&setup.endpoints, dialect, accounts, members, specs)?;
        let options = LaneOptions { dialect, receivers_are_offline, run: random() };
        let state = RunState::new(size);
        let lane = |(number, opened)| {
            Lane::new(number as u32, number * members, opened, specs, &state.padding, options)
        };
        let lanes: Vec<Lane> = opened.into_iter().enumerate().map(lane).collect();
        let rounds = lanes.iter().map(|lane| lane.senders.len()).max().unwrap_or(0);
        // The first sender of every lane, then the second: senders of the same lane are far apart in time.
        let rotation =
            (0..rounds as u32).flat_map(|sender| (0..lanes.len() as u32).map(move |lane| (lane, sender)));
        let rotation: Vec<_> = rotation
            .filter(|&(lane, sender)| (sender as usize) < lanes[lane as usize].senders.len())
            .collect();
        let positions =
            (0..accounts.len()).map(|number| ((number / members) as u32, (number % members) as u32));
        let (pace, held, positions) = (Pace::External, Vec::new(), positions.collect());
        let messaging = Messaging {
            lanes,
            state,
            pace,
            first: 0,
            positions,
            rotation,
            held,
            has_overrun: false,
            is_over: None,
        };
        Ok(ConnectedLanes { messaging, clients })
    }

    /// Starts sending at `now`; the load grows to its full size within `ramp` ns.
    pub fn begin(&mut self, pace: &PaceArgs, now: u64, ramp: u64) -> Result<(), Error> {
        self.pace = match (pace.window, pace.rate) {
            (Some(window), _) => Pace::Window(window as usize),
            (_, Some(rate)) => Pace::Rate(Schedule::ramped(now, u64::from(rate), SECOND, ramp)),
            (None, None) => return Err(Error::Usage("--window or --rate is required".to_owned())),
        };
        let count = self.rotation.len().max(1) as u64;
        for (number, &(lane, sender)) in (0..).zip(&self.rotation) {
            let sender = &mut self.lanes[lane as usize].senders[sender as usize];
            sender.held_until = now + ramp * number / count;
            sender.is_ready = true;
        }
        self.state.ready.clone_from(&self.rotation);
        Ok(())
    }

    /// Ends the measured phase when `is_over` is set.
    pub fn until(self, is_over: Arc<AtomicBool>) -> Messaging {
        Messaging { is_over: Some(is_over), ..self }
    }

    /// Limits all senders together to `messages`, evenly.
    pub fn limit(&mut self, messages: u64) {
        let count = self.rotation.len().max(1) as u64;
        for (number, &(lane, sender)) in (0..).zip(&self.rotation) {
            let left = messages / count + u64::from(number < messages % count);
            self.lanes[lane as usize].senders[sender as usize].left = left;
        }
    }

    /// Whether all senders have reached their limit and none of their messages is outstanding.
    pub fn is_finished(&self) -> bool {
        let mut senders = self.lanes.iter().flat_map(|lane| &lane.senders);
        senders.all(|sender| sender.left == 0 && sender.outstanding == 0)
    }

    /// The lane and the member of connection `number`.
    #[inline]
    pub fn position_of(&self, number: usize) -> (usize, usize) {
        let (lane, member) = self.positions[number - self.first];
        (lane as usize, member as usize)
    }

    /// The faults of all lanes after the end, and the number of messages sent.
    pub fn close(&self) -> (Faults, u64) {
        let mut faults = Faults::default();
        self.lanes.iter().for_each(|lane| faults.add(&lane.close()));
        (faults, self.lanes.iter().map(Lane::sent).sum())
    }

    /// Ends the run.
    pub fn tally(self, event_loop: EventLoop) -> Tally {
        let mut tally = event_loop.meter.end();
        if self.has_overrun {
            tally.errors.note(ErrorCounts::OVERRUN);
        }
        (tally.faults, tally.sent) = self.close();
        tally
    }

    /// Sends what is due until `until`.
    fn produce(&mut self, event_loop: &mut EventLoop, until: u64) {
        let Messaging { lanes, state, pace, held, rotation, has_overrun, .. } = self;
        match pace {
            Pace::External => {}
            Pace::Window(window) => {
                held.retain(|&(lane, sender)| {
                    let is_over = lanes[lane as usize].senders[sender as usize].held_until <= until;
                    if is_over {
                        state.ready.push((lane, sender));
                    }
                    !is_over
                });
                for (lane, sender) in state.ready.drain(..) {
                    let (lane, number) = (&mut lanes[lane as usize], sender as usize);
                    let sender = &mut lane.senders[number];
                    if sender.held_until > until {
                        held.push((lane.number(), number as u32));
                        continue;
                    }
                    sender.is_ready = false;
                    if lane.is_open() && lane.has_room(number, *window) {
                        let at = event_loop.clock.now();
                        while lane.has_room(number, *window) {
                            if event_loop.is_full(lane.first + lane.senders[number].member) {
                                held.push((lane.number(), number as u32));
                                break;
                            }
                            lane.send(event_loop, number, at, &state.padding);
                        }
                    }
                }
            }
            Pace::Rate(schedule) => {
                let mut now = event_loop.clock.now();
                while let Some((event, due)) = schedule.take(until) {
                    let (lane, sender) = rotation[(event % rotation.len() as u64) as usize];
                    let lane = &mut lanes[lane as usize];
                    if lane.is_open() {
                        lane.send(event_loop, sender as usize, due, &state.padding);
                        event_loop.meter.record_lag(due, now);
                    }
                    if event % 4096 == 0 {
                        now = event_loop.clock.now();
                        let senders = lanes.iter().flat_map(|lane| &lane.senders);
                        *has_overrun =
                            senders.map(|sender| sender.outstanding).sum::<usize>() > OUTSTANDING_MAX;
                    }
                    if *has_overrun {
                        // The load and the measurement end here.
                        self.pace = Pace::External;
                        return;
                    }
                }
            }
        }
    }

    /// Handles input of a connection of these lanes; returns a legacy object that is not a chat message.
    #[inline]
    pub fn receive(
        &mut self,
        event_loop: &mut EventLoop,
        number: usize,
        inbound: Inbound<'_>,
        now: u64,
    ) -> Option<Value> {
        let (lane, member) = self.position_of(number);
        let (lane, state) = (&mut self.lanes[lane], &mut self.state);
        match inbound {
            Inbound::Object(object) => return lane.handle_object(event_loop, state, member, object, now),
            Inbound::Frame(frame) => match frame.kind {
                push::MESSAGE => lane.handle_message(event_loop, state, member, frame.value, now),
                kind if kind == REPLY | request::SEND => {
                    lane.handle_reply(event_loop, state, member, frame.request, frame.value, now);
                }
                // The reply to the heartbeat that answered a PROBE.
                kind if kind == REPLY | request::HEARTBEAT => {}
                _ => handle_push(event_loop, number, lane.members[member].id, frame),
            },
        }
        None
    }

    /// Handles the messages that connection `number` missed: over the legacy dialect the answer to a login contains the
    /// first of them, each as an object in a string.
    pub fn receive_missed(
        &mut self,
        event_loop: &mut EventLoop,
        number: usize,
        inbound: Inbound<'_>,
        now: u64,
    ) {
        let Inbound::Object(object) = inbound else { return };
        let answer: Value = serde_json::from_slice(object).unwrap_or_default();
        for message in answer["offlinemsg"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            self.handle(event_loop, number, Inbound::Object(message.as_bytes()), now);
        }
    }
}

impl ConnectedLanes {
    /// Disconnects one member of every lane, and waits until the server has noticed: messages sent afterwards are for
    /// offline users. Legacy users log out first, as the legacy dialect acknowledges nothing and a message in transit
    /// on a closed connection would be lost.
    pub fn disconnect(&mut self, member: usize, dialect: Dialect) -> Result<(), Error> {
        let leaving = self.messaging.lanes.iter().map(|lane| (lane.first + member, lane.members[member].id));
        let leaving: Vec<_> = leaving.collect();
        for &(number, user) in &leaving {
            if dialect == Dialect::Legacy {
                self.clients[number].send_object(&legacy::logout(user.0))?;
            }
            self.clients[number].shut_down()?;
        }
        leaving.iter().try_for_each(|&(number, _)| self.clients[number].wait_for_end())
    }

    /// Moves the connections into an event loop.
    pub fn adopt(self, event_loop: &mut EventLoop) -> Result<Messaging, Error> {
        let mut messaging = self.messaging;
        messaging.first = event_loop.connections.len();
        messaging.lanes.iter_mut().for_each(|lane| lane.first += messaging.first);
        for client in self.clients {
            let (stream, partial) = client.into_parts();
            event_loop.adopt(stream, partial)?;
        }
        Ok(messaging)
    }
}

impl Load for Messaging {
    fn turn(&mut self, event_loop: &mut EventLoop, now: u64) {
        if self.is_over.as_ref().is_some_and(|is_over| is_over.load(Ordering::Relaxed)) {
            event_loop.meter.phases_mut().finish(now);
        }
        if event_loop.meter.phases().phase() != Phase::Drain {
            self.produce(event_loop, now);
        }
        self.state.acknowledge_due(&mut self.lanes, event_loop, now);
    }

    fn finish(&mut self, event_loop: &mut EventLoop, close: u64) {
        if let Pace::Rate(_) = self.pace {
            self.produce(event_loop, close);
        }
    }

    fn handle(&mut self, event_loop: &mut EventLoop, number: usize, inbound: Inbound<'_>, now: u64) {
        if self.receive(event_loop, number, inbound, now).is_some() {
            event_loop.meter.errors.note(ErrorCounts::UNEXPECTED);
        }
    }

    fn handle_lost(&mut self, _event_loop: &mut EventLoop, number: usize) -> bool {
        let (lane, _) = self.position_of(number);
        self.lanes[lane].handle_lost();
        false
    }

    fn is_hopeless(&self) -> bool {
        self.has_overrun || !self.lanes.iter().any(Lane::is_open)
    }

    fn next_due(&self) -> u64 {
        match &self.pace {
            Pace::Rate(schedule) => schedule.next_due(),
            Pace::Window(_) | Pace::External => u64::MAX,
        }
    }

    fn next_coarse_due(&self) -> u64 {
        let held = self
            .held
            .iter()
            .map(|&(lane, sender)| self.lanes[lane as usize].senders[sender as usize].held_until);
        held.chain(iter::once(self.state.next_ack())).min().unwrap_or(u64::MAX)
    }

    fn has_open(&self) -> bool {
        self.lanes.iter().any(|lane| lane.is_open() && lane.has_open())
    }
}
