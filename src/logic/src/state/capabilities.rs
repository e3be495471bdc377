//! What the client of a session can do, which its dialect decides. This is the one place in the rules that knows what
//! a legacy client lacks.

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

    /// Whether pushed bytes are bounded too. A legacy client's window bounds its output by itself.
    pub fn bounds_output(self) -> bool {
        !self.is_legacy
    }

    /// Whether it understands pushes other than messages: presence, receipts, friendships.
    pub fn receives_events(self) -> bool {
        !self.is_legacy
    }

    /// Whether messages that its user sent on another connection are pushed to it. A legacy client has shown them.
    pub fn receives_own_messages(self) -> bool {
        !self.is_legacy
    }

    /// Whether a request can be refused. A legacy client has no reply to read a refusal from.
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

    /// Whether its messages form an ordered stream that the server retries, because no reply tells the client to.
    pub fn sends_ordered_stream(self) -> bool {
        self.is_legacy
    }
}
