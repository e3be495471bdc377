//! The rules of claiming an account's session, shared by both stores.

use logic::contract::node::{SILENT_MS, node_grace};
use logic::contract::session::Holder;
use logic::contract::{Denial, TokenHash, Written};
use wire::{UnixMillis, UserId};

/// The fields of a [`logic::contract::session::Write::Claim`].
#[derive(Clone, Copy)]
pub struct Claim<'a> {
    pub user: UserId,
    pub node: &'a str,
    /// The hash of the token that the login came with.
    pub token: &'a TokenHash,
    /// How long a session outlives its connection or its node, milliseconds.
    pub grace: u64,
    /// Whether to refuse while a session with another token is connected.
    pub unless_held: bool,
}

/// The session that a claim finds.
pub struct Held {
    pub holder: Holder,
    /// When it lost its connection; `None`: it is connected.
    pub lost_at: Option<UnixMillis>,
    /// When its node was last seen.
    pub seen_at: Option<UnixMillis>,
}

impl Claim<'_> {
    /// The holder of the previous session, if that was still in force; or the refusal.
    pub fn takes_from(&self, held: Option<Held>, now: UnixMillis) -> Result<Option<Holder>, Written> {
        let Some(Held { holder, lost_at, seen_at }) = held else { return Ok(None) };
        let is_within = |at: UnixMillis, ms: u64| at.0 + ms > now.0;
        let seen_within = |ms| seen_at.is_some_and(|at| is_within(at, ms));
        let is_another = lost_at.is_none() && holder.token != *self.token && seen_within(SILENT_MS);
        if self.unless_held && is_another {
            return Err(Written::Denied(Denial::Conflict));
        }
        let is_in_force =
            seen_within(node_grace(self.grace)) && lost_at.is_none_or(|at| is_within(at, self.grace));
        Ok(is_in_force.then_some(holder))
    }
}
