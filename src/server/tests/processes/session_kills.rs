//! Two terminals and a script of one account, under `multi`: each of them shows every message exactly once, own ones too,
//! whichever of them, or whose node, is killed at any moment.

use crate::sessions::{MULTI, latest, log_in, login_of, read};
use crate::support::client::text;
use crate::support::effort::effort;
use crate::support::nodes::Nodes;
use crate::support::{Account, Client, Event, PATIENCE, Server};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use wire::message::Push as MessagePush;
use wire::session::{ClientKind, Listing, Push as SessionPush};
use wire::timeline::Push as TimelinePush;
use wire::{ConversationId, Message, Push, Reply, Seq, Target, UserId, message};

/// xorshift64*: the same steps for the same seed.
struct Steps(u64);

impl Steps {
    fn below(&mut self, end: u64) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % end) as usize
    }
}

enum Place {
    One(Server),
    Two(Nodes),
}

impl Place {
    fn addresses(&self) -> Vec<SocketAddr> {
        match self {
            Place::One(server) => vec![server.address],
            Place::Two(nodes) => nodes.nodes.iter().map(|node| node.address).collect(),
        }
    }

    fn kill(&mut self, number: usize) {
        match self {
            Place::One(server) => {
                server.kill9();
                server.restart();
            }
            Place::Two(nodes) => {
                nodes.kill9(&[number]);
                nodes.restart(number);
            }
        }
    }
}

/// A client that keeps what it has shown.
struct Device {
    name: &'static str,
    kind: ClientKind,
    account: Account,
    to: UserId,
    /// The connection, and the number of its node.
    live: Option<(Client, usize)>,
    shown: BTreeMap<Seq, String>,
    /// What came on this connection.
    came: BTreeSet<Seq>,
    /// Sent and not answered, by `cid`; and the request on this connection.
    unanswered: BTreeMap<String, Option<u32>>,
}

impl Device {
    fn new(name: &'static str, kind: ClientKind, account: &Account, to: UserId) -> Device {
        let (account, unanswered) = (account.clone(), BTreeMap::new());
        Device {
            name,
            kind,
            account,
            to,
            live: None,
            shown: BTreeMap::new(),
            came: BTreeSet::new(),
            unanswered,
        }
    }

    /// Everything up to here is shown.
    fn end(&self) -> Seq {
        let gap = self.shown.keys().zip(1..).find(|(seq, number)| seq.0 != *number);
        gap.map_or(Seq(self.shown.len() as u64), |(_, number)| Seq(number - 1))
    }

    /// Logs in, asks for what it lacks, and sends again what was not answered.
    fn connect(&mut self, address: SocketAddr, node: usize) {
        let (client, reply) = log_in(address, &login_of(&self.account, self.name, self.kind));
        self.came.clear();
        self.live = Some((client, node));
        if let Some(row) = reply.conversations.first() {
            self.catch_up(row.conversation);
        }
        let cids: Vec<String> = self.unanswered.keys().cloned().collect();
        for cid in cids {
            self.post(cid);
        }
    }

    fn catch_up(&mut self, conversation: ConversationId) {
        let after = self.end();
        let Some((client, _)) = &mut self.live else { return };
        for message in client.history(conversation, after) {
            self.show(&message);
        }
    }

    fn show(&mut self, message: &Message) {
        let before = self.shown.insert(message.seq, (*message.content).to_owned());
        assert!(before.is_none_or(|before| before == *message.content), "{}: {message:?}", self.name);
    }

    /// Sends a text, which is its own `cid`.
    fn post(&mut self, cid: String) {
        let Some((client, _)) = &mut self.live else { return };
        let request = client.post(&text(Target::User(self.to), &cid, Some(&cid))).ok();
        self.unanswered.insert(cid, request);
    }

    /// Takes what has come; waits for nothing longer than this.
    fn take(&mut self, within: Duration) {
        let mut lacks = None;
        while let Some((client, _)) = &mut self.live {
            match client.event(within) {
                Ok(Some(Event::Push(Push::Message(MessagePush::New(message))))) => {
                    assert!(self.came.insert(message.seq), "{}: twice: {message:?}", self.name);
                    self.show(&message);
                }
                Ok(Some(Event::Push(Push::Session(SessionPush::Changed(changed))))) => {
                    lacks = lacks.or(changed.what.contains(&Listing::Conversations).then_some(()));
                }
                Ok(Some(Event::Reply(request, reply))) => self.answered(request, reply),
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => self.live = None,
            }
        }
        if lacks.is_some() && !self.shown.is_empty() {
            self.catch_up(ConversationId(1));
        }
    }

    fn answered(&mut self, request: u32, reply: Reply) {
        let Some((cid, _)) = self.unanswered.iter().find(|(_, of)| **of == Some(request)) else { return };
        let cid = cid.clone();
        match reply {
            Reply::Message(message::Reply::Sent(sent)) => {
                // A session is not pushed what it sends, but what it had sent before.
                assert!(
                    sent.duplicate || self.came.insert(sent.seq),
                    "{}: pushed and answered: {sent:?}",
                    self.name
                );
                let before = self.shown.insert(sent.seq, cid.clone());
                assert!(before.is_none_or(|before| before == cid), "{}: {sent:?}", self.name);
                self.unanswered.remove(&cid);
            }
            Reply::Refused(_) => self.post(cid),
            other => panic!("SEND was answered {other:?}"),
        }
    }
}

