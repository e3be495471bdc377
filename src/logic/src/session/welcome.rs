//! The welcome, which answers LOGIN of a legacy client. It contains group members and missed messages, so these are
//! read first.
//!
//! ```text
//! session begins -> view read -> members of each group -> which of them are online on other nodes
//!                                        -> the timelines where the user is behind -> welcome
//! ```

use super::ending;
use crate::contract::group::{self, Read as GroupRead};
use crate::contract::{Denial, Found, Read, Ticket, presence as stored_presence};
use crate::effect::Order;
use crate::state::State;
use crate::state::pending::session::{Pending, PendingWelcome};
use crate::state::pending::{Pending as AnyPending, PendingRequest};
use crate::state::reply_to::ReplyTo;
use crate::state::sessions::SessionRef;
use crate::turn::Turn;
use crate::{delivery, listing, presence};
use wire::legacy::Welcome;
use wire::limits::PAGE_MAX;
use wire::message::Push as MessagePush;
use wire::{Page, Push, Reply};

/// The least bytes that a row of a welcome takes.
const ROW_BYTES: usize = 64;

/// Starts reading the contents of the welcome.
pub(super) fn begin(turn: &mut Turn<'_>, reply_to: ReplyTo, mut welcome: PendingWelcome) {
    welcome.unread.truncate(rows_max(turn.state));
    go_on(turn, reply_to, welcome);
}

/// The most rows of a list that can fit into a welcome.
fn rows_max(state: &State) -> usize {
    (state.rules.legacy_object_bytes / ROW_BYTES).min(PAGE_MAX as usize)
}

fn go_on(turn: &mut Turn<'_>, reply_to: ReplyTo, mut welcome: PendingWelcome) {
    let session = welcome.session;
    let Some(user) = turn.state.sessions.get(session).map(|live| live.user) else { return };
    let next = match welcome.unread.front() {
        Some(group) => {
            let page = Page { after: 0, limit: rows_max(turn.state) as u32 };
            Some(Read::from(GroupRead::Members { user, conversation: group.conversation, page }))
        }
        None if welcome.knows_members_online => None,
        None => {
            let absent = std::iter::once_with(|| welcome.absent_members()).flatten();
            turn.state.cluster.online_elsewhere(absent, turn.state.rules.grace).map(Read::from)
        }
    };
    if let Some(read) = next {
        return turn.read_in_login(reply_to, session, Pending::Welcome(Box::new(welcome)), read);
    }
    let unread = std::mem::take(&mut welcome.view.unread);
    // No answer carries this ticket: `complete` takes it once the missed messages are read.
    turn.wait_in_login(reply_to, session, Pending::Welcome(Box::new(welcome)));
    let live = turn.state.sessions.get_mut(session);
    if let Some(login) = live.and_then(|live| live.login.as_mut()) {
        login.gathers_missed = true;
    }
    delivery::unread_known(turn, session, &unread);
}

/// Handles a read: the members of one group, or which members are online on other nodes.
pub(super) fn found(turn: &mut Turn<'_>, reply_to: ReplyTo, mut welcome: PendingWelcome, found: Found) {
    let members = match found {
        Found::Group(group::Found::Members { members, .. }) => members,
        // The user has left the group in the meantime.
        Found::Denied(Denial::Forbidden) => Vec::new(),
        // The list of one group is no reason to refuse a login.
        Found::Failed => Vec::new(),
        Found::Presence(stored_presence::Found::Online(online)) => {
            let lists = welcome.groups.iter_mut();
            lists.for_each(|(_, members)| listing::mark_members_online(members, &online));
            welcome.knows_members_online = true;
            return go_on(turn, reply_to, welcome);
        }
        found => return ending::login_failed(turn, reply_to, welcome.session, &found),
    };
    if let Some(group) = welcome.unread.pop_front() {
        welcome.groups.push((group, listing::members(turn.state, members)));
    }
    go_on(turn, reply_to, welcome);
}

/// Sends the welcome, once the missed messages are read or the window is full.
pub(crate) fn complete(turn: &mut Turn<'_>, session: SessionRef) {
    let Some(live) = turn.state.sessions.get_mut(session) else { return };
    let (user, conn, name) = (live.user, live.conn, (&*live.name).into());
    let Some(login) = live.login.take() else { return };
    let Some((reply_to, welcome)) = take_pending(turn.state, login.ticket) else { return };
    let message = |push| match push {
        Push::Message(MessagePush::New(message)) => Some(message),
        _ => None,
    };
    let (was_present, changes_status) = (login.was_present, login.changes_status);
    let missed = login.held.into_iter().filter_map(message).collect();
    let PendingWelcome { view, online, groups, .. } = welcome;
    let mut friends = listing::friends(turn.state, view.friends);
    listing::mark_friends_online(&mut friends, &online);
    let welcome = Welcome { id: user, name, friends, groups, missed };
    turn.state.counters.logins += 1;
    turn.effects.order(conn, Order::LoggedIn { conn, user });
    turn.effects.order(conn, Order::Welcome { conn, welcome: Box::new(welcome) });
    turn.answer(reply_to, Reply::Done);
    if !was_present {
        presence::announce_come(turn, user, &view.friend_ids);
    } else if changes_status {
        presence::announce(turn, user);
    }
    delivery::feed(turn, session);
}

fn take_pending(state: &mut State, ticket: Ticket) -> Option<(ReplyTo, PendingWelcome)> {
    match state.pending.take(ticket)? {
        PendingRequest { reply_to, pending: AnyPending::Session(Pending::Welcome(welcome)), .. } => {
            Some((reply_to, *welcome))
        }
        _ => None,
    }
}
