//! The driver's side of [`Session`]: connection results, timeouts, and the `poll_*` methods.

use crate::event::{Event, Failure, LogoutReason, Lost};
use crate::requests::Purpose;
use crate::state::{Connection, ConnectionAction, Leaving, ListingState, Open, Phase, Session};
use crate::timeline::BACKFILLS_MAX;
use crate::timing::{CONNECT_MS, HEARTBEAT_MS, NODE_CONNECT_MS, SILENCE_MS};

impl Session {
    /// The requested connection is established.
    pub fn handle_connected(&mut self, now: u64) {
        if matches!(self.connection, Connection::Connecting { .. }) {
            self.connection = Connection::Open(Open {
                phase: Phase::Anonymous,
                last_heard: now,
                next_heartbeat: now + HEARTBEAT_MS,
                leaving: None,
            });
            self.events.push_back(Event::Connected);
            self.pump(now);
        }
    }

    /// The connection is lost, or could not be established.
    pub fn handle_disconnected(&mut self, now: u64, why: Lost) {
        if matches!(self.connection, Connection::Connecting { .. } | Connection::Open(_)) {
            self.lose(now, why);
        }
    }

    /// Handles everything that is due. Must be called at [`Session::next_timeout`]; may be called at any time.
    pub fn handle_timeout(&mut self, now: u64) {
        match &self.connection {
            Connection::Idle => {}
            Connection::Waiting { until } => {
                if *until <= now {
                    self.connect_now(now);
                }
            }
            Connection::Connecting { deadline } => {
                if *deadline <= now {
                    let patience = if self.route.is_away() { NODE_CONNECT_MS } else { CONNECT_MS };
                    let why = format!("no answer within {} seconds", patience / 1000);
                    self.drop_connection(now, Lost::Unreachable(why));
                }
            }
            Connection::Open(Open { last_heard, leaving, .. }) => {
                let (last_heard, leaving) = (*last_heard, *leaving);
                self.handle_open_timeout(now, last_heard, leaving);
            }
        }
    }

    fn handle_open_timeout(&mut self, now: u64, last_heard: u64, leaving: Option<Leaving>) {
        if now >= last_heard + SILENCE_MS {
            return self.drop_connection(now, Lost::Silent);
        }
        if leaving.is_some_and(|leaving| leaving.close_at <= now) {
            return self.drop_connection(now, Lost::GoingAway);
        }
        while let Some(purpose) = self.requests.pop_overdue(now) {
            self.handle_no_reply(now, purpose);
            if !matches!(self.connection, Connection::Open(_)) {
                return;
            }
        }
        if let Connection::Open(open) = &self.connection
            && open.next_heartbeat <= now
        {
            self.send_heartbeat(now);
        }
        self.outbox.handle_timeout(now);
        self.pump(now);
    }

    fn handle_no_reply(&mut self, now: u64, purpose: Purpose) {
        match purpose {
            Purpose::Caller(request) | Purpose::Set(request, _) | Purpose::Clear(request, _) => {
                self.events.push_back(Event::Failed { request, failure: Failure::TimedOut });
            }
            // A connection that leaves these unanswered is useless, whatever else arrives on it.
            Purpose::Login | Purpose::Send(_) => self.drop_connection(now, Lost::NoAnswer),
            Purpose::Logout => self.end(LogoutReason::Asked),
            Purpose::Backfill(conversation) => self.backfill_failed(now, conversation, 0),
            Purpose::Compare(conversation) => self.comparison_failed(now, conversation, 0),
            Purpose::Listing => self.listing_failed(now, 0),
            // Any byte proves that the server is alive; this one is not needed.
            Purpose::Heartbeat => {}
            // The nodes known so far stay in use.
            Purpose::Nodes => {}
        }
    }

    /// When [`Session::handle_timeout`] must be called next, in milliseconds; `None`: no timeout is pending.
    pub fn next_timeout(&self) -> Option<u64> {
        let open = match &self.connection {
            Connection::Idle => return None,
            Connection::Waiting { until } => return Some(*until),
            Connection::Connecting { deadline } => return Some(*deadline),
            Connection::Open(open) => open,
        };
        let will_log_in = open.phase == Phase::Anonymous && open.leaving.is_none() && self.has_login();
        let listing_at = match self.listing {
            ListingState::Due { at, .. } => Some(at),
            _ => None,
        };
        let may_request = self.may_request();
        let when_online = |at: Option<u64>| at.filter(|_| may_request);
        [
            Some(open.last_heard + SILENCE_MS),
            Some(open.next_heartbeat),
            open.leaving.map(|leaving| leaving.close_at),
            will_log_in.then_some(self.login_at),
            self.requests.next_deadline(),
            when_online(self.cursor_updates.next()),
            when_online(self.backfills.next().filter(|_| self.backfills_in_flight < BACKFILLS_MAX)),
            when_online(listing_at),
            when_online(self.comparisons.next()),
            when_online(self.outbox.next_retry().filter(|_| self.comparisons.is_empty())),
            when_online(Some(self.nodes_at)),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The node to connect to, `host:port`; `None`: the configured address. To be taken on
    /// [`ConnectionAction::Connect`].
    pub fn take_other_node(&mut self) -> Option<Box<str>> {
        self.other_node.take()
    }

    pub fn poll_connection(&mut self) -> Option<ConnectionAction> {
        self.actions.pop_front()
    }

    /// Appends to `out` the bytes for the open connection; returns whether there were any.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        let some = !self.out.is_empty();
        out.append(&mut self.out);
        some
    }

    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}
