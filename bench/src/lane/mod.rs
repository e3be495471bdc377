//! A few users who messaging with each other, and everything that each of them said and received.
//!
//! ```text
//!   lane:     members --- threads: conversations; a seat is one member's place in one
//!               |            |
//!             senders --> channels: what one sender says in one thread, with the ledger of it
//! ```
//!
//! Pairs, groups and circles are lanes of different scanner; what is checked is the same for all.

use crate::accounts::Account;
use crate::clock::MILLISECOND;
use crate::error_counts::ErrorCounts;
use crate::event_loop::EventLoop;
use crate::lane_setup::{ConversationSpec, Opened};
use crate::ledger::{Awaits, Faults, Ledger, REQUESTS};
use crate::legacy::{self, Object};
use crate::member_state::MemberState;
use crate::message::{Answer, MessageTemplate, Origin, Padding, Place, Received, answer, read_message};
use serde_json::Value;
use std::collections::VecDeque;
use wire::{Command, ConversationId, Dialect, Errno, Seq, timeline};

/// A client acknowledges every this many messages, or ...
const ACK_MESSAGES: u32 = 64;
/// ... this long after the first that it has not acknowledged.
const ACK_DELAY: u64 = 200 * MILLISECOND;
/// How long a sender holds back after a refusal that does not say.
const HOLD_BACK: u64 = 100 * MILLISECOND;
/// Channels of one lane at most: a request number names channel and message.
pub const CHANNELS_MAX: usize = 1 << CHANNEL_BITS;
const CHANNEL_BITS: u32 = 10;
// 0 would ask for no reply, and the highest number is still one of 32 bits.
const _: () = assert!(REQUESTS << CHANNEL_BITS < 1 << 32);

fn request_of(channel: usize, counter: u64) -> u32 {
    ((counter % REQUESTS) << CHANNEL_BITS | channel as u64) as u32 + 1
}

/// The channel that a request number names, and the message's number there, modulo [`REQUESTS`].
fn parts_of(request: u32) -> (usize, u64) {
    let number = u64::from(request.wrapping_sub(1));
    ((number as usize) & (CHANNELS_MAX - 1), number >> CHANNEL_BITS)
}

/// What a client of this load still has to acknowledge, and when.
#[derive(Clone, Copy, Debug)]
struct AckDue {
    at: u64,
    lane: u32,
    thread: u32,
    member: u32,
    /// The seat's count of ACKs when the delay began: one that is higher by now says that it is over.
    acks: u64,
}

/// What all lanes of a run share.
#[derive(Debug)]
pub struct RunState {
    /// What messages are padded with.
    pub padding: Padding,
    /// Senders that may have room: lane and sender.
    pub ready: Vec<(u32, u32)>,
    /// Delays of ACKs that run, in the order of their ends.
    acks_due: VecDeque<AckDue>,
}

impl RunState {
    /// For messages of `size` bytes.
    pub fn new(size: usize) -> RunState {
        RunState { padding: Padding::new(size), ready: Vec::new(), acks_due: VecDeque::new() }
    }

    /// When the next ACK is due.
    pub fn next_ack(&self) -> u64 {
        self.acks_due.front().map_or(u64::MAX, |due| due.at)
    }

    /// Acknowledges what has waited long enough.
    pub fn acknowledge_due(&mut self, lanes: &mut [Lane], event_loop: &mut EventLoop, now: u64) {
        while let Some(due) = self.acks_due.front().copied().filter(|due| due.at <= now) {
            self.acks_due.pop_front();
            let lane = &mut lanes[due.lane as usize];
            let (thread, member) = (due.thread as usize, due.member as usize);
            if lane.threads[thread].seats[member].acks == due.acks {
                lane.acknowledge(event_loop, thread, member);
            }
        }
    }
}

/// A few users who messaging with each other.
#[derive(Debug)]
pub struct Lane {
    number: u32,
    /// The event_loop's number of its first member's connection.
    pub first: usize,
    /// Its members, in the order of their connections.
    pub members: Vec<Account>,
    pub threads: Vec<Thread>,
    /// Those who say something.
    pub senders: Vec<Sender>,
    channels: Vec<Channel>,
    /// The number of its first channel among those of all lanes.
    first_channel: u32,
    /// Connections that were lost.
    lost: usize,
    /// Whether a member ever came back, and since when each is there.
    has_returns: bool,
    back_since: Vec<u64>,
    faults: Faults,
    making: LaneOptions,
}

