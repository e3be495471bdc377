//! Contacts: ADD_FRIEND, ANSWER_FRIEND and FRIENDS, and the push FRIEND.

use crate::contract::{Denial, Found, Written, contact as storage, presence as stored_presence};
use crate::request::Caller;
use crate::state::pending::contact::Pending;
use crate::state::reply_to::ReplyTo;
use crate::turn::Turn;
use crate::{delivery, listing, presence, simple};
use wire::contact::{Added, FriendChange, FriendEvent, FriendState, FriendsPage, Push, Reply, Request};
use wire::{Errno, UserId};

pub(crate) fn begin(turn: &mut Turn<'_>, reply_to: ReplyTo, caller: Caller, request: Request) {
    let session = caller.session();
    let user = turn.state.sessions.of_caller(session).user;
    match request {
        Request::Add(add) => {
            let (who, message) = (add.who, add.message);
            let pending = Pending::Add { user, message };
            simple::submit(turn, reply_to, session, pending, storage::Write::Add { user, who });
        }
        // ADD_FRIEND makes the friendship at once, so there is never a request to answer.
        Request::Answer(answer) => {
            let sentence = format!("user {} has not asked to be your friend", answer.id);
            turn.refuse(reply_to, Errno::NotFound, sentence);
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
        (Pending::Add { user, message }, Written::Contact(storage::Written::Friends { peer, .. })) => {
            added(turn, reply_to, user, message, peer);
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
    let name = turn.state.sessions.of(user).next().map(|(_, session)| (&*session.name).into());
    if let Some(name) = name {
        let change = FriendChange { id: user, name, event: FriendEvent::Accepted, message };
        delivery::push(turn, peer, Push::Friend(Box::new(change)).into());
        presence::show(turn, user, peer);
    }
    presence::show(turn, peer, user);
}

pub(crate) fn found(turn: &mut Turn<'_>, reply_to: ReplyTo, pending: Pending, found: Found) {
    match (pending, found) {
        (Pending::Friends, Found::Contact(storage::Found::Friends { friends, more })) => {
            let friends = listing::friends(turn.state, friends);
            friends_known(turn, reply_to, FriendsPage { friends, requests: Vec::new(), more });
        }
        (Pending::FriendsOnline(mut page), Found::Presence(stored_presence::Found::Online(online))) => {
            listing::mark_friends_online(&mut page.friends, &online);
            turn.answer(reply_to, Reply::Friends(page));
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
        None => turn.answer(reply_to, Reply::Friends(Box::new(page))),
    }
}
