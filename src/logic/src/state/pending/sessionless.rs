//! Steps of requests without a session that wait.

use wire::message::Send;
use wire::{Refusal, UserId};

#[derive(Debug)]
pub(crate) enum Pending {
    /// The account that a token logs in is being looked up.
    Holder(Box<TokenUse>),
    /// The token of a message is being extended.
    Extension(Box<Send>),
    /// LOGOUT: a token of this user is being revoked.
    Revocation(UserId),
}

impl Pending {
    /// The bytes of the message that it holds.
    pub fn bytes(&self) -> usize {
        match self {
            Pending::Holder(token_use) => match &token_use.action {
                Action::Send(Ok(send)) => send.bytes(),
                Action::Send(Err(_)) | Action::Logout => 0,
            },
            Pending::Extension(send) => send.bytes(),
            Pending::Revocation(_) => 0,
        }
    }
}

/// What a client shows its token for.
pub(crate) struct TokenUse {
    /// As the client sent it.
    pub token: Box<str>,
    pub action: Action,
}

/// Omits the token.
impl std::fmt::Debug for TokenUse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenUse").field("action", &self.action).finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub(crate) enum Action {
    Logout,
    Send(Result<Send, Refusal>),
}
