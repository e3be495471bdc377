//! LOGIN of a legacy client: its answer holds the members of groups and what was missed, so these are read before it.
//!
//! ```text
//! session begins -> what it needs is read -> members of each group -> which of them are online elsewhere
//!                                                    -> the timelines where it is behind -> answer
//! ```

use crate::Now;
use crate::contract::session::LoginView;
use crate::contract::{self, Denial, Found, Read, Ticket};
use crate::effect::{Effects, Order};
use crate::parked::{Asked, Parked, Stage};
use crate::session::SessionRef;
use crate::state::State;
use crate::{contact, delivery, listing, login};
use std::collections::VecDeque;
use wire::group::{Group, Member};
use wire::legacy::Welcome;
use wire::limits::PAGE_MAX;
use wire::message;
use wire::presence::Presence;
use wire::{Page, Push, Reply, UserId};

/// No row of the answer takes fewer bytes.
const ROW_BYTES: usize = 64;

/// A login on its way to its answer.
#[derive(Debug)]
pub(crate) struct Welcoming {
    pub session: SessionRef,
    view: LoginView,
    /// Those of the friends who are online elsewhere.
    online: Vec<UserId>,
    /// Groups whose members are not read yet; the first one's are being read.
    unread: VecDeque<Group>,
    groups: Vec<(Group, Vec<Member>)>,
    /// Whether it is known which of the members are online elsewhere.
    members_online: bool,
}

impl Welcoming {
    pub fn new(session: SessionRef, mut view: LoginView, online: Vec<UserId>) -> Welcoming {
        let unread = std::mem::take(&mut view.groups).into();
        Welcoming { session, view, online, unread, groups: Vec::new(), members_online: false }
    }

    /// The members who are not online here, each once.
    fn absent(&self) -> Vec<UserId> {
        let members = self.groups.iter().flat_map(|(_, members)| members);
        let absent = members.filter(|member| member.state == Presence::Offline);
        let mut absent: Vec<UserId> = absent.map(|member| member.id).collect();
        absent.sort_unstable();
        absent.dedup();
        absent
    }
}

/// Begins to read what the answer needs.
pub(crate) fn begin(
    state: &mut State,
    now: Now,
    asked: Option<Asked>,
    mut welcoming: Welcoming,
    fx: &mut Effects,
) {
    welcoming.unread.truncate(rows(state));
    go_on(state, now, asked, welcoming, fx);
}

/// How many rows of a list can fit into the answer.
fn rows(state: &State) -> usize {
    (state.rules.legacy_object_bytes / ROW_BYTES).min(PAGE_MAX as usize)
}

fn go_on(state: &mut State, now: Now, asked: Option<Asked>, welcoming: Welcoming, fx: &mut Effects) {
    let session = welcoming.session;
    let Some(user) = state.sessions.get(session).map(|live| live.user) else { return };
    let next = welcoming.unread.front().map(|group| group.conversation);
    let is_asked = state.cluster.is_none() || welcoming.members_online || next.is_some();
    let absent = if is_asked { Vec::new() } else { welcoming.absent() };
    let unread = welcoming.view.unread.clone();
    let ticket = state.parking.park(asked, Stage::Welcome(Box::new(welcoming)), now.monotonic);
    let live = state.sessions.get_mut(session).expect("looked up above");
    let joining = live.joining.as_mut().expect("its answer is on its way");
    joining.ticket = ticket;
    match next {
        Some(conversation) => {
            let page = Page { after: 0, limit: rows(state) as u32 };
            fx.reads.push((ticket, Read::Group(contract::group::Read::Members { user, conversation, page })));
        }
        None if !absent.is_empty() => {
            fx.reads.push((
                ticket,
                Read::Presence(contract::presence::Read::Online { users: absent, grace: state.rules.grace }),
            ));
        }
        // Nothing outside answers this ticket: it is taken when what was missed is read.
        None => {
            joining.gathers = true;
            delivery::unread_known(state, now, session, unread, fx);
        }
    }
}

/// The members of a group are known, or which of all members are online elsewhere.
pub(crate) fn members_known(
    state: &mut State,
    now: Now,
    asked: Option<Asked>,
    mut welcoming: Welcoming,
    found: Found,
    fx: &mut Effects,
) {
    let members = match found {
        Found::Group(contract::group::Found::Members { members, .. }) => members,
        // Left the group meanwhile.
        Found::Denied(Denial::Forbidden) => Vec::new(),
        Found::Presence(contract::presence::Found::Online(online)) => {
            let lists = welcoming.groups.iter_mut();
            lists.for_each(|(_, members)| listing::mark_members_online(members, &online));
            welcoming.members_online = true;
            return go_on(state, now, asked, welcoming, fx);
        }
        _ => return login::view_failed(state, now, asked, welcoming.session, fx),
    };
    if let Some(group) = welcoming.unread.pop_front() {
        let member = |contract::group::Member { user: id, name, role }| Member {
            id,
            name,
            state: state.presence(id),
            role,
        };
        welcoming.groups.push((group, members.into_iter().map(member).collect()));
    }
    go_on(state, now, asked, welcoming, fx);
}

/// As much as fits of what was missed is read, or all of it: the answer.
pub(crate) fn complete(state: &mut State, now: Now, session: SessionRef, fx: &mut Effects) {
    let Some(live) = state.sessions.get_mut(session) else { return };
    let (user, conn, name) = (live.user, live.conn, (&*live.name).into());
    let Some(joining) = live.joining.take() else { return };
    let Some((asked, welcoming)) = taken(state, joining.ticket) else { return };
    let message = |push| match push {
        Push::Message(message::Push::New(message)) => Some(message),
        _ => None,
    };
    let back = joining.back;
    let missed = joining.held.into_iter().filter_map(message).collect();
    let Welcoming { view, online, groups, .. } = welcoming;
    let mut friends = listing::friends(state, view.friends);
    listing::mark_online(&mut friends, &online);
    let welcome = Welcome { id: user, name, friends, groups, missed };
    fx.order(conn, Order::LoggedIn { conn, user });
    fx.order(conn, Order::Welcome { conn, welcome: Box::new(welcome) });
    if let Some(asked) = asked {
        state.answer(now, asked, Reply::Done, fx);
    }
    if !back {
        contact::announce(state, now, user, Presence::Online, &view.friend_ids, fx);
    }
    delivery::feed(state, now, session, fx);
}

fn taken(state: &mut State, ticket: Ticket) -> Option<(Option<Asked>, Welcoming)> {
    match state.parking.take(ticket)? {
        Parked { asked, stage: Stage::Welcome(welcoming), .. } => Some((asked, *welcoming)),
        _ => None,
    }
}
