//! Reconciliation: reads from the database what the bus may have lost. Claims of other nodes are read each second;
//! changed conversations each second while something may be lost, and every ten seconds otherwise. A node that failed
//! to publish records that in the database, where the others read it with the claims.
//!
//! A node that for [`TRUST_MS`](crate::limits::TRUST_MS) has neither received anything from the bus nor read the claims
//! cannot tell whether its sessions were taken over. It stops pushing until it can.

use super::delivery_line;
use crate::contract::node::{self as storage, Changes, Claims, ENDED_KEPT_MS, Ended, Read, Write};
use crate::contract::{Fence, Found, session as session_storage};
use crate::effect::Order;
use crate::limits::{
    CATCH_UP_MS, OVERLAP_MS, POLL_MS, SAFETY_MS, SEEN_MS, TOUCH_BATCH, TOUCH_MS, UNHEARD_MS,
};
use crate::state::pending::node::{Kick, Pending};
use crate::state::reply_to::ReplyTo;
use crate::state::sessions::Session;
use crate::turn::Turn;
use crate::{delivery, presence, session};
use std::collections::btree_map::Entry;
use wire::session::{Changed, Listing, Push};
use wire::{UnixMillis, UserId};

/// Issues the reads and writes that are due.
pub(super) fn handle_timeout(turn: &mut Turn<'_>) {
    let Some(membership) = turn.state.cluster.membership() else { return };
    let (reconcile, run, now) = (&mut membership.reconcile, membership.run.clone(), turn.now.monotonic);
    let (mut claims, mut changes, mut seen) = (None, None, None);
    if now >= reconcile.next_claims {
        reconcile.next_claims = now + POLL_MS;
        if !std::mem::replace(&mut reconcile.reads_claims, true) {
            claims = Some(Read::Claims { node: run.clone(), since: reconcile.claims_since });
        }
    }
    if now >= reconcile.next_changes {
        let may_miss = !membership.has_bus || now < reconcile.catch_up_until;
        reconcile.next_changes = now + if may_miss { POLL_MS } else { SAFETY_MS };
        if !std::mem::replace(&mut reconcile.reads_changes, true) {
            changes = Some(Read::Changes { node: run.clone(), since: reconcile.changes_since });
        }
    }
    if now >= reconcile.next_seen {
        reconcile.next_seen = now + SEEN_MS;
        seen = Some(std::mem::take(&mut reconcile.unheard));
    }
    if let Some(read) = claims {
        turn.read(ReplyTo::Nowhere, Pending::Claims { issued: now }, read);
    }
    if let Some(read) = changes {
        turn.read(ReplyTo::Nowhere, Pending::Changes, read);
    }
    if now >= turn.state.cluster.membership().map_or(u64::MAX, |membership| membership.reconcile.next_touch) {
        touch(turn);
    }
    while let Some(membership) = turn.state.cluster.membership()
        && let Some(user) = membership.reconcile.take_announcement(now)
    {
        tell(turn, user);
    }
    if let Some(unheard) = seen {
        turn.write(ReplyTo::Nowhere, Pending::Seen { unheard }, Write::See { node: run, unheard });
    }
}

/// Records when the clients of the sessions on this node were last heard of, where that decides which session a login ends.
fn touch(turn: &mut Turn<'_>) {
    let now = turn.now.monotonic;
    let Some(membership) = turn.state.cluster.membership() else { return };
    let before =
        std::mem::replace(&mut membership.reconcile.next_touch, now + TOUCH_MS).saturating_sub(TOUCH_MS);
    presence::renew_life_signs(turn);
    if !turn.state.rules.sessions.ends_silent_ones() {
        return;
    }
    let state = &*turn.state;
    let of = |live: &Session| {
        let heard = state.connections.heard(live.conn).filter(|heard| *heard >= before)?;
        Some((Fence { user: live.user, epoch: live.epoch }, now.saturating_sub(heard)))
    };
    let heard: Vec<(Fence, u64)> = state.sessions.iter().filter_map(of).collect();
    for some in heard.chunks(TOUCH_BATCH) {
        turn.write_and_forget(session_storage::Write::Touch(some.to_vec()));
    }
}

