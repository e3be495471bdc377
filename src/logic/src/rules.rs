//! [`Logic`]: what drives the rules. Everything it decides is in the files named after its nouns.

use crate::bus::{BusInput, BusOrder};
use crate::cluster::{Cluster, entry, line, place, watch};
use crate::conn::ConnId;
use crate::contract::{self, Denial, Epoch, Found, Ticket, Write, Written};
use crate::cursor::Cursors;
use crate::effect::{Effects, Order, PasswordResult};
use crate::grace::Absences;
use crate::guard::Guard;
use crate::limits::{CURSOR_MS, DRAIN_RETRY_MS, DRAIN_SPREAD_MS, DRAIN_STEP_MS, SWEEP_MS, TICK_MS};
use crate::login::{TokenReady, Verified};
use crate::parked::{Asked, Overdue, Parked, Parking, Stage};
use crate::rate::Rates;
use crate::session::Sessions;
use crate::state::{Connections, State};
use crate::{
    Input, Now, Rules, account, cluster, contact, delivery, grace, group, listing, login, message, receipt,
    request, waiting_line, welcome,
};
use wire::presence::Presence;
use wire::session::GoingAway;
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
        let mut state = State {
            rates: Rates::new(rules.messages_per_second, boot),
            absences: Absences::new(rules.grace, boot),
            rules,
            boot,
            nameless: 0,
            flights: 0,
            connections: Connections::default(),
            sessions: Sessions::new(boot),
            parking: Parking::default(),
            cursors: Cursors::new(boot),
            guard: Guard::new(boot),
            warm: Vec::new(),
            stuck: Vec::new(),
            lines: Vec::new(),
            draining: false,
            cluster: None,
        };
        state.cluster = state.rules.cluster.clone().map(|run| Box::new(Cluster::new(run, boot)));
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

    /// Whether nobody and no message waits for storage or passwords, and every cursor is written.
    pub fn is_settled(&self) -> bool {
        let state = &self.state;
        state.parking.is_settled() && state.lines.is_empty() && state.cursors.is_empty()
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
                let (done, left_out) = match written {
                    Written::Timeline(contract::timeline::Written::CursorsMoved { left_out }) => {
                        (Some(count), left_out)
                    }
                    _ => (None, Vec::new()),
                };
                if let Some(moves) = state.cursors.end_write(done, &left_out) {
                    let stage = Stage::Cursors(moves.len());
                    state.write(
                        now,
                        None,
                        stage,
                        Write::Timeline(contract::timeline::Write::MoveCursors(moves)),
                        fx,
                    );
                }
            }
            (
                Stage::LoginToken { device, made },
                Written::Session(contract::session::Written::TokenReady { user, name, token }),
            ) => {
                login::token_ready(state, now, asked, TokenReady { device, made, user, name, token }, fx);
            }
            (Stage::LoginToken { .. }, Written::Denied(Denial::TokenInvalid)) => {
                if let Some(asked) = asked {
                    let sentence = "the token is expired, revoked or unknown; log in by password";
                    state.refuse(now, asked, Errno::TokenInvalid, sentence, fx);
                }
            }
            (Stage::Logout(session), Written::Done) => login::revoked(state, now, asked, session, fx),
            (
                Stage::RegisterAccount,
                Written::Account(contract::account::Written::Created { user, token }),
            ) => {
                account::made(state, now, asked, user, token, fx);
            }
            (Stage::RegisterAccount, Written::Denied(Denial::NameTaken)) => {
                account::taken(state, now, asked, fx);
            }
            (
                Stage::AddFriend { user, message },
                Written::Contact(contract::contact::Written::Friends { peer, .. }),
            ) => {
                contact::added(state, now, asked, (user, message), peer, fx);
            }
            (Stage::AddFriend { .. }, Written::Denied(Denial::NotFound)) => {
                contact::refused(state, now, asked, Errno::NotFound, fx);
            }
            (Stage::AddFriend { .. }, Written::Denied(Denial::Conflict)) => {
                contact::refused(state, now, asked, Errno::Conflict, fx);
            }
            (Stage::AddFriend { .. }, Written::Denied(Denial::Oneself)) => {
                contact::refused(state, now, asked, Errno::BadRequest, fx);
            }
            (Stage::CreateGroup, Written::Group(contract::group::Written::Created(id))) => {
                group::created(state, now, asked, id, fx);
            }
            (Stage::JoinGroup { session, conversation }, written) => {
                let joined = matches!(written, Written::Done);
                group::join_over(state, session, conversation, joined, fx);
                match written {
                    Written::Done => done(state, now, asked, fx),
                    Written::Denied(Denial::Conflict) => {
                        group::join_refused(state, now, asked, Errno::Conflict, fx);
                    }
                    Written::Denied(Denial::NotFound) => {
                        group::join_refused(state, now, asked, Errno::NotFound, fx);
                    }
                    other => not_done(state, now, asked, &other, fx),
                }
            }
            (
                Stage::Entering(entering),
                Written::Session(contract::session::Written::Claimed { epoch, before }),
            ) => {
                entry::claimed(state, now, asked, *entering, (epoch, before), fx);
            }
            (Stage::Entering(entering), Written::Denied(Denial::Conflict)) => {
                entry::refused(state, now, asked, *entering, Errno::AlreadyOnline, fx);
            }
            (Stage::Entering(entering), _) => {
                entry::refused(state, now, asked, *entering, Errno::Unavailable, fx);
            }
            (Stage::Expire(user), Written::Done) => grace::over(state, now, user, fx),
            (Stage::Expire(_), _) => {}
            (Stage::Seen { unheard: true }, Written::Unavailable) => watch::unheard(state, now),
            (Stage::Nothing | Stage::Seen { .. }, _) => {}
            (_, written) => not_done(state, now, asked, &written, fx),
        }
    }

    /// A read was answered.
    pub fn handle_found(&mut self, now: Now, ticket: Ticket, found: Found, fx: &mut Effects) {
        let state = &mut self.state;
        let Some(Parked { asked, stage, since, .. }) = state.parking.take(ticket) else { return };
        match (stage, found) {
            (Stage::LoginAccount(login), Found::Account(contract::account::Found::Password(account))) => {
                login::account_known(state, now, asked, *login, account, fx);
            }
            (
                Stage::LoginView { session, token },
                Found::Session(contract::session::Found::LoginView(view)),
            ) => {
                login::view_read(state, now, asked, (session, token), view, fx);
            }
            (
                Stage::LoginFriends { session, token, view },
                Found::Presence(contract::presence::Found::Online(online)),
            ) => {
                login::view_ready(state, now, asked, session, *token, (*view, online), fx);
            }
            (
                Stage::LoginGroups { session, token },
                Found::Group(contract::group::Found::GroupIds(groups)),
            ) => {
                entry::groups_known(state, now, asked, Stage::LoginView { session, token }, groups, fx);
            }
            (
                Stage::LoginView { session, .. }
                | Stage::LoginFriends { session, .. }
                | Stage::LoginGroups { session, .. },
                _,
            ) => login::view_failed(state, now, asked, session, fx),
            (Stage::RegisterName(register), Found::Account(contract::account::Found::Password(holder))) => {
                account::name_known(state, now, asked, register, holder, fx);
            }
            (Stage::Listing { user }, found) => listing::found(state, now, asked, user, found, fx),
            (
                Stage::Standing { session, conversation, seq, read },
                Found::Timeline(contract::timeline::Found::Standing(standing)),
            ) => {
                receipt::standing_known(state, now, asked, session, (conversation, seq, read), standing, fx);
            }
            (Stage::Welcome(welcoming), found) => {
                welcome::members_known(state, now, asked, *welcoming, found, fx);
            }
            (
                Stage::Feed { session, conversation },
                Found::Timeline(contract::timeline::Found::Feed { messages, more }),
            ) => {
                delivery::fed(state, now, session, conversation, messages, more, fx);
            }
            (Stage::Feed { session, .. }, _) => delivery::feed_failed(state, session),
            (Stage::Unread(session), Found::Timeline(contract::timeline::Found::Unread(page))) => {
                delivery::unread_known(state, now, session, page, fx);
            }
            (Stage::Unread(session), _) => delivery::unread_failed(state, session),
            (Stage::Presence(user), Found::Contact(contract::contact::Found::FriendIds(friends))) => {
                contact::gone(state, now, user, &friends, fx);
            }
            (Stage::ListingOnline(reply), Found::Presence(contract::presence::Found::Online(online))) => {
                listing::online_known(state, now, asked, *reply, &online, fx);
            }
            (
                Stage::FriendOnline { user, peer },
                Found::Presence(contract::presence::Found::Online(online)),
            ) => {
                if !online.is_empty() {
                    contact::announce(state, now, peer, Presence::Online, &[user], fx);
                }
            }
            (
                Stage::Line { conversation, serial },
                Found::Timeline(contract::timeline::Found::Feed { messages, more }),
            ) => {
                line::fed(state, now, (conversation, serial), (messages, more), fx);
            }
            (Stage::Line { conversation, serial }, Found::Node(contract::node::Found::Roster(roster))) => {
                line::roster_known(state, now, (conversation, serial), since, roster.map(|r| *r), fx);
            }
            (Stage::Line { conversation, serial }, _) => {
                line::read_failed(state, now, (conversation, serial));
            }
            (Stage::Claims, Found::Node(contract::node::Found::Claims { now: at, claims, unheard })) => {
                watch::claims_known(state, now, since, (at, claims), unheard, fx);
            }
            (Stage::Changes, Found::Node(contract::node::Found::Changes(changes))) => {
                watch::changes_known(state, now, *changes, fx);
            }
            (stage @ (Stage::Claims | Stage::Changes), _) => watch::read_failed(state, now, &stage),
            (_, Found::Unavailable) => state.unavailable(now, asked, fx),
            (_, _) => internal(state, now, asked, fx),
        }
    }

    /// The bus has something to say.
    pub fn handle_bus(&mut self, now: Now, input: BusInput, fx: &mut Effects) {
        cluster::handle(&mut self.state, now, input, fx);
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
            (!state.cursors.is_still()).then_some(self.next_cursors),
            sweeps.then_some(self.next_sweep),
            state.absences.next(),
            state.cluster.as_ref().map(|cluster| cluster.next_timeout()),
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
                    Overdue::Line => waiting_line::give_up(state, asked.conn, fx),
                    Overdue::Login(session) => login::view_failed(state, now, Some(asked), session, fx),
                    Overdue::Other => state.unavailable(now, Some(asked), fx),
                }
            }
            for session in std::mem::take(&mut state.stuck) {
                delivery::retry(state, now, session, fx);
            }
            waiting_line::retry_all(state, now, fx);
        }
        grace::expire(state, now, fx);
        if state.cluster.as_ref().is_some_and(|cluster| cluster.next_timeout() <= now.monotonic) {
            cluster::timeout(state, now, fx);
        }
        if now.monotonic >= self.next_cursors {
            self.next_cursors = now.monotonic + CURSOR_MS;
            state.cursors.begin_round();
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
        let node = place::elsewhere(state);
        // Whoever is still logging in is told after the reply.
        for (nth, session) in (0..).zip(state.sessions.iter().filter(|session| session.joining.is_none())) {
            // Spread evenly, so that they do not come back all at once.
            let wait = DRAIN_RETRY_MS + nth * DRAIN_STEP_MS % DRAIN_SPREAD_MS;
            go_away(session.conn, wait, node.clone(), fx);
        }
        // What waits in a line would be lost with it.
        waiting_line::retry_all(state, now, fx);
        if state.cluster.is_some() {
            fx.bus.push(BusOrder::Leave);
        }
        write_cursors(state, now, fx);
        self.next_cursors = now.monotonic + TICK_MS;
    }
}

