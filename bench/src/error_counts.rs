//! Errors of a run besides those that the ledgers count: refusals, lost connections, pushes that end a session.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use wire::Refusal;

/// Counts by name. Refusals are counted by the name of their `errno`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorCounts(BTreeMap<Cow<'static, str>, u64>);

/// The likely causes of some errors, and remedies.
const HINTS: &[(&str, &str)] = &[
    ("RATE_LIMITED", "start the server with limits.messages_per_second=0 and limits.requests_per_second=0"),
    ("TOKEN_INVALID", "a login by password invalidates the tokens in the file of accounts"),
    (
        ErrorCounts::OVERRUN,
        "too many messages were outstanding and the load was ended: the server or this generator cannot keep up with the rate",
    ),
    (ErrorCounts::SERVER_ENDED, "a --server-pid process has ended; its usage is unknown"),
    (ErrorCounts::BESIDE_ENDED, "a --beside process has ended; its usage is unknown"),
    (ErrorCounts::DISCONNECTED, "the server closed connections or exited; see its log"),
    (
        ErrorCounts::CANNOT_CONNECT,
        "the generator has no free port or descriptor left (ulimit -n, --processes)",
    ),
];

impl ErrorCounts {
    /// A connection ended before the run did.
    pub const DISCONNECTED: &'static str = "disconnected";
    /// A `--server-pid` process ended during the run.
    pub const SERVER_ENDED: &'static str = "server_ended";
    /// A `--beside` process ended during the run.
    pub const BESIDE_ENDED: &'static str = "beside_ended";
    /// The reply to a heartbeat was malformed.
    pub const WRONG_HEARTBEAT: &'static str = "wrong_heartbeat";
    /// A heartbeat was not answered before the next one was due.
    pub const SILENT_HEARTBEAT: &'static str = "heartbeat_unanswered";
    /// Input that is malformed or does not belong here.
    pub const UNEXPECTED: &'static str = "unexpected_frame";
    /// More messages were outstanding than the generator can track.
    pub const OVERRUN: &'static str = "overrun";
    /// A client failed to log in in time.
    pub const NOT_LOGGED_IN: &'static str = "not_logged_in";
    /// A legacy message was not confirmed as stored.
    pub const NOT_CONFIRMED: &'static str = "not_confirmed";
    /// A connection could not be started: no port or descriptor is left.
    pub const CANNOT_CONNECT: &'static str = "cannot_connect";
    /// A message was not sent in time.
    pub const NOT_SENT: &'static str = "not_sent";
    /// A history page was not the requested one.
    pub const WRONG_HISTORY: &'static str = "wrong_history";
    /// A client shows something else than the timeline says, or a search answered something else than it must.
    pub const DIFFERENT: &'static str = "different";
    /// The timelines could not be read after the load.
    pub const NOT_COMPARED: &'static str = "not_compared";

    pub fn note(&mut self, name: &'static str) {
        self.note_many(name, 1);
    }

    pub fn note_many(&mut self, name: &'static str, count: u64) {
        if count > 0 {
            *self.0.entry(Cow::Borrowed(name)).or_default() += count;
        }
    }

    pub fn note_refusal(&mut self, refusal: &Refusal) {
        self.note(refusal.errno.name());
    }

    pub fn add(&mut self, other: &ErrorCounts) {
        for (name, count) in &other.0 {
            *self.0.entry(name.clone()).or_default() += count;
        }
    }

    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, count)| (&**name, *count))
    }

    /// The names that have a hint, with the hint.
    pub fn hints(&self) -> impl Iterator<Item = &'static (&'static str, &'static str)> {
        HINTS.iter().filter(|(name, _)| self.0.contains_key(*name))
    }
}
