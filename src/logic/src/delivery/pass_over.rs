//! Entries that are not sent to a session, because its dialect has no form for them, or they have no text any more.

use crate::contract::Fence;
use crate::state::cursors::Cursors;
use crate::state::sessions::Session;
use wire::Message;

/// Whether an entry is a message with a text: a session whose dialect has no other form is sent nothing else.
pub fn has_text(entry: &Message) -> bool {
    entry.is_message() && entry.recalled().is_none()
}

/// Acknowledges such an entry on behalf of the client. If messages below it are not acknowledged yet, this does nothing:
/// the acknowledgement of the last of them will include the entry.
pub fn pass_over(cursors: &mut Cursors, session: &Session, message: &Message) {
    let mover = Fence { user: session.user, epoch: session.epoch };
    cursors.pass(mover, message.conversation, message.seq..=message.seq);
}

/// Whether a message of the session's user is not pushed to it. `sent_here`: it was sent on this connection, as is known
/// without a note.
pub fn is_passed(session: &Session, message: &Message, sent_here: bool) -> bool {
    sent_here
        || session.own.contains(message.conversation, message.seq)
        || !session.capabilities.receives_own_messages()
}
