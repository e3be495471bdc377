//! All state of the rules: plain data below every rule. Nothing here decides what a client is told.

pub(crate) mod absences;
pub(crate) mod backlog;
pub(crate) mod capabilities;
pub(crate) mod cluster;
pub(crate) mod connections;
pub(crate) mod cursors;
pub(crate) mod login_throttle;
pub(crate) mod nodes;
pub(crate) mod pending;
pub(crate) mod rates;
pub(crate) mod reply_to;
pub(crate) mod sessions;

use crate::conn::ConnId;
use crate::contract::Epoch;
use crate::contract::message::StreamId;
use crate::limits::{BUSY_RETRY_MS, GOING_AWAY, PASSWORDS_MAX, WAITING_MAX};
use crate::settings::Rules;
use absences::Absences;
use cluster::Cluster;
use connections::Connections;
use cursors::Cursors;
use login_throttle::LoginThrottle;
use pending::PendingRequests;
use rates::Rates;
use sessions::{SessionRef, Sessions};
use wire::message::server_cid;
use wire::presence::Presence;
use wire::{Errno, Refusal, UserId};

#[derive(Debug)]
pub(crate) struct State {
    pub rules: Rules,
    /// Random bits of this run: seed the maps, and make generated `cid`s unique.
    pub boot: u64,
    /// How many `cid`s were generated.
    generated_cids: u64,
    /// How many streams of appends have begun.
    streams: u64,
    pub connections: Connections,
    pub sessions: Sessions,
    pub absences: Absences,
    pub pending: PendingRequests,
    pub cursors: Cursors,
    pub login_throttle: LoginThrottle,
    pub rates: Rates,
    /// Sessions with tracks, which the next sweep looks through.
    pub with_tracks: Vec<SessionRef>,
    /// Sessions whose read of a timeline failed, which the next tick repeats.
    pub failed_reads: Vec<SessionRef>,
    /// Connections whose backlog could not go on, which the next tick retries.
    pub stalled_backlogs: Vec<ConnId>,
    pub draining: bool,
    pub cluster: Cluster,
}

impl State {
    pub fn new(rules: Rules, boot: u64) -> State {
        State {
            rates: Rates::new(rules.messages_per_second, boot),
            absences: Absences::new(rules.grace, boot),
            cluster: Cluster::new(rules.cluster.clone(), boot),
            rules,
            boot,
            generated_cids: 0,
            streams: 0,
            connections: Connections::default(),
            sessions: Sessions::new(boot),
            pending: PendingRequests::default(),
            cursors: Cursors::new(boot),
            login_throttle: LoginThrottle::new(boot),
            with_tracks: Vec::new(),
            failed_reads: Vec::new(),
            stalled_backlogs: Vec::new(),
            draining: false,
        }
    }

    /// The session of a connection that is logged in.
    pub fn session_of(&self, conn: ConnId) -> Option<SessionRef> {
        self.connections.get(conn)?.session
    }

    /// The epoch of a session; [`Epoch::NONE`] where it has ended, or fences nothing.
    pub fn epoch_of(&self, session: SessionRef) -> Epoch {
        self.sessions.get(session).map_or(Epoch::NONE, |live| live.epoch)
    }

    /// A `cid` for a message that came without one.
    pub fn next_cid(&mut self) -> Box<str> {
        self.generated_cids += 1;
        server_cid(self.boot, self.generated_cids)
    }

    /// The next stream of appends, above all before it.
    pub fn next_stream(&mut self) -> StreamId {
        self.streams += 1;
        StreamId(self.streams)
    }

    /// Whether a user has a session here, connected or within its grace.
    pub fn is_present(&self, user: UserId) -> bool {
        self.sessions.is_online(user) || self.absences.contains(user)
    }

    /// The presence of a user as far as this node knows it.
    pub fn presence(&self, user: UserId) -> Presence {
        if self.is_present(user) { Presence::Online } else { Presence::Offline }
    }

    /// Why no request can begin now, if so.
    pub fn refusal_to_begin(&self) -> Option<Refusal> {
        if self.draining {
            return Some(Refusal::later(Errno::Busy, GOING_AWAY, BUSY_RETRY_MS));
        }
        (self.pending.len() - self.pending.appends >= WAITING_MAX)
            .then(|| Refusal::later(Errno::Busy, "too many requests are waiting", BUSY_RETRY_MS))
    }

    /// Why no further password can be hashed now, if so.
    pub fn refusal_to_hash(&self) -> Option<Refusal> {
        (self.pending.passwords >= PASSWORDS_MAX)
            .then(|| Refusal::later(Errno::Busy, "too many passwords are being checked", 5 * BUSY_RETRY_MS))
    }
}
