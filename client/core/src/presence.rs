//! Presence: what this session shows to friends. The session keeps nothing of the presence of others: a push of
//! [`wire::presence::Push`] reaches the caller as [`crate::Event::Push`].

use crate::requests::RequestId;
use crate::state::Session;
use wire::presence::{Request, SessionState, SetPresence};

impl Session {
    /// Sets what friends are shown. It ends with the session: after a login that does not resume it, it is to be set again.
    pub fn set_presence(&mut self, now: u64, state: SessionState, text: Option<&str>) -> RequestId {
        self.ask(now, Request::Set(SetPresence { state, text: text.map(Into::into) }))
    }
}
