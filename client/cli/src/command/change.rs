//! Commands that change messages.

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
}

/// `N REACTION`, `WHO:N REACTION` or `#GROUP:N REACTION`, as in a reply.
pub fn react(rest: &str, on: bool) -> Option<Command> {
    match message::reply(rest)? {
        message::Command::Reply(message::Reply { of, seq: Some(seq), text }) => {
            Some(Command::React { of, seq, reaction: text, on })
        }
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
        for rest in ["", "12", "x 👍", "2:x 👍", ":12 👍", "12 "] {
            assert_eq!(react(rest, true), None, "{rest}");
        }
    }
}