fn kill_any_of_them(mut place: Place, seed: u64) {
    let mut steps = Steps(seed);
    let addresses = place.addresses();
    let ann = Client::connect(addresses[0]).register("ann");
    let bob = Client::connect(addresses[0]).register("bob");
    let mut devices = [
        Device::new("laptop", ClientKind::Terminal, &ann, bob.id),
        Device::new("desk", ClientKind::Terminal, &ann, bob.id),
        Device::new("script", ClientKind::Script, &ann, bob.id),
        Device::new("bob", ClientKind::Terminal, &bob, ann.id),
    ];
    let (mut sent, mut kills) = (0, 0);
    for step in 0..400 {
        let at = steps.below(4);
        let device = &mut devices[at];
        match steps.below(100) {
            0..70 => {
                sent += 1;
                device.post(format!("{seed} {sent} by {}", device.name));
                if device.live.is_none() {
                    sent -= 1;
                }
            }
            70..85 => {
                let (end, conversation) = (device.end(), ConversationId(1));
                if let Some((client, _)) = device.live.as_mut().filter(|_| end > Seq(0)) {
                    let _ = if steps.below(2) == 0 {
                        client.ack(conversation, end)
                    } else {
                        client.post(&read(conversation, end)).map(drop)
                    };
                }
            }
            85..95 => device.live = None,
            _ => {
                let node = steps.below(addresses.len() as u64);
                place.kill(node);
                kills += 1;
            }
        }
        for device in &mut devices {
            device.take(Duration::ZERO);
            if device.live.is_none() && (step < 10 || steps.below(3) == 0) {
                let node = steps.below(addresses.len() as u64);
                device.connect(addresses[node], node);
            }
        }
    }
    assert!(kills > 3, "seed {seed}");
    // At the end all are there. Each of them has everything once, in one order.
    let until = Instant::now() + PATIENCE;
    loop {
        for device in &mut devices {
            if device.live.is_none() {
                device.connect(addresses[0], 0);
            }
            device.take(Duration::from_millis(20));
        }
        let is_done = |device: &Device| device.unanswered.is_empty() && device.end() == Seq(sent);
        if devices.iter().all(is_done) {
            break;
        }
        let stand = devices.each_ref().map(|device| (device.name, device.end(), device.unanswered.len()));
        assert!(Instant::now() < until, "seed {seed}: {stand:?} of {sent}");
    }
    let texts: BTreeSet<&String> = devices[0].shown.values().collect();
    assert_eq!(texts.len() as u64, sent, "seed {seed}: a message has two places");
    for device in &devices[1..] {
        assert_eq!(device.shown, devices[0].shown, "seed {seed}: {}", device.name);
    }
    // What one reads is read everywhere.
    let [laptop, desk, script, peer] = &mut devices;
    let conversation = ConversationId(1);
    // An own message would be read already where everything before it is.
    let (client, _) = peer.live.as_mut().expect("it is there");
    client.send(Target::User(ann.id), "the last one");
    let end = Seq(sent + 1);
    let (client, _) = script.live.as_mut().expect("it is there");
    assert_eq!(client.ask_again(&read(conversation, end)), Reply::Done);
    for device in [laptop, desk] {
        let (client, _) = device.live.as_mut().expect("it is there");
        assert_eq!(seen(client, end), (0, 0, end), "seed {seed}: {}", device.name);
    }
}

/// How many messages and mentions are unread, and the last seq, once a session knows that all up to `end` is read: by the
/// push CONVERSATION, or where that was lost, by the list that CHANGED says is to be read again.
fn seen(client: &mut Client, end: Seq) -> (u64, u64, Seq) {
    loop {
        let told = client.push(PATIENCE, |push| match push {
            Push::Timeline(TimelinePush::Conversation(view)) if view.read_seq == end => {
                Some(Some((view.unread, view.mentions, view.last_seq)))
            }
            Push::Session(SessionPush::Changed(changed)) => {
                changed.what.contains(&Listing::Conversations).then_some(None)
            }
            _ => None,
        });
        if let Some(view) = told {
            return view;
        }
        let row = latest(client);
        if row.read_seq == end {
            return (row.unread, row.mentions, row.last_seq);
        }
    }
}

#[test]
fn any_session_of_an_account_or_its_node_may_be_killed_on_one_node() {
    for seed in 1..=effort(3, 30) {
        kill_any_of_them(Place::One(Server::start_at_fixed_port(&MULTI)), seed);
    }
}

#[test]
fn any_session_of_an_account_or_its_node_may_be_killed_on_two_nodes() {
    for seed in 1..=effort(3, 30) {
        kill_any_of_them(Place::Two(Nodes::start(2, &MULTI)), seed);
    }
}
