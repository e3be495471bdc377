//! Commands that show history or close a conversation.

use super::argument::{WhichGroup, group, page, who};
use wire::Seq;
use wire::account::Who;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Messages before a seq; without one, the latest.
    WithUser {
        who: Who,
        before: Option<Seq>,
        /// Everything after the command's name: a name with a colon in it may be meant.
        typed: String,
    },
    OfGroup {
        group: WhichGroup,
        before: Option<Seq>,
        typed: String,
    },
    /// The latest messages of a user, of a group (`#7`), or of the open conversation.
    Latest(Option<String>),
    /// The page before the first message shown of the open conversation.
    Older,
    /// The page after the last message shown of the open conversation.
    Newer,
    /// Opens a conversation by user, group or name; without one, lists them.
    Open(Option<String>),
    /// Makes a conversation, or the open one, draw no attention.
    Mute(Option<String>),
    Unmute(Option<String>),
    /// Closes the open conversation.
    Close,
}

/// `WHO` or `WHO:SEQ`
pub fn with_user(rest: &str) -> Option<Command> {
    let page = page(rest)?;
    Some(Command::WithUser { who: who(page.of)?, before: page.before, typed: rest.to_owned() })
}

/// `ID` or `ID:SEQ`
pub fn of_group(rest: &str) -> Option<Command> {
    let page = page(rest)?;
    Some(Command::OfGroup { group: group(page.of)?, before: page.before, typed: rest.to_owned() })
}
