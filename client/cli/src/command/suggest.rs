//! Guesses the intended command of a mistyped line.

use super::table::{Row, TABLE, row_of};

/// Words that similar programs use for the same thing.
const SYNONYMS: [(&str, &str); 6] = [
    ("exit", "quit"),
    ("bye", "quit"),
    ("logout", "loginout"),
    ("login", "loginout"),
    ("join", "addgroup"),
    ("leave", "quit"),
];

/// The command whose spelling is nearest to a word.
pub fn nearest(word: &str) -> &'static str {
    let (slash, plain) = (word.starts_with('/'), word.trim_start_matches('/').to_lowercase());
    let synonym = SYNONYMS.iter().find(|(word, _)| *word == plain).map(|(_, command)| *command);
    if let Some(command) = synonym {
        let slashed = TABLE.iter().find(|row| row.name.strip_prefix('/') == Some(command));
        return slashed.filter(|_| slash).map_or(command, |row| row.name);
    }
    let same_kind = TABLE.iter().filter(|row| row.name.starts_with('/') == slash);
    let distance = |name: &str| strsim::damerau_levenshtein(name.trim_start_matches('/'), &plain);
    same_kind.map(|row| row.name).min_by_key(|name| distance(name)).unwrap_or("help")
}

/// The intended command, if a line looks like a misspelt one: a misspelt word before a colon, any word before two
/// fields, or a misspelt word alone.
pub fn misspelt(word: &str, rest: Option<&str>) -> Option<&'static str> {
    if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return None;
    }
    let nearest = nearest(word);
    let synonym = SYNONYMS.iter().any(|(synonym, _)| *synonym == word);
    let distance = strsim::damerau_levenshtein(nearest, word);
    match rest {
        // `that: was it` is text; `caht:2:hello` and `caht:2` are not.
        Some(rest) => {
            let field = rest.split(':').next().unwrap_or_default();
            let is_field = !field.is_empty() && !field.starts_with([' ', '/']) && !field.ends_with(' ');
            (is_field && (rest.contains(':') || distance <= 2)).then_some(nearest)
        }
        None => (synonym || distance == 1).then_some(nearest),
    }
}

/// The intended command, if a line begins with its name but divides the fields by a space or by the colon of a Chinese
/// keyboard. A name that is also an English word counts only before an id.
pub fn divided_otherwise(line: &str) -> Option<&'static Row> {
    let at = line.find(|c: char| c.is_whitespace() || matches!(c, ':' | '：'))?;
    let (word, rest) = line.split_at(at);
    let row = row_of(word).filter(|row| row.form.contains(':'))?;
    let mut rest = rest.chars();
    let divider = rest.next()?;
    let field = rest.as_str().split_whitespace().next()?;
    let is_english = matches!(word, "chat" | "history");
    let meant = match divider {
        ':' => false,
        '：' => true,
        _ => !is_english || field.bytes().all(|byte| byte.is_ascii_digit()),
    };
    meant.then_some(row)
}
