//! All state of the rules: plain data below every rule. Nothing here decides what to send to a client.

pub(crate) mod absences;
pub(crate) mod alerts;
pub(crate) mod backlog;
pub(crate) mod bounded_map;
pub(crate) mod bucket;
pub(crate) mod capabilities;
pub(crate) mod cluster;
pub(crate) mod connections;
pub(crate) mod cursors;
pub(crate) mod login_throttle;
pub(crate) mod network_buckets;
pub(crate) mod nodes;
pub(crate) mod own_sent;
pub(crate) mod password_queue;
pub(crate) mod passwords;
pub(crate) mod pending;
pub(crate) mod presence_changes;
pub(crate) mod rates;
pub(crate) mod reads;
pub(crate) mod recent;
pub(crate) mod reply_to;
pub(crate) mod sessions;
pub(crate) mod typing;
pub(crate) mod unended;
pub(crate) mod views;

use crate::conn::ConnId;
use crate::contract::message::StreamId;
use crate::contract::presence::{self, SetStatus, Status};
use crate::contract::session::ClaimId;
use crate::contract::{Epoch, Requester, Ticket, TokenHash};
use crate::counters::Counters;
use crate::limits::{BUSY_RETRY_MS, GOING_AWAY, OUTPUT_HARD, TRIES_MAX, WAITING_MAX};
use crate::map::{Map, map};
use crate::network::Network;
use crate::settings::Rules;
use absences::Absences;
use alerts::Alerts;
use bucket::{Rate, UNIT};
use cluster::Cluster;
use connections::Connections;
use cursors::Cursors;
use login_throttle::LoginThrottle;
use network_buckets::NetworkBuckets;
use passwords::Passwords;
use pending::PendingRequests;
use presence_changes::PresenceChanges;
use rates::{Buckets, Rates};
use reads::Reads;
use reply_to::ReplyTo;
use sessions::{DeviceHash, SessionRef, Sessions};
use std::hash::BuildHasher;
use typing::Typing;
use unended::Unended;
use views::Views;
use wire::message::server_cid;
use wire::{Errno, Refusal, UnixMillis, UserId};

#[derive(Debug)]
pub(crate) struct State {
    pub rules: Rules,
    /// Random bits of this run: seed the maps, and make generated `cid`s unique.
    pub boot: u64,
    /// The number of `cid`s generated so far.
    generated_cids: u64,
    /// The number of append streams begun so far.
    streams: u64,
    /// The number of sessions claimed so far.
    claims: u64,
    /// That of what a session has set last.
    status_at: u64,
    pub connections: Connections,
    pub sessions: Sessions,
    pub absences: Absences,
    pub pending: PendingRequests,
    pub cursors: Cursors,
    pub passwords: Passwords,
    pub login_throttle: LoginThrottle,
    /// Accounts registered by each network.
    pub registrations: NetworkBuckets,
    pub alerts: Alerts,
    pub rates: Rates,
    pub presence_changes: PresenceChanges,
    pub reads: Reads,
    pub typing: Typing,
    /// Sessions with tracks, to be swept next.
    pub with_tracks: Vec<SessionRef>,
    /// Sessions with a failed timeline read, to be retried at the next tick.
    pub failed_reads: Vec<SessionRef>,
    /// The reads of timelines for sessions that are in flight, at most one for each.
    pub feeds: Map<SessionRef, Ticket>,
    /// Connections whose backlog is stalled, to be retried at the next tick.
    pub stalled_backlogs: Vec<ConnId>,
    /// Bytes sent to a connection and not known to be written from which on its session falls behind.
    pub session_output_max: u32,
    /// Connections with deferred requests, to be retried at the next tick.
    pub deferring: Vec<ConnId>,
    /// What of ended sessions could not be stored.
    pub unended: Unended,
    /// Conversations of which other sessions are being told how they are seen.
    pub views: Views,
    pub draining: bool,
    pub counters: Counters,
    pub cluster: Cluster,
}

impl State {
    pub fn new(rules: Rules, boot: u64) -> State {
        State {
            rates: Rates::new(rules.messages_per_second, rules.requests_per_second, boot),
            reads: Reads::new(rules.reads_waiting, boot),
            registrations: NetworkBuckets::new(Rate::per_hour(rules.registrations_per_hour), TRIES_MAX, boot),
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
            passwords: Passwords::new(boot),
            login_throttle: LoginThrottle::new(boot),
            presence_changes: PresenceChanges::new(boot),
            typing: Typing::default(),
            alerts: Alerts::default(),
            with_tracks: Vec::new(),
            failed_reads: Vec::new(),
            feeds: map(boot),
            stalled_backlogs: Vec::new(),
            session_output_max: OUTPUT_HARD as u32,
            deferring: Vec::new(),
            unended: Unended::default(),
            claims: 0,
            status_at: 0,
            views: Views::new(boot),
            draining: false,
            counters: Counters::default(),
        }
    }

    /// Whether the connection of a request is open.
    pub fn is_connected(&self, reply_to: ReplyTo) -> bool {
        reply_to.conn().is_some_and(|conn| self.connections.get(conn).is_some())
    }

