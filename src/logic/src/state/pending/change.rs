//! Changes of entries in flight.

use crate::state::sessions::SessionRef;
use wire::ChangeKind;

#[derive(Debug)]
pub(crate) enum Pending {
    /// The change is being stored, on behalf of this session.
    Storing { session: SessionRef, kind: ChangeKind },
}
