//! A turn: the state, the time and the effects that every rule works with, and the operations that all rules share.
//!
//! A lower layer never calls a higher one. It queues a [`FollowUp`] instead, and the dispatcher carries out the queue,
//! in order, before the turn ends.

use crate::contract::{Fence, Lane, Query, Read, Requester, Ticket, Write, search};
use crate::effect::{Alert, Effects, Grant, Order};
use crate::input::Now;
use crate::limits::{ANSWER_MS, INTERNAL, UNAVAILABLE, UNAVAILABLE_RETRY_MS};
use crate::scheduling;
use crate::state::State;
use crate::state::connections::Barrier;
use crate::state::pending::Pending;
use crate::state::pending::node::Listener;
use crate::state::reply_to::ReplyTo;
use crate::state::sessions::SessionRef;
use std::borrow::Cow;
use std::collections::VecDeque;
use wire::search::Search;
use wire::{Errno, Refusal, Reply, UserId};

pub(crate) struct Turn<'a> {
    pub state: &'a mut State,
    pub now: Now,
    pub effects: &'a mut Effects,
    pub follow_ups: &'a mut VecDeque<FollowUp>,
}

/// Work that a rule hands to a higher layer.
#[derive(Debug)]
pub(crate) enum FollowUp {
    /// Begin a barrier request: all earlier requests of its connection are answered.
    Begin(Box<Barrier>),
    /// Resume a step that waited for subscriptions: the bus confirmed them or did not answer in time.
    Resume(ReplyTo, Listener),
    /// Send a welcome: its messages have been read.
    Welcome(SessionRef),
    /// End a session if it has ended in the database, as one of its writes was told.
    Superseded(Fence),
}

impl Turn<'_> {
    /// Answers a request.
    pub fn answer(&mut self, reply_to: ReplyTo, reply: impl Into<Reply>) {
        let ReplyTo::Request { conn, kind, request } = reply_to else { return };
        let Some(connection) = self.state.connections.get_mut(conn) else { return };
        let reply = reply.into();
        self.state.counters.answered(&reply);
        self.effects.order(conn, Order::Reply { conn, kind, request, reply });
        connection.outstanding -= 1;
        if connection.outstanding == 0
            && let Some(barrier) = connection.barrier.take()
        {
            self.follow_ups.push_back(FollowUp::Begin(barrier));
        }
    }

    /// Tells a client without a session that its token was issued or extended. The answer follows.
    pub fn grant(&mut self, reply_to: ReplyTo, grant: Grant) {
        if let Some(conn) = reply_to.conn().filter(|conn| self.state.connections.get(*conn).is_some()) {
            self.effects.order(conn, Order::Granted { conn, grant: Box::new(grant) });
        }
    }

    /// Refuses a request that was not carried out.
    pub fn refuse(&mut self, reply_to: ReplyTo, errno: Errno, sentence: impl Into<Cow<'static, str>>) {
        if let ReplyTo::Request { .. } = reply_to {
            self.answer(reply_to, Refusal::new(errno, sentence));
        }
    }

    /// Answers a request that storage could not serve.
    pub fn unavailable(&mut self, reply_to: ReplyTo) {
        if let ReplyTo::Request { .. } = reply_to {
            self.answer(reply_to, Refusal::later(Errno::Unavailable, UNAVAILABLE, UNAVAILABLE_RETRY_MS));
        }
    }

    /// Answers a request with INTERNAL: its outcome has the wrong type, or memory ran out. A request never goes
    /// unanswered.
    pub fn internal(&mut self, reply_to: ReplyTo) {
        self.refuse(reply_to, Errno::Internal, INTERNAL);
    }

    /// Registers a pending step, which the answer with the returned ticket continues.
    pub fn wait(&mut self, reply_to: ReplyTo, pending: impl Into<Pending>) -> Ticket {
        self.state.pending.insert(reply_to, pending.into(), self.now.monotonic)
    }

    /// Registers a pending step of a login. It is removed if the session ends first.
    pub fn wait_in_login(
        &mut self,
        reply_to: ReplyTo,
        session: SessionRef,
        pending: impl Into<Pending>,
    ) -> Ticket {
        let ticket = self.wait(reply_to, pending);
        self.state.sessions.set_login_ticket(session, ticket);
        ticket
    }

    /// Issues a write for a step of a login.
    pub fn write_in_login(
        &mut self,
        reply_to: ReplyTo,
        session: SessionRef,
        pending: impl Into<Pending>,
        write: impl Into<Write>,
    ) {
        let ticket = self.wait_in_login(reply_to, session, pending);
        self.effects.writes.push((ticket, write.into()));
    }

    /// Issues a read for a step of a login.
    pub fn read_in_login(
        &mut self,
        reply_to: ReplyTo,
        session: SessionRef,
        pending: impl Into<Pending>,
        read: impl Into<Read>,
    ) {
        let ticket = self.issue(reply_to, pending.into(), read.into());
        self.state.sessions.set_login_ticket(session, ticket);
    }

    pub fn write(&mut self, reply_to: ReplyTo, pending: impl Into<Pending>, write: impl Into<Write>) {
        let ticket = self.wait(reply_to, pending);
        self.effects.writes.push((ticket, write.into()));
    }

    pub fn read(&mut self, reply_to: ReplyTo, pending: impl Into<Pending>, read: impl Into<Read>) {
        self.issue(reply_to, pending.into(), read.into());
    }

    /// Issues a search on behalf of a user, as one of its reads.
    pub fn search(
        &mut self,
        reply_to: ReplyTo,
        pending: impl Into<Pending>,
        user: UserId,
        search: Box<Search>,
    ) {
        let ticket = self.wait(reply_to, pending);
        self.state.reads.issued(ticket, Requester::Account(user));
        let due = self.now.monotonic + ANSWER_MS;
        self.effects.searches.push(search::Query { ticket, user, due, search });
    }

    /// Issues a read; returns the ticket of its answer.
    pub fn issue(&mut self, reply_to: ReplyTo, pending: Pending, read: Read) -> Ticket {
        let (lane, requester) = scheduling::of(self.state, reply_to, &pending);
        let due = (!reply_to.is_nowhere()).then_some(self.now.monotonic + ANSWER_MS);
        let ticket = self.wait(reply_to, pending);
        if lane == Lane::Request {
            self.state.reads.issued(ticket, requester);
        }
        self.effects.reads.push(Query { ticket, lane, requester, due, read });
        ticket
    }

    /// Writes an alert to the log, unless there were too many in this second.
    pub fn alert(&mut self, alert: Alert) {
        if self.state.alerts.admit(self.now.monotonic) {
            self.effects.alerts.push(alert);
        }
    }

    /// Issues a write whose outcome is ignored.
    pub fn write_and_forget(&mut self, write: impl Into<Write>) {
        self.write(ReplyTo::Nowhere, Pending::Nothing, write);
    }

    /// Whether this node may push to its sessions.
    pub fn may_push(&mut self) -> bool {
        self.state.cluster.may_push(self.now.monotonic)
    }
}
