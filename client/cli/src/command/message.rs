//! Commands that send messages.

use super::argument::{group, some, who};
use wire::ConversationId;
use wire::account::Who;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    ToUser {
        who: Who,
        text: String,
    },
    ToGroup {
        group: ConversationId,
        text: String,
    },
    /// To the open conversation.
    Here(String),
    /// Opens the chat with a user, and sends the text that may follow the name. The end of the name can be found only
    /// with the list of known names.
    Open(String),
    /// A text file, to the open conversation.
    File(String),
    /// Shows the rest of a long text.
    More,
    /// Sends failed messages again.
    Retry,
    /// Drops failed messages.
    Drop,
}

/// `WHO:MESSAGE`. Colons and spaces belong to the message.
pub fn to_user(rest: &str) -> Option<Command> {
    let (user, text) = rest.split_once(':')?;
    Some(Command::ToUser { who: who(user)?, text: some(text)? })
}

/// `ID:MESSAGE`
pub fn to_group(rest: &str) -> Option<Command> {
    let (id, text) = rest.split_once(':')?;
    Some(Command::ToGroup { group: group(id)?, text: some(text)? })
}
