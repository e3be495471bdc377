//! [`Logic`]: what drives the rules. Everything it decides is in the files named after its nouns.

use crate::cursor::Cursors;
use crate::effect::{Effects, Order, PasswordResult};
use crate::guard::Guard;
use crate::limits::{CURSOR_MS, DRAIN_RETRY_MS, SWEEP_MS, TICK_MS};
use crate::login::{TokenReady, Verified};
use crate::parked::{Asked, Overdue, Parked, Parking, Stage};
use crate::rate::Rates;
use crate::session::Sessions;
use crate::state::{Connections, State};
use crate::store::{Found, Ticket, Write, Written};
use crate::{
    Input, Now, Rules, account, contact, delivery, group, line, listing, login, message, receipt, request,
    welcome,
};
use wire::push::GoingAway;
use wire::{Errno, Push};

/// Every rule of the chat server and all state they need.
#[derive(Debug)]
pub struct Logic {
    state: State,
    next_tick: u64,
    next_cursors: u64,
    next_sweep: u64,
}

impl Logic {
    /// A server that nobody has connected to yet. `boot` must differ between any two runs of any node (random bits):
    /// it seeds the maps, and makes the `cid`s that the server gives unique.
    pub fn new(rules: Rules, boot: u64) -> Logic {
        let state = State {
            rates: Rates::new(rules.messages_per_second, boot),
            rules,
            boot,
            nameless: 0,
            connections: Connections::default(),
            sessions: Sessions::new(boot),
            parking: Parking::default(),
            cursors: Cursors::new(boot),
            guard: Guard::new(boot),
            warm: Vec::new(),
            stuck: Vec::new(),
            lines: Vec::new(),
            draining: false,
        };
        Logic { state, next_tick: 0, next_cursors: 0, next_sweep: 0 }
    }

    /// Connections that have spoken.
    pub fn connections(&self) -> usize {
        self.state.connections.len()
    }

    /// Sessions in force.
    pub fn sessions(&self) -> usize {
        self.state.sessions.len()
    }

    /// Whether nothing waits for storage or passwords, and every cursor is written.
    pub fn is_settled(&self) -> bool {
        self.state.parking.is_empty() && self.state.cursors.is_empty()
    }

    /// Something came from a sub-reactor.
    pub fn handle_input(&mut self, now: Now, input: Input, fx: &mut Effects) {
        let state = &mut self.state;
        match input {
            Input::Opened { conn, peer, dialect } => state.connections.open(conn, peer, dialect),
            Input::Request { conn, request, command } => {
                request::arrive(state, now, conn, request, command, fx);
            }
            Input::Drained { conn } => delivery::drained(state, now, conn, fx),
            Input::Closed { conn } => login::closed(state, now, conn, fx),
        }
    }

    /// A write was committed, or not.
    pub fn handle_written(&mut self, now: Now, ticket: Ticket, written: Written, fx: &mut Effects) {
        let state = &mut self.state;
        let Some(Parked { asked, stage, .. }) = state.parking.take(ticket) else { return };
        match (stage, written) {
            (Stage::Send(sending), written) => sent(state, now, asked, &sending, written, fx),
            (Stage::Cursors(count), written) => {
                let done = (!matches!(written, Written::Unavailable)).then_some(count);
                if let Some(moves) = state.cursors.end_write(done) {
                    let stage = Stage::Cursors(moves.len());
                    state.write(now, None, stage, Write::MoveCursors(moves), fx);
                }
            }
            (Stage::LoginToken { device, made }, Written::TokenReady { user, name, token }) => {
                login::token_ready(state, now, asked, TokenReady { device, made, user, name, token }, fx);
            }
            (Stage::LoginToken { .. }, Written::TokenInvalid) => {
                if let Some(asked) = asked {
                    let sentence = "the token is expired, revoked or unknown; log in by password";
                    state.refuse(now, asked, Errno::TokenInvalid, sentence, fx);
                }
            }
            (Stage::Logout(session), Written::Done) => login::revoked(state, now, asked, session, fx),
            (Stage::RegisterAccount, Written::AccountCreated { user, token }) => {
                account::made(state, now, asked, user, token, fx);
            }
            (Stage::RegisterAccount, Written::NameTaken) => account::taken(state, now, asked, fx),
            (Stage::AddFriend { user, message }, Written::Friends { peer, .. }) => {
                contact::added(state, now, asked, (user, message), peer, fx);
            }
            (Stage::AddFriend { .. }, Written::NotFound) => {
                contact::refused(state, now, asked, Errno::NotFound, fx);
            }
            (Stage::AddFriend { .. }, Written::Conflict) => {
                contact::refused(state, now, asked, Errno::Conflict, fx);
            }
            (Stage::AddFriend { .. }, Written::Oneself) => {
                contact::refused(state, now, asked, Errno::BadRequest, fx);
            }
            (Stage::CreateGroup, Written::GroupCreated(id)) => group::created(state, now, asked, id, fx),
            (Stage::JoinGroup, Written::Done) => done(state, now, asked, fx),
            (Stage::JoinGroup, Written::Conflict) => {
                group::join_refused(state, now, asked, Errno::Conflict, fx);
            }
            (Stage::JoinGroup, Written::NotFound) => {
                group::join_refused(state, now, asked, Errno::NotFound, fx);
            }
            (Stage::Nothing, _) => {}
            (_, Written::Unavailable) => state.unavailable(now, asked, fx),
            (_, _) => internal(state, now, asked, fx),
        }
    }

