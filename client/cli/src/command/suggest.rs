//! Guesses the intended command of a line that is none: a misspelt word, or the word of another program.

use super::table::{Row, TABLE, row_of};

/// The most changes by which a word may differ from the command that is suggested.
const DISTANCE_MAX: usize = 2;

/// Commands of other programs that do what a command here does, with the same fields.
const ALIASES: &[(&str, &str)] = &[
    ("/query", "/msg"),
    ("/w", "/msg"),
    ("/whisper", "/msg"),
    ("/tell", "/msg"),
    ("/j", "/join"),
    ("/names", "/members"),
    ("/who", "/members"),
    ("/whois", "/profile"),
    ("/list", "/groups"),
    ("/find", "/search"),
    ("/grep", "/search"),
    ("/exit", "/quit"),
    ("/bye", "/quit"),
    ("/q", "/quit"),
    ("/h", "/help"),
    ("/part", "/leave"),
    ("/remove", "/kick"),
    ("/?", "/help"),
];

/// Words of other programs for the commands with colons.
const SYNONYMS: &[(&str, &str)] = &[
    ("exit", "quit"),
    ("bye", "quit"),
    ("logout", "loginout"),
    ("join", "addgroup"),
    ("msg", "chat"),
    ("whisper", "chat"),
];

/// Commands of other programs that nothing here does, and what to do instead.
const ADVICE: &[(&str, &str)] = &[
    ("/nick", "the name of an account stays; register another account to have another name"),
    ("/name", "the name of an account stays; register another account to have another name"),
    ("/login", "you are logged in; /logout returns to the menu"),
    ("/register", "you are logged in; /logout returns to the menu, which registers accounts"),
    ("/invite", "nobody can be invited; tell the other one to type /join with the group's id"),
];

/// The row of a command, or of the command that another program calls so.
pub fn row_or_alias(word: &str) -> Option<&'static Row> {
    let alias = || ALIASES.iter().find(|(alias, _)| *alias == word).and_then(|(_, name)| row_of(name));
    row_of(word).or_else(alias)
}

/// What to do instead of a command that there is not.
pub fn advice(word: &str) -> Option<&'static str> {
    ADVICE.iter().find(|(unknown, _)| *unknown == word).map(|(_, advice)| *advice)
}

/// The command whose spelling is near to a word.
pub fn nearest(word: &str) -> Option<&'static str> {
    let (slash, plain) = (word.starts_with('/'), word.trim_start_matches('/').to_lowercase());
    if let Some((_, command)) = SYNONYMS.iter().find(|(synonym, _)| *synonym == plain).filter(|_| !slash) {
        return Some(command);
    }
    let distance = |name: &str| strsim::damerau_levenshtein(name.trim_start_matches('/'), &plain);
    let same_kind =
        TABLE.iter().map(|row| row.name).filter(|name| name.starts_with('/') == slash && *name != "//");
    let near = same_kind.map(|name| (distance(name), name)).min()?;
    let is_near = near.0 <= DISTANCE_MAX && near.0 < plain.chars().count();
    is_near.then_some(near.1)
}

/// Whether a line looks like a misspelt command: a misspelt word before a colon, any word before two fields, or a
/// misspelt word alone.
pub fn is_misspelt(word: &str, rest: Option<&str>) -> bool {
    if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return false;
    }
    let nearest = nearest(word);
    match rest {
        // `that: was it` is text; `caht:2:hello` and `caht:2` are not.
        Some(rest) => {
            let field = rest.split(':').next().unwrap_or_default();
            let is_field = !field.is_empty() && !field.starts_with([' ', '/']) && !field.ends_with(' ');
            is_field && (rest.contains(':') || nearest.is_some())
        }
        None => {
            let is_synonym = SYNONYMS.iter().any(|(synonym, _)| *synonym == word);
            is_synonym || nearest.is_some_and(|nearest| strsim::damerau_levenshtein(nearest, word) == 1)
        }
    }
}

/// The intended command, if a line begins with its name but divides the fields by a space. A name that is also an
/// English word counts only before an id.
pub fn divided_by_space(line: &str) -> Option<&'static Row> {
    let (word, rest) = line.split_once(char::is_whitespace)?;
    let row = row_of(word).filter(|row| row.form.contains(':'))?;
    let field = rest.split_whitespace().next()?;
    let is_english = matches!(word, "chat" | "history");
    (!is_english || field.bytes().all(|byte| byte.is_ascii_digit())).then_some(row)
}
