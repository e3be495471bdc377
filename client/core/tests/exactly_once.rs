//! A seeded simulation: every message is shown exactly once and in order, whatever happens to connections, replies and
//! the client itself.
//!
//! `SEED=n cargo test -p chatclient-core --test exactly_once` replays one seed, `SEEDS=n` runs that many.

#[path = "../../../src/server/tests/support/effort.rs"]
mod effort;
mod support;

use chatclient_core::outbox::Unsent;
use chatclient_core::random::Random;
use chatclient_core::snapshot::ConversationSnapshot;
use chatclient_core::{ConnectionAction, Event, Lost, Options, Session, Snapshot};
use effort::effort;
use std::collections::{BTreeMap, BTreeSet};
use support::{FakeConnection, FakeServer, Faults, ME, PASSWORD};
use wire::account::Who;
use wire::{Target, UserId};

const SEEDS: u64 = 400;
const SEEDS_LONG: u64 = 40_000;
const STEPS: u64 = 1_500;
/// Direct chats, one per peer.
const PEERS: u64 = 3;

struct Simulation {
    random: Random,
    now: u64,
    restarts: u64,
    per_target: usize,
    session: Session,
    store: FakeStore,
    server: FakeServer,
    connection: Option<FakeConnection>,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    /// The seqs shown to the user, per conversation, in order.
    shown: BTreeMap<u32, Vec<u64>>,
    sent: BTreeMap<u64, (u32, u64)>,
    written: BTreeMap<u32, Vec<String>>,
    texts: u64,
    calm: bool,
}

/// A store in memory, built from the changes.
#[derive(Default)]
struct FakeStore {
    account: Option<UserId>,
    token: Option<Box<str>>,
    next_number: u64,
    conversations: BTreeMap<wire::ConversationId, ConversationSnapshot>,
    unsent: BTreeMap<u64, Unsent>,
}

impl FakeStore {
    fn save(&mut self, changes: Snapshot) {
        (self.account, self.token, self.next_number) = (changes.account, changes.token, changes.next_number);
        let conversations = changes.conversations.into_iter().map(|saved| (saved.conversation, saved));
        self.conversations.extend(conversations);
        self.unsent.extend(changes.unsent.into_iter().map(|unsent| (unsent.local.0, unsent)));
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            account: self.account,
            server: None,
            history: None,
            token: self.token.clone(),
            next_number: self.next_number.max(1),
            conversations: self.conversations.values().cloned().collect(),
            unsent: self.unsent.values().cloned().collect(),
        }
    }
}

fn options(per_target: usize, seed: u64) -> Options {
    Options { per_target, persistent: true, ..Options::new(seed) }
}

impl Simulation {
    fn new(seed: u64) -> Simulation {
        let mut random = Random::new(seed);
        let faults = Faults {
            refuse: random.up_to(15),
            skip_push: random.up_to(5),
            forget_ack: random.up_to(50),
            hold_push: random.up_to(80),
        };
        let per_target = if random.up_to(1) == 0 { 1 } else { 64 };
        let mut server = FakeServer::new(seed, faults);
        server.page = 1 + random.up_to(3) as usize;
        let mut simulation = Simulation {
            now: 0,
            restarts: 0,
            per_target,
            session: Session::new(options(per_target, random.next_u64())),
            store: FakeStore::default(),
            random,
            server,
            connection: None,
            to_server: Vec::new(),
            to_client: Vec::new(),
            shown: BTreeMap::new(),
            sent: BTreeMap::new(),
            written: BTreeMap::new(),
            texts: 0,
            calm: false,
        };
        simulation.session.login_password(0, Who::Id(ME), PASSWORD);
        simulation
    }

    fn peer(&mut self) -> u32 {
        10 + self.random.up_to(PEERS - 1) as u32
    }

    fn step(&mut self) {
        self.now += self.random.up_to(40);
        if !self.calm {
            match self.random.up_to(99) {
                0..=19 => {
                    let peer = self.peer();
                    self.server.store(peer, UserId(peer), "theirs", None);
                }
                20..=29 => {
                    let peer = self.peer();
                    self.texts += 1;
                    let text = format!("mine {}", self.texts);
                    if self.session.send(self.now, Target::User(UserId(peer)), &text).is_ok() {
                        self.written.entry(peer).or_default().push(text);
                    }
                }
                30 => self.cut(),
                31 if self.random.up_to(9) == 0 => self.restart(),
                32 => {
                    let peer = self.peer();
                    self.session.read(self.now, wire::ConversationId(peer), wire::Seq(u64::MAX));
                }
                _ => {}
            }
        }
        if self.session.next_timeout().is_some_and(|at| at <= self.now) {
            self.session.handle_timeout(self.now);
        }
        self.handle_connection_actions();
        self.transfer();
        self.drain_events();
        if self.session.account().is_none() && !self.session.wants_connection() && self.connection.is_none() {
            self.session.login_password(self.now, Who::Id(ME), PASSWORD);
        }
    }

    fn handle_connection_actions(&mut self) {
        while let Some(action) = self.session.poll_connection() {
            self.to_server.clear();
            self.to_client.clear();
            self.connection = None;
            if action == ConnectionAction::Connect {
                if !self.calm && self.random.up_to(3) == 0 {
                    self.session.handle_disconnected(self.now, Lost::Unreachable("refused".into()));
                } else {
                    self.connection = Some(FakeConnection::default());
                    self.session.handle_connected(self.now);
                }
            }
        }
    }

