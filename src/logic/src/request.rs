//! Where a request comes from.

use crate::conn::ConnId;
use crate::state::sessions::SessionRef;

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
