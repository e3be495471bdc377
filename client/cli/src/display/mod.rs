//! Text for people: times, names, lists, colours and widths. Used by the terminal and by scripts.

pub mod banner;
pub mod clock;
pub mod columns;
pub mod list;
pub mod mention;
pub mod style;
pub mod text;

use chatclient_core::{Failure, sanitize};

/// A failure as a sentence that is safe to print.
pub fn sentence(failure: &Failure) -> String {
    match failure {
        Failure::Refused(refusal) if refusal.errmsg.is_empty() => refusal.errno.to_string(),
        _ => sanitize::line(&failure.to_string()).into_owned(),
    }
}
