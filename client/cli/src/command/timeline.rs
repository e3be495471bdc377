//! Commands that show history or close a conversation.

use super::argument::{self, WhichGroup, group, page, split_field, who};
use wire::Seq;
use wire::account::Who;
use wire::timeline::SettingsChange;

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
    /// Changes a setting of a conversation by user, group or name, or of the open one.
    Set(Setting, Option<String>),
    /// Removes what a conversation, or the open one, has so far.
    Forget(Option<String>),
    /// Who has read an own message in a group, by id or name, or in the open one; without a seq, the last own one.
    Readers {
        group: Option<WhichGroup>,
        seq: Option<Seq>,
        typed: String,
    },
    /// Finds messages by their words, everywhere or in one conversation (a user, or a group as `#GROUP`); without a text,
    /// the next results of the last search.
    Search {
        of: Option<String>,
        text: Option<String>,
    },
    /// Closes the open conversation.
    Close,
}

/// A setting of a conversation, and its new value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    Pinned(bool),
    Muted(bool),
    Hidden(bool),
}

impl Setting {
    /// The command that sets it.
    pub fn command(self) -> &'static str {
        match self {
            Setting::Pinned(true) => "/pin",
            Setting::Pinned(false) => "/unpin",
            Setting::Muted(true) => "/mute",
            Setting::Muted(false) => "/unmute",
            Setting::Hidden(true) => "/hide",
            Setting::Hidden(false) => "/unhide",
        }
    }

    pub fn change(self) -> SettingsChange {
        let none = SettingsChange::default();
        match self {
            Setting::Pinned(pinned) => SettingsChange { pinned: Some(pinned), ..none },
            Setting::Muted(muted) => SettingsChange { muted: Some(muted), ..none },
            Setting::Hidden(hidden) => SettingsChange { hidden: Some(hidden), ..none },
        }
    }
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

/// `SEQ`, `GROUP:SEQ`, `GROUP:` or nothing. The seq may have the `#` in front that is printed before it.
pub fn readers(rest: Option<&str>) -> Option<Command> {
    let rest = rest.unwrap_or_default();
    let (of, seq) = match split_field(rest) {
        Some((of, seq)) => (Some(group(of)?), seq),
        None => (None, rest),
    };
    let seq = match seq.trim() {
        "" => None,
        seq => Some(argument::seq(seq)?),
    };
    Some(Command::Readers { group: of, seq, typed: rest.to_owned() })
}

/// `WORDS`, `#GROUP WORDS`, `@WHO WORDS` or nothing. A name with a space in it stands in quotes.
pub fn search(rest: Option<&str>) -> Option<Command> {
    let Some(rest) = rest else { return Some(Command::Search { of: None, text: None }) };
    let (mark, of, text) = match rest.strip_prefix(['#', '@']) {
        Some(after) => {
            let end = match argument::quoted(after) {
                Some(quoted) => quoted.end,
                None => after.find(char::is_whitespace)?,
            };
            (&rest[..1], Some(&after[..end]), &after[end..])
        }
        None => ("", None, rest),
    };
    let of = of.map(|of| if mark == "#" { format!("#{of}") } else { of.to_owned() });
    Some(Command::Search { of, text: Some(argument::some(text.trim())?) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::ConversationId;

    #[test]
    fn a_search_is_everywhere_or_in_one_conversation() {
        for (rest, of, text) in [
            ("two words", None, "two words"),
            ("#7 two words", Some("#7"), "two words"),
            ("#\"night shift\" a: b", Some("#\"night shift\""), "a: b"),
            ("@ann hello", Some("ann"), "hello"),
            ("@\"li si\" hello", Some("\"li si\""), "hello"),
            ("mail@ann", None, "mail@ann"),
        ] {
            let (of, text) = (of.map(str::to_owned), Some(text.to_owned()));
            assert_eq!(search(Some(rest)), Some(Command::Search { of, text }), "{rest}");
        }
        assert_eq!(search(None), Some(Command::Search { of: None, text: None }));
        for rest in ["", "#7", "#7 ", "@ann"] {
            assert_eq!(search(Some(rest)), None, "{rest}");
        }
    }

    #[test]
    fn readers_are_of_a_message_by_number_here_or_in_a_group() {
        let seven = || Some(WhichGroup::Id(ConversationId(7)));
        for (rest, group, seq) in [
            (None, None, None),
            (Some("12"), None, Some(Seq(12))),
            (Some("#12"), None, Some(Seq(12))),
            (Some("7:12"), seven(), Some(Seq(12))),
            (Some("#7:#12"), seven(), Some(Seq(12))),
            (Some("7："), seven(), None),
            (Some("\"a:b\":3"), Some(WhichGroup::Name("a:b".to_owned())), Some(Seq(3))),
        ] {
            let typed = rest.unwrap_or_default().to_owned();
            assert_eq!(readers(rest), Some(Command::Readers { group, seq, typed }), "{rest:?}");
        }
        for rest in ["devs", "7:x", ":3", "-1", "9007199254740992"] {
            assert_eq!(readers(Some(rest)), None, "{rest}");
        }
    }
}
