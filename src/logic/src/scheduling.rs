//! On whose behalf a read is run, and in which lane.

use crate::conn::ConnId;
use crate::contract::{Lane, Requester};
use crate::state::State;
use crate::state::pending::{Pending, node, presence, session, timeline};
use crate::state::reply_to::ReplyTo;

/// The lane and the requester of the read that `pending` waits for.
pub(crate) fn of(state: &State, reply_to: ReplyTo, pending: &Pending) -> (Lane, Requester) {
    match pending {
        Pending::Node(node::Pending::DeliveryLine(line)) => {
            (Lane::System, Requester::Conversation(line.conversation))
        }
        Pending::Timeline(timeline::Pending::Feed { session, .. } | timeline::Pending::Unread(session)) => {
            let Some(live) = state.sessions.get(*session) else { return (Lane::System, Requester::Node) };
            // What a new session missed comes with logins, so that a storm of them does not delay live ones.
            let lane = if live.is_catching_up { Lane::Login } else { Lane::System };
            (lane, Requester::Account(live.user))
        }
        Pending::Timeline(timeline::Pending::View { user, .. }) => (Lane::System, Requester::Account(*user)),
        Pending::Presence(
            presence::Pending::Friends(announcement) | presence::Pending::Shown(announcement),
        ) => (Lane::System, Requester::Account(announcement.user)),
        Pending::Presence(presence::Pending::Show { to, .. }) => (Lane::System, Requester::Account(*to)),
        Pending::Session(session::Pending::Account(_)) => (Lane::Login, requester(state, reply_to)),
        Pending::Session(pending) => {
            let live = pending.login_session().and_then(|session| state.sessions.get(session));
            let account = live.map(|live| Requester::Account(live.user));
            (Lane::Login, account.unwrap_or_else(|| requester(state, reply_to)))
        }
        Pending::Sessionless(_) => (Lane::Login, requester(state, reply_to)),
        Pending::Node(_) => (Lane::System, Requester::Node),
        // Also on another node than that of the user.
        Pending::Timeline(timeline::Pending::Typing(typing)) => {
            (Lane::Request, Requester::Account(typing.typist().id))
        }
        _ => (Lane::Request, requester(state, reply_to)),
    }
}

/// Who sent the request.
fn requester(state: &State, reply_to: ReplyTo) -> Requester {
    reply_to.conn().map_or(Requester::Node, |conn| requester_on(state, conn))
}

/// Who sends requests on a connection: its account, or before login the client's network.
pub(crate) fn requester_on(state: &State, conn: ConnId) -> Requester {
    match state.session_of(conn).and_then(|session| state.sessions.get(session)) {
        Some(live) => Requester::Account(live.user),
        None => state.network_of(conn).map_or(Requester::Node, Requester::Network),
    }
}