/// Reads changes at once and then each second for a while, because hints may be lost or the bus is down.
pub(super) fn missed(turn: &mut Turn<'_>) {
    if let Some(membership) = turn.state.cluster.membership() {
        membership.reconcile.catch_up_until = turn.now.monotonic + CATCH_UP_MS;
        membership.reconcile.next_changes = turn.now.monotonic;
    }
}

/// Publications of this node may be lost: schedules a write that reports this to the other nodes.
pub(super) fn unheard(turn: &mut Turn<'_>) {
    if let Some(membership) = turn.state.cluster.membership()
        && !std::mem::replace(&mut membership.reconcile.unheard, true)
    {
        let reconcile = &mut membership.reconcile;
        reconcile.next_seen = reconcile.next_seen.min(turn.now.monotonic + UNHEARD_MS);
    }
}

/// Handles the announcement that a session has ended. The database decides whether it has. `device`: that of the login that
/// ended it.
pub(super) fn kick_heard(turn: &mut Turn<'_>, fence: Fence, device: Option<Box<str>>) {
    if !session::is_held(turn.state, fence) {
        return;
    }
    let Some(membership) = turn.state.cluster.membership() else { return };
    match membership.reconcile.kicks_in_check.entry(fence) {
        // One check is enough, however many writes of the session are refused.
        Entry::Occupied(mut known) => {
            let known = known.get_mut();
            *known = known.take().or(device);
            return;
        }
        Entry::Vacant(check) => check.insert(device),
    };
    let kick = Kick { fence, since: turn.now.monotonic };
    turn.read(ReplyTo::Nowhere, Pending::Kick(Box::new(kick)), Read::Session(fence));
}

pub(super) fn kick_checked(turn: &mut Turn<'_>, kick: Kick, found: Found) {
    let Some(membership) = turn.state.cluster.membership() else { return };
    let reconcile = &mut membership.reconcile;
    let device = reconcile.kicks_in_check.remove(&kick.fence).flatten();
    if let Found::Node(storage::Found::Session(end)) = found {
        if let Some(code) = end {
            session::superseded(turn, kick.fence, session::Kick { code, device });
        }
        return;
    }
    // The database could not be read: the next claims that are read include this one.
    reconcile.unchecked_kick = Some(kick.since);
    reconcile.next_claims = reconcile.next_claims.min(turn.now.monotonic + POLL_MS);
}

/// Notes that every kick published before `at`, monotonic ms, has been heard. It says nothing while one is not checked.
pub(super) fn bus_heard(turn: &mut Turn<'_>, at: u64) {
    if let Some(membership) = turn.state.cluster.membership()
        && membership.reconcile.kicks_in_check.is_empty()
        && membership.reconcile.unchecked_kick.is_none()
    {
        heard(turn, at);
    }
}

/// Notes that at `at`, monotonic ms, no session on this node had been superseded.
fn heard(turn: &mut Turn<'_>, at: u64) {
    if let Some(membership) = turn.state.cluster.membership() {
        membership.reconcile.known_at = membership.reconcile.known_at.max(at);
        push_withheld(turn);
    }
}

/// Feeds the sessions whose pushes were withheld, once pushing is allowed again.
fn push_withheld(turn: &mut Turn<'_>) {
    let Some(membership) = turn.state.cluster.membership() else { return };
    let reconcile = &mut membership.reconcile;
    if !reconcile.has_withheld || !reconcile.is_trusted(turn.now.monotonic) {
        return;
    }
    reconcile.has_withheld = false;
    for key in turn.state.sessions.keys() {
        delivery::feed(turn, key);
    }
    announce_changed(turn, None);
}

