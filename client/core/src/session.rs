//! Logging in and out, heartbeats, and pushes about the session itself.

use crate::event::{Event, Failure, LogoutReason, Lost, SendFailure};
use crate::requests::Purpose;
use crate::state::{Connection, Intent, KnownToken, Leaving, ListingState, Open, Options, Phase, Session};
use crate::timing::{HEARTBEAT_MS, LEAVING_MS, REPLY_MS, WAIT_MAX_MS};
use wire::account::Who;
use wire::kind::request;
use wire::session::{GoingAway, Listing, LoggedIn, Login, Push, Reply, Request};
use wire::{Command, Credentials, Errno, Heartbeat, Refusal, UnixMillis, UserId, frame};

impl Session {
    /// Logs in by password. One attempt: [`Event::LoggedIn`] or [`Event::LoginFailed`] reports the result. Later
    /// connections log in by the token of the reply.
    ///
    /// Shows the token of the last login in this session, if that was of the same account: other people's wrong
    /// passwords then do not hold up this login.
    pub fn login_password(&mut self, now: u64, who: Who, password: &str) {
        self.login_known(now, who, password, None);
    }

    /// The same, with a token of the account from an earlier session; expired and revoked ones serve as well.
    pub fn login_known(&mut self, now: u64, who: Who, password: &str, token: Option<&str>) {
        let of_session =
            || self.known.as_ref().filter(|known| known.is_of(&who)).map(|known| known.token.clone());
        let known = token.map(Into::into).or_else(of_session);
        let credentials = Credentials::Password { who, password: password.into() };
        self.login(now, Intent::Password { credentials, known });
    }

    /// Logs in by token, and retries until the server's answer is final: [`Event::LoggedIn`], or [`Event::LoggedOut`]
    /// with the reason.
    pub fn login_token(&mut self, now: u64, token: &str) {
        self.login(now, Intent::Token(token.into()));
    }

    fn login(&mut self, now: u64, intent: Intent) {
        let busy = matches!(&self.connection, Connection::Open(open) if open.phase != Phase::Anonymous);
        if busy {
            let refusal = Refusal::new(Errno::Conflict, "log out before another login");
            let failure = Failure::Refused(Box::new(refusal));
            return self.events.push_back(Event::LoginFailed(failure));
        }
        self.intent = intent;
        self.login_at = now;
        self.ensure_connection(now);
        self.pump(now);
    }

    /// Logs out, and revokes the token if the server can be reached. [`Event::LoggedOut`] follows. The outbox is kept
    /// until another account logs in.
    pub fn logout(&mut self, now: u64) {
        self.set_token(None);
        self.intent = Intent::Nobody;
        match &mut self.connection {
            Connection::Open(open) if matches!(open.phase, Phase::Online { .. }) => {
                open.phase = Phase::LoggingOut;
                self.flush_cursor_updates();
                self.transmit(now, &Command::Session(Request::Logout), Purpose::Logout);
            }
            _ => self.end(LogoutReason::Asked),
        }
    }

    pub(crate) fn pump_login(&mut self, now: u64) {
        let (credentials, known) = match &self.intent {
            Intent::Nobody => return,
            Intent::Password { credentials, known } => (credentials.clone(), known.clone()),
            Intent::Token(token) => (Credentials::Token(token.clone()), None),
        };
        if self.login_at <= now {
            self.set_phase(Phase::LoggingIn);
            let Options { device, kind, with_last, .. } = &self.options;
            let login = Login {
                device: device.clone(),
                kind: Some(*kind),
                known,
                with_last: *with_last,
                ..Login::new(credentials)
            };
            self.transmit(now, &Command::Session(Request::Login(login)), Purpose::Login);
        }
    }

    /// Sends a heartbeat. Its time is that of the driver's clock, because only this session reads it.
    pub(crate) fn send_heartbeat(&mut self, now: u64) {
        let Connection::Open(open) = &mut self.connection else { return };
        open.next_heartbeat = now + HEARTBEAT_MS;
        let user = match open.phase {
            Phase::Online { .. } => self.account.unwrap_or_default(),
            _ => UserId(0),
        };
        self.heartbeats = self.heartbeats.wrapping_add(1);
        let heartbeat = Heartbeat { sequence: self.heartbeats, time: UnixMillis(now), user };
        let number = self.requests.begin(Purpose::Heartbeat, now + REPLY_MS);
        frame::put_frame(&mut self.out, request::HEARTBEAT, number, |out| {
            out.extend_from_slice(&heartbeat.encode());
        });
    }

    // ---- replies ---------------------------------------------------------------------------------------------------