#[derive(Debug)]
pub struct Thread {
    /// Its id; 0 in a direct chat of the legacy dialect.
    pub conversation: ConversationId,
    seats: Vec<MemberState>,
}

/// One who says something.
#[derive(Debug)]
pub struct Sender {
    pub member: usize,
    channels: Vec<usize>,
    /// The channel that has its turn.
    turn: usize,
    /// Messages that are outstanding.
    pub outstanding: usize,
    /// Messages that it may still send.
    pub left: u64,
    /// The server asked not to be sent to before.
    pub held_until: u64,
    /// It waits in [`RunState::ready`].
    pub is_ready: bool,
}

#[derive(Debug)]
struct Channel {
    sender: usize,
    thread: usize,
    origin: Origin,
    template: MessageTemplate,
    ledger: Ledger,
}

/// How lanes are made.
#[derive(Clone, Copy, Debug)]
pub struct LaneOptions {
    pub dialect: Dialect,
    /// Whether the receivers are absent: nothing waits for them.
    pub absent: bool,
    /// A number of this run.
    pub run: u32,
}

impl Lane {
    /// A lane of users who are connected from the event_loop's connection `first` on. `channels` were made for other lanes.
    pub fn new(
        number: u32,
        first: usize,
        opened: Opened,
        specs: &[ConversationSpec],
        padding: &Padding,
        making: LaneOptions,
    ) -> Lane {
        let Opened { accounts: members, threads: found } = opened;
        let mut lane = Lane {
            number,
            first,
            threads: Vec::new(),
            senders: Vec::new(),
            channels: Vec::new(),
            first_channel: number * specs.iter().map(|spec| spec.senders.len()).sum::<usize>() as u32,
            lost: 0,
            has_returns: false,
            back_since: vec![0; members.len()],
            faults: Faults::default(),
            making,
            members,
        };
        for (spec, (conversation, last_seq)) in specs.iter().zip(found) {
            let seats = vec![MemberState::new(last_seq); lane.members.len()];
            lane.threads.push(Thread { conversation, seats });
            for &member in &spec.senders {
                lane.add_channel(lane.threads.len() - 1, member, spec, padding);
            }
        }
        lane
    }

    fn add_channel(&mut self, thread: usize, member: usize, spec: &ConversationSpec, padding: &Padding) {
        let making = self.making;
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
        let place = match (making.dialect, spec.pair) {
            (Dialect::Legacy, Some((a, b))) => Place::User(self.members[if a == member { b } else { a }].id),
            _ => Place::Conversation(self.threads[thread].conversation, spec.kind()),
        };
        let number = self.first_channel + channel as u32;
        let origin = Origin::new(number, account.id, &account.name, place, making.run);
        let awaits = match making {
            LaneOptions { absent: false, dialect: Dialect::Tlv, .. } => Awaits::Both,
            LaneOptions { absent: true, dialect: Dialect::Tlv, .. } => Awaits::Reply,
            LaneOptions { absent: false, dialect: Dialect::Legacy, .. } => Awaits::Delivery,
            LaneOptions { absent: true, dialect: Dialect::Legacy, .. } => Awaits::Nothing,
        };
        let audience = if spec.pair.is_some() { 1 } else { self.members.len() as u32 - 1 };
        self.channels.push(Channel {
            sender,
            thread,
            template: MessageTemplate::new(&origin, making.dialect, padding),
            ledger: Ledger::new(awaits, self.members.len(), audience),
            origin,
        });
        self.senders[sender].channels.push(channel);
    }

    pub fn number(&self) -> u32 {
        self.number
    }

    /// Whether all its connections are there.
    pub fn is_open(&self) -> bool {
        self.lost == 0
    }

    /// One of its connections was lost.
    pub fn handle_lost(&mut self) {
        self.lost += 1;
    }

    /// A member has come back on a new connection: what it had not acknowledged will be pushed again.
    pub fn handle_return(&mut self, member: usize, now: u64) {
        self.back_since[member] = now;
        for thread in &mut self.threads {
            thread.seats[member].note_return();
        }
        self.has_returns = true;
    }

    /// Whether `member` has this already and was told to expect it again. A client drops that.
    #[cold]
    fn is_repeat(&self, member: usize, conversation: u32, seq: u64) -> bool {
        let thread = self.threads.iter().find(|thread| thread.conversation.0 == conversation);
        thread.map(|thread| &thread.seats[member]).is_some_and(|seat| seat.is_repeat(seq))
    }

