//! Groups: CREATE_GROUP, JOIN_GROUP, MEMBERS, GROUPS, and the changes of a group's members and their roles: LEAVE,
//! REMOVE_MEMBER, SET_ROLE and TRANSFER.
//!
//! In a cluster, the node subscribes to a group's channel *before* the new member can learn of the group or receive its
//! messages, so that nothing is missed in between.

use crate::bus::Channel;
use crate::cluster::Stored;
use crate::contract::entry::{Actor, Entry};
use crate::contract::group::{self as storage, Change, Refused, What};
use crate::contract::{Denial, Found, Written, presence as stored_presence};
use crate::limits::{GROUPS_BYTES, SESSION_ENDED};
use crate::request::Caller;
use crate::state::State;
use crate::state::pending::group::Pending;
use crate::state::pending::node::Listener;
use crate::state::reply_to::ReplyTo;
use crate::state::sessions::SessionRef;
use crate::turn::Turn;
use crate::{cluster, listening, listing, simple};
use std::sync::Arc;
use wire::group::{
    Created, GroupsPage, Join, JoinState, Joined, Leave, Members, MembersPage, Remove, Reply, Request,
    SetRole, Transfer,
};
use wire::{ConversationId, Errno, Refusal};

pub(crate) fn begin(turn: &mut Turn<'_>, reply_to: ReplyTo, caller: Caller, request: Request) {
    let session = caller.session();
    let user = turn.state.sessions.of_caller(session).user;
    match request {
        Request::Create(create) => {
            let pending = Pending::Create { session };
            let by = actor(turn.state, session);
            let write = storage::Write::Create { by, name: create.name, desc: create.desc };
            simple::submit(turn, reply_to, session, pending, write);
        }
        Request::Join(Join { conversation }) => {
            let then = Listener::Group(Pending::Join { session, conversation });
            listening::hold(turn, reply_to, &[Channel::Group(conversation)], then);
        }
        Request::Leave(Leave { conversation }) => {
            change(turn, reply_to, session, conversation, What::Leave);
        }
        Request::Remove(Remove { conversation, id, bar }) => {
            change(turn, reply_to, session, conversation, What::Remove { user: id, bar });
        }
        Request::SetRole(SetRole { conversation, id, role }) => {
            change(turn, reply_to, session, conversation, What::SetRole { user: id, role });
        }
        Request::Transfer(Transfer { conversation, id }) => {
            change(turn, reply_to, session, conversation, What::Transfer { user: id });
        }
        Request::Members(Members { conversation, page }) => {
            turn.read(reply_to, Pending::Members, storage::Read::Members { user, conversation, page });
        }
        Request::Groups(page) => {
            turn.read(reply_to, Pending::Groups, storage::Read::Groups { user, page });
        }
    }
}

/// Whether it begins with a read of a page.
pub(crate) fn is_read(request: &Request) -> bool {
    matches!(request, Request::Members(_) | Request::Groups(_))
}

/// Resumes a step that waited for the subscription to a group's channel.
pub(crate) fn resume(turn: &mut Turn<'_>, reply_to: ReplyTo, pending: Pending) {
    match pending {
        Pending::Created(entry) => {
            turn.answer(reply_to, Reply::Created(Created { conversation: entry.message.conversation }));
            deliver(turn, *entry);
        }
        Pending::Join { session, conversation } => join(turn, reply_to, session, conversation),
        other => debug_assert!(false, "this step waits for no channel: {other:?}"),
    }
}

fn join(turn: &mut Turn<'_>, reply_to: ReplyTo, session: SessionRef, conversation: ConversationId) {
    if turn.state.sessions.get(session).is_none() {
        listening::release(turn, &[Channel::Group(conversation)]);
        return turn.refuse(reply_to, Errno::NotLoggedIn, SESSION_ENDED);
    }
    let write = storage::Write::Join { by: actor(turn.state, session), conversation };
    simple::submit(turn, reply_to, session, Pending::Join { session, conversation }, write);
}

fn change(
    turn: &mut Turn<'_>,
    reply_to: ReplyTo,
    session: SessionRef,
    conversation: ConversationId,
    what: What,
) {
    let write = storage::Write::Change(Change { by: actor(turn.state, session), conversation, what });
    simple::submit(turn, reply_to, session, Pending::Change, write);
}

