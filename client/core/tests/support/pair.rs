//! A session and the fake server on a fake clock.

use super::{FakeConnection, FakeServer, Faults, ME, PASSWORD};
use chatclient_core::{ConnectionAction, Event, Lost, Options, Session};
use wire::account::Who;
use wire::*;

/// A session and a server, connected without delay.
pub struct Pair {
    pub now: u64,
    /// The configured address does not answer.
    pub configured_is_down: bool,
    /// The targets of all connection attempts; `None`: the configured address.
    pub tried: Vec<Option<Box<str>>>,
    pub session: Session,
    pub server: FakeServer,
    pub connection: Option<FakeConnection>,
    pub reachable: bool,
    pub events: Vec<Event>,
}

impl Pair {
    pub fn new() -> Pair {
        Pair {
            now: 1_000,
            configured_is_down: false,
            tried: Vec::new(),
            session: Session::new(Options::new(7)),
            server: FakeServer::new(1, Faults::default()),
            connection: None,
            reachable: true,
            events: Vec::new(),
        }
    }

    pub fn online() -> Pair {
        let mut pair = Pair::new();
        pair.session.login_password(pair.now, Who::Id(ME), PASSWORD);
        pair.settle();
        assert!(pair.session.is_online());
        pair.events.clear();
        pair
    }

    /// Transfers bytes in both directions until there are none left.
    pub fn settle(&mut self) {
        loop {
            while let Some(action) = self.session.poll_connection() {
                let asked = matches!(action, ConnectionAction::Connect);
                let there = asked.then(|| self.session.take_other_node());
                let is_up = self.reachable && !(self.configured_is_down && there == Some(None));
                self.tried.extend(there);
                match action {
                    ConnectionAction::Close => self.connection = None,
                    ConnectionAction::Connect if is_up => {
                        self.connection = Some(FakeConnection::default());
                        self.session.handle_connected(self.now);
                    }
                    ConnectionAction::Connect => {
                        self.session.handle_disconnected(self.now, Lost::Unreachable("refused".into()));
                    }
                }
            }
            let mut bytes = Vec::new();
            self.session.poll_transmit(&mut bytes);
            if let Some(connection) = &mut self.connection {
                self.server.receive(connection, &bytes);
                let answer = std::mem::take(&mut connection.out);
                self.session.handle_bytes(self.now, &answer);
            }
            let before = self.events.len();
            while let Some(event) = self.session.poll_event() {
                self.events.push(event);
            }
            if bytes.is_empty() && self.events.len() == before {
                return;
            }
        }
    }

    /// Lets time pass and handles every timeout on the way.
    pub fn pass(&mut self, ms: u64) {
        let end = self.now + ms;
        while let Some(at) = self.session.next_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.session.handle_timeout(self.now);
            self.settle();
        }
        self.now = end;
    }

    pub fn lose(&mut self) {
        self.connection = None;
        self.session.handle_disconnected(self.now, Lost::Closed);
        self.settle();
    }

    pub fn push(&mut self, push: &Push) {
        let mut bytes = Vec::new();
        push.encode(&mut bytes);
        self.session.handle_bytes(self.now, &bytes);
        self.settle();
    }

    pub fn shown(&self) -> Vec<u64> {
        let seq = |event: &Event| match event {
            Event::Message(message) => Some(message.seq.0),
            _ => None,
        };
        self.events.iter().filter_map(seq).collect()
    }

    pub fn requests(&self, kind: u16) -> usize {
        let log = &self.connection.as_ref().expect("connected").requests;
        log.iter().filter(|logged| **logged == kind).count()
    }
}
