//! Contacts: ADD_FRIEND, ANSWER_FRIEND, REMOVE_FRIEND, SET_FRIEND and FRIENDS, and the push FRIEND.

use crate::contract::{Denial, Found, Written, contact as storage, presence as stored_presence};
use crate::limits::FRIENDS_BYTES;
use crate::request::Caller;
use crate::state::pending::contact::Pending;
use crate::state::reply_to::ReplyTo;
use crate::turn::Turn;
use crate::{delivery, listing, presence, simple};
use wire::contact::{
    Added, FriendChange, FriendEvent, FriendState, FriendsPage, Push, Remove, Reply, Request, Set,
};
use wire::session::Listing;
use wire::{Errno, UserId};

pub(crate) fn begin(turn: &mut Turn<'_>, reply_to: ReplyTo, caller: Caller, request: Request) {
    let session = caller.session();
    let user = turn.state.sessions.of_caller(session).user;
    match request {
        Request::Add(add) => {
            let (who, message) = (add.who, add.message);
            let pending = Pending::Add { by: session, user, message };
            simple::submit(turn, reply_to, session, pending, storage::Write::Add { user, who });
        }
        // ADD_FRIEND makes the friendship at once, so there is never a request to answer.
        Request::Answer(answer) => {
            let sentence = format!("user {} has not asked to be your friend", answer.id);
            turn.refuse(reply_to, Errno::NotFound, sentence);
        }
        Request::Remove(Remove { id: friend }) => {
            let pending = Pending::Remove { by: session, user, friend };
            simple::submit(turn, reply_to, session, pending, storage::Write::Remove { user, friend });
        }
        Request::Set(Set { id: friend, remark, tag }) => {
            let write = storage::Write::Set { user, friend, remark, tag };
            simple::submit(turn, reply_to, session, Pending::Set { by: session, user }, write);
        }
        Request::Friends(page) => {
            turn.read(reply_to, Pending::Friends, storage::Read::Friends { user, page });
        }
    }
}

/// Whether it begins with a read of a page.
pub(crate) fn is_read(request: &Request) -> bool {
    matches!(request, Request::Friends(_))
}

pub(crate) fn written(turn: &mut Turn<'_>, reply_to: ReplyTo, pending: Pending, written: Written) {
    match (pending, written) {
        (Pending::Add { by, user, message }, Written::Contact(storage::Written::Friends { peer, .. })) => {
            added(turn, reply_to, user, message, peer);
            delivery::list_changed(turn, user, by, Listing::Friends);
        }
        (Pending::Remove { by, user, friend }, Written::Done) => {
            turn.answer(reply_to, wire::Reply::Done);
            tell(turn, user, friend, FriendEvent::Removed, None);
            delivery::list_changed(turn, user, by, Listing::Friends);
        }
        (Pending::Set { by, user }, Written::Done) => {
            turn.answer(reply_to, wire::Reply::Done);
            delivery::list_changed(turn, user, by, Listing::Friends);
        }
        (Pending::Remove { .. } | Pending::Set { .. }, other) => {
            simple::refuse(turn, reply_to, &other, |_| "you are not friends");
        }
        (_, other) => simple::refuse(turn, reply_to, &other, |denial| match denial {
            Denial::Oneself => "you cannot add yourself as a friend",
            Denial::Conflict => "you are friends already",
            _ => "there is no such user",
        }),
    }
}

/// Notifies both new friends of each other's presence.
fn added(turn: &mut Turn<'_>, reply_to: ReplyTo, user: UserId, message: Option<Box<str>>, peer: UserId) {
    turn.answer(reply_to, Reply::Added(Added { state: FriendState::Friends }));
    if tell(turn, user, peer, FriendEvent::Accepted, message) {
        presence::show(turn, user, peer);
    }
    presence::show(turn, peer, user);
}

/// Tells `peer` what `user` has done. Not if `user` has no session any more, which alone knows its name: the lists of the
/// next login tell it.
fn tell(
    turn: &mut Turn<'_>,
    user: UserId,
    peer: UserId,
    event: FriendEvent,
    message: Option<Box<str>>,
) -> bool {
    let Some((_, session)) = turn.state.sessions.of(user).next() else { return false };
    let change = FriendChange { id: user, name: (&*session.name).into(), event, message };
    delivery::push(turn, peer, Push::Friend(Box::new(change)).into());
    true
}

pub(crate) fn found(turn: &mut Turn<'_>, reply_to: ReplyTo, pending: Pending, found: Found) {
    match (pending, found) {
        (Pending::Friends, Found::Contact(storage::Found::Friends { friends, more })) => {
            let friends = listing::friends(turn.state, friends);
            friends_known(turn, reply_to, FriendsPage { friends, requests: Vec::new(), more });
        }
        (Pending::FriendsOnline(mut page), Found::Presence(stored_presence::Found::Online(online))) => {
            listing::mark_friends_online(&mut page.friends, &online);
            answer_friends(turn, reply_to, page);
        }
        (_, Found::Unavailable) => turn.unavailable(reply_to),
        (_, _) => turn.internal(reply_to),
    }
}

/// Takes a page of friends; before the reply, reads what those show who may have sessions on other nodes.
fn friends_known(turn: &mut Turn<'_>, reply_to: ReplyTo, page: FriendsPage) {
    let state = &turn.state;
    let unknown = page.friends.iter().map(|friend| friend.id).filter(|friend| !state.knows_status(*friend));
    match state.cluster.online_elsewhere(unknown, state.rules.grace) {
        Some(read) => turn.read(reply_to, Pending::FriendsOnline(Box::new(page)), read),
        None => answer_friends(turn, reply_to, Box::new(page)),
    }
}

fn answer_friends(turn: &mut Turn<'_>, reply_to: ReplyTo, mut page: Box<FriendsPage>) {
    page.more |= listing::cut_friends(&mut page.friends, FRIENDS_BYTES);
    turn.answer(reply_to, Reply::Friends(page));
}
