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
    open: [[Gauge; 2]; DIALECTS.len()],
}

/// What a connection speaks; `None`: nothing yet.
pub const DIALECTS: [Option<Dialect>; 3] = [None, Some(Dialect::Tlv), Some(Dialect::Legacy)];

impl Counters {
    /// Open connections that speak this.
    pub fn open(&self, dialect: Option<Dialect>, is_encrypted: bool) -> u64 {
        self.gauge(dialect, is_encrypted).get()
    }

    pub(crate) fn opened(&self, dialect: Option<Dialect>, is_encrypted: bool) {
        self.gauge(dialect, is_encrypted).increment();
    }

    pub(crate) fn closed(&self, dialect: Option<Dialect>, is_encrypted: bool) {
        self.gauge(dialect, is_encrypted).decrement();
        self.closed.add(1);
    }

    /// A connection that spoke nothing, without TLS, has begun to speak.
    pub(crate) fn became(&self, dialect: Option<Dialect>, is_encrypted: bool, was_encrypted: bool) {
        self.gauge(None, was_encrypted).decrement();
        self.opened(dialect, is_encrypted);
    }

    fn gauge(&self, dialect: Option<Dialect>, is_encrypted: bool) -> &Gauge {
        let row = match dialect {
            None => 0,
            Some(Dialect::Tlv) => 1,
            Some(Dialect::Legacy) => 2,
        };
        &self.open[row][usize::from(is_encrypted)]
    }
}
