//! Commands that change messages.

use super::argument::{self, some, split_field};
use super::message;
use wire::Seq;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Adds a reaction to a message, or takes it back.
    React {
        /// A user, or a group as `#GROUP`; `None`: the open conversation.
        of: Option<String>,
        seq: Seq,
        reaction: String,
        on: bool,
    },
    /// Gives an own message another text.
    Edit { of: Option<String>, seq: Seq, text: String },
    /// Takes a message back.
    Recall { of: Option<String>, seq: Seq },
}

/// `N REACTION`, `WHO:N REACTION` or `#GROUP:N REACTION`, as in a reply.
pub fn react(rest: &str, on: bool) -> Option<Command> {
    let (of, seq, reaction) = numbered(rest)?;
    Some(Command::React { of, seq, reaction, on })
}

/// `N TEXT`, `WHO:N TEXT` or `#GROUP:N TEXT`.
pub fn edit(rest: &str) -> Option<Command> {
    let (of, seq, text) = numbered(rest)?;
    Some(Command::Edit { of, seq, text })
}

/// `N`, `WHO:N` or `#GROUP:N`.
pub fn recall(rest: &str) -> Option<Command> {
    if let Some(seq) = argument::seq(rest.trim()) {
        return Some(Command::Recall { of: None, seq });
    }
    let (of, number) = split_field(rest)?;
    Some(Command::Recall { of: Some(some(of)?), seq: argument::seq(number.trim())? })
}

fn numbered(rest: &str) -> Option<(Option<String>, Seq, String)> {
    match message::reply(rest)? {
        message::Command::Reply(message::Reply { of, seq: Some(seq), text }) => Some((of, seq, text)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reaction_is_to_a_message_here_or_elsewhere() {
        for (rest, of, seq, reaction) in [
            ("12 👍", None, 12, "👍"),
            ("#12  👍", None, 12, "👍"),
            ("li si:12 👍", Some("li si"), 12, "👍"),
            ("#7:#12 👍", Some("#7"), 12, "👍"),
            ("12 :", None, 12, ":"),
        ] {
            let (of, seq, reaction) = (of.map(str::to_owned), Seq(seq), reaction.to_owned());
            assert_eq!(react(rest, true), Some(Command::React { of, seq, reaction, on: true }), "{rest}");
        }
        assert_eq!(
            edit("li si:12 see: you at 8"),
            Some(Command::Edit {
                of: Some("li si".to_owned()),
                seq: Seq(12),
                text: "see: you at 8".to_owned()
            })
        );
        assert_eq!((edit("12"), edit("see you")), (None, None));
        for (rest, of) in [("12", None), (" #12 ", None), ("li si:12", Some("li si")), ("#7:#12", Some("#7"))]
        {
            let of = of.map(str::to_owned);
            assert_eq!(recall(rest), Some(Command::Recall { of, seq: Seq(12) }), "{rest}");
        }
        assert_eq!((recall(""), recall("x"), recall("12 x"), recall("li si:x")), (None, None, None, None));
        for rest in ["", "12", "x 👍", "2:x 👍", ":12 👍", "12 "] {
            assert_eq!(react(rest, true), None, "{rest}");
        }
    }
}