/// Tells a client that the server stops: when to come again, and where.
pub(crate) fn go_away(conn: ConnId, retry_after_ms: u64, node: Option<Box<str>>, fx: &mut Effects) {
    let push = GoingAway { reason: "it is being stopped".into(), retry_after_ms, node };
    fx.order(conn, Order::Push { conn, push: Push::Session(wire::session::Push::GoingAway(Box::new(push))) });
}

fn sent(
    state: &mut State,
    now: Now,
    asked: Option<Asked>,
    sending: &crate::parked::Sending,
    written: Written,
    fx: &mut Effects,
) {
    let asked = if sending.in_line { waiting_line::answered(state, asked, sending, &written) } else { asked };
    match written {
        Written::Message(contract::message::Written::Appended { message, members, member_version }) => {
            message::stored(state, now, asked, sending, message, (members, member_version), fx);
        }
        Written::Message(contract::message::Written::Duplicate(contract::message::Stored {
            conversation,
            seq,
            time,
        })) => {
            message::duplicate(state, now, asked, sending, (conversation, seq, time), fx);
        }
        Written::Denied(Denial::NotFound) => message::refused(state, now, asked, Errno::NotFound, fx),
        Written::Denied(Denial::Forbidden) => message::refused(state, now, asked, Errno::Forbidden, fx),
        Written::Denied(Denial::Oneself) => message::refused(state, now, asked, Errno::BadRequest, fx),
        Written::Unavailable if sending.in_line => message::put_back(state, sending),
        Written::Superseded => message::superseded(state, now, asked, sending, fx),
        Written::Unavailable => message::unknown(state, now, asked, sending, fx),
        _ => internal(state, now, asked, fx),
    }
}

