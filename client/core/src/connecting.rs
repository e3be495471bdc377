//! The life of a connection: when to connect, how to clean up after a loss, and when to retry.

use crate::backoff::BASE_MS;
use crate::comparison::Comparisons;
use crate::event::{Event, Failure, LogoutReason, Lost};
use crate::requests::Purpose;
use crate::state::{Connection, ConnectionAction, Intent, ListingState, Open, Phase, Session};
use crate::timing::{CONNECT_MS, NODE_CONNECT_MS, STEADY_MS};

impl Session {
    /// Connects without a login. One attempt: [`Event::Connected`] or [`Event::Disconnected`] reports the result.
    pub fn connect(&mut self, now: u64) {
        self.ensure_connection(now);
    }

    /// Retries at once if the session is waiting for the next attempt.
    pub fn connect_if_wanted(&mut self, now: u64) {
        if matches!(self.connection, Connection::Waiting { .. }) {
            self.connect_now(now);
        }
    }

    pub(crate) fn ensure_connection(&mut self, now: u64) {
        if matches!(self.connection, Connection::Idle | Connection::Waiting { .. }) {
            self.connect_now(now);
        }
    }

    pub(crate) fn connect_now(&mut self, now: u64) {
        self.other_node = self.route.take_next();
        let patience = if self.route.is_away() { NODE_CONNECT_MS } else { CONNECT_MS };
        self.connection = Connection::Connecting { deadline: now + patience };
        self.actions.push_back(ConnectionAction::Connect);
    }

    /// Closes the connection from this side, then continues as after any loss.
    pub(crate) fn drop_connection(&mut self, now: u64, why: Lost) {
        self.close_connection();
        self.lose(now, why);
    }

    fn close_connection(&mut self) {
        // A requested attempt that has not begun is cancelled.
        self.actions.clear();
        self.actions.push_back(ConnectionAction::Close);
    }

    /// Handles a lost connection: discards its state and plans the next attempt.
    pub(crate) fn lose(&mut self, now: u64, why: Lost) {
        let connection = std::mem::replace(&mut self.connection, Connection::Idle);
        self.forget_connection(&why);
        let Connection::Open(Open { phase, leaving, .. }) = connection else {
            return self.plan_attempt(now, why, 0);
        };
        match phase {
            Phase::LoggingOut => return self.events.push_back(Event::LoggedOut(LogoutReason::Asked)),
            Phase::Online { since } if now >= since + STEADY_MS => self.backoff.reset(),
            _ => {}
        }
        self.plan_attempt(now, why, leaving.map_or(0, |leaving| leaving.return_at.saturating_sub(now)));
    }

    /// Plans the next attempt, if there is to be one, at least `at_least` milliseconds from now.
    fn plan_attempt(&mut self, now: u64, why: Lost, at_least: u64) {
        match &self.intent {
            Intent::Token(_) => {
                // The pause grows with every attempt at the configured address; a node is tried soon after it.
                let pause = match self.route.turns_to_a_node() {
                    true => self.random.up_to(BASE_MS),
                    false => self.backoff.fail(&mut self.random),
                };
                let wait = at_least + pause;
                self.connection = Connection::Waiting { until: now + wait };
                self.login_at = now;
                self.events.push_back(Event::Disconnected { why, retry_in_ms: Some(wait) });
            }
            Intent::Password { .. } => {
                self.intent = Intent::Nobody;
                self.events.push_back(Event::LoginFailed(Failure::Lost(why)));
            }
            Intent::Nobody => self.events.push_back(Event::Disconnected { why, retry_in_ms: None }),
        }
    }

    fn forget_connection(&mut self, why: &Lost) {
        self.out.clear();
        self.partial.clear();
        self.unsaved.loading = None;
        self.comparisons = Comparisons::default();
        let asked = self.requests.take_all().filter_map(Purpose::of_caller);
        let asked = asked.chain(self.before_login.drain(..).map(|(request, _)| request));
        let failures = asked.map(|request| Event::Failed { request, failure: Failure::Lost(why.clone()) });
        self.events.extend(failures);
        self.outbox.connection_lost();
        self.backfills.clear();
        self.backfills_in_flight = 0;
        self.listing = ListingState::Complete;
        for conversation in self.conversations.values_mut() {
            conversation.buffer.connection_lost();
            conversation.backfilling = false;
            conversation.empty_backfills = 0;
            conversation.backfill_not_before = 0;
        }
    }

    /// Ends the login for good: the session does not log in again by itself.
    pub(crate) fn end(&mut self, reason: LogoutReason) {
        self.intent = Intent::Nobody;
        self.route.forget();
        if !matches!(self.connection, Connection::Idle | Connection::Waiting { .. }) {
            self.close_connection();
        }
        self.connection = Connection::Idle;
        self.forget_connection(&Lost::ByUser);
        self.backoff.reset();
        self.events.push_back(Event::LoggedOut(reason));
    }
}
