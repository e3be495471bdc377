//! A connection between a device and a node, in the place of sockets and a reactor: bytes in flight, the
//! frame decoder, and a check that what the server sends on one connection keeps the protocol's order.

use logic::ConnId;
use logic::contract::Epoch;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use wire::kind::{push, request};
use wire::limits::{FRAME_BYTES, FRAME_BYTES_BEFORE_LOGIN};
use wire::{Command, ConversationId, Push, Reply, Seq, UserId, split_frame};
use wire::{message, session, timeline};

pub struct Link {
    pub conn: ConnId,
    /// The node at its other end.
    pub node: usize,
    pub device: usize,
    /// On their way to the server.
    pub up: VecDeque<u8>,
    /// On their way to the device.
    pub down: VecDeque<u8>,
    /// Received by the server, not yet decoded.
    partial: Vec<u8>,
    /// LOGIN or LOGOUT is unanswered, so nothing further is decoded.
    pub held: bool,
    pub user: Option<UserId>,
    /// The number of that user's session.
    pub epoch: Epoch,
    /// Logic wants to know when `down` is empty.
    pub notify: bool,
    /// The server closes it once `down` is empty.
    pub closing: bool,
    /// Nothing gets through any more, whether the ends know or not.
    pub cut: bool,
    /// The server knows that it is gone.
    pub dead_here: bool,
    /// The device knows that it is gone.
    pub dead_there: bool,
    order: Order,
}

/// What was sent on the connection, for the check.
#[derive(Default)]
struct Order {
    asked: BTreeSet<u32>,
    pushed: BTreeMap<ConversationId, Seq>,
    own: BTreeMap<ConversationId, BTreeSet<Seq>>,
    /// Messages that were sent on it, and first stored then.
    sent: BTreeSet<(ConversationId, Seq)>,
    unacked: BTreeMap<ConversationId, Seq>,
    logged_in: bool,
}

/// What was ever pushed to a user or given in a HISTORY page, on any connection: as far as that, the user may have
/// acknowledged.
pub type Ever = BTreeMap<(UserId, ConversationId), BTreeSet<Seq>>;

/// A message that was left out on a connection; it must be that user's own.
#[derive(Debug)]
pub struct LeftOut {
    pub user: UserId,
    pub conversation: ConversationId,
    pub seq: Seq,
    /// The entry before which it was left out.
    pub before: Seq,
}

impl Link {
    pub fn new(conn: ConnId, node: usize, device: usize) -> Link {
        Link {
            conn,
            node,
            device,
            up: VecDeque::new(),
            down: VecDeque::new(),
            partial: Vec::new(),
            held: false,
            user: None,
            epoch: Epoch::NONE,
            notify: false,
            closing: false,
            cut: false,
            dead_here: false,
            dead_there: false,
            order: Order::default(),
        }
    }

    /// Moves up to `count` bytes to the server and decodes what is complete.
    pub fn receive(&mut self, count: usize) -> Vec<(u32, Command)> {
        let count = count.min(self.up.len());
        self.partial.extend(self.up.drain(..count));
        self.decode()
    }

    /// Decodes what is complete, as far as no LOGIN or LOGOUT is unanswered.
    pub fn decode(&mut self) -> Vec<(u32, Command)> {
        let mut requests = Vec::new();
        while !self.held && !self.closing {
            let max = if self.user.is_some() { FRAME_BYTES } else { FRAME_BYTES_BEFORE_LOGIN };
            let Some((frame, used)) = split_frame(&self.partial, max).expect("the client frames rightly")
            else {
                break;
            };
            // Heartbeats are the reactor's; runs are too short for them.
            if frame.kind != request::HEARTBEAT {
                let command = Command::decode(frame.kind, frame.value).expect("the client asks rightly");
                self.held = matches!(
                    command,
                    Command::Session(session::Request::Login(_)) | Command::Session(session::Request::Logout)
                );
                if frame.request != 0 {
                    assert!(self.order.asked.insert(frame.request), "a request number is used once");
                }
                requests.push((frame.request, command));
            }
            self.partial.drain(..used);
        }
        requests
    }

    pub fn reply(&mut self, kind: u16, request: u32, reply: &Reply, ever: &mut Ever) {
        if matches!(kind, request::LOGIN | request::LOGOUT) {
            self.held = false;
        }
        if self.dead_here {
            return;
        }
        if request != 0 {
            assert!(self.order.asked.remove(&request), "one reply a request, not more");
            let mut bytes = Vec::new();
            reply.encode(kind, request, &mut bytes);
            self.down.extend(bytes);
        }
        match reply {
            Reply::Message(message::Reply::Sent(sent)) => {
                let pushed = self.order.pushed.get(&sent.conversation).copied().unwrap_or_default();
                assert!(
                    sent.duplicate || pushed < sent.seq,
                    "the reply to an own message comes before any message above it"
                );
                self.order.own.entry(sent.conversation).or_default().insert(sent.seq);
                if !sent.duplicate {
                    self.order.sent.insert((sent.conversation, sent.seq));
                }
            }
            Reply::Timeline(timeline::Reply::History(page)) => {
                let user = self.user.expect("pages go to who is logged in");
                for message in &page.messages {
                    ever.entry((user, message.conversation)).or_default().insert(message.seq);
                }
            }
            Reply::Session(session::Reply::LoggedIn(_)) => self.order.logged_in = true,
            _ => {}
        }
    }

    pub fn push(&mut self, push: &Push, ever: &mut Ever, left_out: &mut Vec<LeftOut>) {
        if self.dead_here {
            return;
        }
        if let Push::Message(message::Push::New(message)) = push {
            assert!(self.order.logged_in, "the reply to LOGIN comes before any push");
            let (conversation, seq) = (message.conversation, message.seq);
            let user = self.user.expect("messages go to who is logged in");
            let is_own = message.is_message() && self.order.sent.contains(&(conversation, seq));
            assert!(!is_own, "{conversation:?}: {seq} came back to the connection that sent it");
            let ever = ever.entry((user, conversation)).or_default();
            let own = self.order.own.entry(conversation).or_default();
            let missing: Vec<Seq> = match self.order.pushed.get(&conversation) {
                Some(&last) => {
                    assert!(last < seq, "{conversation:?}: {seq} after {last} on one connection");
                    (last.0 + 1..seq.0).map(Seq).filter(|seq| !own.contains(seq)).collect()
                }
                // It begins where some connection of this user had come.
                None => (1..seq.0).map(Seq).filter(|seq| !own.contains(seq) && !ever.contains(seq)).collect(),
            };
            left_out.extend(missing.into_iter().map(|left_out| LeftOut {
                user,
                conversation,
                seq: left_out,
                before: seq,
            }));
            ever.insert(seq);
            self.order.pushed.insert(conversation, seq);
            self.order.unacked.insert(conversation, seq);
        } else if push.kind() != push::KICKED && push.kind() != push::GOING_AWAY {
            assert!(self.order.logged_in, "the reply to LOGIN comes before any push");
        }
        // A client would ask again for everything, and so mend what is the server's to mend.
        if push.kind() == push::CHANGED {
            return;
        }
        let mut bytes = Vec::new();
        push.encode(&mut bytes);
        self.down.extend(bytes);
    }
}
