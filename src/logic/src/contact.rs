//! Friends, and who of them is online.

use crate::contract::{self, Read, Write};
use crate::effect::Effects;
use crate::parked::{Asked, Stage};
use crate::session::SessionRef;
use crate::state::State;
use crate::{Now, delivery};
use wire::account::Who;
use wire::contact::{Added, FriendState};
use wire::contact::{FriendChange, FriendEvent};
use wire::presence::Presence;
use wire::presence::PresenceChange;
use wire::{Errno, Push, Reply, UserId};
use wire::{contact, presence};

pub(crate) fn add(
    state: &mut State,
    now: Now,
    asked: Asked,
    (user, session): (UserId, SessionRef),
    who: Who,
    message: Option<Box<str>>,
    fx: &mut Effects,
) {
    let write = state.fenced(session, Write::Contact(contract::contact::Write::Add { user, who }));
    state.write(now, Some(asked), Stage::AddFriend { user, message }, write, fx);
}

/// Two users are friends now: both see each other's state.
pub(crate) fn added(
    state: &mut State,
    now: Now,
    asked: Option<Asked>,
    (user, message): (UserId, Option<Box<str>>),
    peer: UserId,
    fx: &mut Effects,
) {
    if let Some(asked) = asked {
        state.answer(
            now,
            asked,
            Reply::Contact(contact::Reply::Added(Added { state: FriendState::Friends })),
            fx,
        );
    }
    if let Some((_, session)) = state.sessions.of_mut(user) {
        let name = (&*session.name).into();
        let change = FriendChange { id: user, name, event: FriendEvent::Accepted, message };
        delivery::push(state, now, peer, Push::Contact(contact::Push::Friend(Box::new(change))), fx);
        announce(state, now, user, Presence::Online, &[peer], fx);
    }
    if state.is_present(peer) {
        announce(state, now, peer, Presence::Online, &[user], fx);
    } else if state.cluster.is_some() {
        let read =
            Read::Presence(contract::presence::Read::Online { users: vec![peer], grace: state.rules.grace });
        state.read(now, None, Stage::FriendOnline { user, peer }, read, fx);
    }
}

/// The friendship was not made, and why.
pub(crate) fn refused(state: &mut State, now: Now, asked: Option<Asked>, errno: Errno, fx: &mut Effects) {
    let Some(asked) = asked else { return };
    let sentence = match errno {
        Errno::BadRequest => "nobody is their own friend",
        Errno::Conflict => "you are friends already",
        _ => "there is no such user",
    };
    state.refuse(now, asked, errno, sentence, fx);
}

/// ANSWER_FRIEND: friendships are made at once, so no request ever waits.
pub(crate) fn answer_request(state: &mut State, now: Now, asked: Asked, id: UserId, fx: &mut Effects) {
    state.refuse(now, asked, Errno::NotFound, format!("user {id} has not asked to be your friend"), fx);
}

/// Tells those of `friends` who are online that `user` came or went.
pub(crate) fn announce(
    state: &mut State,
    now: Now,
    user: UserId,
    presence: Presence,
    friends: &[UserId],
    fx: &mut Effects,
) {
    for &friend in friends {
        delivery::push(
            state,
            now,
            friend,
            Push::Presence(presence::Push::Changed(PresenceChange { id: user, state: presence })),
            fx,
        );
    }
}

/// The friends of a user who went are known. Who came back meanwhile has not gone.
pub(crate) fn gone(state: &mut State, now: Now, user: UserId, friends: &[UserId], fx: &mut Effects) {
    if !state.is_present(user) {
        announce(state, now, user, Presence::Offline, friends, fx);
    }
}
