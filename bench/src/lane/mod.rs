//! Users who chat with each other, and an account of everything that each of them sent and received.
//!
//! ```text
//!   lane:     members --- conversations: the state of every member in it
//!               |              |
//!             senders ---> channels: one sender in one conversation, with its ledger
//! ```
//!
//! Pairs, groups and circles are lanes with different conversations; all are checked in the same way.

mod ack_timers;
mod changed_text;
mod request_number;

pub use request_number::CHANNELS_MAX;

use crate::accounts::Account;
use crate::clock::MILLISECOND;
use crate::error_counts::ErrorCounts;
use crate::event_loop::EventLoop;
use crate::lane_setup::{ConversationSpec, OpenLane};
use crate::ledger::{Awaits, Faults, Ledger};
use crate::legacy::{self, Object};
use crate::member_state::MemberState;
use crate::message::{MessageTemplate, SendReply, read_entry, read_message, read_send_reply};
use crate::stamp::{Destination, Origin, Padding, Received};
use ack_timers::{ACK_MESSAGES, AckDue, AckTimers};
use serde_json::Value;
use wire::{Command, ConversationId, Dialect, Errno, Seq, timeline};

/// How long a sender pauses after a refusal without `retry_after_ms`, ns.
const HOLD_BACK: u64 = 100 * MILLISECOND;

/// The state that all lanes of a run share.
#[derive(Debug)]
pub struct RunState {
    pub padding: Padding,
    /// Senders that may have room in their window: lane and sender.
    pub ready: Vec<(u32, u32)>,
    ack_timers: AckTimers,
}

impl RunState {
    /// For messages of `size` bytes.
    pub fn new(size: usize) -> RunState {
        RunState { padding: Padding::new(size), ready: Vec::new(), ack_timers: AckTimers::default() }
    }

    /// When the next ACK is due.
    pub fn next_ack(&self) -> u64 {
        self.ack_timers.next()
    }

    /// Sends the ACKs that are due.
    pub fn acknowledge_due(&mut self, lanes: &mut [Lane], event_loop: &mut EventLoop, now: u64) {
        while let Some(due) = self.ack_timers.take(now) {
            let lane = &mut lanes[due.lane as usize];
            let (conversation, member) = (due.conversation as usize, due.member as usize);
            if lane.conversations[conversation].members[member].acks == due.acks {
                lane.acknowledge(event_loop, conversation, member);
            }
        }
    }
}

/// Users who chat with each other.
#[derive(Debug)]
pub struct Lane {
    number: u32,
    /// The event loop's number of the first member's connection.
    pub first: usize,
    /// The members, in the order of their connections.
    pub members: Vec<Account>,
    conversations: Vec<Conversation>,
    pub senders: Vec<Sender>,
    channels: Vec<Channel>,
    /// The number of the first channel among those of all lanes.
    first_channel: u32,
    lost_connections: usize,
    /// Whether any member ever returned; checking for repeated messages is left out before.
    has_returns: bool,
    /// Whether the texts of messages may change before they are received.
    has_changes: bool,
    /// When each member returned last; 0: it never left.
    back_since: Vec<u64>,
    faults: Faults,
    options: LaneOptions,
}

#[derive(Debug)]
struct Conversation {
    /// 0 for a direct chat over the legacy dialect.
    id: ConversationId,
    members: Vec<MemberState>,
}

#[derive(Debug)]
pub struct Sender {
    pub member: usize,
    channels: Vec<usize>,
    /// The channel to use next.
    turn: usize,
    /// The number of outstanding messages.
    pub outstanding: usize,
    /// Messages that it may still send.
    pub left: u64,
    /// The server asked this sender to pause until then.
    pub held_until: u64,
    /// Whether it is listed in [`RunState::ready`].
    pub is_ready: bool,
}

#[derive(Debug)]
struct Channel {
    sender: usize,
    conversation: usize,
    origin: Origin,
    template: MessageTemplate,
    ledger: Ledger,
}

#[derive(Clone, Copy, Debug)]
pub struct LaneOptions {
    pub dialect: Dialect,
    /// The receivers are offline: a message is done when it is acknowledged.
    pub receivers_are_offline: bool,
    /// A random number of this run.
    pub run: u32,
}

