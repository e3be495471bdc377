//! Commands about people: friends and profiles.

use super::argument;
use wire::account::Who;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Add {
        who: Who,
    },
    List,
    /// The profile of a user; without one, the user's own.
    Profile {
        who: Option<Who>,
    },
}

/// `WHO`, or nothing.
pub fn profile(rest: Option<&str>) -> Option<Command> {
    let who = match rest {
        Some(rest) => Some(argument::who(rest)?),
        None => None,
    };
    Some(Command::Profile { who })
}
