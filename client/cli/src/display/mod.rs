//! Text for people: times, names, lists, colours and widths. Used by the terminal and by scripts.

pub mod banner;
pub mod change;
pub mod clock;
pub mod columns;
pub mod kick;
pub mod list;
pub mod mention;
pub mod snippet;
pub mod style;
pub mod text;

use chatclient_core::{Failure, sanitize};
use wire::Refusal;

/// A failure as a sentence that is safe to print.
pub fn sentence(failure: &Failure) -> String {
    match failure {
        Failure::Refused(refusal) if refusal.errmsg.is_empty() => refusal.errno.to_string(),
        Failure::Refused(refusal) => sanitize::line(&in_words(refusal)).into_owned(),
        _ => sanitize::line(&failure.to_string()).into_owned(),
    }
}

/// The sentence of a refusal, in which the server calls a field by its name in the protocol.
fn in_words(refusal: &Refusal) -> String {
    let about = refusal.field.as_deref().and_then(|field| {
        let rest = refusal.errmsg.strip_prefix('`')?.strip_prefix(field)?.strip_prefix('`')?;
        Some((field, rest))
    });
    let Some((field, rest)) = about else { return refusal.errmsg.to_string() };
    let word = match field {
        "content" => "message",
        "to" | "to_name" => "recipient",
        "desc" => "description",
        "conversation" => "id of the conversation",
        field => field,
    };
    format!("the {word}{rest}")
}