    /// Moves some bytes in both directions, split anywhere.
    fn transfer(&mut self) {
        self.session.poll_transmit(&mut self.to_server);
        let Some(connection) = &mut self.connection else { return };
        let known = |peer: &u32| self.session.cursor(wire::ConversationId(*peer)).is_some();
        self.server.known = (10..10 + PEERS as u32).filter(known).collect();
        let some = self.random.up_to(self.to_server.len() as u64) as usize;
        let bytes: Vec<u8> = self.to_server.drain(..some).collect();
        self.server.receive(connection, &bytes);
        self.to_client.append(&mut connection.out);
        let some = self.random.up_to(self.to_client.len() as u64) as usize;
        let bytes: Vec<u8> = self.to_client.drain(..some).collect();
        self.session.handle_bytes(self.now, &bytes);
        if self.session.poll_load().is_some() {
            self.session.handle_loaded(self.now, Some(self.store.snapshot()));
        }
    }

    /// The network fails: bytes in flight are lost, except for some that the server received.
    fn cut(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            let some = self.random.up_to(self.to_server.len() as u64) as usize;
            self.server.receive(&mut connection, &self.to_server[..some]);
            self.to_server.clear();
            self.to_client.clear();
            self.session.handle_disconnected(self.now, Lost::Closed);
        }
    }

    /// The client is killed after its changes were saved.
    fn restart(&mut self) {
        self.drain_events();
        self.restarts += 1;
        let (mut whole, mut snapshot) = (self.session.snapshot(self.now), self.store.snapshot());
        let token = snapshot.token.clone();
        // The changes leave out conversations without any state, and report the time of the first attempt only once.
        whole.conversations.retain(|saved| self.store.conversations.contains_key(&saved.conversation));
        for unsent in whole.unsent.iter_mut().chain(&mut snapshot.unsent) {
            unsent.tried_ago_ms = unsent.tried_ago_ms.map(|_| 0);
        }
        assert_eq!(snapshot, whole, "the changes contain the whole state");
        (self.connection, self.to_server, self.to_client) = (None, Vec::new(), Vec::new());
        let options = options(self.per_target, self.random.next_u64());
        self.session = Session::restore(options, self.now, snapshot);
        match token {
            Some(token) => self.session.login_token(self.now, &token),
            None => self.session.login_password(self.now, Who::Id(ME), PASSWORD),
        }
    }

    fn drain_events(&mut self) {
        if let Some(changes) = self.session.poll_changes(self.now) {
            self.store.save(changes);
        }
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Message(message) => {
                    assert_ne!(message.from, ME, "an own message is reported as sent, not shown");
                    self.shown.entry(message.conversation.0).or_default().push(message.seq.0);
                }
                Event::Sent { local, conversation, seq, .. } => {
                    self.store.unsent.remove(&local.0);
                    let earlier = self.sent.insert(local.0, (conversation.0, seq.0));
                    assert_eq!(earlier, None, "reported as sent twice");
                }
                Event::SendFailed { .. } | Event::Missing { .. } | Event::LoggedOut(_) => {
                    panic!("unexpected: {event:?}");
                }
                _ => {}
            }
        }
    }

    fn run(mut self) {
        for _ in 0..STEPS {
            self.step();
        }
        self.calm = true;
        self.server.faults = Faults { skip_push: self.server.faults.skip_push, ..Faults::default() };
        // One more message, so that a skipped last push is noticed as a gap.
        for peer in 10..10 + PEERS as u32 {
            self.server.store(peer, UserId(peer), "the last message", None);
        }
        self.server.faults.skip_push = 0;
        let deadline = self.now + 600_000;
        while !(self.session.is_settled() && self.is_complete()) {
            assert!(self.now < deadline, "not settled: {:?}", self.session);
            self.step();
        }
        self.check();
    }

    fn is_complete(&self) -> bool {
        let cursor = |id: &u32| self.session.cursor(wire::ConversationId(*id));
        self.server
            .conversations
            .iter()
            .all(|(id, c)| cursor(id).is_some_and(|at| at.0 == c.messages.len() as u64))
    }

    fn check(&self) {
        for (id, conversation) in &self.server.conversations {
            let shown = self.shown.get(id).cloned().unwrap_or_default();
            assert!(shown.is_sorted_by(|a, b| a < b), "in order and once each: {shown:?}");
            let own = self.sent.values().filter(|place| place.0 == *id).map(|place| place.1);
            let all: BTreeSet<u64> = shown.iter().copied().chain(own.clone()).collect();
            assert_eq!(all.len(), shown.len() + own.count(), "either shown or sent");
            assert_eq!(all, (1..=conversation.messages.len() as u64).collect(), "nothing is missing");
            let (stored, mut written) =
                (self.server.texts(*id, ME), self.written.get(id).cloned().unwrap_or_default());
            if self.per_target > 1 {
                // With many messages in flight a refusal may reorder them, but none is lost or stored twice.
                let mut stored = stored;
                stored.sort();
                written.sort();
                assert_eq!(stored, written);
            } else {
                assert_eq!(stored, written, "stored once, in the order of writing");
            }
        }
    }
}

#[test]
fn every_message_arrives_exactly_once_and_in_order() {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    match number("SEED") {
        Some(seed) => Simulation::new(seed).run(),
        None => (0..number("SEEDS").unwrap_or_else(|| effort(SEEDS, SEEDS_LONG))).for_each(|seed| {
            let result = std::panic::catch_unwind(|| Simulation::new(seed).run());
            assert!(result.is_ok(), "replay with SEED={seed}");
        }),
    }
}

#[test]
fn a_seed_replays_exactly() {
    let run = || {
        let mut simulation = Simulation::new(3);
        (0..STEPS).for_each(|_| simulation.step());
        (
            simulation.now,
            simulation.restarts,
            simulation.shown,
            simulation.sent,
            simulation.session.snapshot(0),
        )
    };
    assert_eq!(run(), run());
}
