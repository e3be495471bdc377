//! The budget of requests: what each type costs, and what happens above it.
//!
//! An account has `limits.requests_per_second` units, in bursts of ten seconds' worth; before login a client's network
//! has. A request above the budget is answered RATE_LIMITED. A legacy client cannot be told so: its request is deferred
//! until the budget allows it, and so are all that follow it, while its reactor stops reading the connection.

use crate::conn::ConnId;
use crate::network::Network;
use crate::state::State;
use crate::state::backlog::Deferred;
use crate::state::bucket::UNIT;
use wire::{
    Command, Errno, Refusal, UserId, account, contact, group, message, node, presence, session, timeline,
};

/// What a request costs, in thousandths of a unit.
pub(crate) fn cost(command: &Command) -> u64 {
    match command {
        Command::Message(message::Request::Send(send)) => cost_of_send(send),
        // They have that rate, too, and cost several rows.
        Command::Change(_) => UNIT,
        Command::Timeline(request) => match request {
            // A client acknowledges every few messages of each conversation.
            timeline::Request::Ack(_) | timeline::Request::Read(_) => UNIT / 50,
            timeline::Request::History(_)
            | timeline::Request::Conversations(_)
            | timeline::Request::Typing(_) => UNIT,
            // It counts over all members of the group.
            timeline::Request::Readers(_) => 5 * UNIT,
            // It may look into every conversation of the account.
            timeline::Request::Search(_) => 10 * UNIT,
            timeline::Request::Set(_) | timeline::Request::Clear(_) => 5 * UNIT,
        },
        Command::Session(request) => match request {
            // Many clients behind one address may return at once; password work has limits of its own.
            session::Request::Login(_) => UNIT / 20,
            session::Request::Logout => 0,
            session::Request::Devices => UNIT,
            session::Request::Revoke(_) => 5 * UNIT,
        },
        Command::Account(request) => match request {
            account::Request::Register(_) | account::Request::Profile(_) => UNIT,
            // It finds many accounts at once, which nobody has to list fast.
            account::Request::ChangePassword(_) | account::Request::Find(_) => 5 * UNIT,
        },
        Command::Contact(request) => match request {
            contact::Request::Add(_)
            | contact::Request::Answer(_)
            | contact::Request::Remove(_)
            | contact::Request::Set(_) => 5 * UNIT,
            contact::Request::Friends(_) => UNIT,
        },
        Command::Group(request) => match request {
            group::Request::Create(_)
            | group::Request::Join(_)
            | group::Request::Leave(_)
            | group::Request::Remove(_)
            | group::Request::SetRole(_)
            | group::Request::Transfer(_) => 5 * UNIT,
            group::Request::Members(_) | group::Request::Groups(_) => UNIT,
        },
        // In a cluster it is a write, and each friend is told.
        Command::Presence(presence::Request::Set(_)) => 5 * UNIT,
        Command::Node(node::Request::Nodes) => UNIT,
    }
}

fn cost_of_send(send: &message::Send) -> u64 {
    match send.references.as_deref() {
        // Storage reads the message that it answers while others wait to be stored.
        Some(references) if references.reply_to.is_some() => 5 * UNIT,
        // It has a rate of its own.
        _ => UNIT / 10,
    }
}

/// Charges the sender of a request, where requests are limited, or returns in how many milliseconds the budget allows it.
pub(crate) fn charge(state: &mut State, conn: ConnId, command: &Command, now: u64) -> Result<(), u64> {
    if state.rates.requests.is_unlimited() {
        return Ok(());
    }
    let Some(connection) = state.connections.get(conn) else { return Ok(()) };
    match connection.session.and_then(|session| state.sessions.buckets_of(session)) {
        Some(buckets) => state.rates.requests.take(&mut buckets.requests, cost(command), now),
        None => state.rates.take_from_network(Network::of(connection.peer), cost(command), now),
    }
}

/// Charges the network of a client without a session, as a login by token does.
pub(crate) fn charge_token(state: &mut State, conn: ConnId, now: u64) -> Result<(), u64> {
    match state.network_of(conn) {
        Some(network) if !state.rates.requests.is_unlimited() => {
            state.rates.take_from_network(network, UNIT / 20, now)
        }
        _ => Ok(()),
    }
}

/// Charges an account for a message that it sends without a session.
pub(crate) fn charge_send(
    state: &mut State,
    user: UserId,
    send: &message::Send,
    now: u64,
) -> Result<(), u64> {
    let (rate, cost) = (state.rates.requests, cost_of_send(send));
    state.with_buckets(user, now, |buckets| rate.take(&mut buckets.requests, cost, now))
}

/// The refusal of a request above a budget of requests.
pub(crate) fn refusal(wait: u64) -> Refusal {
    let refusal = Refusal::later(Errno::RateLimited, "too many requests; slow down", wait);
    refusal.with_limit("limits.requests_per_second")
}

/// Whether earlier requests of this connection are deferred, so that this one must wait behind them.
pub(crate) fn has_deferred(state: &State, conn: ConnId) -> bool {
    let backlog = state.connections.get(conn).and_then(|connection| connection.backlog.as_ref());
    backlog.is_some_and(|backlog| !backlog.deferred.is_empty())
}

/// Defers a request of a client that gets no replies. Returns it if the client gets replies.
pub(crate) fn defer(state: &mut State, conn: ConnId, deferred: Deferred) -> Result<(), Deferred> {
    let Some(backlog) = state.connections.backlog_mut(conn) else { return Err(deferred) };
    if backlog.deferred.is_empty() {
        state.deferring.push(conn);
    }
    backlog.deferred.push_back(deferred);
    Ok(())
}

/// Takes the next deferred request of a connection that its budget allows. `is_free`: whether any is allowed.
pub(crate) fn next_deferred(state: &mut State, conn: ConnId, now: u64, is_free: bool) -> Option<Deferred> {
    let deferred = state.connections.backlog_mut(conn)?.deferred.pop_front()?;
    if !is_free && charge(state, conn, &deferred.command, now).is_err() {
        state.connections.backlog_mut(conn)?.deferred.push_front(deferred);
        return None;
    }
    Some(deferred)
}