    pub(crate) fn handle_session_reply(&mut self, now: u64, purpose: Purpose, reply: wire::Reply) -> bool {
        match (purpose, reply) {
            (Purpose::Logout, _) => self.end(LogoutReason::Asked),
            (Purpose::Login, wire::Reply::Session(Reply::LoggedIn(login))) => {
                let is_other = self.account != Some(login.id) || self.is_other_server(&login);
                if self.options.persistent && is_other {
                    self.unsaved.loading = Some(login);
                } else {
                    self.logged_in(now, login);
                }
            }
            (Purpose::Login, wire::Reply::Refused(refusal)) => self.handle_login_refused(now, refusal),
            _ => return false,
        }
        true
    }

    fn handle_login_refused(&mut self, now: u64, refusal: Box<Refusal>) {
        if matches!(self.intent, Intent::Password { .. }) {
            self.intent = Intent::Nobody;
            self.set_phase(Phase::Anonymous);
            return self.events.push_back(Event::LoginFailed(Failure::Refused(refusal)));
        }
        match refusal.errno {
            Errno::Busy | Errno::RateLimited | Errno::Unavailable | Errno::Internal => {
                let backoff = self.backoff.fail(&mut self.random);
                self.login_at = now + refusal.retry_after_ms.unwrap_or(0).min(WAIT_MAX_MS) + backoff;
                self.set_phase(Phase::Anonymous);
            }
            Errno::AlreadyOnline => self.end(LogoutReason::AlreadyOnline(refusal)),
            // This address came from a node list and may reach an unrelated server. Only the configured address may
            // declare the token invalid.
            Errno::TokenInvalid if self.route.is_away() => self.drop_connection(now, Lost::SessionEnded),
            Errno::TokenInvalid => {
                self.set_token(None);
                self.end(LogoutReason::TokenInvalid(refusal));
            }
            _ => self.end(LogoutReason::Refused(refusal)),
        }
    }

    pub(crate) fn logged_in(&mut self, now: u64, login: Box<LoggedIn>) {
        if self.account != Some(login.id) || self.is_other_server(&login) {
            self.change_account();
            self.account = Some(login.id);
        }
        self.learn_history(&login);
        while let Some(local) = self.outbox.take_expired(now) {
            self.events.push_back(Event::SendFailed { local, failure: SendFailure::Expired });
        }
        if let Some(token) = &login.token {
            self.intent = Intent::Token(token.clone());
            self.set_token(Some(token.clone()));
            self.known =
                Some(KnownToken { account: login.id, name: login.name.clone(), token: token.clone() });
        }
        self.set_phase(Phase::Online { since: now });
        self.route.arrived();
        (self.node, self.nodes_at) = (login.node.clone(), now);
        let conversations = login.conversations.clone();
        let more = login.conversations_more;
        self.events.push_back(Event::LoggedIn(login));
        for summary in conversations.iter() {
            self.learn_conversation(now, summary);
        }
        if let (true, Some(last)) = (more, conversations.last()) {
            self.listing = ListingState::Due { at: now, page: Some((last.time, last.conversation)) };
        }
    }

    /// Forgets the state of the previous account.
    fn change_account(&mut self) {
        self.conversations.clear();
        self.history = None;
        self.cursor_updates.clear();
        for local in self.outbox.take_all() {
            self.events.push_back(Event::SendFailed { local, failure: SendFailure::OtherAccount });
        }
    }

    // ---- pushes ----------------------------------------------------------------------------------------------------

    pub(crate) fn handle_session_push(&mut self, now: u64, push: Push) {
        match push {
            Push::Kicked(kicked) => {
                self.set_token(None);
                self.end(LogoutReason::Kicked(kicked));
            }
            Push::Probe => self.send_heartbeat(now),
            Push::GoingAway(notice) => self.handle_going_away(now, *notice),
            Push::Changed(changed) => {
                if changed.what.contains(&Listing::Conversations) {
                    self.restart_listing(now);
                }
                self.events.push_back(Event::Push(Push::Changed(changed).into()));
            }
        }
    }

    fn handle_going_away(&mut self, now: u64, notice: GoingAway) {
        let is_online = self.is_online();
        if let Connection::Open(Open { leaving, .. }) = &mut self.connection {
            let return_at = now + notice.retry_after_ms.min(WAIT_MAX_MS);
            *leaving = Some(Leaving { close_at: now + LEAVING_MS, return_at });
            // A server that has not accepted this account does not say where its token is sent.
            self.route.go_to(notice.node.filter(|_| is_online));
            self.events.push_back(Event::GoingAway { reason: notice.reason });
        }
    }
}
