//! Commands about people: friends and profiles.

use super::argument;
use wire::account::{Find, Who};
use wire::contact::Set;
use wire::{UserId, limits};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Add {
        who: Who,
    },
    List,
    /// Finds users by id or by the beginning of their names.
    Find(Find),
    /// Ends a friendship.
    Remove {
        who: Who,
    },
    Note {
        who: Who,
        what: Note,
        /// Empty: no such note.
        text: String,
    },
    /// The profile of a user; without one, the user's own.
    Profile {
        who: Option<Who>,
    },
}

/// What a user notes about a friend, for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    Remark,
    Tag,
}

impl Note {
    pub fn command(self) -> &'static str {
        match self {
            Note::Remark => "/remark",
            Note::Tag => "/tag",
        }
    }

    /// The request that writes it.
    pub fn set(self, id: UserId, text: &str) -> Set {
        let (remark, tag) = match self {
            Note::Remark => (Some(text.into()), None),
            Note::Tag => (None, Some(text.into())),
        };
        Set { id, remark, tag }
    }
}

/// `WHO:TEXT`; without text the note is deleted.
pub fn note(rest: &str, what: Note) -> Option<Command> {
    let (who, text) = argument::split_field(rest)?;
    Some(Command::Note { who: argument::who(who)?, what, text: text.trim().to_owned() })
}

/// An id, or at least two characters.
pub fn find(rest: &str) -> Option<Command> {
    let find = Find { query: argument::some(rest)?.into(), limit: limits::FIND_MAX };
    (find.id().is_some() || find.keys().is_some()).then_some(Command::Find(find))
}

/// `WHO`, or nothing.
pub fn profile(rest: Option<&str>) -> Option<Command> {
    let who = match rest {
        Some(rest) => Some(argument::who(rest)?),
        None => None,
    };
    Some(Command::Profile { who })
}
