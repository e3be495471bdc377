//! On whose behalf a read is run, and in which lane.

use crate::contract::{Lane, Requester};
use crate::network::Network;
use crate::request::Caller;
use crate::state::State;
use crate::state::pending::{Pending, contact, node, session, timeline};
use crate::state::reply_to::ReplyTo;

/// The lane and the requester of the read that `pending` waits for.
pub(crate) fn of(state: &State, reply_to: ReplyTo, pending: &Pending) -> (Lane, Requester) {
    match pending {
        Pending::Node(node::Pending::DeliveryLine(line)) => {
            (Lane::System, Requester::Conversation(line.conversation))
        }
        Pending::Timeline(timeline::Pending::Feed { session, .. } | timeline::Pending::Unread(session)) => {
            let account = state.sessions.get(*session).map(|live| Requester::Account(live.user));
            (Lane::System, account.unwrap_or(Requester::Node))
        }
        Pending::Presence(crate::state::pending::presence::Pending::Gone(user))
        | Pending::Contact(contact::Pending::PeerOnline { user, .. }) => {
            (Lane::System, Requester::Account(*user))
        }
        Pending::Session(session::Pending::Account(_)) => (Lane::Login, requester(state, reply_to)),
        Pending::Session(pending) => {
            let live = pending.login_session().and_then(|session| state.sessions.get(session));
            let account = live.map(|live| Requester::Account(live.user));
            (Lane::Login, account.unwrap_or_else(|| requester(state, reply_to)))
        }
        Pending::Node(_) => (Lane::System, Requester::Node),
        _ => (Lane::Request, requester(state, reply_to)),
    }
}

/// Who sent the request: the account of its connection, or before login the client's network.
fn requester(state: &State, reply_to: ReplyTo) -> Requester {
    let connection = reply_to.conn().and_then(|conn| state.connections.get(conn));
    let Some(connection) = connection else { return Requester::Node };
    match connection.session.and_then(|session| state.sessions.get(session)) {
        Some(live) => Requester::Account(live.user),
        None => Requester::Network(Network::of(connection.peer)),
    }
}

/// Who sends a request that is about to begin.
pub(crate) fn caller(state: &State, caller: Caller) -> Requester {
    let account = caller.session.and_then(|session| state.sessions.get(session));
    match (account, state.connections.get(caller.conn)) {
        (Some(live), _) => Requester::Account(live.user),
        (None, Some(connection)) => Requester::Network(Network::of(connection.peer)),
        (None, None) => Requester::Node,
    }
}
