//! What a member may do to an entry of its conversation. Both stores ask in the transaction that makes the change, after
//! the conversation is locked.

use crate::contract::change::Refused;
use wire::Message;

/// Whether a member may react to an entry. `entry`: what the member's view has at that seq.
pub fn react(entry: Option<&Message>) -> Result<(), Refused> {
    match entry {
        None => Err(Refused::Absent),
        Some(entry) if !entry.is_message() => Err(Refused::NoMessage),
        Some(_) => Ok(()),
    }
}