pub(super) fn claims_found(turn: &mut Turn<'_>, issued: u64, found: Found) {
    let Some(membership) = turn.state.cluster.membership() else { return };
    let reconcile = &mut membership.reconcile;
    reconcile.reads_claims = false;
    // If the database could not be read, the next poll retries.
    let Found::Node(storage::Found::Claims(claims)) = found else { return };
    let Claims { now, ended, joined, unheard } = *claims;
    let is_first = reconcile.claims_since == UnixMillis::MAX;
    let is_late = now.0 >= reconcile.claims_since.0.saturating_add(ENDED_KEPT_MS);
    reconcile.claims_since = UnixMillis(now.0.saturating_sub(OVERLAP_MS));
    if is_first {
        // The first read only asked for the time.
        reconcile.next_claims = turn.now.monotonic;
        return;
    }
    if reconcile.unchecked_kick.is_some_and(|since| since <= issued) {
        reconcile.unchecked_kick = None;
    }
    if unheard > reconcile.others_unheard {
        reconcile.others_unheard = unheard;
        missed(turn);
    }
    for Ended { fence, why } in ended {
        session::superseded(turn, fence, session::Kick { code: why, device: None });
    }
    for user in joined {
        if turn.state.sessions.share(user) {
            // The hint that the session began was lost. What was not published for it since is lost as well.
            turn.state.cluster.publish_missed(user, turn.effects);
        }
    }
    if is_late {
        return check_all(turn);
    }
    heard(turn, issued);
}

/// Asks for each session on this node whether it has ended: the database does not remember all that have.
fn check_all(turn: &mut Turn<'_>) {
    let of = |user, epoch| Fence { user, epoch };
    let connected = turn.state.sessions.iter().map(|live| of(live.user, live.epoch));
    let absent = turn.state.absences.users().map(|(user, absent)| of(user, absent.epoch));
    let fences: Vec<Fence> = connected.chain(absent).collect();
    for fence in fences {
        kick_heard(turn, fence, None);
    }
}

pub(super) fn changes_found(turn: &mut Turn<'_>, found: Found) {
    let Some(membership) = turn.state.cluster.membership() else { return };
    let reconcile = &mut membership.reconcile;
    reconcile.reads_changes = false;
    let Found::Node(storage::Found::Changes(changes)) = found else {
        // The database could not be read: retry soon.
        reconcile.next_changes = reconcile.next_changes.min(turn.now.monotonic + POLL_MS);
        return;
    };
    let Changes { upto, more, ends } = *changes;
    let is_first = reconcile.changes_since == UnixMillis::MAX;
    // A transaction may commit rows whose time lies before this read, by up to its own duration.
    reconcile.changes_since = if more { upto } else { UnixMillis(upto.0.saturating_sub(OVERLAP_MS)) };
    if more || is_first {
        reconcile.next_changes = turn.now.monotonic;
    }
    for end in ends {
        delivery_line::end_known(turn, end);
    }
}

/// Tells the clients of a user's sessions on this node (`None`: all clients) to re-read friends and conversations: receipts,
/// reads and friendships are published only once and may be lost. It is said once more when everything that was published is
/// written.
pub(super) fn announce_changed(turn: &mut Turn<'_>, user: Option<UserId>) {
    tell(turn, user);
    if let Some(membership) = turn.state.cluster.membership() {
        membership.reconcile.announce_again(turn.now.monotonic, user);
    }
}

fn tell(turn: &mut Turn<'_>, user: Option<UserId>) {
    let what = vec![Listing::Friends, Listing::Conversations];
    let push: wire::Push = Push::Changed(Box::new(Changed { what })).into();
    match user {
        Some(user) => delivery::push_here(turn, user, None, &push),
        None => {
            for session in turn.state.sessions.iter().filter(|session| session.login.is_none()) {
                turn.effects.order(session.conn, Order::Push { conn: session.conn, push: push.clone() });
            }
        }
    }
}