    /// The network that a connection comes from.
    pub fn network_of(&self, conn: ConnId) -> Option<Network> {
        self.connections.get(conn).map(|connection| Network::of(connection.peer))
    }

    /// The session of a connection that is logged in.
    pub fn session_of(&self, conn: ConnId) -> Option<SessionRef> {
        self.connections.get(conn)?.session
    }

    /// The epoch of a session; [`Epoch::NONE`] if it has ended or is not fenced.
    pub fn epoch_of(&self, session: SessionRef) -> Epoch {
        self.sessions.get(session).map_or(Epoch::NONE, |live| live.epoch)
    }

    /// Returns to the session's rate what a message took that does not count towards it.
    pub fn put_back_message(&mut self, session: SessionRef) {
        if let Some(buckets) = self.sessions.buckets_of(session) {
            self.rates.messages.put_back(&mut buckets.messages, UNIT);
        }
    }

    /// The same of an account that sent it without a session.
    pub fn put_back_message_of(&mut self, user: UserId, now: u64) {
        let rate = self.rates.messages;
        self.with_buckets(user, now, |buckets| rate.put_back(&mut buckets.messages, UNIT));
    }

    /// Works with the budgets of an account, whether or not it has a session here.
    pub fn with_buckets<T>(&mut self, user: UserId, now: u64, work: impl FnOnce(&mut Buckets) -> T) -> T {
        let session = self.sessions.of(user).next().map(|(key, _)| key);
        if let Some(buckets) = session.and_then(|key| self.sessions.buckets_of(key)) {
            return work(buckets);
        }
        let mut buckets = self.rates.restore(user);
        let done = work(&mut buckets);
        self.rates.keep(user, buckets, now);
        done
    }

    /// A `cid` for a message that arrived without one.
    pub fn next_cid(&mut self) -> Box<str> {
        self.generated_cids += 1;
        server_cid(self.boot, self.generated_cids)
    }

    /// Identifies the next claim.
    pub fn next_claim(&mut self) -> ClaimId {
        self.claims += 1;
        ClaimId(self.claims)
    }

    /// What a client calls itself, hashed.
    pub fn device_hash(&self, device: Option<&str>) -> DeviceHash {
        DeviceHash(foldhash::fast::FixedState::with_seed(self.boot).hash_one(device))
    }

    /// Whether a session of the user on this node, connected or within its grace, lives by a token.
    pub fn lives_by(&self, user: UserId, token: &TokenHash) -> bool {
        self.sessions.of(user).any(|(_, live)| live.token == *token)
            || self.absences.of(user).any(|absent| absent.token == *token)
    }

    /// The next append stream; ids ascend.
    pub fn next_stream(&mut self) -> StreamId {
        self.streams += 1;
        StreamId(self.streams)
    }

    /// Whether a user has a session here, connected or within its grace.
    pub fn is_present(&self, user: UserId) -> bool {
        self.sessions.is_online(user) || self.absences.contains(user)
    }

    /// What a user shows by the sessions on this node; `None`: there is none.
    pub fn status(&self, user: UserId) -> Option<Status> {
        presence::of_account(self.sets_of(user))
    }

    /// What each of the sessions of a user on this node has set.
    pub fn sets_of(&self, user: UserId) -> impl Iterator<Item = Option<&SetStatus>> {
        let connected = self.sessions.of(user).map(|(_, live)| live.status.as_deref());
        connected.chain(self.absences.of(user).map(|absent| absent.status.as_deref()))
    }

    /// Whether that is all that the user shows: no other node may have a session.
    pub fn knows_status(&self, user: UserId) -> bool {
        match self.cluster {
            Cluster::Solo => true,
            Cluster::Joined(_) => {
                self.sessions.is_online(user)
                    && !self.sessions.has_several(user)
                    && !self.absences.contains(user)
            }
        }
    }

    /// The order of what sessions set: later than the last, and where the clocks of nodes agree, than that of other nodes.
    pub fn next_status_at(&mut self, now: UnixMillis) -> u64 {
        self.status_at = now.0.max(self.status_at + 1);
        self.status_at
    }

    /// The refusal of a new request, if the server is draining or overloaded.
    pub fn refusal_to_begin(&self) -> Option<Refusal> {
        if self.draining {
            return Some(Refusal::later(Errno::Busy, GOING_AWAY, BUSY_RETRY_MS));
        }
        (self.pending.len() - self.pending.appends >= WAITING_MAX)
            .then(|| Refusal::later(Errno::Busy, "too many requests are waiting", BUSY_RETRY_MS))
    }

    /// The refusal of a new request that reads, if its requester has too many reads waiting.
    pub fn refusal_to_read(&self, requester: Requester) -> Option<Refusal> {
        self.reads.is_full(requester).then(|| {
            let refusal = Refusal::later(Errno::Busy, "too many of your requests are waiting", BUSY_RETRY_MS);
            refusal.with_limit("limits.reads_waiting")
        })
    }
}