    /// A read was answered.
    pub fn handle_found(&mut self, now: Now, ticket: Ticket, found: Found, fx: &mut Effects) {
        let state = &mut self.state;
        let Some(Parked { asked, stage, .. }) = state.parking.take(ticket) else { return };
        match (stage, found) {
            (Stage::LoginAccount(login), Found::Account(account)) => {
                login::account_known(state, now, asked, *login, account, fx);
            }
            (Stage::LoginView { session, back, token }, Found::Login(view)) => {
                login::view_ready(state, now, asked, session, back, *token, *view, fx);
            }
            (Stage::LoginView { session, .. }, _) => login::view_failed(state, now, asked, session, fx),
            (Stage::RegisterName(register), Found::Account(holder)) => {
                account::name_known(state, now, asked, register, holder, fx);
            }
            (Stage::Listing { user }, found) => listing::found(state, now, asked, user, found, fx),
            (Stage::Standing { session, conversation, seq, read }, Found::Standing(standing)) => {
                receipt::standing_known(state, now, asked, session, (conversation, seq, read), standing, fx);
            }
            (Stage::Welcome(welcoming), found) => {
                welcome::members_known(state, now, asked, *welcoming, found, fx);
            }
            (Stage::Feed { session, conversation }, Found::Feed { messages, more }) => {
                delivery::fed(state, now, session, conversation, messages, more, fx);
            }
            (Stage::Feed { session, .. }, _) => delivery::feed_failed(state, session),
            (Stage::Unread(session), Found::Unread(page)) => {
                delivery::unread_known(state, now, session, page, fx);
            }
            (Stage::Unread(session), _) => delivery::unread_failed(state, session),
            (Stage::Presence(user), Found::FriendIds(friends)) => contact::gone(state, user, &friends, fx),
            (_, Found::Unavailable) => state.unavailable(now, asked, fx),
            (_, _) => internal(state, now, asked, fx),
        }
    }

    /// The password thread is done.
    pub fn handle_password(&mut self, now: Now, ticket: Ticket, result: PasswordResult, fx: &mut Effects) {
        let state = &mut self.state;
        let Some(Parked { asked, stage, .. }) = state.parking.take(ticket) else { return };
        match (stage, result) {
            (Stage::LoginPassword { user, suspect, device }, PasswordResult::Verified(right)) => {
                login::password_checked(state, now, asked, Verified { user, suspect, device, right }, fx);
            }
            (Stage::RegisterPassword(register), PasswordResult::Hashed(hash)) => {
                account::hashed(state, now, asked, *register, hash, fx);
            }
            (_, _) => internal(state, now, asked, fx),
        }
    }

