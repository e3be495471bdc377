//! Commands about groups.

use super::argument::{NameAndDesc, WhichGroup};
use wire::ConversationId;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Create {
        name: String,
        desc: String,
    },
    Join {
        group: ConversationId,
    },
    /// Opens a group by id or name, after joining it if necessary, or sends it the text that may follow the name.
    Open(String),
    /// The members of a group, by id or name, or of the open one.
    Members(Option<WhichGroup>),
    List,
}

impl From<NameAndDesc> for Command {
    fn from(NameAndDesc { name, desc }: NameAndDesc) -> Command {
        Command::Create { name, desc }
    }
}