/// A write that was not carried out.
fn not_done(state: &mut State, now: Now, asked: Option<Asked>, written: &Written, fx: &mut Effects) {
    match written {
        Written::Unavailable => state.unavailable(now, asked, fx),
        Written::Superseded => {
            let Some(asked) = asked else { return };
            let session = state.session_of(asked.conn).and_then(|key| state.sessions.get(key));
            let held = session.map(|session| (session.user, session.epoch));
            state.refuse(now, asked, Errno::NotLoggedIn, login::ENDED, fx);
            if let Some((user, epoch)) = held {
                cluster::superseded(state, now, user, Epoch(epoch.0 + 1), None, fx);
            }
        }
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
        state.write(
            now,
            None,
            Stage::Cursors(moves.len()),
            Write::Timeline(contract::timeline::Write::MoveCursors(moves)),
            fx,
        );
    }
}

fn sweep(state: &mut State, now: Now) {
    let lines = state.cluster.is_some();
    if let Some(cluster) = &mut state.cluster {
        cluster.lines.sweep(now.monotonic);
    }
    for key in std::mem::take(&mut state.warm) {
        let Some(session) = state.sessions.get_mut(key) else { continue };
        // Where lines may begin again, a cursor must be stored before it can stand for a track.
        session
            .sweep(now.monotonic, |user, track| lines && state.cursors.is_moving(track.conversation, user));
        session.warm = !session.tracks.is_empty();
        if session.warm {
            state.warm.push(key);
        }
    }
    state.guard.sweep(now.monotonic);
    state.rates.sweep(now.monotonic);
}
