//! Opening a session, and reading the contents of the reply to LOGIN.

use super::{going_away, welcome};
use crate::bus::Channel;
use crate::conn::ConnId;
use crate::contract::presence::{Online, SetStatus};
use crate::contract::session::{LoginView, Read};
use crate::contract::timeline::Counted;
use crate::contract::{Epoch, Ticket, Token, group, timeline};
use crate::effect::Order;
use crate::limits::{LISTINGS_BYTES, LOGIN_FRIENDS_BYTES, LOGIN_GROUPS_BYTES};
use crate::state::pending::node::Listener;
use crate::state::pending::session::{
    NewSessionRead, Pending, PendingWelcome, Purpose, ReplyParts, TokenReady, ViewRecount,
};
use crate::state::reply_to::ReplyTo;
use crate::state::sessions::{NewSession, PendingLogin};
use crate::turn::Turn;
use crate::{delivery, listening, listing, presence};
use std::sync::Arc;
use wire::session::{LoggedIn, Reply};
use wire::{ConversationId, UserId};

/// A ticket that no answer carries.
const NO_TICKET: Ticket = Ticket(u64::MAX);

/// What an account had before a session begins.
#[derive(Debug)]
pub(super) struct Before {
    /// Whether the session continues one of the same client.
    pub resumed: bool,
    /// Whether friends have seen the user online.
    pub was_present: bool,
    /// Whether the account showed something else.
    pub changes_status: bool,
    /// What the session that it continues has set.
    pub status: Option<Box<SetStatus>>,
    /// Whether other nodes hold sessions of the account.
    pub is_shared: bool,
}

/// Opens a session of the account on this connection.
pub(super) fn begin(
    turn: &mut Turn<'_>,
    conn: ConnId,
    ready: TokenReady,
    epoch: Epoch,
    before: Before,
) -> NewSessionRead {
    let TokenReady { user, name, token, kind, request } = ready;
    let Before { resumed, was_present, changes_status, status, is_shared } = before;
    let device = turn.state.device_hash(request.device.as_deref());
    let connection = turn.state.connections.get_mut(conn).expect("its caller looked it up");
    let new = NewSession {
        user,
        conn,
        name,
        token: token.hash,
        device,
        kind,
        status,
        epoch,
        is_shared,
        capabilities: connection.capabilities,
        login: PendingLogin {
            ticket: NO_TICKET,
            held: Vec::new(),
            gathers_missed: false,
            was_present,
            changes_status,
            resumed,
        },
        since: turn.now.monotonic,
    };
    let rates = &mut turn.state.rates;
    let session = turn.state.sessions.insert(new, || rates.restore(user));
    connection.session = Some(session);
    let Token { text: token, expires: token_expires, .. } = token;
    let (with_last, by_cookie) = match request.purpose {
        Purpose::Session { with_last, by_cookie } => (with_last, by_cookie),
        Purpose::Token => (false, false),
    };
    let token = (!by_cookie).then_some(token);
    NewSessionRead { session, reply: Box::new(ReplyParts { token, token_expires, with_last }) }
}

/// Reads the groups whose channels the node must subscribe to.
pub(super) fn read_groups(turn: &mut Turn<'_>, reply_to: ReplyTo, user: UserId, read: NewSessionRead) {
    turn.read_in_login(reply_to, read.session, Pending::Groups(read), group::Read::GroupIds { user });
}

/// Subscribes to the channels of all the user's groups.
pub(super) fn groups_known(
    turn: &mut Turn<'_>,
    reply_to: ReplyTo,
    read: NewSessionRead,
    groups: Vec<ConversationId>,
) {
    let Some(live) = turn.state.sessions.get_mut(read.session) else { return };
    // It may have learnt of new ones in the meantime.
    let groups: Vec<_> = groups.into_iter().filter(|group| !live.groups.contains(group)).collect();
    let channels: Vec<Channel> = groups.iter().map(|group| Channel::Group(*group)).collect();
    live.groups.extend(groups);
    listening::hold(turn, reply_to, &channels, Listener::Session(Pending::View(read)));
}

/// Reads friends, groups, conversations, and the conversations in which the user is behind.
pub(super) fn read_view(turn: &mut Turn<'_>, reply_to: ReplyTo, read: NewSessionRead) {
    let Some(live) = turn.state.sessions.get(read.session) else { return };
    let (user, with_last) = (live.user, read.reply.with_last);
    turn.read_in_login(reply_to, read.session, Pending::View(read), Read::LoginView { user, with_last });
}

