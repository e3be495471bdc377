//! Presence: SET_PRESENCE, and telling friends when a user comes online, goes offline or shows something else, of each user
//! at most once a second.
//!
//! What an account shows follows from what each of its sessions has set. Where all of them are on this node, it is known
//! here; otherwise it is read from the database.

use crate::bus::BusOrder;
use crate::contract::presence::{self as contract, Found as StoredFound, SetStatus, Status, Write};
use crate::contract::{Fence, Found, Written, contact as storage};
use crate::limits::SEEN_BATCH;
use crate::request::Caller;
use crate::state::State;
use crate::state::cluster::Cluster;
use crate::state::pending::presence::{Announcement, Pending};
use crate::state::presence_changes::Due;
use crate::state::reply_to::ReplyTo;
use crate::state::sessions::SessionRef;
use crate::turn::Turn;
use crate::{delivery, simple};
use wire::presence::{Presence, PresenceChange, Push, Request, SessionState};
use wire::{Reply, UnixMillis, UserId};

pub(crate) fn begin(turn: &mut Turn<'_>, reply_to: ReplyTo, caller: Caller, request: Request) {
    let Request::Set(set) = request;
    let (session, status) =
        (caller.session(), Status { is_away: set.state == SessionState::Away, text: set.text });
    let live = turn.state.sessions.of_caller(session);
    let fence = Fence { user: live.user, epoch: live.epoch };
    match turn.state.cluster {
        Cluster::Solo => {
            set_status(turn, session, status);
            turn.answer(reply_to, Reply::Done);
        }
        Cluster::Joined(_) => {
            let (grace, pending) = (turn.state.rules.grace, Pending::Set { session, status: status.clone() });
            simple::submit(turn, reply_to, session, pending, Write::Set { fence, status, grace });
        }
    }
}

pub(crate) fn written(turn: &mut Turn<'_>, reply_to: ReplyTo, pending: Pending, written: &Written) {
    match (pending, written) {
        (Pending::Set { session, status }, Written::Presence(contract::Written::Set { changes })) => {
            // What other nodes hold only storage knows.
            if let Some(user) = keep_status(turn, session, status)
                && *changes
            {
                announce(turn, user);
            }
            turn.answer(reply_to, Reply::Done);
        }
        (_, other) => simple::refuse(turn, reply_to, other, |_| "there is no such account"),
    }
}

/// Sets what a session shows on a single node, and tells friends if the account shows something else now.
fn set_status(turn: &mut Turn<'_>, session: SessionRef, status: Status) {
    let Some(user) = turn.state.sessions.get(session).map(|live| live.user) else { return };
    let before = turn.state.status(user);
    keep_status(turn, session, status);
    if turn.state.status(user) != before {
        announce(turn, user);
    }
}

/// Keeps what a session shows; returns its user, if it has not ended.
fn keep_status(turn: &mut Turn<'_>, session: SessionRef, status: Status) -> Option<UserId> {
    let at = turn.state.next_status_at(turn.now.wall);
    let live = turn.state.sessions.get_mut(session)?;
    live.status = Some(Box::new(SetStatus { status, at }));
    Some(live.user)
}

/// Tells the friends of a user what the user shows; `None`: the user is offline, and was last heard of at `heard`,
/// monotonic ms.
fn tell(turn: &mut Turn<'_>, user: UserId, shown: Result<&Status, u64>, friends: &[UserId]) {
    let change = match shown {
        Ok(status) => {
            PresenceChange { id: user, state: state_of(status), text: status.text.clone(), last_seen: None }
        }
        Err(heard) => {
            let last_seen = Some(UnixMillis(turn.now.wall.0.saturating_sub(silent(turn, heard))));
            PresenceChange { id: user, state: Presence::Offline, text: None, last_seen }
        }
    };
    for &friend in friends {
        delivery::push(turn, friend, Push::Changed(Box::new(change.clone())).into());
    }
}

pub(crate) fn state_of(status: &Status) -> Presence {
    if status.is_away { Presence::Away } else { Presence::Online }
}

fn silent(turn: &Turn<'_>, heard: u64) -> u64 {
    turn.now.monotonic.saturating_sub(heard)
}

/// Tells a user what another one shows, who is online.
pub(crate) fn show(turn: &mut Turn<'_>, of: UserId, to: UserId) {
    if turn.state.knows_status(of) {
        if let Some(status) = turn.state.status(of) {
            tell(turn, of, Ok(&status), &[to]);
        }
    } else if let Some(read) = turn.state.cluster.online_elsewhere([of].into_iter(), turn.state.rules.grace) {
        turn.read(ReplyTo::Nowhere, Pending::Show { of, to }, read);
    }
}

/// Announces that a user came online, who has no other session.
pub(crate) fn announce_come(turn: &mut Turn<'_>, user: UserId, friends: &[UserId]) {
    if let Cluster::Joined(_) = turn.state.cluster {
        turn.effects.bus.push(BusOrder::Seen { users: vec![user], at: turn.now.wall });
    }
    if turn.state.presence_changes.note(user, None, turn.now.monotonic) {
        let status = turn.state.status(user).unwrap_or_default();
        tell(turn, user, Ok(&status), friends);
    }
}

