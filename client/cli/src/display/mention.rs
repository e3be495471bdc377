//! Whom a text mentions.

use wire::{Mentions, UserId, limits};

/// A shorter name of plain letters counts only after an `@`: it is too often a word.
const BARE_MIN: usize = 3;

/// Whether a text contains a name as a word, in any case of its letters, or after an `@`.
pub fn mentions(text: &str, name: &str) -> bool {
    let (text, name) = (text.to_lowercase(), name.trim().to_lowercase());
    if name.is_empty() {
        return false;
    }
    let needs_at = name.is_ascii() && name.len() < BARE_MIN;
    let found = text.match_indices(&name);
    found.into_iter().any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + name.len()..]);
        let is_addressed = before.ends_with('@');
        let begins = is_addressed || !continues(name.chars().next(), before.chars().next_back());
        begins && !continues(name.chars().next_back(), after.chars().next()) && (is_addressed || !needs_at)
    })
}

/// The word after an `@` that means all members, unless one of them has this name.
pub const ALL: &str = "all";

/// Whether an `@` after this text may begin a mention. That of an e-mail address does not.
pub fn may_follow(before: &str) -> bool {
    !before.ends_with(|c: char| c.is_ascii_alphanumeric())
}

/// Where an `@` stands that may begin a mention.
fn signs(text: &str) -> impl Iterator<Item = usize> {
    text.match_indices('@').map(|(at, _)| at).filter(|at| may_follow(&text[..*at]))
}

/// Whether a text may mention somebody, whoever the members are.
pub fn may_mention(text: &str) -> bool {
    signs(text).next().is_some()
}

/// The members whom a text mentions: those whose names stand behind an `@`, of several that fit the longest one. All,
/// where `@all` is among them and `may_all`.
pub fn mentioned(text: &str, members: &[(UserId, &str)], may_all: bool) -> Mentions {
    let text = text.to_lowercase();
    let members: Vec<(UserId, String)> =
        members.iter().map(|(id, name)| (*id, name.trim().to_lowercase())).collect();
    let mut users: Vec<UserId> = Vec::new();
    for at in signs(&text) {
        let rest = &text[at + 1..];
        let named = |name: &str| {
            !name.is_empty()
                && rest
                    .strip_prefix(name)
                    .is_some_and(|after| !continues(name.chars().next_back(), after.chars().next()))
        };
        match members.iter().filter(|(_, name)| named(name)).max_by_key(|(_, name)| name.len()) {
            Some((user, _)) if !users.contains(user) => users.push(*user),
            Some(_) => {}
            None if may_all && named(ALL) => return Mentions::All,
            None => {}
        }
    }
    users.truncate(limits::MENTIONS);
    Mentions::of(users.into(), false)
}

/// Whether a word goes on between two characters. Scripts that write no spaces have no such places.
fn continues(inside: Option<char>, outside: Option<char>) -> bool {
    let spaced = |c: char| {
        c.is_alphanumeric() && !matches!(c, '\u{3040}'..='\u{30FF}' | '\u{3400}'..='\u{9FFF}' | '\u{20000}'..)
    };
    inside.is_some_and(spaced) && outside.is_some_and(spaced)
}

#[cfg(test)]
mod tests {
    use super::{mentioned, mentions};
    use wire::{Mentions, UserId};

    #[test]
    fn a_name_is_mentioned_as_a_word() {
        for text in ["Li Si, are you there?", "ask @li si", "LI SI", "(li si)", "thanks li si!"] {
            assert!(mentions(text, "li si"), "{text}");
        }
        for text in ["lisi", "li single", "ali si", "", "li  si"] {
            assert!(!mentions(text, "li si"), "{text}");
        }
        assert!(mentions("请张三看一下", "张三") && mentions("@bo: hi", "bo"));
        assert!(!mentions("bo is a word here", "bo") && !mentions("anything", ""));
    }

    #[test]
    fn an_at_with_the_name_of_a_member_mentions_it() {
        let members = [(2, "li"), (3, "Li Si"), (4, "张三"), (5, "bo")].map(|(id, name)| (UserId(id), name));
        let users = |ids: &[u32]| Mentions::of(ids.iter().copied().map(UserId).collect(), false);
        for (text, expected) in [
            ("@li si: lunch?", users(&[3])),
            ("@li, and @BO!", users(&[2, 5])),
            ("@bo @bo @bo", users(&[5])),
            ("请@张三看一下", users(&[4])),
            ("@link @lisi bo li@bo.org", users(&[])),
            ("@nobody", users(&[])),
            ("@all @bo", Mentions::All),
            ("@allow", users(&[])),
        ] {
            assert_eq!(mentioned(text, &members, true), expected, "{text}");
        }
        assert_eq!(mentioned("@all", &members, false), Mentions::Nobody);
        assert_eq!(mentioned("@all", &[(UserId(9), "All")], true), users(&[9]));
    }
}
