//! What a reactor counts about itself.

use runtime::counters::{Counter, Gauge};
use wire::Dialect;

/// The counters of one reactor, which is their only writer.
#[derive(Debug, Default)]
// No other thread writes to the same cache lines, nor to those that are fetched with them.
#[repr(align(128))]
pub struct Counters {
    /// Turns of the loop.
    pub turns: Counter,
    /// Entries of timelines that were encoded for clients, once for each connection.
    pub delivered: Counter,
    /// Bytes read from clients, without TLS.
    pub received_bytes: Counter,
    /// Bytes written to clients, without TLS.
    pub sent_bytes: Counter,
    /// TLS handshakes that were completed.
    pub handshakes: Counter,
    /// Connections that are no more.
    pub closed: Counter,
    open: [[Gauge; TRANSPORTS.len()]; DIALECTS.len()],
}

/// What a connection speaks; `None`: nothing yet.
pub const DIALECTS: [Option<Dialect>; 3] = [None, Some(Dialect::Tlv), Some(Dialect::Legacy)];

/// What carries a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportKind {
    Tcp,
    Tls,
    WebSocket,
    /// A WebSocket over TLS.
    SecureWebSocket,
}

pub const TRANSPORTS: [TransportKind; 4] =
    [TransportKind::Tcp, TransportKind::Tls, TransportKind::WebSocket, TransportKind::SecureWebSocket];

impl TransportKind {
    pub(crate) fn of(is_websocket: bool, is_encrypted: bool) -> TransportKind {
        match (is_websocket, is_encrypted) {
            (false, false) => TransportKind::Tcp,
            (false, true) => TransportKind::Tls,
            (true, false) => TransportKind::WebSocket,
            (true, true) => TransportKind::SecureWebSocket,
        }
    }
}

impl Counters {
    /// Open connections that speak this.
    pub fn open(&self, dialect: Option<Dialect>, transport: TransportKind) -> u64 {
        self.gauge(dialect, transport).get()
    }

    pub(crate) fn opened(&self, dialect: Option<Dialect>, transport: TransportKind) {
        self.gauge(dialect, transport).increment();
    }

    pub(crate) fn closed(&self, dialect: Option<Dialect>, transport: TransportKind) {
        self.gauge(dialect, transport).decrement();
        self.closed.add(1);
    }

    /// A connection that spoke nothing has begun to speak.
    pub(crate) fn became(&self, dialect: Option<Dialect>, transport: TransportKind, before: TransportKind) {
        self.gauge(None, before).decrement();
        self.opened(dialect, transport);
    }

    fn gauge(&self, dialect: Option<Dialect>, transport: TransportKind) -> &Gauge {
        let row = match dialect {
            None => 0,
            Some(Dialect::Tlv) => 1,
            Some(Dialect::Legacy) => 2,
        };
        &self.open[row][transport as usize]
    }
}
