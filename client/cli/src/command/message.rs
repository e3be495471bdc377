//! Commands that send messages.

use super::argument::{WhichGroup, group, seq, some, split_field, who};
use wire::Seq;
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
    /// Answers a message.
    Reply(Reply),
    /// Shows the rest of a long text.
    More,
    /// Sends failed messages again.
    Retry,
    /// Drops failed messages.
    Drop,
}

/// A message that answers another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// A user, or a group as `#GROUP`; `None`: the open conversation.
    pub of: Option<String>,
    /// The message that is answered; `None`: the last one of somebody else.
    pub seq: Option<Seq>,
    pub text: String,
}

/// `N TEXT`, `WHO:N TEXT`, `#GROUP:N TEXT` or `TEXT`. The number may have the `#` in front that is printed before it.
pub fn reply(rest: &str) -> Option<Command> {
    let numbered = |text: &str| {
        let (number, text) = text.split_once(char::is_whitespace)?;
        Some((seq(number)?, some(text.trim_start())?))
    };
    let of_other = || {
        let (of, rest) = split_field(rest)?;
        Some((some(of)?, numbered(rest)?))
    };
    let reply = match (numbered(rest), of_other()) {
        (Some((seq, text)), _) => Reply { of: None, seq: Some(seq), text },
        (None, Some((of, (seq, text)))) => Reply { of: Some(of), seq: Some(seq), text },
        // The text is missing.
        (None, None) if seq(rest.trim()).is_some() => return None,
        (None, None) => Reply { of: None, seq: None, text: some(rest)? },
    };
    Some(Command::Reply(reply))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_to_a_message_here_or_elsewhere_or_to_the_last_one() {
        for (rest, of, seq, text) in [
            ("12 yes: at eight", None, Some(12), "yes: at eight"),
            ("#12  yes", None, Some(12), "yes"),
            ("#7:12 yes", Some("#7"), Some(12), "yes"),
            ("li si:#3 yes", Some("li si"), Some(3), "yes"),
            ("\"a:b\":3 yes", Some("\"a:b\""), Some(3), "yes"),
            ("yes, at eight", None, None, "yes, at eight"),
            ("see: 5 things", None, None, "see: 5 things"),
        ] {
            let (of, seq, text) = (of.map(str::to_owned), seq.map(Seq), text.to_owned());
            assert_eq!(reply(rest), Some(Command::Reply(Reply { of, seq, text })), "{rest}");
        }
        assert_eq!((reply("12"), reply("#12 "), reply("")), (None, None, None));
    }
}
