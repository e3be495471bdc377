//! What goes wrong in a run besides messages.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use wire::Refusal;

/// What went wrong besides messages, by name: refusals by their error, lost connections, pushes that end a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorCounts(BTreeMap<Cow<'static, str>, u64>);

/// What some of it cheapest_login, and what to do about it: by name.
const HINTS: &[(&str, &str)] = &[
    ("RATE_LIMITED", "start the server with limits.messages_per_second=0"),
    ("TOKEN_INVALID", "a login by password makes the tokens of a file of accounts invalid"),
    (
        ErrorCounts::OVERRUN,
        "too much was outstanding, and the load was ended: the server, or this generator, cannot keep up with this rate",
    ),
    (ErrorCounts::SERVER_ENDED, "a process of --server-pid has ended; what it used is not known"),
    (ErrorCounts::BESIDE_ENDED, "a process of --beside has ended; what it used is not known"),
    (ErrorCounts::DISCONNECTED, "the server has closed connections, or has ended: its log says why"),
    (
        ErrorCounts::CANNOT_CONNECT,
        "this machine has no port or descriptor left for the generator (ulimit -n, --processes)",
    ),
];

impl ErrorCounts {
    /// A connection ended before the run did.
    pub const DISCONNECTED: &'static str = "disconnected";
    /// A process that `--server-pid` names was gone before the end.
    pub const SERVER_ENDED: &'static str = "server_ended";
    /// A process that `--beside` names was gone before the end.
    pub const BESIDE_ENDED: &'static str = "beside_ended";
    /// A heartbeat came back wrong.
    pub const WRONG_HEARTBEAT: &'static str = "wrong_heartbeat";
    /// A heartbeat was not answered before the next one was due.
    pub const SILENT_HEARTBEAT: &'static str = "heartbeat_unanswered";
    /// Something came that this side can make nothing of.
    pub const UNEXPECTED: &'static str = "unexpected_frame";
    /// More was outstanding than the generator keeps account of.
    pub const OVERRUN: &'static str = "overrun";
    /// A client that was to log in is not.
    pub const NOT_LOGGED_IN: &'static str = "not_logged_in";
    /// A sender of the legacy dialect was not answered behind what it had sent.
    pub const NOT_CONFIRMED: &'static str = "not_confirmed";
    /// No connection could be begun: no port or descriptor is left.
    pub const CANNOT_CONNECT: &'static str = "cannot_connect";
    /// A message that was to be sent was not, for lack of time.
    pub const NOT_SENT: &'static str = "not_sent";
    /// A page of a history was not what was asked for.
    pub const WRONG_HISTORY: &'static str = "wrong_history";

    pub fn note(&mut self, what: &'static str) {
        self.note_many(what, 1);
    }

    pub fn note_many(&mut self, what: &'static str, count: u64) {
        if count > 0 {
            *self.0.entry(Cow::Borrowed(what)).or_default() += count;
        }
    }

    /// Counts a refusal.
    pub fn note_refusal(&mut self, refusal: &Refusal) {
        self.note(refusal.errno.name());
    }

    /// Adds another one's counts.
    pub fn add(&mut self, other: &ErrorCounts) {
        for (name, count) in &other.0 {
            *self.0.entry(name.clone()).or_default() += count;
        }
    }

    /// Whether there was none.
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Each with its count.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, count)| (&**name, *count))
    }

    /// Hints for the person at the keyboard, each behind what it is about.
    pub fn hints(&self) -> impl Iterator<Item = &'static (&'static str, &'static str)> {
        HINTS.iter().filter(|(name, _)| self.0.contains_key(*name))
    }
}