impl Lane {
    /// Lane `number` of users whose connections start at number `first` of the event loop.
    pub fn new(
        number: u32,
        first: usize,
        open: OpenLane,
        specs: &[ConversationSpec],
        padding: &Padding,
        options: LaneOptions,
    ) -> Lane {
        let OpenLane { accounts: members, conversations } = open;
        let mut lane = Lane {
            number,
            first,
            conversations: Vec::new(),
            senders: Vec::new(),
            channels: Vec::new(),
            first_channel: number * specs.iter().map(|spec| spec.senders.len()).sum::<usize>() as u32,
            lost_connections: 0,
            has_returns: false,
            has_changes: false,
            back_since: vec![0; members.len()],
            faults: Faults::default(),
            options,
            members,
        };
        for (spec, found) in specs.iter().zip(conversations) {
            let members = vec![MemberState::new(found.last_seq); lane.members.len()];
            lane.conversations.push(Conversation { id: found.id, members });
            for &member in &spec.senders {
                lane.add_channel(lane.conversations.len() - 1, member, spec, padding);
            }
        }
        lane
    }

    fn add_channel(
        &mut self,
        conversation: usize,
        member: usize,
        spec: &ConversationSpec,
        padding: &Padding,
    ) {
        let LaneOptions { dialect, receivers_are_offline, run } = self.options;
        let sender = self.senders.iter().position(|sender| sender.member == member);
        let sender = sender.unwrap_or_else(|| {
            self.senders.push(Sender {
                member,
                channels: Vec::new(),
                turn: 0,
                outstanding: 0,
                left: u64::MAX,
                held_until: 0,
                is_ready: false,
            });
            self.senders.len() - 1
        });
        let (account, channel) = (&self.members[member], self.channels.len());
        let destination = match (dialect, spec.pair) {
            (Dialect::Legacy, Some((a, b))) => {
                Destination::User(self.members[if a == member { b } else { a }].id)
            }
            _ => Destination::Conversation(self.conversations[conversation].id, spec.kind()),
        };
        let number = self.first_channel + channel as u32;
        let origin = Origin::new(number, account.id, &account.name, destination, run);
        let awaits = match (dialect, receivers_are_offline) {
            (Dialect::Tlv, false) => Awaits::Both,
            (Dialect::Tlv, true) => Awaits::Reply,
            (Dialect::Legacy, false) => Awaits::Delivery,
            (Dialect::Legacy, true) => Awaits::Nothing,
        };
        let audience = if spec.pair.is_some() { 1 } else { self.members.len() as u32 - 1 };
        self.channels.push(Channel {
            sender,
            conversation,
            template: MessageTemplate::new(&origin, dialect, padding),
            ledger: Ledger::new(awaits, self.members.len(), audience),
            origin,
        });
        self.senders[sender].channels.push(channel);
    }

    pub fn number(&self) -> u32 {
        self.number
    }

    /// Whether all its connections are open.
    pub fn is_open(&self) -> bool {
        self.lost_connections == 0
    }

    pub fn handle_lost(&mut self) {
        self.lost_connections += 1;
    }

    /// A member logs in again on a new connection: the server will push again what it had not acknowledged.
    pub fn handle_return(&mut self, member: usize, now: u64) {
        self.back_since[member] = now;
        for conversation in &mut self.conversations {
            conversation.members[member].note_return();
        }
        self.has_returns = true;
    }

    /// Whether the server may push this message again to `member`, who has it. A client drops it.
    #[cold]
    fn is_repeat(&self, member: usize, conversation: u32, seq: u64) -> bool {
        let conversation = self.conversations.iter().find(|known| known.id.0 == conversation);
        conversation.is_some_and(|conversation| conversation.members[member].is_repeat(seq))
    }

    /// The id of a conversation, and the seq up to which `member` has all of it.
    pub fn progress(&self, conversation: usize, member: usize) -> (ConversationId, u64) {
        let conversation = &self.conversations[conversation];
        (conversation.id, conversation.members[member].last_seq)
    }

    /// Whether `sender` may send one more message with a window of `window`.
    #[inline]
    pub fn has_room(&self, sender: usize, window: usize) -> bool {
        let Sender { outstanding, left, .. } = self.senders[sender];
        outstanding < window && left > 0
    }