    /// When [`Logic::handle_timeout`] wants to be called, monotonic ms; `None`: not before something else happens.
    pub fn next_timeout(&self) -> Option<u64> {
        let state = &self.state;
        let ticks = !state.parking.is_empty() || !state.stuck.is_empty() || !state.lines.is_empty();
        let sweeps = !state.warm.is_empty() || !state.guard.is_empty() || !state.rates.is_empty();
        [
            ticks.then_some(self.next_tick),
            (!state.cursors.is_empty()).then_some(self.next_cursors),
            sweeps.then_some(self.next_sweep),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does what has become due.
    pub fn handle_timeout(&mut self, now: Now, fx: &mut Effects) {
        let state = &mut self.state;
        if now.monotonic >= self.next_tick {
            self.next_tick = now.monotonic + TICK_MS;
            for (asked, overdue) in state.parking.overdue(now.monotonic) {
                match overdue {
                    Overdue::Send(cid) => message::overdue(state, now, asked, cid, fx),
                    Overdue::Line => line::give_up(state, asked.conn, fx),
                    Overdue::Login(session) => login::view_failed(state, now, Some(asked), session, fx),
                    Overdue::Other => state.unavailable(now, Some(asked), fx),
                }
            }
            for session in std::mem::take(&mut state.stuck) {
                delivery::retry(state, now, session, fx);
            }
            for conn in std::mem::take(&mut state.lines) {
                line::retry(state, now, conn, fx);
            }
        }
        if now.monotonic >= self.next_cursors {
            self.next_cursors = now.monotonic + CURSOR_MS;
            write_cursors(state, now, fx);
        }
        if now.monotonic >= self.next_sweep {
            self.next_sweep = now.monotonic + SWEEP_MS;
            sweep(state, now);
        }
    }

    /// The server stops: everybody is told, nothing new begins, what is in flight goes on.
    pub fn drain(&mut self, now: Now, fx: &mut Effects) {
        let state = &mut self.state;
        state.draining = true;
        let push = GoingAway {
            reason: "the server is going away".into(),
            retry_after_ms: DRAIN_RETRY_MS,
            node: None,
        };
        for session in state.sessions.iter().filter(|session| session.joining.is_none()) {
            let conn = session.conn;
            fx.order(conn, Order::Push { conn, push: Push::GoingAway(Box::new(push.clone())) });
        }
        write_cursors(state, now, fx);
        self.next_cursors = now.monotonic + TICK_MS;
    }
}

fn sent(
    state: &mut State,
    now: Now,
    asked: Option<Asked>,
    sending: &crate::parked::Sending,
    written: Written,
    fx: &mut Effects,
) {
    let asked = if sending.in_line { line::answered(state, asked, sending, &written) } else { asked };
    match written {
        Written::Appended { message, members } => {
            message::stored(state, now, asked, sending, &message, &members, fx);
        }
        Written::Duplicate { conversation, seq, time } => {
            message::duplicate(state, now, asked, sending, (conversation, seq, time), fx);
        }
        Written::NotFound => message::refused(state, now, asked, Errno::NotFound, fx),
        Written::Forbidden => message::refused(state, now, asked, Errno::Forbidden, fx),
        Written::Oneself => message::refused(state, now, asked, Errno::BadRequest, fx),
        Written::Unavailable if sending.in_line => message::put_back(state, sending),
        Written::Unavailable => message::unknown(state, now, asked, sending, fx),
        _ => internal(state, now, asked, fx),
    }
}

fn done(state: &mut State, now: Now, asked: Option<Asked>, fx: &mut Effects) {
    if let Some(asked) = asked {
        state.answer(now, asked, wire::Reply::Done, fx);
    }
}

/// An answer that does not fit its question, or a machine out of memory: never silence.
fn internal(state: &mut State, now: Now, asked: Option<Asked>, fx: &mut Effects) {
    if let Some(asked) = asked {
        state.refuse(now, asked, Errno::Internal, "a fault of the server; its log has it", fx);
    }
}

fn write_cursors(state: &mut State, now: Now, fx: &mut Effects) {
    // A write that failed left moves behind; one that is under way is waited for.
    let moves = match state.cursors.begin_write() {
        Some(moves) => Some(moves),
        None if !state.parking.writes_cursors => state.cursors.retry_write(),
        None => None,
    };
    if let Some(moves) = moves {
        state.write(now, None, Stage::Cursors(moves.len()), Write::MoveCursors(moves), fx);
    }
}

fn sweep(state: &mut State, now: Now) {
    for key in std::mem::take(&mut state.warm) {
        let Some(session) = state.sessions.get_mut(key) else { continue };
        session.sweep();
        session.warm = !session.tracks.is_empty();
        if session.warm {
            state.warm.push(key);
        }
    }
    state.guard.sweep(now.monotonic);
    state.rates.sweep(now.monotonic);
}
