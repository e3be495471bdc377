//! Where a request comes from, and the requests that come without a session.

use crate::conn::ConnId;
use crate::state::sessions::SessionRef;
use std::fmt;
use wire::Refusal;
use wire::kind::request::{LOGIN, LOGOUT, SEND};
use wire::message::Send;
use wire::session::Login;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    pub conn: ConnId,
    /// `None` only for a request that may come before login.
    pub session: Option<SessionRef>,
}

impl Caller {
    /// The session of a caller whose request needs one.
    pub fn session(self) -> SessionRef {
        self.session.expect("the dispatcher refuses this request before login")
    }
}

/// A request of a client without a session: it shows a password or a token, and is answered by an
/// [`Order::Reply`](crate::Order::Reply) whose request number is 0. REGISTER needs no such form.
#[derive(Clone)]
pub enum Sessionless {
    /// Issues or extends a token. Answered by [`Reply::Done`](wire::Reply::Done), behind an
    /// [`Order::Granted`](crate::Order::Granted).
    Login(Login),
    /// Revokes a token and ends the sessions that live by it.
    Logout { token: Box<str> },
    /// Sends a message, once the token is known to be in force.
    Send {
        token: Box<str>,
        /// A refusal is answered where the token is in force: a client that is not logged in learns nothing else.
        send: Result<Send, Refusal>,
    },
}

impl Sessionless {
    /// The type of the answer.
    #[must_use]
    pub fn kind(&self) -> u16 {
        match self {
            Sessionless::Login(_) => LOGIN,
            Sessionless::Logout { .. } => LOGOUT,
            Sessionless::Send { .. } => SEND,
        }
    }
}

/// Omits passwords and tokens.
impl fmt::Debug for Sessionless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Sessionless::Login(_) => "Login",
            Sessionless::Logout { .. } => "Logout",
            Sessionless::Send { .. } => "Send",
        })
    }
}
