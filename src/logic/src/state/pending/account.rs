//! Steps of REGISTER, PROFILE and CHANGE_PASSWORD that wait.

use super::session::Revoker;
use crate::attempt::Attempt;
use crate::network::Network;
use wire::UserId;
use wire::account::{ChangePassword, Register};

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
    /// FIND_USERS: they are being read.
    Find,
    /// CHANGE_PASSWORD: the password is being looked up, checked or hashed.
    NewPassword(Box<NewPassword>),
    /// CHANGE_PASSWORD: the password is being changed.
    ChangePassword(Revoker),
}

/// A CHANGE_PASSWORD whose write has not begun.
#[derive(Debug)]
pub(crate) struct NewPassword {
    pub by: Revoker,
    pub change: ChangePassword,
    pub step: Step,
}

/// What a CHANGE_PASSWORD waits for.
#[derive(Debug)]
pub(crate) enum Step {
    /// What the old password is checked against.
    Lookup,
    /// The check of the old password, which is an attempt. `may_be_made`: whether this client made the last change, so
    /// that the new password may be set already.
    Check { attempt: Attempt, stored: Box<str>, may_be_made: bool },
    /// The check whether the new password is set already.
    CheckMade,
    /// The hash of the new password; `stored`: that of the old one.
    Hash { stored: Box<str> },
}

impl Pending {
    pub fn hashes_password(&self) -> bool {
        match self {
            Pending::Password(..) => true,
            Pending::NewPassword(change) => !matches!(change.step, Step::Lookup),
            _ => false,
        }
    }

    /// The attempt to guess a password that it may be.
    pub fn attempt(&self) -> Option<&Attempt> {
        match self {
            Pending::NewPassword(change) => match &change.step {
                Step::Check { attempt, .. } => Some(attempt),
                _ => None,
            },
            _ => None,
        }
    }
}