    /// Where `member` stands in `thread`: conversation and seq.
    pub fn place(&self, thread: usize, member: usize) -> (ConversationId, u64) {
        (self.threads[thread].conversation, self.threads[thread].seats[member].last_seq)
    }

    /// Whether `sender` may send one more where `window` may be outstanding.
    #[inline]
    pub fn has_room(&self, sender: usize, window: usize) -> bool {
        let Sender { outstanding, left, .. } = self.senders[sender];
        outstanding < window && left > 0
    }

    /// `sender` says something, which counts from `at`, in the channel that has its turn.
    #[inline]
    pub fn send(&mut self, event_loop: &mut EventLoop, sender: usize, at: u64, padding: &Padding) {
        let turn = self.senders[sender].turn;
        self.senders[sender].turn =
            if turn + 1 == self.senders[sender].channels.len() { 0 } else { turn + 1 };
        self.send_in(event_loop, sender, turn, at, padding);
    }

    /// `sender` says something in the channel that is its `turn`th.
    #[inline]
    pub fn send_in(
        &mut self,
        event_loop: &mut EventLoop,
        sender: usize,
        turn: usize,
        at: u64,
        padding: &Padding,
    ) {
        let sender = &mut self.senders[sender];
        let number = sender.channels[turn];
        sender.left -= 1;
        let channel = &mut self.channels[number];
        let before = channel.ledger.outstanding();
        let counter = channel.ledger.send(at);
        sender.outstanding += channel.ledger.outstanding() - before;
        let out = event_loop.output(self.first + sender.member);
        channel.template.encode(request_of(number, counter), counter, at, padding, out);
    }

    /// The reply to a SEND of `member` came.
    #[inline]
    pub fn handle_reply(
        &mut self,
        event_loop: &mut EventLoop,
        common: &mut RunState,
        member: usize,
        (request, value): (u32, &[u8]),
        now: u64,
    ) {
        let (number, counter) = parts_of(request);
        let known = self.channels.get_mut(number);
        let Some(channel) = known.filter(|channel| self.senders[channel.sender].member == member) else {
            return event_loop.meter.errors.note(ErrorCounts::UNEXPECTED);
        };
        let before = channel.ledger.outstanding();
        match answer(value) {
            Answer::Stored(conversation, seq)
                if conversation == self.threads[channel.thread].conversation =>
            {
                if let Some(at) = channel.ledger.handle_stored(counter, seq) {
                    event_loop.meter.record_ack(at, now);
                    self.threads[channel.thread].seats[member].note_own(seq);
                }
            }
            Answer::Refused(refusal) => {
                channel.ledger.handle_refused(counter, refusal.errno == Errno::Unavailable);
                event_loop.meter.errors.note_refusal(&refusal);
                let pause = refusal.retry_after_ms.map_or(HOLD_BACK, |ms| ms * MILLISECOND);
                self.senders[channel.sender].held_until = now + pause;
            }
            Answer::Stored(..) | Answer::FaultKind => channel.ledger.handle_stray_reply(),
        }
        let done = before - channel.ledger.outstanding();
        let sender = channel.sender;
        self.release(common, sender, done);
    }

    /// The value of a MESSAGE came to `member`.
    #[inline]
    pub fn handle_message(
        &mut self,
        event_loop: &mut EventLoop,
        common: &mut RunState,
        member: usize,
        value: &[u8],
        now: u64,
    ) {
        let size = common.padding.size();
        let received = read_message(value, size, |received| {
            self.handle_received(event_loop, common, member, received, now)
        });
        if received.is_none() {
            self.faults.wrong_content += 1;
        }
    }

    /// An object of the legacy dialect came to `member`. What is no chat is given back.
    #[inline]
    pub fn handle_object(
        &mut self,
        event_loop: &mut EventLoop,
        common: &mut RunState,
        member: usize,
        object: &[u8],
        now: u64,
    ) -> Option<Value> {
        match legacy::read(object) {
            Object::Chat(received) => self.handle_received(event_loop, common, member, received, now),
            Object::Other(value) => match legacy::decode_chat(&value) {
                Some(received) => self.handle_received(event_loop, common, member, received, now),
                None => return Some(value),
            },
            Object::Broken => event_loop.meter.errors.note(ErrorCounts::UNEXPECTED),
        }
        None
    }

