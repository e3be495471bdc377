//! The rules of claiming and ending sessions, shared by both stores.

use crate::column::End;
use logic::conflict::{self, Party, Standing};
use logic::contract::node::{ENDED_KEPT_MS, SILENT_MS, node_grace};
use logic::contract::presence::{SetStatus, Status, of_account};
use logic::contract::session::{Claim, ClaimId, Claimed, Ended};
use logic::contract::{Denial, Epoch, TokenHash, Written};
use wire::UnixMillis;
use wire::session::{ClientKind, KickCode};

/// A row of the table of sessions.
#[derive(Clone, Debug)]
pub struct Row {
    pub epoch: Epoch,
    /// The run of its node.
    pub node: Box<str>,
    pub claim: ClaimId,
    pub token: TokenHash,
    pub device: Option<Box<str>>,
    pub kind: ClientKind,
    pub heard_at: UnixMillis,
    /// When it lost its connection; `None`: it is connected.
    pub lost_at: Option<UnixMillis>,
    pub changed_at: UnixMillis,
    /// `None`: it has not ended.
    pub end: Option<End>,
    /// The session whose login ended it.
    pub ended_by: Option<Epoch>,
    /// When its node was last seen.
    pub seen_at: Option<UnixMillis>,
    /// What it has set.
    pub status: Option<SetStatus>,
}

/// What a session has set, by its columns `is_away`, `status_text` and `status_at`.
pub fn set_status(is_away: bool, text: Option<Box<str>>, at: Option<UnixMillis>) -> Option<SetStatus> {
    at.map(|at| SetStatus { status: Status { is_away, text }, at: at.0 })
}

fn shown<'a>(rows: impl Iterator<Item = &'a Row>) -> Option<Status> {
    of_account(rows.map(|row| row.status.as_ref()))
}

/// Whether an account shows something else once its session `epoch` has set `status`.
pub fn set_changes_status(rows: &[Row], epoch: Epoch, status: &Status, grace: u64, now: UnixMillis) -> bool {
    let in_force = || rows.iter().filter(|row| row.is_in_force(grace, now) || row.epoch == epoch);
    let last = rows.iter().filter_map(|row| Some(row.status.as_ref()?.at)).max().unwrap_or(0);
    let set = SetStatus { status: status.clone(), at: last.max(now.0) };
    let others = in_force().filter(|row| row.epoch != epoch).map(|row| row.status.as_ref());
    shown(in_force()) != of_account(others.chain([Some(&set)]))
}

/// Whether an account shows something else once only the sessions `stay` of `before` and `stay` are left.
pub fn changes_status<'a>(stay: &[&'a Row], before: impl Iterator<Item = &'a Row>) -> bool {
    let after = shown(stay.iter().copied());
    after.is_some() && after != shown(stay.iter().copied().chain(before))
}

/// How many sessions that have ended are remembered for an account.
pub const ENDED_MAX: usize = 32;

/// A token and what its client calls itself.
type Identity<'a> = (&'a TokenHash, Option<&'a str>);

fn is_within(at: UnixMillis, ms: u64, now: UnixMillis) -> bool {
    at.0.saturating_add(ms) > now.0
}

impl Row {
    /// Whether its node will end it once it is over.
    pub fn is_held(&self, now: UnixMillis) -> bool {
        self.end.is_none() && self.is_seen_within(SILENT_MS, now)
    }

    /// Whether it may still write.
    pub fn may_write(&self) -> bool {
        matches!(self.end, None | Some(End::Left))
    }

    fn is_seen_within(&self, ms: u64, now: UnixMillis) -> bool {
        self.seen_at.is_some_and(|at| is_within(at, ms, now))
    }

    /// Whether it has neither ended nor outlived its connection or its node by more than its grace.
    pub fn is_in_force(&self, grace: u64, now: UnixMillis) -> bool {
        self.end.is_none()
            && self.is_seen_within(node_grace(grace), now)
            && self.lost_at.is_none_or(|at| is_within(at, grace, now))
    }

    fn is_kicked(&self) -> bool {
        matches!(self.end, Some(End::Kicked(_)))
    }

    fn why_ended(&self) -> KickCode {
        self.end.map_or(KickCode::Login, End::why)
    }

    fn ended(&self, why: KickCode) -> Ended {
        Ended { node: self.node.clone(), epoch: self.epoch, why }
    }

    fn identity(&self) -> Identity<'_> {
        (&self.token, self.device.as_deref())
    }

    fn standing(&self, now: UnixMillis) -> Standing<Identity<'_>> {
        Standing {
            party: Party { identity: self.identity(), kind: self.kind },
            is_connected: self.lost_at.is_none() && self.is_seen_within(SILENT_MS, now),
            silent: now.0.saturating_sub(self.heard_at.0),
        }
    }
}

/// What a claim changes.
#[derive(Debug)]
pub struct Plan {
    pub claimed: Claimed,
    /// Whether its session must be stored; it is already there where the claim is repeated.
    pub is_new: bool,
    /// The sessions that end, and why.
    pub ends: Vec<(Epoch, KickCode)>,
    /// The sessions that are over since their connections or nodes are gone.
    pub expired: Vec<Epoch>,
    /// Rows that nobody needs any more.
    pub outdated: Vec<Epoch>,
    /// The tokens that end with their sessions.
    pub revoked: Vec<TokenHash>,
}

