//! Quotas: how many rows an account may create. What counts is what the account itself created, opened or asked for,
//! never what others did to it.

use wire::UnixMillis;

/// The most of each; 0: any number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quotas {
    /// Groups that an account owns.
    pub groups: u32,
    /// Groups that an account creates in a day, UTC.
    pub groups_made_day: u32,
    /// Friends that an account added.
    pub friends: u32,
    /// Conversations that an account created, joined or opened.
    pub conversations: u32,
    /// Members of a group.
    pub members: u32,
}

/// A quota that forbids a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    Groups,
    GroupsMadeDay {
        /// When the next day begins.
        until: UnixMillis,
    },
    Friends,
    Conversations,
    Members,
}

impl Quota {
    /// Its configuration key.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Quota::Groups => "limits.groups",
            Quota::GroupsMadeDay { .. } => "limits.groups_made_day",
            Quota::Friends => "limits.friends",
            Quota::Conversations => "limits.conversations",
            Quota::Members => "limits.members",
        }
    }

    /// A sentence for the client.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Quota::Groups => "you own as many groups as an account may own",
            Quota::GroupsMadeDay { .. } => {
                "you have created as many groups today as an account may create in a day"
            }
            Quota::Friends => "you have added as many friends as an account may add",
            Quota::Conversations => "you have opened and joined as many conversations as an account may have",
            Quota::Members => "the group has as many members as a group may have",
        }
    }

    /// When the quota allows the write again, where only time is needed.
    #[must_use]
    pub fn until(self) -> Option<UnixMillis> {
        match self {
            Quota::GroupsMadeDay { until } => Some(until),
            _ => None,
        }
    }
}
