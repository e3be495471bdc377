//! An attempt to log in by password, as the budgets of guesses count it.

use crate::contract::TokenHash;
use crate::network::Network;
use std::fmt;
use wire::UserId;

/// The key of an account: its id or, if there is no such account, a hash of the name that was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountKey(pub u64);

impl From<UserId> for AccountKey {
    fn from(user: UserId) -> AccountKey {
        AccountKey(u64::from(user.0))
    }
}

impl fmt::Display for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match u32::try_from(self.0) {
            Ok(id) => write!(f, "account {id}"),
            Err(_) => f.write_str("an unknown account"),
        }
    }
}

/// The key of a client that showed an old token of the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientKey(pub u64);

impl ClientKey {
    /// A part of the token's hash is enough to tell clients apart.
    pub fn of(token: &TokenHash) -> ClientKey {
        let (first, _) = token.split_first_chunk().expect("a hash has 32 bytes");
        ClientKey(u64::from_be_bytes(*first))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub account: AccountKey,
    pub network: Network,
    /// Set if the client showed an old token of the account.
    pub client: Option<ClientKey>,
    /// Whether the account has logged in from this network before.
    pub is_familiar: bool,
}

impl Attempt {
    /// Where it comes from.
    pub(crate) fn origin(&self) -> Origin {
        self.client.map_or(Origin::Network(self.network), Origin::Client)
    }
}

/// Where attempts come from: a client that the account knows has a budget of its own, whatever its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Origin {
    Network(Network),
    Client(ClientKey),
}
