//! What is shown of changes: the line that tells of one, and what changes have made of a message.

use chatclient_core::sanitize;
use std::borrow::Cow;
use wire::{ChangeKind, Message};

/// What the entry of a change tells, as done by `who`: `li si reacted 👍 to #12`. `None`: it tells of no change.
pub fn told(entry: &Message, who: &str) -> Option<String> {
    let change = entry.change()?;
    let (text, of) = (sanitize::line(&entry.content), change.of);
    Some(match change.kind {
        ChangeKind::Reaction { on: true } => format!("{who} reacted {text} to #{of}"),
        ChangeKind::Reaction { on: false } => format!("{who} took back {text} from #{of}"),
    })
}

/// What follows the text of a message: `  (👍 3, 🎉)`.
pub fn reactions(message: &Message) -> String {
    let reactions = message.changes().map_or(&[][..], |changes| &changes.reactions);
    let kinds: Vec<Cow<'_, str>> = reactions
        .iter()
        .map(|kind| match (sanitize::line(&kind.reaction), kind.count) {
            (reaction, 1) => reaction,
            (reaction, count) => format!("{reaction} {count}").into(),
        })
        .collect();
    match kinds.is_empty() {
        true => String::new(),
        false => format!("  ({})", kinds.join(", ")),
    }
}
