//! Presence: notifies friends when a user comes online or goes offline, of each user at most once a second.

use crate::contract::{Found, contact as storage, presence as stored_presence};
use crate::delivery;
use crate::state::pending::presence::Pending;
use crate::state::reply_to::ReplyTo;
use crate::turn::Turn;
use wire::UserId;
use wire::presence::{Presence, PresenceChange, Push};

/// Notifies the online users among `friends` of a user's presence.
pub(crate) fn tell(turn: &mut Turn<'_>, user: UserId, presence: Presence, friends: &[UserId]) {
    for &friend in friends {
        let push = Push::Changed(PresenceChange { id: user, state: presence });
        delivery::push(turn, friend, push.into());
    }
}

/// Announces that a user came online.
pub(crate) fn announce_come(turn: &mut Turn<'_>, user: UserId, friends: &[UserId]) {
    if turn.state.presence_changes.note(user, turn.now.monotonic) {
        tell(turn, user, Presence::Online, friends);
    }
}

/// Announces that a user went offline, once the user's friends are read.
pub(crate) fn announce_gone(turn: &mut Turn<'_>, user: UserId) {
    if turn.state.presence_changes.note(user, turn.now.monotonic) {
        turn.read(ReplyTo::Nowhere, Pending::Gone(user), storage::Read::FriendIds { user });
    }
}

/// Announces that a user is online, on this node or another one, once that is known.
pub(crate) fn announce_if_online(turn: &mut Turn<'_>, user: UserId) {
    let grace = turn.state.rules.grace;
    if turn.state.is_present(user) {
        if turn.state.presence_changes.note(user, turn.now.monotonic) {
            turn.read(ReplyTo::Nowhere, Pending::Come(user), storage::Read::FriendIds { user });
        }
    } else if let Some(read) = turn.state.cluster.online_elsewhere([user].into_iter(), grace) {
        turn.read(ReplyTo::Nowhere, Pending::OnlineThere(user), read);
    }
}

/// Announces the presence of users that has changed again within a second.
pub(crate) fn handle_timeout(turn: &mut Turn<'_>) {
    while let Some(user) = turn.state.presence_changes.take_due(turn.now.monotonic) {
        let grace = turn.state.rules.grace;
        if turn.state.is_present(user) {
            turn.state.presence_changes.note(user, turn.now.monotonic);
            turn.read(ReplyTo::Nowhere, Pending::Come(user), storage::Read::FriendIds { user });
        } else if let Some(read) = turn.state.cluster.online_elsewhere([user].into_iter(), grace) {
            // Another node may have announced that the user came online there.
            turn.read(ReplyTo::Nowhere, Pending::Elsewhere(user), read);
        } else {
            announce_gone(turn, user);
        }
    }
}

pub(crate) fn found(turn: &mut Turn<'_>, pending: Pending, found: Found) {
    match (pending, found) {
        // The user may be back, or gone again, by now.
        (Pending::Gone(user), Found::Contact(storage::Found::FriendIds(friends)))
            if !turn.state.is_present(user) =>
        {
            tell(turn, user, Presence::Offline, &friends);
        }
        (Pending::Come(user), Found::Contact(storage::Found::FriendIds(friends)))
            if turn.state.is_present(user) =>
        {
            tell(turn, user, Presence::Online, &friends);
        }
        (Pending::Elsewhere(user), Found::Presence(stored_presence::Found::Online(online)))
            if online.is_empty() && !turn.state.is_present(user) =>
        {
            announce_gone(turn, user);
        }
        (Pending::OnlineThere(user), Found::Presence(stored_presence::Found::Online(online)))
            if !online.is_empty() =>
        {
            turn.read(ReplyTo::Nowhere, Pending::ComeThere(user), storage::Read::FriendIds { user });
        }
        (Pending::ComeThere(user), Found::Contact(storage::Found::FriendIds(friends))) => {
            tell(turn, user, Presence::Online, &friends);
        }
        _ => {}
    }
}