    /// Sends a message in the sender's channels in turn; its latency counts from `at`.
    #[inline]
    pub fn send(&mut self, event_loop: &mut EventLoop, sender: usize, at: u64, padding: &Padding) {
        let turn = self.senders[sender].turn;
        self.senders[sender].turn =
            if turn + 1 == self.senders[sender].channels.len() { 0 } else { turn + 1 };
        self.send_in(event_loop, sender, turn, at, padding);
    }

    /// Sends a message in the sender's channel number `channel`, counted from 0.
    #[inline]
    pub fn send_in(
        &mut self,
        event_loop: &mut EventLoop,
        sender: usize,
        channel: usize,
        at: u64,
        padding: &Padding,
    ) {
        let sender = &mut self.senders[sender];
        let number = sender.channels[channel];
        sender.left -= 1;
        let channel = &mut self.channels[number];
        let before = channel.ledger.outstanding();
        let counter = channel.ledger.send(at);
        sender.outstanding += channel.ledger.outstanding() - before;
        let out = event_loop.output(self.first + sender.member);
        channel.template.encode(request_number::encode(number, counter), counter, at, padding, out);
    }

    /// Handles the reply to a SEND of `member`.
    #[inline]
    pub fn handle_reply(
        &mut self,
        event_loop: &mut EventLoop,
        state: &mut RunState,
        member: usize,
        request: u32,
        value: &[u8],
        now: u64,
    ) {
        let (number, counter) = request_number::decode(request);
        let known = self.channels.get_mut(number);
        let Some(channel) = known.filter(|channel| self.senders[channel.sender].member == member) else {
            return event_loop.meter.errors.note(ErrorCounts::UNEXPECTED);
        };
        let before = channel.ledger.outstanding();
        match read_send_reply(value) {
            SendReply::Stored(conversation, seq)
                if conversation == self.conversations[channel.conversation].id =>
            {
                if let Some(at) = channel.ledger.handle_stored(counter, seq) {
                    event_loop.meter.record_ack(at, now);
                    self.conversations[channel.conversation].members[member].note_own(seq);
                }
            }
            SendReply::Refused(refusal) => {
                channel.ledger.handle_refused(counter, refusal.errno == Errno::Unavailable);
                event_loop.meter.errors.note_refusal(&refusal);
                let pause = refusal.retry_after_ms.map_or(HOLD_BACK, |ms| ms * MILLISECOND);
                self.senders[channel.sender].held_until = now + pause;
            }
            SendReply::Stored(..) | SendReply::Malformed => channel.ledger.handle_stray_reply(),
        }
        let done = before - channel.ledger.outstanding();
        let sender = channel.sender;
        self.release(state, sender, done);
    }

    /// Handles the value of a MESSAGE to `member`.
    #[inline]
    pub fn handle_message(
        &mut self,
        event_loop: &mut EventLoop,
        state: &mut RunState,
        member: usize,
        value: &[u8],
        now: u64,
    ) {
        let size = state.padding.size();
        let received = read_message(value, size, |received| {
            self.handle_received(event_loop, state, member, received, now);
        });
        if received.is_none() {
            match read_entry(value) {
                Some((conversation, seq)) => {
                    self.handle_entry(event_loop, state, member, conversation, seq, now);
                }
                None => self.faults.wrong_content += 1,
            }
        }
    }

    /// Handles an entry that is not a message: it is acknowledged, and counts for nothing else.
    #[cold]
    fn handle_entry(
        &mut self,
        event_loop: &mut EventLoop,
        state: &mut RunState,
        member: usize,
        conversation: ConversationId,
        seq: u64,
        now: u64,
    ) {
        if self.is_repeat(member, conversation.0, seq) {
            return;
        }
        match self.conversations.iter().position(|known| known.id == conversation) {
            Some(at) => self.handle_seq(event_loop, state, at, member, seq, now),
            None => self.faults.wrong_content += 1,
        }
    }

    /// Handles an object of the legacy dialect to `member`; returns an object that is not a chat message.
    #[inline]
    pub fn handle_object(
        &mut self,
        event_loop: &mut EventLoop,
        state: &mut RunState,
        member: usize,
        object: &[u8],
        now: u64,
    ) -> Option<Value> {
        match legacy::read(object) {
            Object::Chat(received) => self.handle_received(event_loop, state, member, received, now),
            Object::Other(value) => match legacy::decode_chat(&value) {
                Some(received) => self.handle_received(event_loop, state, member, received, now),
                None => return Some(value),
            },
            Object::Malformed => event_loop.meter.errors.note(ErrorCounts::UNEXPECTED),
        }
        None
    }

