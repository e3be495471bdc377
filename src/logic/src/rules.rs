//! [`Logic`]: the dispatcher on top of the rules. It has one row for each noun; what a noun does is in its own file.

use crate::bus::BusInput;
use crate::conn::ConnId;
use crate::contract::{Found, Ticket, Written};
use crate::counters::Counters;
use crate::effect::{Effects, PasswordResult};
use crate::input::{Input, Now};
use crate::limits::{CURSOR_MS, OUTPUT_HARD, OUTPUT_HARD_MIN, SWEEP_MS, TICK_MS};
use crate::request::Caller;
use crate::settings::Rules;
use crate::state::State;
use crate::state::backlog::Deferred;
use crate::state::capabilities::Capabilities;
use crate::state::connections::Barrier;
use crate::state::pending::node::Listener;
use crate::state::pending::{Overdue, Pending, PendingRequest};
use crate::state::reply_to::ReplyTo;
use crate::turn::{FollowUp, Turn};
use crate::{
    account, budget, change, cluster, contact, delivery, group, message, node, password, presence,
    scheduling, session, sessionless, timeline,
};
use std::collections::VecDeque;
use wire::{Command, Errno};

/// Every rule of the chat server and all state they need.
#[derive(Debug)]
pub struct Logic {
    state: State,
    /// Empty between two calls; kept to reuse its allocation.
    follow_ups: VecDeque<FollowUp>,
    next_tick: u64,
    next_cursors: u64,
    next_sweep: u64,
}

impl Logic {
    /// A server without connections. `boot` holds random bits that differ between any two runs of any node. They seed
    /// the hash maps and make server-generated `cid`s unique.
    pub fn new(rules: Rules, boot: u64) -> Logic {
        Logic {
            state: State::new(rules, boot),
            follow_ups: VecDeque::new(),
            next_tick: 0,
            next_cursors: 0,
            next_sweep: 0,
        }
    }

    /// Connections that have sent a byte.
    pub fn connections(&self) -> usize {
        self.state.connections.len()
    }

    /// Sessions with a connection.
    pub fn sessions(&self) -> usize {
        self.state.sessions.len()
    }

    /// Messages that storage has been given and has not answered for yet.
    pub fn appends_in_flight(&self) -> usize {
        self.state.pending.appends
    }

    /// Requests that wait for storage, the password thread or the bus.
    pub fn pending(&self) -> usize {
        self.state.pending.len()
    }

    /// What was counted since the start.
    pub fn counters(&self) -> &Counters {
        &self.state.counters
    }

    /// Whether this node hears the bus; `None` on a single node.
    pub fn hears_bus(&self) -> Option<bool> {
        self.state.cluster.run().map(|_| self.state.cluster.has_bus())
    }

    /// Whether no request is pending, and every cursor and revocation is written.
    pub fn is_settled(&self) -> bool {
        let state = &self.state;
        state.pending.is_settled()
            && state.stalled_backlogs.is_empty()
            && state.deferring.is_empty()
            && state.unended.is_empty()
            && state.cursors.is_empty()
    }

    /// Sets how many bytes may be sent to a connection and not be known to be written before its session falls behind,
    /// from [`OUTPUT_HARD_MIN`] to [`OUTPUT_HARD`], the initial bound.
    pub fn set_session_output_max(&mut self, bytes: usize) {
        self.state.session_output_max = bytes.clamp(OUTPUT_HARD_MIN, OUTPUT_HARD) as u32;
    }

    /// Handles an input from a reactor.
    pub fn handle_input(&mut self, now: Now, input: Input, effects: &mut Effects) {
        let turn = &mut self.turn(now, effects);
        match input {
            Input::Opened { conn, peer, dialect } => {
                turn.state.connections.open(conn, peer, Capabilities::of(dialect), now.monotonic);
            }
            Input::Request { conn, request, command } => arrive(turn, conn, request, command),
            Input::Sessionless { conn, request } => sessionless::begin(turn, conn, *request),
            Input::Heartbeat { conn } => {
                if let Some(connection) = turn.state.connections.get_mut(conn) {
                    connection.heard = now.monotonic;
                }
            }
            Input::Drained { conn } => delivery::drained(turn, conn),
            Input::Closed { conn } => session::closed(turn, conn),
        }
        follow_up(turn);
    }

