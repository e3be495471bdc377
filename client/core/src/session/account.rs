//! Who is logged in: commands of the account, and what becomes of a connection.

use super::{
    CONNECT_MS, Catalogue, Intent, Link, LinkAction, NODE_CONNECT_MS, Open, Phase, STEADY_MS, Session,
};
use crate::backoff::BASE_MS;
use crate::event::{Event, Failure, LogoutReason, Lost, SendFailure};
use crate::requests::{Purpose, RequestId};
use wire::account::{Register, Who};
use wire::session::LoggedIn;
use wire::{Command, Credentials, Errno, Refusal};
use wire::{account, session};

impl Session {
    /// Asks for a connection although nobody logs in yet. One attempt: [`Event::Connected`] or
    /// [`Event::Disconnected`] says how it went.
    pub fn connect(&mut self, now: u64) {
        self.ensure_link(now);
    }

    /// Tries again at once, where a lost connection waits for its next attempt.
    pub fn connect_if_wanted(&mut self, now: u64) {
        if matches!(self.link, Link::Waiting { .. }) {
            self.connect_now(now);
        }
    }

    /// Logs in by a password. One attempt: [`Event::LoggedIn`] or [`Event::LoginFailed`] says how it went. Later
    /// connections log in by the token that came of it.
    pub fn login_password(&mut self, now: u64, who: Who, password: &str) {
        self.login(now, Intent::Password(Credentials::Password { who, password: password.into() }));
    }

    /// Logs in by a token, and goes on trying until the server gives an answer that waiting does not change:
    /// [`Event::LoggedIn`], or [`Event::LoggedOut`] with the reason.
    pub fn login_token(&mut self, now: u64, token: &str) {
        self.login(now, Intent::Token(token.into()));
    }

    fn login(&mut self, now: u64, intent: Intent) {
        let busy = matches!(&self.link, Link::Open(open) if open.phase != Phase::Anonymous);
        if busy {
            let refusal = Refusal::new(Errno::Conflict, "log out before another login");
            let failure = Failure::Refused(Box::new(refusal));
            return self.events.push_back(Event::LoginFailed(failure));
        }
        self.intent = intent;
        self.login_at = now;
        self.ensure_link(now);
        self.pump(now);
    }

    /// Makes an account. The reply comes as [`wire::Reply::Account`]; it logs nobody in.
    pub fn register(&mut self, now: u64, name: &str, password: &str) -> RequestId {
        let request = self.next_request();
        let register =
            Register { name: name.into(), password: password.into(), email: None, code: None, nick: None };
        self.greetings.push_back((request, Command::Account(account::Request::Register(Box::new(register)))));
        self.ensure_link(now);
        self.pump(now);
        request
    }

    /// Logs out, and revokes the token if the server can be reached. [`Event::LoggedOut`] follows; the outbox is kept
    /// until somebody else logs in.
    pub fn logout(&mut self, now: u64) {
        self.set_token(None);
        self.intent = Intent::Nobody;
        match &mut self.link {
            Link::Open(open) if matches!(open.phase, Phase::Online { .. }) => {
                open.phase = Phase::LoggingOut;
                self.report_all();
                self.transmit(now, &Command::Session(session::Request::Logout), Purpose::Logout);
            }
            _ => self.end(LogoutReason::Asked),
        }
    }

    pub(super) fn next_request(&mut self) -> RequestId {
        self.last_request += 1;
        RequestId(self.last_request)
    }

    // ---- the connection --------------------------------------------------------------------------------------------

    fn ensure_link(&mut self, now: u64) {
        if matches!(self.link, Link::Idle | Link::Waiting { .. }) {
            self.connect_now(now);
        }
    }

    pub(super) fn connect_now(&mut self, now: u64) {
        self.other_node = self.route.take_next();
        let patience = if self.route.is_away() { NODE_CONNECT_MS } else { CONNECT_MS };
        self.link = Link::Connecting { deadline: now + patience };
        self.actions.push_back(LinkAction::Connect);
    }

    /// Closes the connection from this side, and goes on as after any loss.
    pub(super) fn drop_link(&mut self, now: u64, why: Lost) {
        self.close_link();
        self.lose(now, why);
    }

    fn close_link(&mut self) {
        // One that was asked for and not yet begun need not begin.
        self.actions.clear();
        self.actions.push_back(LinkAction::Close);
    }

    /// The connection is gone: what it carried is undone, and the next attempt is planned.
    pub(super) fn lose(&mut self, now: u64, why: Lost) {
        let link = std::mem::replace(&mut self.link, Link::Idle);
        self.forget_connection(&why);
        let Link::Open(Open { phase, leaving, .. }) = link else {
            return self.plan(now, why, 0);
        };
        match phase {
            Phase::LoggingOut => return self.events.push_back(Event::LoggedOut(LogoutReason::Asked)),
            Phase::Online { since } if now >= since + STEADY_MS => self.backoff.reset(),
            _ => {}
        }
        self.plan(now, why, leaving.map_or(0, |(_, come_back)| come_back.saturating_sub(now)));
    }