    #[inline]
    fn handle_received(
        &mut self,
        event_loop: &mut EventLoop,
        common: &mut RunState,
        member: usize,
        received: Received<'_>,
        now: u64,
    ) {
        if self.has_returns && received.seq != 0 && self.is_repeat(member, received.place, received.seq) {
            return;
        }
        let stamp = received.stamp(&common.padding);
        let number =
            stamp.map_or(usize::MAX, |stamp| stamp.channel.wrapping_sub(self.first_channel) as usize);
        let (Some(stamp), Some(channel)) = (stamp, self.channels.get_mut(number)) else {
            self.faults.wrong_content += 1;
            return;
        };
        if !received.is_from(&channel.origin) {
            self.faults.wrong_content += 1;
            return;
        }
        let (before, sender, thread) = (channel.ledger.outstanding(), channel.sender, channel.thread);
        if !channel.ledger.handle_delivered(member, stamp.counter, stamp.at, received.seq) {
            return;
        }
        if stamp.at < self.back_since[member] {
            // It waited for its receiver: that time is nobody's fault.
            event_loop.meter.count_done();
        } else {
            event_loop.meter.record_done(stamp.at, now);
        }
        let done = before - channel.ledger.outstanding();
        if received.seq != 0 {
            self.handle_seq(event_loop, common, (thread, member), received.seq, now);
        }
        self.release(common, sender, done);
    }

    /// A message came to `member` as `seq` of `thread`, for the first time.
    #[inline]
    fn handle_seq(
        &mut self,
        event_loop: &mut EventLoop,
        common: &mut RunState,
        (thread, member): (usize, usize),
        seq: u64,
        now: u64,
    ) {
        let seat = &mut self.threads[thread].seats[member];
        self.faults.wrong_seq += u64::from(!seat.note_pushed(seq));
        seat.unacknowledged += 1;
        if seat.unacknowledged >= ACK_MESSAGES {
            self.acknowledge(event_loop, thread, member);
        } else if seat.unacknowledged == 1 {
            let (at, lane, acks) = (now + ACK_DELAY, self.number, seat.acks);
            common.acks_due.push_back(AckDue {
                at,
                lane,
                thread: thread as u32,
                member: member as u32,
                acks,
            });
        }
    }

    /// `done` messages of `sender` are no longer outstanding.
    #[inline]
    fn release(&mut self, common: &mut RunState, sender: usize, done: usize) {
        if done > 0 {
            let number = sender as u32;
            let sender = &mut self.senders[sender];
            sender.outstanding -= done;
            if !std::mem::replace(&mut sender.is_ready, true) {
                common.ready.push((self.number, number));
            }
        }
    }

    fn acknowledge(&mut self, event_loop: &mut EventLoop, thread: usize, member: usize) {
        let conversation = self.threads[thread].conversation;
        let seat = &mut self.threads[thread].seats[member];
        let seq = Seq(seat.last_seq);
        (seat.unacknowledged, seat.acks) = (0, seat.acks + 1);
        let cursor = timeline::Cursor { conversation, seq };
        Command::Timeline(timeline::Request::Ack(cursor)).encode(0, event_loop.output(self.first + member));
    }

    /// Whether something may still come.
    pub fn has_open(&self) -> bool {
        self.channels.iter().any(|channel| channel.ledger.has_open())
    }

    /// Whether a reply to something that `member` said is still to come.
    pub fn is_waiting(&self, member: usize) -> bool {
        self.senders.iter().any(|sender| sender.member == member && sender.outstanding > 0)
    }

    /// Messages sent so far.
    pub fn sent(&self) -> u64 {
        self.channels.iter().map(|channel| channel.ledger.sent()).sum()
    }

    /// What went wrong, where nothing more is to come.
    pub fn close(&self) -> Faults {
        let mut faults = self.faults;
        self.channels.iter().for_each(|channel| faults.add(&channel.ledger.close()));
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_number_names_channel_and_message() {
        for (channel, counter) in [(0, 0), (1, 0), (CHANNELS_MAX - 1, REQUESTS - 1), (7, 3 * REQUESTS + 5)] {
            let request = request_of(channel, counter);
            assert!(request != 0);
            assert_eq!(parts_of(request), (channel, counter % REQUESTS));
        }
    }
}