    /// Handles the outcome of a write: committed, refused or failed.
    pub fn handle_written(&mut self, now: Now, ticket: Ticket, written: Written, effects: &mut Effects) {
        let Some(PendingRequest { reply_to, pending, since, .. }) = self.state.pending.take(ticket) else {
            return;
        };
        let turn = &mut self.turn(now, effects);
        match pending {
            Pending::Message(pending) => message::written(turn, reply_to, pending, since, written),
            Pending::Change(pending) => change::written(turn, reply_to, pending, written),
            Pending::Timeline(pending) => timeline::written(turn, reply_to, pending, written),
            Pending::Session(pending) => session::written(turn, reply_to, pending, written),
            Pending::Sessionless(pending) => sessionless::written(turn, reply_to, pending, written),
            Pending::Account(pending) => account::written(turn, reply_to, pending, written),
            Pending::Contact(pending) => contact::written(turn, reply_to, pending, written),
            Pending::Group(pending) => group::written(turn, reply_to, pending, written),
            Pending::Node(pending) => node::written(turn, &pending, &written),
            Pending::Presence(pending) => presence::written(turn, reply_to, pending, &written),
            Pending::Nothing => {}
        }
        follow_up(turn);
    }

    /// Handles the result of a read.
    pub fn handle_found(&mut self, now: Now, ticket: Ticket, found: Found, effects: &mut Effects) {
        self.state.reads.answered(ticket);
        let Some(PendingRequest { reply_to, pending, .. }) = self.state.pending.take(ticket) else { return };
        let turn = &mut self.turn(now, effects);
        match pending {
            Pending::Timeline(pending) => timeline::found(turn, reply_to, pending, found),
            Pending::Session(pending) => session::found(turn, reply_to, pending, found),
            Pending::Sessionless(pending) => sessionless::found(turn, reply_to, pending, found),
            Pending::Account(pending) => account::found(turn, reply_to, pending, found),
            Pending::Contact(pending) => contact::found(turn, reply_to, pending, found),
            Pending::Group(pending) => group::found(turn, reply_to, pending, found),
            Pending::Presence(pending) => presence::found(turn, pending, found),
            Pending::Node(pending) => node::found(turn, pending, found),
            Pending::Message(_) | Pending::Change(_) | Pending::Nothing => turn.internal(reply_to),
        }
        follow_up(turn);
    }

    /// Handles the result of a password job.
    pub fn handle_password(
        &mut self,
        now: Now,
        ticket: Ticket,
        result: PasswordResult,
        effects: &mut Effects,
    ) {
        let turn = &mut self.turn(now, effects);
        password::finished(turn);
        if let Some(PendingRequest { reply_to, pending, .. }) = turn.state.pending.take(ticket) {
            match pending {
                Pending::Session(pending) => session::password_done(turn, reply_to, pending, result),
                Pending::Account(pending) => account::password_done(turn, reply_to, pending, result),
                _ => turn.internal(reply_to),
            }
        }
        // After the result is counted, because the next job may be a guess as well.
        password::run_next(turn);
        follow_up(turn);
    }

    /// Handles an input from the bus.
    pub fn handle_bus(&mut self, now: Now, input: BusInput, effects: &mut Effects) {
        let turn = &mut self.turn(now, effects);
        cluster::handle_bus(turn, input);
        follow_up(turn);
    }

