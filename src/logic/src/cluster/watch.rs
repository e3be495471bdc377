//! What the bus may not have said: claims of other nodes, each second, and conversations that have changed, each second
//! while something may have been missed, else now and then. A node that could not publish says so in the database,
//! where the others see it with the claims.
//!
//! A node that neither heard the bus nor could read the claims for [`TRUST_MS`] does not know any more whose sessions
//! its sessions are: it pushes nothing until it does.

use super::{line, superseded};
use crate::Now;
use crate::contract::node::{Changes, Claim};
use crate::contract::{self, Read, Write};
use crate::delivery;
use crate::effect::{Effects, Order};
use crate::limits::{CATCH_UP_MS, OVERLAP_MS, POLL_MS, SAFETY_MS, SEEN_MS, TRUST_MS, UNHEARD_MS};
use crate::parked::Stage;
use crate::state::State;
use wire::session;
use wire::session::{Changed, Listing};
use wire::{Push, UnixMillis};

/// When the database was asked, and is to be asked.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Since when claims are asked for, by the database's clock; the greatest asks for the time.
    claims_since: UnixMillis,
    changes_since: UnixMillis,
    next_claims: u64,
    next_changes: u64,
    next_seen: u64,
    /// What this node published may not have been heard, and the others do not know.
    unheard: bool,
    /// When others said so last, by the database's clock.
    others_unheard: UnixMillis,
    reads_claims: bool,
    reads_changes: bool,
    /// Until when changes are looked for each second.
    catch_up_until: u64,
    /// Up to here nothing newer than this node's sessions can have been unheard of.
    known_at: u64,
    /// Something was not pushed because nobody knew whether it may be.
    withheld: bool,
}

impl Default for Watch {
    fn default() -> Watch {
        Watch {
            claims_since: UnixMillis::MAX,
            changes_since: UnixMillis::MAX,
            next_claims: 0,
            next_changes: 0,
            next_seen: 0,
            unheard: false,
            others_unheard: UnixMillis(0),
            reads_claims: false,
            reads_changes: false,
            catch_up_until: 0,
            known_at: 0,
            withheld: false,
        }
    }
}

impl Watch {
    /// When [`timeout`] has something to do.
    pub fn next(&self) -> u64 {
        self.next_claims.min(self.next_changes).min(self.next_seen)
    }

    /// Whether it may be pushed to sessions; if not, it is remembered that something was not.
    pub fn trusts(&mut self, now: u64) -> bool {
        let trusts = now <= self.known_at + TRUST_MS;
        self.withheld |= !trusts;
        trusts
    }
}

/// Asks what is due.
pub(crate) fn timeout(state: &mut State, now: Now, fx: &mut Effects) {
    let Some(cluster) = &mut state.cluster else { return };
    let (watch, run, at) = (&mut cluster.watch, cluster.run.clone(), now.monotonic);
    let (mut claims, mut changes, mut seen) = (None, None, None);
    if at >= watch.next_claims {
        watch.next_claims = at + POLL_MS;
        if !std::mem::replace(&mut watch.reads_claims, true) {
            claims = Some(Read::Node(contract::node::Read::Claims {
                node: run.clone(),
                since: watch.claims_since,
            }));
        }
    }
    if at >= watch.next_changes {
        let may_miss = !cluster.bus || at < watch.catch_up_until;
        watch.next_changes = at + if may_miss { POLL_MS } else { SAFETY_MS };
        if !std::mem::replace(&mut watch.reads_changes, true) {
            changes = Some(Read::Node(contract::node::Read::Changes {
                node: run.clone(),
                since: watch.changes_since,
            }));
        }
    }
    if at >= watch.next_seen {
        watch.next_seen = at + SEEN_MS;
        seen = Some(std::mem::take(&mut watch.unheard));
    }
    if let Some(read) = claims {
        state.read(now, None, Stage::Claims, read, fx);
    }
    if let Some(read) = changes {
        state.read(now, None, Stage::Changes, read, fx);
    }
    if let Some(unheard) = seen {
        state.write(
            now,
            None,
            Stage::Seen { unheard },
            Write::Node(contract::node::Write::See { node: run, unheard }),
            fx,
        );
    }
}

