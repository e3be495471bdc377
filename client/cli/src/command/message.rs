//! Commands that send messages.

use super::argument::{WhichGroup, group, some, split_field, who};
use wire::account::Who;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    ToUser {
        who: Who,
        text: String,
        /// Everything after the command's name: a name with a colon in it may be meant.
        typed: String,
    },
    ToGroup {
        group: WhichGroup,
        text: String,
        typed: String,
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
    let (user, text) = split_field(rest)?;
    Some(Command::ToUser { who: who(user)?, text: some(text)?, typed: rest.to_owned() })
}

/// `GROUP:MESSAGE`
pub fn to_group(rest: &str) -> Option<Command> {
    let (of, text) = split_field(rest)?;
    Some(Command::ToGroup { group: group(of)?, text: some(text)?, typed: rest.to_owned() })
}
