//! Presence: notifies friends when a user comes online or goes offline.

use crate::contract::{Found, contact as storage};
use crate::delivery;
use crate::state::pending::presence::Pending;
use crate::state::reply_to::ReplyTo;
use crate::turn::Turn;
use wire::UserId;
use wire::presence::{Presence, PresenceChange, Push};

/// Notifies the online users among `friends` that `user` came online or went offline.
pub(crate) fn announce(turn: &mut Turn<'_>, user: UserId, presence: Presence, friends: &[UserId]) {
    for &friend in friends {
        let push = Push::Changed(PresenceChange { id: user, state: presence });
        delivery::push(turn, friend, push.into());
    }
}

/// Announces that a user went offline, once the user's friends are read.
pub(crate) fn announce_gone(turn: &mut Turn<'_>, user: UserId) {
    turn.read(ReplyTo::Nowhere, Pending::Gone(user), storage::Read::FriendIds { user });
}

pub(crate) fn found(turn: &mut Turn<'_>, pending: Pending, found: Found) {
    let Pending::Gone(user) = pending;
    // The user may be back by now.
    if let Found::Contact(storage::Found::FriendIds(friends)) = found
        && !turn.state.is_present(user)
    {
        announce(turn, user, Presence::Offline, &friends);
    }
}