/// Something may have been missed, or the bus is away: looks at once, and then each second for a while.
pub(crate) fn missed(state: &mut State, now: Now) {
    if let Some(cluster) = &mut state.cluster {
        cluster.watch.catch_up_until = now.monotonic + CATCH_UP_MS;
        cluster.watch.next_changes = now.monotonic;
    }
}

/// What this node published may not have been heard: the others get to know it by the database.
pub(crate) fn unheard(state: &mut State, now: Now) {
    if let Some(cluster) = &mut state.cluster
        && !std::mem::replace(&mut cluster.watch.unheard, true)
    {
        cluster.watch.next_seen = cluster.watch.next_seen.min(now.monotonic + UNHEARD_MS);
    }
}

/// The bus was there at `at`, and all it said until then was heard.
pub(crate) fn heard(state: &mut State, now: Now, at: u64, fx: &mut Effects) {
    if let Some(cluster) = &mut state.cluster {
        cluster.watch.known_at = cluster.watch.known_at.max(at);
        trust_again(state, now, fx);
    }
}

/// What was withheld is fed to whom it belongs.
fn trust_again(state: &mut State, now: Now, fx: &mut Effects) {
    let Some(cluster) = &mut state.cluster else { return };
    if !cluster.watch.withheld || now.monotonic > cluster.watch.known_at + TRUST_MS {
        return;
    }
    cluster.watch.withheld = false;
    for key in state.sessions.keys() {
        delivery::feed(state, now, key, fx);
    }
    changed(state, fx);
}

/// Claims of other nodes.
pub(crate) fn claims_known(
    state: &mut State,
    now: Now,
    issued: u64,
    (at, claims): (UnixMillis, Vec<Claim>),
    unheard: UnixMillis,
    fx: &mut Effects,
) {
    let Some(cluster) = &mut state.cluster else { return };
    let watch = &mut cluster.watch;
    watch.reads_claims = false;
    // The first only asked for the time.
    let first = watch.claims_since == UnixMillis::MAX;
    watch.claims_since = UnixMillis(at.0.saturating_sub(OVERLAP_MS));
    if first {
        watch.next_claims = now.monotonic;
        return;
    }
    if unheard > watch.others_unheard {
        watch.others_unheard = unheard;
        missed(state, now);
    }
    for Claim { user, epoch } in claims {
        superseded(state, now, user, epoch, None, fx);
    }
    heard(state, now, issued, fx);
}

/// Conversations of which a member here lacks something.
pub(crate) fn changes_known(
    state: &mut State,
    now: Now,
    Changes { upto, more, ends }: Changes,
    fx: &mut Effects,
) {
    let Some(cluster) = &mut state.cluster else { return };
    let watch = &mut cluster.watch;
    watch.reads_changes = false;
    let first = watch.changes_since == UnixMillis::MAX;
    // What a transaction brings may be older than what was seen before it, by as long as it took.
    watch.changes_since = if more { upto } else { UnixMillis(upto.0.saturating_sub(OVERLAP_MS)) };
    if more || first {
        watch.next_changes = now.monotonic;
    }
    for end in ends {
        line::ended(state, now, end, fx);
    }
}

/// The database could not be read: asked again when it is due, and soon.
pub(crate) fn read_failed(state: &mut State, now: Now, stage: &Stage) {
    let Some(cluster) = &mut state.cluster else { return };
    match stage {
        Stage::Claims => cluster.watch.reads_claims = false,
        _ => {
            cluster.watch.reads_changes = false;
            cluster.watch.next_changes = cluster.watch.next_changes.min(now.monotonic + POLL_MS);
        }
    }
}

/// Receipts and news of friends are never told twice: whoever wants to know asks again.
pub(crate) fn changed(state: &mut State, fx: &mut Effects) {
    let what = vec![Listing::Friends, Listing::Conversations];
    for session in state.sessions.iter().filter(|session| session.joining.is_none()) {
        let (conn, push) =
            (session.conn, Push::Session(session::Push::Changed(Box::new(Changed { what: what.clone() }))));
        fx.order(conn, Order::Push { conn, push });
    }
}
