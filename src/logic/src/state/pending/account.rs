//! Steps of REGISTER and PROFILE that wait.

use crate::network::Network;
use wire::UserId;
use wire::account::Register;

#[derive(Debug)]
pub(crate) enum Pending {
    /// REGISTER: whether the name is free is being read.
    Name(Box<Register>),
    /// REGISTER: the password is being hashed.
    Password(Box<Register>, Network),
    /// REGISTER: the account is being created, by a client of this network.
    Create(Network),
    /// PROFILE: the profile is being read for `user`.
    Profile { user: UserId },
}

impl Pending {
    pub fn hashes_password(&self) -> bool {
        matches!(self, Pending::Password(..))
    }
}
