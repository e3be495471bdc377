//! Commands about groups.

use super::argument::{self, NameAndDesc, WhichGroup};
use wire::ConversationId;
use wire::account::Who;
use wire::group::Role;

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
    /// Leaves a group, or the open one.
    Leave(Option<WhichGroup>),
    /// Does something about a member of a group, or of the open one.
    About {
        group: Option<WhichGroup>,
        who: Who,
        act: Act,
    },
}

/// What is done about a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Remove { bar: bool },
    SetRole(Role),
    Transfer,
}

impl Act {
    /// The command that does it.
    pub fn command(self) -> &'static str {
        match self {
            Act::Remove { bar: false } => "/kick",
            Act::Remove { bar: true } => "/ban",
            Act::SetRole(_) => "/role",
            Act::Transfer => "/transfer",
        }
    }
}

/// `WHO` or `GROUP:WHO`.
pub fn about(text: &str, act: Act) -> Option<Command> {
    let (group, who) = match argument::split_field(text) {
        Some((group, who)) => (Some(argument::group(group)?), who),
        None => (None, text),
    };
    Some(Command::About { group, who: argument::who(who)?, act })
}

/// `WHO ROLE` or `GROUP:WHO ROLE`.
pub fn role(text: &str) -> Option<Command> {
    let (text, role) = text.trim_end().rsplit_once(char::is_whitespace)?;
    let role = [Role::Admin, Role::Normal].into_iter().find(|of| of.as_str() == role)?;
    about(text, Act::SetRole(role))
}

impl From<NameAndDesc> for Command {
    fn from(NameAndDesc { name, desc }: NameAndDesc) -> Command {
        Command::Create { name, desc }
    }
}