/// Announces that a user went offline, whose client was last heard of at `heard`, monotonic ms, and records that.
pub(crate) fn announce_gone(turn: &mut Turn<'_>, user: UserId, heard: u64) {
    let silent = silent(turn, heard);
    turn.write_and_forget(Write::Seen(vec![(user, silent)]));
    if let Cluster::Joined(_) = turn.state.cluster {
        turn.effects.bus.push(BusOrder::Unseen(user));
    }
    if turn.state.presence_changes.note(user, Some(heard), turn.now.monotonic) {
        look_up(turn, Announcement::of(user, Some(heard)));
    }
}

/// Announces what a user shows, who has a session on this node or another one.
pub(crate) fn announce(turn: &mut Turn<'_>, user: UserId) {
    if turn.state.presence_changes.note(user, None, turn.now.monotonic) {
        look_up(turn, Announcement::of(user, None));
    }
}

/// Announces the presence of users that has changed again within a second. What an account with sessions on several nodes
/// shows is looked up once more in any case: another node may have told of a change at the same time, and what it told may
/// have arrived before what this one told.
pub(crate) fn handle_timeout(turn: &mut Turn<'_>) {
    while let Some(Due { user, has_changed, gone, told }) =
        turn.state.presence_changes.take_due(turn.now.monotonic)
    {
        if has_changed {
            turn.state.presence_changes.note(user, gone, turn.now.monotonic);
            look_up(turn, Announcement::of(user, gone));
        } else if told.is_some() && !turn.state.knows_status(user) {
            look_up(turn, Announcement { told, ..Announcement::of(user, None) });
        }
    }
}

/// Tells friends what a user shows once that is known: first who they are, then what the user shows, so that it is not
/// outdated.
fn look_up(turn: &mut Turn<'_>, announcement: Announcement) {
    let read = storage::Read::FriendIds { user: announcement.user };
    turn.read(ReplyTo::Nowhere, Pending::Friends(Box::new(announcement)), read);
}

/// Tells what is announced. A user without a session is offline if a session of this node was the last one.
fn complete(turn: &mut Turn<'_>, announcement: &Announcement, found: Option<Status>) {
    let Announcement { user, gone, friends, told } = announcement;
    let shown = found.or_else(|| turn.state.status(*user));
    if let Some(told) = told {
        if *told == shown || shown.is_none() {
            return;
        }
        turn.state.presence_changes.note(*user, None, turn.now.monotonic);
    }
    match (&shown, gone) {
        (Some(status), _) => tell(turn, *user, Ok(status), friends),
        (None, Some(heard)) => tell(turn, *user, Err(*heard), friends),
        (None, None) => return,
    }
    turn.state.presence_changes.told(*user, shown);
}

pub(crate) fn found(turn: &mut Turn<'_>, pending: Pending, found: Found) {
    match (pending, found) {
        (Pending::Friends(announcement), Found::Contact(storage::Found::FriendIds(friends))) => {
            let (user, grace) = (announcement.user, turn.state.rules.grace);
            let announcement = Box::new(Announcement { friends, ..*announcement });
            match turn.state.cluster.online_elsewhere([user].into_iter(), grace) {
                Some(read) => turn.read(ReplyTo::Nowhere, Pending::Shown(announcement), read),
                None => complete(turn, &announcement, None),
            }
        }
        (Pending::Shown(announcement), Found::Presence(StoredFound::Online(online))) => {
            complete(turn, &announcement, online.into_iter().next().map(|online| online.status));
        }
        (Pending::Show { of, to }, Found::Presence(StoredFound::Online(online))) => {
            if let Some(found) = online.first() {
                tell(turn, of, Ok(&found.status), &[to]);
            }
        }
        _ => {}
    }
}

/// Renews the life signs of the users with sessions on this node in the online set.
pub(crate) fn renew_life_signs(turn: &mut Turn<'_>) {
    let mut users: Vec<UserId> = turn.state.sessions.iter().map(|live| live.user).collect();
    users.sort_unstable();
    users.dedup();
    for some in users.chunks(SEEN_BATCH) {
        turn.effects.bus.push(BusOrder::Seen { users: some.to_vec(), at: turn.now.wall });
    }
}

/// Records when the users with sessions on a single node were last seen, before it stops. Those of a node of a cluster
/// return to other nodes.
pub(crate) fn record_last_seen(turn: &mut Turn<'_>) {
    if let Cluster::Joined(_) = turn.state.cluster {
        return;
    }
    let state: &State = turn.state;
    let connected = state.sessions.iter().map(|live| (live.user, state.connections.heard(live.conn)));
    let absent = state.absences.users().map(|(user, absent)| (user, Some(absent.heard)));
    let silent = |heard| turn.now.monotonic.saturating_sub(heard);
    let mut seen: Vec<(UserId, u64)> =
        connected.chain(absent).filter_map(|(user, heard)| Some((user, silent(heard?)))).collect();
    seen.sort_unstable();
    seen.dedup_by_key(|(user, _)| *user);
    for some in seen.chunks(SEEN_BATCH) {
        turn.write_and_forget(Write::Seen(some.to_vec()));
    }
}