pub(crate) fn written(turn: &mut Turn<'_>, reply_to: ReplyTo, pending: Pending, written: Written) {
    match (pending, written) {
        (Pending::Create { session }, Written::Group(storage::Written::Created(entry))) => {
            created(turn, reply_to, session, entry);
        }
        (Pending::Join { session, conversation }, Written::Group(storage::Written::Joined(entry))) => {
            if !listening::keep(turn, session, conversation) {
                listening::release(turn, &[Channel::Group(conversation)]);
            }
            turn.answer(reply_to, Reply::Joined(Joined { state: JoinState::Joined }));
            deliver(turn, entry);
        }
        (Pending::Join { conversation, .. }, other) => {
            listening::release(turn, &[Channel::Group(conversation)]);
            simple::refuse(turn, reply_to, &other, |denial| match denial {
                Denial::Conflict => "you are a member already",
                Denial::Forbidden => "the group does not take you in",
                _ => "there is no such group",
            });
        }
        (Pending::Change, Written::Group(storage::Written::Changed(entry))) => {
            turn.answer(reply_to, wire::Reply::Done);
            deliver(turn, entry);
        }
        (Pending::Change, Written::Group(storage::Written::Unchanged)) => {
            turn.answer(reply_to, wire::Reply::Done);
        }
        (Pending::Change, Written::Group(storage::Written::Refused(why))) => {
            turn.answer(reply_to, refusal(why));
        }
        (Pending::Change, other) => {
            simple::refuse(turn, reply_to, &other, |_| "only members may change a group");
        }
        (_, other) => simple::refuse(turn, reply_to, &other, |_| "the group cannot be created"),
    }
}

fn refusal(why: Refused) -> Refusal {
    match why {
        Refused::NotAbove => Refusal::new(
            Errno::Forbidden,
            "only admins may do this to normal members, and only the creator to admins",
        ),
        Refused::NotCreator => Refusal::new(Errno::Forbidden, "only the creator of the group may do this"),
        Refused::NoMember => Refusal::new(Errno::NotFound, "the user is no member of the group").about("id"),
        Refused::Oneself => Refusal::new(Errno::BadRequest, "you cannot do this to yourself").about("id"),
        Refused::IsCreator => Refusal::new(
            Errno::Conflict,
            "the creator leaves a group as the last member, or after making somebody else the creator",
        ),
    }
}

/// Who acts, for the entry that tells the members of it.
fn actor(state: &mut State, session: SessionRef) -> Actor {
    let live = state.sessions.of_caller(session);
    let (user, name) = (live.user, Arc::clone(&live.name));
    Actor { user, name, cid: state.next_cid() }
}

/// Delivers an entry like a message.
fn deliver(turn: &mut Turn<'_>, Entry { message, members }: Entry) {
    cluster::deliver(turn, Stored { message, members, sent_by: None });
}

fn created(turn: &mut Turn<'_>, reply_to: ReplyTo, session: SessionRef, entry: Entry) {
    let conversation = entry.message.conversation;
    let then = Pending::Created(Box::new(entry));
    if listening::keep(turn, session, conversation) {
        listening::hold(turn, reply_to, &[Channel::Group(conversation)], Listener::Group(then));
    } else {
        resume(turn, reply_to, then);
    }
}

pub(crate) fn found(turn: &mut Turn<'_>, reply_to: ReplyTo, pending: Pending, found: Found) {
    match (pending, found) {
        (Pending::Groups, Found::Group(storage::Found::Groups { mut groups, more })) => {
            let more = more | listing::cut_groups(&mut groups, GROUPS_BYTES);
            turn.answer(reply_to, Reply::Groups(Box::new(GroupsPage { groups, more })));
        }
        (Pending::Members, Found::Group(storage::Found::Members { members, more })) => {
            let members = listing::members(turn.state, members);
            members_known(turn, reply_to, MembersPage { members, more });
        }
        (Pending::Members, Found::Denied(Denial::Forbidden)) => {
            turn.refuse(reply_to, Errno::Forbidden, "only members may see a conversation");
        }
        (Pending::MembersOnline(mut page), Found::Presence(stored_presence::Found::Online(online))) => {
            listing::mark_members_online(&mut page.members, &online);
            turn.answer(reply_to, Reply::Members(page));
        }
        (_, Found::Unavailable) => turn.unavailable(reply_to),
        (_, _) => turn.internal(reply_to),
    }
}

/// Takes a page of members; before the reply, reads what those show who may have sessions on other nodes.
fn members_known(turn: &mut Turn<'_>, reply_to: ReplyTo, page: MembersPage) {
    let state = &turn.state;
    let unknown = page.members.iter().map(|member| member.id).filter(|member| !state.knows_status(*member));
    match state.cluster.online_elsewhere(unknown, state.rules.grace) {
        Some(read) => turn.read(reply_to, Pending::MembersOnline(Box::new(page)), read),
        None => turn.answer(reply_to, Reply::Members(Box::new(page))),
    }
}
