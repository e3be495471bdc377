//! Steps of REGISTER and PROFILE that wait.

use wire::UserId;
use wire::account::Register;

#[derive(Debug)]
pub(crate) enum Pending {
    /// REGISTER: whether the name is free is being read.
    Name(Box<Register>),
    /// REGISTER: the password is being hashed.
    Password(Box<Register>),
    /// REGISTER: the account is being created.
    Create,
    /// PROFILE: the profile is being read for `user`.
    Profile { user: UserId },
}

impl Pending {
    pub fn hashes_password(&self) -> bool {
        matches!(self, Pending::Password(_))
    }
}