/// Takes the view; before the reply, reads which friends are online on other nodes.
pub(super) fn view_known(turn: &mut Turn<'_>, reply_to: ReplyTo, read: NewSessionRead, view: Box<LoginView>) {
    let grace = turn.state.rules.grace;
    let friends = view.friends.iter().map(|friend| friend.user);
    let Some(question) = turn.state.cluster.online_elsewhere(friends, grace) else {
        return complete(turn, reply_to, read, *view, Vec::new());
    };
    turn.read_in_login(reply_to, read.session, Pending::Friends(read, view), question);
}

/// Sends the reply, unless something must be counted again before. `online`: friends who are online on other nodes.
pub(super) fn complete(
    turn: &mut Turn<'_>,
    reply_to: ReplyTo,
    read: NewSessionRead,
    mut view: LoginView,
    online: Vec<Online>,
) {
    let session = read.session;
    let Some(live) = turn.state.sessions.get(session) else { return };
    if live.capabilities.needs_welcome() {
        return welcome::begin(turn, reply_to, PendingWelcome::new(session, view, online));
    }
    let user = live.user;
    let ranges = listing::lay_cursors_over_shared(turn.state, user, &mut view.conversations);
    if ranges.is_empty() {
        return send(turn, reply_to, read, view, &online);
    }
    let count = timeline::Read::Count { user, ranges: ranges.clone() };
    let recount = Box::new(ViewRecount { view, online, ranges });
    turn.read_in_login(reply_to, session, Pending::Recount(read, recount), count);
}

/// Takes what was counted again.
pub(super) fn recounted(
    turn: &mut Turn<'_>,
    reply_to: ReplyTo,
    read: NewSessionRead,
    recount: ViewRecount,
    counts: &[Option<Counted>],
) {
    let ViewRecount { mut view, online, ranges } = recount;
    listing::recount(Arc::<Vec<_>>::make_mut(&mut view.conversations), &ranges, counts);
    send(turn, reply_to, read, view, &online);
}

/// Sends the reply, then the missed messages.
fn send(
    turn: &mut Turn<'_>,
    reply_to: ReplyTo,
    read: NewSessionRead,
    mut view: LoginView,
    online: &[Online],
) {
    let NewSessionRead { session, reply: parts } = read;
    let Some(live) = turn.state.sessions.get_mut(session) else { return };
    let (user, conn, name) = (live.user, live.conn, live.name.clone());
    let Some(login) = live.login.take() else { return };
    let PendingLogin { held, was_present, changes_status, resumed, .. } = *login;
    let unread = std::mem::take(&mut view.unread);
    let mut friends = listing::friends(turn.state, view.friends);
    listing::mark_friends_online(&mut friends, online);
    let friends_more = view.friends_more | listing::cut_friends(&mut friends, LOGIN_FRIENDS_BYTES);
    let groups_more = view.groups_more | listing::cut_groups(&mut view.groups, LOGIN_GROUPS_BYTES);
    let left = LISTINGS_BYTES.saturating_sub(listing::bytes_of(&friends, &view.groups));
    let conversations_more =
        view.conversations_more | listing::cut_shared_conversations(&mut view.conversations, left);
    let reply = LoggedIn {
        id: user,
        name: (&*name).into(),
        token: parts.token,
        token_expires: parts.token_expires,
        node: turn.state.rules.node.clone(),
        server: Some(turn.state.rules.server.clone()),
        history: Some(turn.state.rules.history.clone()),
        http: turn.state.rules.http.clone(),
        resumed,
        friends,
        groups: view.groups,
        conversations: view.conversations,
        friends_more,
        groups_more,
        conversations_more,
    };
    turn.state.counters.logins += 1;
    turn.effects.order(conn, Order::LoggedIn { conn, user });
    turn.answer(reply_to, Reply::LoggedIn(Box::new(reply)));
    for push in held {
        turn.effects.order(conn, Order::Push { conn, push });
    }
    if turn.state.draining {
        going_away::tell(turn, conn);
    }
    if !was_present {
        presence::announce_come(turn, user, &view.friend_ids);
    } else if changes_status {
        presence::announce(turn, user);
    }
    delivery::unread_known(turn, session, &unread);
}
