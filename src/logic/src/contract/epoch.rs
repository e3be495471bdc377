//! Fencing: how a write proves that its session has not ended.

use wire::UserId;

/// Numbers the sessions of an account; each claim takes the next. [`Epoch::NONE`] is never fenced off: a node that does not
/// share its database sends it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u32);

impl Epoch {
    pub const NONE: Epoch = Epoch(0);
}

/// A session of an account: what it writes is rejected once the session has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fence {
    pub user: UserId,
    pub epoch: Epoch,
}
