//! The state that all connections of one reactor share: the time, work lists of the current turn, limits. It knows
//! connections by their ids only.

mod handshakes;
pub(crate) mod legacy;
mod ready;

pub(crate) use handshakes::PER_TURN as HANDSHAKES_PER_TURN;
pub(crate) use ready::{ReadyQueue, TRANSIENT_PER_TURN};

use crate::config::{NetConfig, TlsConfig};
use crate::counters::Counters;
use crate::deadline::{Spans, Tick};
use crate::moderation::Moderation;
use crate::output::Pool;
use crate::output_budget::OutputBudget;
use crate::pending_logins::PendingLogins;
use crate::wheel::Wheel;
use handshakes::HandshakeQueue;
use ipnet::IpNet;
use legacy::LegacyContext;
use logic::{ConnId, Input};
use mio::Registry;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;
use wire::Dialect;

pub(crate) struct Context {
    /// Read once a turn.
    pub now: Tick,
    /// For logic, at the end of the turn.
    pub inputs: Vec<Input>,
    /// When sockets are polled next.
    pub moderation: Moderation,
    /// Logic's inbox was full: `inputs` wait, and nothing is read that would add to them.
    pub inbox_full: bool,
    /// Connections with output to flush at the end of the turn, each once.
    pub deliveries: Vec<ConnId>,
    /// The same where the output is answers, which are flushed after deliveries.
    pub answers: Vec<ConnId>,
    /// Connections with input to continue in the next turns, each once.
    pub ready: ReadyQueue,
    /// Connections whose TLS handshake can go on in the next turns, each once.
    pub handshakes: HandshakeQueue,
    /// One entry for the next deadline of each connection, and some that are outdated.
    pub wheel: Wheel<ConnId>,
    /// Output buffers that no connection needs at the moment.
    pub pool: Pool,
    pub legacy: LegacyContext,
    /// Memory for a message of a WebSocket while it is handled.
    pub message: Vec<u8>,
    pub pending_logins: Arc<PendingLogins>,
    pub output_budget: Arc<OutputBudget>,
    /// Connections with a request for a page that waits for room in `output_budget`, each once, oldest first.
    pub awaiting_budget: VecDeque<ConnId>,
    pub counters: Arc<Counters>,
    pub registry: Registry,
    pub limits: Limits,
    pub tls: Option<TlsConfig>,
    /// Addresses whose PROXY headers are trusted.
    proxies: Arc<[IpNet]>,
}

/// The limits of each connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of a request after login.
    pub frame_bytes: usize,
    /// Unwritten bytes above which a connection is not read: its requests would only add to them.
    pub high_water: usize,
    pub spans: Spans,
}

impl Context {
    pub fn new(
        registry: Registry,
        pending_logins: Arc<PendingLogins>,
        output_budget: Arc<OutputBudget>,
        config: &NetConfig,
    ) -> Context {
        Context {
            now: Tick(0),
            inputs: Vec::new(),
            moderation: Moderation::new(Instant::now()),
            inbox_full: false,
            deliveries: Vec::new(),
            answers: Vec::new(),
            ready: ReadyQueue::default(),
            handshakes: HandshakeQueue::default(),
            wheel: Wheel::new(),
            pool: Pool::default(),
            legacy: LegacyContext::new(config.style, config.pace),
            message: Vec::new(),
            pending_logins,
            output_budget,
            awaiting_budget: VecDeque::new(),
            counters: Arc::default(),
            registry,
            limits: Limits {
                frame_bytes: config.frame_bytes,
                high_water: config.high_water,
                spans: config.timeouts.into(),
            },
            tls: config.tls.clone(),
            proxies: config.proxies.as_slice().into(),
        }
    }

    /// Whether a connection that is not encrypted is refused. `is_near`: nobody else reads what it sends.
    pub fn refuses_plain(&self, dialect: Dialect, is_near: bool) -> bool {
        let Some(TlsConfig { required, legacy_plain, .. }) = &self.tls else { return false };
        required.refuses_plain(is_near) && !(dialect == Dialect::Legacy && *legacy_plain)
    }

    /// Whether a connection from this address crosses no network: its peer is this machine or a trusted proxy. A PROXY
    /// header changes nothing about that.
    pub fn is_near(&self, peer: IpAddr) -> bool {
        peer.to_canonical().is_loopback() || self.is_proxy(peer)
    }

    /// Whether PROXY headers from this address are trusted.
    pub fn is_proxy(&self, peer: IpAddr) -> bool {
        self.proxies.iter().any(|network| network.contains(&peer))
    }
}
