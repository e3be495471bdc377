//! What a session's client can do, as decided by its dialect. No other part of the rules knows what a legacy client
//! lacks.

use crate::limits::LEGACY_WINDOW;
use wire::Dialect;
use wire::limits::UNACKED_MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Capabilities {
    is_legacy: bool,
}

impl Capabilities {
    pub fn of(dialect: Dialect) -> Capabilities {
        Capabilities { is_legacy: dialect == Dialect::Legacy }
    }

    /// The most messages that may be pushed and not acknowledged.
    pub fn window(self) -> u32 {
        if self.is_legacy { LEGACY_WINDOW } else { UNACKED_MAX as u32 }
    }

    /// Whether pushed bytes are bounded as well. The window of a legacy client is small enough to bound them.
    pub fn bounds_output(self) -> bool {
        !self.is_legacy
    }

    /// Whether it understands pushes other than messages: presence, receipts, friendships.
    pub fn receives_events(self) -> bool {
        !self.is_legacy
    }

    /// Whether it is sent the entries of a timeline that are not messages. For other clients they are passed over and
    /// acknowledged.
    pub fn receives_entries(self) -> bool {
        !self.is_legacy
    }

    /// Whether messages that its user sent on another connection are pushed to it. A legacy client has already
    /// displayed them.
    pub fn receives_own_messages(self) -> bool {
        !self.is_legacy
    }

    /// Whether a request can be refused. The legacy protocol has no reply that could carry a refusal.
    pub fn can_be_refused(self) -> bool {
        !self.is_legacy
    }

    /// Whether its client knows its token, and so can resume the session or log in again with it.
    pub fn retains_token(self) -> bool {
        !self.is_legacy
    }

    /// Whether the answer to its login carries the members of its groups and the messages it missed.
    pub fn needs_welcome(self) -> bool {
        self.is_legacy
    }

    /// Whether its messages form an ordered stream that the server retries, because the client gets no reply that would
    /// make it retry.
    pub fn sends_ordered_stream(self) -> bool {
        self.is_legacy
    }
}