impl Plan {
    /// Decides a claim by the rows of its account. `next`: the epoch of a new session.
    ///
    /// # Errors The outcome if nothing is claimed.
    pub fn make(claim: &Claim, rows: &[Row], next: Epoch, now: UnixMillis) -> Result<Plan, Written> {
        let own = rows.iter().find(|row| *row.node == *claim.node && row.claim == claim.id);
        if own.is_some_and(|own| own.end.is_some()) {
            return Err(Written::Unavailable);
        }
        let (is_new, epoch) = (own.is_none(), own.map_or(next, |own| own.epoch));
        let others = || rows.iter().filter(|row| row.epoch != epoch);
        let in_force: Vec<&Row> = others().filter(|row| row.is_in_force(claim.grace, now)).collect();
        // What the first attempt ended, if this one repeats it.
        let ended_before: Vec<&Row> = others().filter(|row| row.ended_by == Some(epoch)).collect();
        let identity = (&claim.token, claim.device.as_deref());
        let standings: Vec<_> = in_force.iter().map(|row| row.standing(now)).collect();
        let decided = match is_new {
            true => conflict::decide(claim.policy, &Party { identity, kind: claim.kind }, &standings)
                .map_err(|_| Written::Denied(Denial::Conflict))?,
            false => vec![None; in_force.len()],
        };
        let (mut ends, mut stay) = (Vec::new(), Vec::new());
        for (row, why) in in_force.iter().zip(decided) {
            match why {
                Some(why) => ends.push((*row, why)),
                None => stay.push(*row),
            }
        }
        let is_kept = |token: &TokenHash| *token == claim.token || stay.iter().any(|row| row.token == *token);
        let revoked = ends.iter().map(|(row, _)| row.token).filter(|token| !is_kept(token)).collect();
        let before = ended_before.iter().map(|row| (*row, row.why_ended()));
        let ended: Vec<(&Row, KickCode)> = before.chain(ends.iter().copied()).collect();
        let mut nodes: Vec<Box<str>> = stay.iter().map(|row| row.node.clone()).collect();
        nodes.sort_unstable();
        nodes.dedup();
        // Their nodes may be stalled and come back, so these sessions end like others.
        let expired = others().filter(|row| row.end.is_none() && !row.is_in_force(claim.grace, now));
        let expired: Vec<Epoch> = expired.map(|row| row.epoch).collect();
        let ended_now = ended.len() + expired.len();
        let outdated = outdated(claim, rows, epoch, ENDED_MAX.saturating_sub(ended_now), now);
        // Its own node may not have learnt of them, if the answer to the claim that ended them was lost.
        let forgotten = outdated.iter().filter(|row| row.is_kicked() && *row.node == *claim.node);
        let resumed = ended.iter().map(|(row, _)| *row).find(|row| row.identity() == identity);
        let status = own.map_or_else(|| resumed.and_then(|row| row.status.clone()), |own| own.status.clone());
        let stay_shown = stay.iter().map(|row| row.status.as_ref());
        let before = shown(ended.iter().map(|(row, _)| *row).chain(stay.iter().copied()));
        let after = of_account(stay_shown.chain([status.as_ref()]));
        Ok(Plan {
            claimed: Claimed {
                epoch,
                resumed: resumed.is_some(),
                was_present: !ended.is_empty() || !stay.is_empty(),
                status,
                changes_status: before.is_some() && before != after,
                ended: ended.iter().map(|(row, why)| row.ended(*why)).collect(),
                forgotten: forgotten.map(|row| row.ended(row.why_ended())).collect(),
                others: nodes,
            },
            is_new,
            ends: ends.iter().map(|(row, why)| (row.epoch, *why)).collect(),
            expired,
            outdated: outdated.iter().map(|row| row.epoch).collect(),
            revoked,
        })
    }
}

/// The sessions that have ended and are not needed any more, beside those that the claim of `epoch` has ended: all but
/// `kept` of them. A session without a row writes nothing.
fn outdated<'a>(claim: &Claim, rows: &'a [Row], epoch: Epoch, kept: usize, now: UnixMillis) -> Vec<&'a Row> {
    let ended = rows.iter().filter(|row| row.end.is_some() && row.epoch != epoch);
    let mut ended: Vec<&Row> = ended.filter(|row| row.ended_by != Some(epoch)).collect();
    let is_needed = |row: &Row| {
        is_within(row.changed_at, ENDED_KEPT_MS, now) && !(row.is_kicked() && *row.node == *claim.node)
    };
    // Those to forget first, then those that ended first.
    ended.sort_by_key(|row| (is_needed(row), row.changed_at, row.epoch));
    let unneeded = ended.iter().filter(|row| !is_needed(row)).count();
    ended.truncate(unneeded.max(ended.len().saturating_sub(kept)));
    ended
}

/// What ending a session changes.
#[derive(Debug)]
pub struct EndPlan {
    /// Whether it is the account's last one in force.
    pub was_last: bool,
    /// Whether the account shows something else by its other sessions.
    pub changes_status: bool,
    pub revokes: bool,
}

impl EndPlan {
    /// Decides it by the rows of the account. `token`: to revoke unless another session lives by it.
    pub fn make(
        rows: &[Row],
        epoch: Epoch,
        token: Option<&TokenHash>,
        grace: u64,
        now: UnixMillis,
    ) -> EndPlan {
        let others = rows.iter().filter(|row| row.epoch != epoch && row.is_in_force(grace, now));
        let others: Vec<&Row> = others.collect();
        // One that has left may have done so at the first attempt, whose answer was lost. One that is forgotten has ended.
        let ends = rows.iter().find(|row| row.epoch == epoch && row.may_write());
        let is_kept = |token: &TokenHash| others.iter().any(|row| row.token == *token);
        EndPlan {
            was_last: ends.is_some() && others.is_empty(),
            changes_status: changes_status(&others, ends.into_iter()),
            revokes: token.is_some_and(|token| !is_kept(token)),
        }
    }
}
