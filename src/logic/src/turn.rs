//! A turn: the state, the time and the effects that every rule works with, and the few things that all rules do.
//!
//! What a rule leaves to a rule above it is queued as a [`FollowUp`], so that no lower layer calls a higher one. The
//! dispatcher carries the queue out, in order, before the turn ends.

use crate::contract::{Epoch, Read, Ticket, Write};
use crate::effect::{Effects, Order, PasswordJob};
use crate::input::Now;
use crate::limits::{INTERNAL, UNAVAILABLE, UNAVAILABLE_RETRY_MS};
use crate::state::State;
use crate::state::connections::Barrier;
use crate::state::pending::Pending;
use crate::state::pending::node::Listener;
use crate::state::reply_to::ReplyTo;
use crate::state::sessions::SessionRef;
use std::borrow::Cow;
use std::collections::VecDeque;
use wire::{Errno, Refusal, Reply, UserId};

pub(crate) struct Turn<'a> {
    pub state: &'a mut State,
    pub now: Now,
    pub effects: &'a mut Effects,
    pub follow_ups: &'a mut VecDeque<FollowUp>,
}

/// What a rule leaves to a rule above it.
#[derive(Debug)]
pub(crate) enum FollowUp {
    /// The requests before this one are answered: it begins.
    Begin(Box<Barrier>),
    /// The channels that this waited for are listened to, or the bus has not answered in time: it goes on.
    Resume(ReplyTo, Listener),
    /// The messages that a welcome holds are read: it is sent.
    Welcome(SessionRef),
    /// A newer login has taken the account over: a session below `epoch` ends.
    Superseded { user: UserId, epoch: Epoch },
}

impl Turn<'_> {
    /// Answers a request.
    pub fn answer(&mut self, reply_to: ReplyTo, reply: impl Into<Reply>) {
        let ReplyTo::Request { conn, kind, request } = reply_to else { return };
        let Some(connection) = self.state.connections.get_mut(conn) else { return };
        self.effects.order(conn, Order::Reply { conn, kind, request, reply: reply.into() });
        connection.outstanding -= 1;
        if connection.outstanding == 0
            && let Some(barrier) = connection.barrier.take()
        {
            self.follow_ups.push_back(FollowUp::Begin(barrier));
        }
    }

    /// Answers a request that was not done.
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

    /// Answers a request whose outcome does not fit it, or that this machine had no memory for. Never silence.
    pub fn internal(&mut self, reply_to: ReplyTo) {
        self.refuse(reply_to, Errno::Internal, INTERNAL);
    }

    /// Makes something pending that an answer with this ticket continues.
    pub fn wait(&mut self, reply_to: ReplyTo, pending: impl Into<Pending>) -> Ticket {
        self.state.pending.insert(reply_to, pending.into(), self.now.monotonic)
    }

    /// Makes a step of a login pending. The end of its session takes it away.
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

    /// A read that a step of a login waits for.
    pub fn read_in_login(
        &mut self,
        reply_to: ReplyTo,
        session: SessionRef,
        pending: impl Into<Pending>,
        read: impl Into<Read>,
    ) {
        let ticket = self.wait_in_login(reply_to, session, pending);
        self.effects.reads.push((ticket, read.into()));
    }

    pub fn write(&mut self, reply_to: ReplyTo, pending: impl Into<Pending>, write: impl Into<Write>) {
        let ticket = self.wait(reply_to, pending);
        self.effects.writes.push((ticket, write.into()));
    }

    pub fn read(&mut self, reply_to: ReplyTo, pending: impl Into<Pending>, read: impl Into<Read>) {
        let ticket = self.wait(reply_to, pending);
        self.effects.reads.push((ticket, read.into()));
    }

    /// Gives the password thread work.
    pub fn hash(&mut self, reply_to: ReplyTo, pending: impl Into<Pending>, job: PasswordJob) {
        let ticket = self.wait(reply_to, pending);
        self.effects.passwords.push((ticket, job));
    }

    /// A write whose outcome changes nothing.
    pub fn write_and_forget(&mut self, write: impl Into<Write>) {
        self.write(ReplyTo::Nowhere, Pending::Nothing, write);
    }

    /// Whether sessions may be pushed to.
    pub fn may_push(&mut self) -> bool {
        self.state.cluster.may_push(self.now.monotonic)
    }
}
