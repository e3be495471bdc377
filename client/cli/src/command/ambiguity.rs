//! Names with a colon in them. A name without quotes ends at the first colon: `chat:alice:bob:hi` is a message to
//! `alice`, unless there is an `alice:bob`, too. Then nobody guesses.

use super::argument::{self, DIVIDERS};
use chatclient_core::sanitize;

/// Characters of what follows a name in a question.
const SHOWN: usize = 20;

/// The names that the fields after a command may begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ambiguity<'t> {
    /// Up to the first divider.
    pub short: &'t str,
    /// Up to a later one, or all of the text.
    pub long: &'t str,
    /// From the end of the short name, or of the long one, to the end of the text.
    after_short: &'t str,
    after_long: &'t str,
}

impl<'t> Ambiguity<'t> {
    /// Finds a name beyond the first divider that is known. `typed` is what follows the command. Quotes and digits are
    /// clear: a name, and an id.
    pub fn find(typed: &'t str, is_known: impl Fn(&str) -> bool) -> Option<Ambiguity<'t>> {
        let (short, _) = argument::split_field(typed)?;
        if argument::quoted(typed).is_some() || argument::group_id(short).is_some() {
            return None;
        }
        let dividers = typed.char_indices().filter(|(_, c)| DIVIDERS.contains(c)).map(|(at, _)| at);
        let end = dividers.skip(1).chain([typed.len()]).find(|end| is_known(typed[..*end].trim()))?;
        let (after_short, after_long) = (&typed[short.len()..], &typed[end..]);
        Some(Ambiguity { short: short.trim(), long: typed[..end].trim(), after_short, after_long })
    }

    /// `alice or alice:7? Put the name in quotes: "alice":7 or "alice:7"`
    pub fn question(&self) -> String {
        let Ambiguity { short, long, .. } = self;
        let (after_short, after_long) = (beginning(self.after_short), beginning(self.after_long));
        let question = format!(
            "{short} or {long}? Put the name in quotes: \"{short}\"{after_short} or \"{long}\"{after_long}"
        );
        sanitize::line(&question).into_owned()
    }
}

/// A text or, if it is long, as much as tells what it is.
fn beginning(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(typed: &str) -> Option<Ambiguity<'_>> {
        Ambiguity::find(typed, |name| ["alice:bob", "alice:7", "张：三"].contains(&name))
    }

    #[test]
    fn a_known_name_with_a_colon_is_asked_about() {
        for (typed, short, long) in [
            ("alice:bob:hi", "alice", "alice:bob"),
            ("alice:bob", "alice", "alice:bob"),
            ("alice:7", "alice", "alice:7"),
            ("alice:7:40", "alice", "alice:7"),
            ("张：三：你好", "张", "张：三"),
        ] {
            let found = find(typed).expect(typed);
            assert_eq!((found.short, found.long), (short, long), "{typed}");
        }
        for typed in
            ["alice", "alice:8", "alice:bobby:hi", "\"alice:bob\":hi", "\"alice\":bob:hi", "7:alice", "#7:x"]
        {
            assert_eq!(find(typed), None, "{typed}");
        }
    }

    #[test]
    fn the_question_shows_both_ways_to_write_it() {
        let question = |typed| find(typed).map(|found| found.question());
        assert_eq!(
            question("alice:7").as_deref(),
            Some("alice or alice:7? Put the name in quotes: \"alice\":7 or \"alice:7\"")
        );
        let long = format!("alice:bob:\u{1b}{}", "x".repeat(100));
        let question = question(&long).unwrap_or_default();
        assert!(question.contains("or \"alice:bob\":␛xxx") && question.len() < 130, "{question}");
    }
}
