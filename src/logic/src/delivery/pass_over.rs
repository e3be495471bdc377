//! Entries that are not sent to a session, because its dialect has no form for them.

use crate::contract::Fence;
use crate::state::cursors::Cursors;
use crate::state::sessions::Session;
use wire::Message;

/// Acknowledges such an entry on behalf of the client. If messages below it are not acknowledged yet, this does nothing:
/// the acknowledgement of the last of them will include the entry.
pub fn pass_over(cursors: &mut Cursors, session: &Session, message: &Message) {
    let mover = Fence { user: session.user, epoch: session.epoch };
    cursors.pass(mover, message.conversation, message.seq);
}