    #[inline]
    fn handle_received(
        &mut self,
        event_loop: &mut EventLoop,
        state: &mut RunState,
        member: usize,
        received: Received<'_>,
        now: u64,
    ) {
        if self.has_returns && received.seq != 0 && self.is_repeat(member, received.destination, received.seq)
        {
            return;
        }
        let stamp = received.stamp(&state.padding).or_else(|| self.changed_stamp(&received));
        let number =
            stamp.map_or(usize::MAX, |stamp| stamp.channel.wrapping_sub(self.first_channel) as usize);
        let (Some(stamp), Some(channel)) = (stamp, self.channels.get_mut(number)) else {
            self.faults.wrong_content += 1;
            return;
        };
        if !received.is_from(&channel.origin, stamp.counter) {
            self.faults.wrong_content += 1;
            return;
        }
        let (before, sender, conversation) =
            (channel.ledger.outstanding(), channel.sender, channel.conversation);
        if !channel.ledger.handle_delivered(member, stamp.counter, stamp.at, received.seq) {
            return;
        }
        if stamp.at < self.back_since[member] {
            // It waited for its receiver, so its latency says nothing about the server.
            event_loop.meter.count_done();
        } else {
            event_loop.meter.record_done(stamp.at, now);
        }
        let done = before - channel.ledger.outstanding();
        if received.seq != 0 {
            self.handle_seq(event_loop, state, conversation, member, received.seq, now);
        }
        self.release(state, sender, done);
    }

    /// Notes the first delivery of `seq` to `member`, and acknowledges or starts the timer.
    #[inline]
    fn handle_seq(
        &mut self,
        event_loop: &mut EventLoop,
        state: &mut RunState,
        conversation: usize,
        member: usize,
        seq: u64,
        now: u64,
    ) {
        let member_state = &mut self.conversations[conversation].members[member];
        self.faults.wrong_seq += u64::from(!member_state.note_pushed(seq));
        member_state.unacknowledged += 1;
        if member_state.unacknowledged >= ACK_MESSAGES {
            self.acknowledge(event_loop, conversation, member);
        } else if member_state.unacknowledged == 1 {
            let (lane, acks) = (self.number, member_state.acks);
            let (conversation, member) = (conversation as u32, member as u32);
            state.ack_timers.start(now, AckDue { lane, conversation, member, acks });
        }
    }

    /// Notes that `done` messages of `sender` are no longer outstanding.
    #[inline]
    fn release(&mut self, state: &mut RunState, sender: usize, done: usize) {
        if done > 0 {
            let number = sender as u32;
            let sender = &mut self.senders[sender];
            sender.outstanding -= done;
            if !std::mem::replace(&mut sender.is_ready, true) {
                state.ready.push((self.number, number));
            }
        }
    }

    fn acknowledge(&mut self, event_loop: &mut EventLoop, conversation: usize, member: usize) {
        let Conversation { id, members } = &mut self.conversations[conversation];
        let (conversation, state) = (*id, &mut members[member]);
        let seq = Seq(state.last_seq);
        (state.unacknowledged, state.acks) = (0, state.acks + 1);
        let cursor = timeline::Cursor { conversation, seq };
        Command::Timeline(timeline::Request::Ack(cursor)).encode(0, event_loop.output(self.first + member));
    }

    /// Whether replies or deliveries are still to come.
    pub fn has_open(&self) -> bool {
        self.channels.iter().any(|channel| channel.ledger.has_open())
    }

    /// Whether messages of `member` are outstanding.
    pub fn is_waiting(&self, member: usize) -> bool {
        self.senders.iter().any(|sender| sender.member == member && sender.outstanding > 0)
    }

    /// Messages sent so far.
    pub fn sent(&self) -> u64 {
        self.channels.iter().map(|channel| channel.ledger.sent()).sum()
    }

    /// The faults, provided that nothing more is to come.
    pub fn close(&self) -> Faults {
        let mut faults = self.faults;
        self.channels.iter().for_each(|channel| faults.add(&channel.ledger.close()));
        faults
    }
}