    /// When [`Logic::handle_timeout`] must be called, monotonic ms; `None`: no timer is running.
    pub fn next_timeout(&self) -> Option<u64> {
        let state = &self.state;
        let ticks = !state.pending.is_empty()
            || !state.failed_reads.is_empty()
            || !state.stalled_backlogs.is_empty()
            || !state.deferring.is_empty()
            || !state.unended.is_empty();
        let sweeps = !state.with_tracks.is_empty()
            || !state.login_throttle.is_empty()
            || !state.registrations.is_empty()
            || !state.alerts.is_empty()
            || !state.rates.is_empty();
        [
            ticks.then_some(self.next_tick),
            (!state.cursors.is_still()).then_some(self.next_cursors),
            sweeps.then_some(self.next_sweep),
            state.absences.next(),
            state.presence_changes.next(),
            state.cluster.next_timeout(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Runs every timer that is due.
    pub fn handle_timeout(&mut self, now: Now, effects: &mut Effects) {
        if is_due(&mut self.next_tick, now, TICK_MS) {
            let turn = &mut self.turn(now, effects);
            tick(turn);
            follow_up(turn);
        }
        let turn = &mut self.turn(now, effects);
        session::expire_graces(turn);
        presence::handle_timeout(turn);
        cluster::handle_timeout(turn);
        follow_up(turn);
        if is_due(&mut self.next_cursors, now, CURSOR_MS) {
            self.state.cursors.begin_round();
            timeline::write_cursors(&mut self.turn(now, effects));
        }
        if is_due(&mut self.next_sweep, now, SWEEP_MS) {
            sweep(&mut self.turn(now, effects));
        }
    }

    /// Starts draining: notifies clients, accepts no new requests, and lets pending requests finish.
    pub fn drain(&mut self, now: Now, effects: &mut Effects) {
        let turn = &mut self.turn(now, effects);
        // Deferred messages would be lost when the server exits.
        begin_deferred(turn, true);
        turn.state.draining = true;
        session::tell_going_away(turn);
        // Messages still in a backlog are lost when the server exits.
        message::retry_backlogs(turn);
        turn.state.cluster.leave(turn.effects);
        timeline::write_cursors(turn);
        presence::record_last_seen(turn);
        follow_up(turn);
        self.next_cursors = now.monotonic + TICK_MS;
    }

    fn turn<'a>(&'a mut self, now: Now, effects: &'a mut Effects) -> Turn<'a> {
        Turn { state: &mut self.state, now, effects, follow_ups: &mut self.follow_ups }
    }
}

/// Carries out the queued follow-ups.
fn follow_up(turn: &mut Turn<'_>) {
    while let Some(next) = turn.follow_ups.pop_front() {
        carry_out(turn, next);
    }
}

fn carry_out(turn: &mut Turn<'_>, next: FollowUp) {
    match next {
        FollowUp::Begin(barrier) => {
            let Barrier { conn, reply_to, command } = *barrier;
            begin(turn, conn, reply_to, command);
        }
        FollowUp::Resume(reply_to, Listener::Session(pending)) => session::resume(turn, reply_to, pending),
        FollowUp::Resume(reply_to, Listener::Group(pending)) => group::resume(turn, reply_to, pending),
        FollowUp::Resume(_, Listener::Entry(entry)) => cluster::followed(turn, entry),
        FollowUp::Welcome(session) => session::send_welcome(turn, session),
        FollowUp::Superseded(fence) => cluster::check_session(turn, fence),
    }
}

/// Accepts a request, unless the budget of requests refuses or defers it.
fn arrive(turn: &mut Turn<'_>, conn: ConnId, request: u32, command: Command) {
    let charged = match budget::has_deferred(turn.state, conn) {
        true => Err(0),
        false => budget::charge(turn.state, conn, &command, turn.now.monotonic),
    };
    let Err(wait) = charged else { return accept(turn, conn, request, command) };
    let Err(Deferred { request, command }) = budget::defer(turn.state, conn, Deferred { request, command })
    else {
        return;
    };
    let Some(connection) = turn.state.connections.get_mut(conn) else { return };
    let reply_to = reply_to(conn, request, &command);
    // A receipt that is dropped only causes messages to be pushed again, and nothing is lost with a TYPING.
    if reply_to.is_nowhere() {
        return;
    }
    connection.outstanding += 1;
    turn.answer(reply_to, budget::refusal(wait));
}

/// Begins the deferred requests that the budgets allow. `is_free`: all of them.
fn begin_deferred(turn: &mut Turn<'_>, is_free: bool) {
    for conn in std::mem::take(&mut turn.state.deferring) {
        while let Some(Deferred { request, command }) =
            budget::next_deferred(turn.state, conn, turn.now.monotonic, is_free)
        {
            accept(turn, conn, request, command);
        }
        if budget::has_deferred(turn.state, conn) {
            turn.state.deferring.push(conn);
        }
    }
}

/// Where the answer goes. A receipt with number 0 gets no answer, so it does not count as outstanding.
fn reply_to(conn: ConnId, request: u32, command: &Command) -> ReplyTo {
    if request == 0 && command.is_receipt() {
        ReplyTo::Nowhere
    } else {
        ReplyTo::Request { conn, kind: command.kind(), request }
    }
}

/// Accepts a request. A barrier request is held until all earlier requests of its connection are answered.
fn accept(turn: &mut Turn<'_>, conn: ConnId, request: u32, command: Command) {
    let Some(connection) = turn.state.connections.get_mut(conn) else { return };
    let reply_to = reply_to(conn, request, &command);
    if command.is_barrier() && connection.outstanding > 0 {
        connection.barrier = Some(Box::new(Barrier { conn, reply_to, command }));
        return;
    }
    begin(turn, conn, reply_to, command);
}

/// Begins a request unless the session state or the load forbids it.
fn begin(turn: &mut Turn<'_>, conn: ConnId, reply_to: ReplyTo, command: Command) {
    let Some(connection) = turn.state.connections.get_mut(conn) else { return };
    connection.heard = turn.now.monotonic;
    if !reply_to.is_nowhere() {
        connection.outstanding += 1;
    }
    let caller = Caller { conn, session: connection.session };
    if caller.session.is_none() && command.needs_login() {
        return turn.refuse(reply_to, Errno::NotLoggedIn, "log in first");
    }
    if !begins_when_busy(&command)
        && let Some(refusal) = turn.state.refusal_to_begin()
    {
        return turn.answer(reply_to, refusal);
    }
    if is_read(&command)
        && let Some(refusal) = turn.state.refusal_to_read(scheduling::requester_on(turn.state, conn))
    {
        return turn.answer(reply_to, refusal);
    }
    match command {
        Command::Message(request) => message::begin(turn, reply_to, caller, request),
        Command::Change(request) => change::begin(turn, reply_to, caller, request),
        Command::Timeline(request) => timeline::begin(turn, reply_to, caller, request),
        Command::Session(request) => session::begin(turn, reply_to, caller, request),
        Command::Account(request) => account::begin(turn, reply_to, caller, request),
        Command::Contact(request) => contact::begin(turn, reply_to, caller, request),
        Command::Group(request) => group::begin(turn, reply_to, caller, request),
        Command::Presence(request) => presence::begin(turn, reply_to, caller, request),
        Command::Node(request) => node::begin(turn, reply_to, &request),
    }
}

/// Whether a request begins even while the server drains or too many requests are pending.
fn begins_when_busy(command: &Command) -> bool {
    match command {
        Command::Message(_) => message::begins_when_busy(),
        Command::Timeline(request) => timeline::begins_when_busy(request),
        Command::Session(request) => session::begins_when_busy(request),
        Command::Node(_) => node::begins_when_busy(),
        Command::Account(_)
        | Command::Change(_)
        | Command::Contact(_)
        | Command::Group(_)
        | Command::Presence(_) => false,
    }
}

/// Whether a request begins with a read that counts against its requester.
fn is_read(command: &Command) -> bool {
    match command {
        Command::Timeline(request) => timeline::is_read(request),
        Command::Contact(request) => contact::is_read(request),
        Command::Group(request) => group::is_read(request),
        Command::Account(_) => true,
        Command::Session(request) => session::is_read(request),
        Command::Message(_) | Command::Change(_) | Command::Presence(_) | Command::Node(_) => false,
    }
}

/// Whether a periodic timer is due; if so, schedules its next run.
fn is_due(next: &mut u64, now: Now, every: u64) -> bool {
    let is_due = now.monotonic >= *next;
    if is_due {
        *next = now.monotonic + every;
    }
    is_due
}

/// Answers overdue requests and retries failed reads and appends.
fn tick(turn: &mut Turn<'_>) {
    for (reply_to, overdue) in turn.state.pending.take_overdue(turn.now.monotonic) {
        match overdue {
            Overdue::Message(overdue) => message::overdue(turn, reply_to, overdue),
            Overdue::Session(overdue) => session::overdue(turn, reply_to, &overdue),
            Overdue::Other => turn.unavailable(reply_to),
        }
    }
    for session in std::mem::take(&mut turn.state.failed_reads) {
        delivery::retry(turn, session);
    }
    begin_deferred(turn, false);
    message::retry_backlogs(turn);
    session::retry_endings(turn);
}

/// Drops expired state.
fn sweep(turn: &mut Turn<'_>) {
    let (state, now) = (&mut *turn.state, turn.now);
    state.cluster.sweep(now.monotonic);
    for key in std::mem::take(&mut state.with_tracks) {
        let Some(session) = state.sessions.get_mut(key) else { continue };
        if state.cluster.membership().is_some() {
            session.pass_own(&mut state.cursors);
        }
        let (cluster, cursors) = (&state.cluster, &state.cursors);
        session.sweep(now.monotonic, |user, track| {
            cluster
                .keeps_track(track.conversation, track.pushed, || cursors.is_moving(track.conversation, user))
        });
        session.is_listed = !session.tracks.is_empty() || !session.own.is_empty();
        if session.is_listed {
            state.with_tracks.push(key);
        }
    }
    state.typing.sweep(now.monotonic);
    state.login_throttle.sweep(now.monotonic);
    state.registrations.sweep(now.monotonic);
    state.rates.sweep(now.monotonic);
    turn.effects.alerts.extend(state.alerts.take_summary());
}