    /// Plans the next attempt, `at_least` milliseconds from now, if there is to be one.
    fn plan(&mut self, now: u64, why: Lost, at_least: u64) {
        match &self.intent {
            Intent::Token(_) => {
                // The pause grows with every attempt at the given address; a node is tried soon after it.
                let pause = match self.route.turns_to_a_node() {
                    true => self.random.up_to(BASE_MS),
                    false => self.backoff.fail(&mut self.random),
                };
                let wait = at_least + pause;
                self.link = Link::Waiting { until: now + wait };
                self.login_at = now;
                self.events.push_back(Event::Disconnected { why, retry_in_ms: Some(wait) });
            }
            Intent::Password(_) => {
                self.intent = Intent::Nobody;
                self.events.push_back(Event::LoginFailed(Failure::Lost(why)));
            }
            Intent::Nobody => self.events.push_back(Event::Disconnected { why, retry_in_ms: None }),
        }
    }

    fn forget_connection(&mut self, why: &Lost) {
        self.out.clear();
        self.partial.clear();
        self.memory.recalling = None;
        let asked = self.requests.take_all().filter_map(|purpose| match purpose {
            Purpose::Asked(request) => Some(request),
            _ => None,
        });
        let asked = asked.chain(self.greetings.drain(..).map(|(request, _)| request));
        let failures = asked.map(|request| Event::Failed { request, failure: Failure::Lost(why.clone()) });
        self.events.extend(failures);
        self.outbox.connection_lost();
        self.fills.clear();
        self.fills_in_flight = 0;
        self.catalogue = Catalogue::Complete;
        for conversation in self.conversations.values_mut() {
            conversation.timeline.connection_lost();
            (conversation.filling, conversation.empty_fills, conversation.fill_not_before) = (false, 0, 0);
        }
    }

    /// The account is not logged in any more and will not be by itself.
    pub(super) fn end(&mut self, reason: LogoutReason) {
        self.intent = Intent::Nobody;
        self.route.forget();
        if !matches!(self.link, Link::Idle | Link::Waiting { .. }) {
            self.close_link();
        }
        self.link = Link::Idle;
        self.forget_connection(&Lost::ByUser);
        self.backoff.reset();
        self.events.push_back(Event::LoggedOut(reason));
    }

    // ---- what the server says ---------------------------------------------------------------------------------------

    pub(super) fn handle_login_reply(&mut self, now: u64, reply: Result<Box<LoggedIn>, Box<Refusal>>) {
        match (reply, &self.intent) {
            (Ok(login), _) if self.options.keeps_memory && self.account != Some(login.id) => {
                self.memory.recalling = Some(login);
            }
            (Ok(login), _) => self.logged_in(now, login),
            (Err(refusal), Intent::Password(_)) => {
                self.intent = Intent::Nobody;
                self.set_phase(Phase::Anonymous);
                self.events.push_back(Event::LoginFailed(Failure::Refused(refusal)));
            }
            (Err(refusal), _) => self.handle_token_refused(now, refusal),
        }
    }

    fn handle_token_refused(&mut self, now: u64, refusal: Box<Refusal>) {
        match refusal.errno {
            Errno::Busy | Errno::RateLimited | Errno::Unavailable | Errno::Internal => {
                let backoff = self.backoff.fail(&mut self.random);
                self.login_at =
                    now + refusal.retry_after_ms.unwrap_or(0).min(super::messages::WAIT_MAX_MS) + backoff;
                self.set_phase(Phase::Anonymous);
            }
            Errno::AlreadyOnline => self.end(LogoutReason::AlreadyOnline(refusal)),
            // Its address may lead somewhere else from here: only where the login was made can it end.
            Errno::TokenInvalid if self.route.is_away() => self.drop_link(now, Lost::SessionEnded),
            Errno::TokenInvalid => {
                self.set_token(None);
                self.end(LogoutReason::TokenInvalid(refusal));
            }
            _ => self.end(LogoutReason::Refused(refusal)),
        }
    }

    pub(super) fn logged_in(&mut self, now: u64, login: Box<LoggedIn>) {
        if self.account != Some(login.id) {
            self.change_account();
            self.account = Some(login.id);
        }
        while let Some(local) = self.outbox.take_expired(now) {
            self.events.push_back(Event::SendFailed { local, failure: SendFailure::Expired });
        }
        self.intent = Intent::Token(login.token.clone());
        self.set_token(Some(login.token.clone()));
        self.set_phase(Phase::Online { since: now });
        self.route.arrived();
        (self.node, self.nodes_at) = (login.node.clone(), now);
        let entries = login.conversations.clone();
        let more = login.conversations_more;
        self.events.push_back(Event::LoggedIn(login));
        for entry in &entries {
            self.learn_entry(now, entry);
        }
        if let (true, Some(last)) = (more, entries.last()) {
            self.catalogue = Catalogue::Due(now, Some((last.time, last.conversation)));
        }
    }

    /// Forgets all that belongs to the account before.
    fn change_account(&mut self) {
        self.conversations.clear();
        self.reports.clear();
        for local in self.outbox.take_all() {
            self.events.push_back(Event::SendFailed { local, failure: SendFailure::OtherAccount });
        }
    }

    pub(super) fn handle_kicked(&mut self, kicked: Box<session::Kicked>) {
        self.set_token(None);
        self.end(LogoutReason::Kicked(kicked));
    }

    pub(super) fn set_phase(&mut self, to: Phase) {
        if let Link::Open(open) = &mut self.link {
            open.phase = to;
        }
    }
}
