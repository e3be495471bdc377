//! What is shown of changes: the line that tells of one, and what changes have made of a message.

use chatclient_core::sanitize;
use std::borrow::Cow;
use wire::{ChangeKind, Message};

/// What the entry of a change tells, as done by `who`: `li si reacted 👍 to #12`. `None`: it tells of no change.
pub fn told(entry: &Message, who: &str) -> Option<String> {
    let change = entry.change()?;
    let (text, of) = (sanitize::line(&entry.content), change.of);
    Some(match change.kind {
        ChangeKind::Edit if text.is_empty() => format!("{who} edited #{of}"),
        ChangeKind::Edit => format!("{who} edited #{of}: {text}"),
        ChangeKind::Recall => format!("{who} recalled #{of}"),
        ChangeKind::Reaction { on: true } => format!("{who} reacted {text} to #{of}"),
        ChangeKind::Reaction { on: false } => format!("{who} took back {text} from #{of}"),
    })
}

/// What stands for the text of a recalled message.
pub const RECALLED: &str = "(recalled)";

/// The text of a message, not made safe to print.
pub fn text(message: &Message) -> &str {
    if message.recalled().is_some() { RECALLED } else { &message.content }
}

/// What follows the text of a message: `  (edited, 👍 3, 🎉)`.
pub fn marks(message: &Message) -> String {
    let Some(changes) = message.changes() else { return String::new() };
    let edited = changes.edited.map(|_| Cow::Borrowed("edited"));
    let kinds = changes.reactions.iter().map(|kind| match (sanitize::line(&kind.reaction), kind.count) {
        (reaction, 1) => reaction,
        (reaction, count) => format!("{reaction} {count}").into(),
    });
    let marks: Vec<Cow<'_, str>> = edited.into_iter().chain(kinds).collect();
    match marks.is_empty() {
        true => String::new(),
        false => format!("  ({})", marks.join(", ")),
    }
}
