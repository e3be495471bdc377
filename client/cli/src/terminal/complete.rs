//! Words that are not whole, or not right: what they may become.

use super::command::{USAGES, Usage, usage_of};
use std::collections::BTreeSet;

/// Names that a command may be about.
#[derive(Clone, Debug, Default)]
pub struct Names {
    pub users: BTreeSet<String>,
    /// `7 devs`: id and name.
    pub groups: BTreeSet<(u32, String)>,
}

/// What programs like this one call the same.
const SYNONYMS: [(&str, &str); 6] = [
    ("exit", "quit"),
    ("bye", "quit"),
    ("logout", "loginout"),
    ("login", "loginout"),
    ("join", "addgroup"),
    ("leave", "quit"),
];

/// The command that is spelled most like a word.
pub fn nearest(word: &str) -> &'static str {
    let (slash, plain) = (word.starts_with('/'), word.trim_start_matches('/').to_lowercase());
    let synonym = SYNONYMS.iter().find(|(word, _)| *word == plain).map(|(_, command)| *command);
    if let Some(command) = synonym {
        let slashed = USAGES.iter().find(|usage| usage.name.strip_prefix('/') == Some(command));
        return slashed.filter(|_| slash).map_or(command, |usage| usage.name);
    }
    let same_kind = USAGES.iter().filter(|usage| usage.name.starts_with('/') == slash);
    let distance = |name: &str| strsim::damerau_levenshtein(name.trim_start_matches('/'), &plain);
    same_kind.map(|usage| usage.name).min_by_key(|name| distance(name)).unwrap_or("help")
}

/// The command that was meant, if a line that is none looks as if it were to be one: a misspelt word before a colon,
/// any word and two fields, or a misspelt word alone.
pub fn slip(word: &str, rest: Option<&str>) -> Option<&'static str> {
    if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return None;
    }
    let nearest = nearest(word);
    let synonym = SYNONYMS.iter().any(|(synonym, _)| *synonym == word);
    let distance = strsim::damerau_levenshtein(nearest, word);
    match rest {
        // `that: was it` is text, `caht:2:hello` and `caht:2` are not.
        Some(rest) => {
            let field = rest.split(':').next().unwrap_or_default();
            let fields = !field.is_empty() && !field.starts_with([' ', '/']) && !field.ends_with(' ');
            (fields && (rest.contains(':') || distance <= 2)).then_some(nearest)
        }
        None => (synonym || distance == 1).then_some(nearest),
    }
}

/// The command that was meant where it stands in front and its fields are divided by a space, or by the colon of a Chinese
/// keyboard. What begins an English sentence is one only before an id.
pub fn divided_otherwise(line: &str) -> Option<&'static Usage> {
    let at = line.find(|c: char| c.is_whitespace() || matches!(c, ':' | '：'))?;
    let (word, rest) = line.split_at(at);
    let usage = usage_of(word).filter(|usage| usage.form.contains(':'))?;
    let mut rest = rest.chars();
    let divider = rest.next()?;
    let field = rest.as_str().split_whitespace().next()?;
    let is_english = matches!(word, "chat" | "history");
    let meant = match divider {
        ':' => false,
        '：' => true,
        _ => !is_english || field.bytes().all(|byte| byte.is_ascii_digit()),
    };
    meant.then_some(usage)
}

/// Where the path begins in a line whose command takes one.
pub fn path_begins(typed: &str) -> Option<usize> {
    let rest = typed.strip_prefix("/file ")?;
    Some(typed.len() - rest.trim_start().len())
}

/// What the end of a line can become: where it begins, and what may stand there.
pub fn complete(typed: &str, names: &Names) -> (usize, Vec<String>) {
    let begins = |text: &str, with: &str| text.to_lowercase().starts_with(&with.to_lowercase());
    let users = |start: usize, end: &str| {
        let found = names.users.iter().filter(|name| begins(name, &typed[start..]));
        (start, found.map(|name| format!("{name}{end}")).collect())
    };
    let groups = |start: usize, end: &str| {
        let prefix = typed[start..].trim_start_matches('#');
        let found = names.groups.iter();
        let found = found.filter(|(id, name)| begins(&id.to_string(), prefix) || begins(name, prefix));
        (start, found.map(|(id, _)| format!("{id}{end}")).collect())
    };
    if let Some((word, rest)) = typed.split_once(char::is_whitespace).filter(|_| typed.starts_with('/')) {
        let start = typed.len() - rest.trim_start().len();
        return match word {
            "/msg" | "/add" => users(start, " "),
            "/history" if !typed[start..].starts_with('#') => users(start, ""),
            "/join" | "/members" => groups(start, ""),
            "/history" => groups(start + 1, ""),
            "/help" => {
                let found = USAGES.iter().filter(|usage| begins(usage.name, &typed[start..]));
                (start, found.map(|usage| usage.name.to_owned()).collect())
            }
            _ => (typed.len(), Vec::new()),
        };
    }
    if let Some((word, rest)) = typed.split_once(':') {
        let start = typed.len() - rest.len();
        return match word {
            _ if rest.contains(':') => (typed.len(), Vec::new()),
            "chat" => users(start, ":"),
            "addfriend" | "history" => users(start, ""),
            "groupchat" => groups(start, ":"),
            "addgroup" | "grouphistory" => groups(start, ""),
            _ => (typed.len(), Vec::new()),
        };
    }
    if typed.is_empty() || typed.contains(char::is_whitespace) {
        return (typed.len(), Vec::new());
    }
    let found = USAGES.iter().filter(|usage| usage.name != "//" && begins(usage.name, typed));
    let whole = |form: &str, name: &str| match form.strip_prefix(name).and_then(|rest| rest.chars().next()) {
        Some(divider) => format!("{name}{divider}"),
        None => name.to_owned(),
    };
    (0, found.map(|usage| whole(usage.form, usage.name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_names_and_groups_are_completed_where_they_stand() {
        let names = Names {
            users: ["li si", "Li Wei", "张三"].map(str::to_owned).into(),
            groups: [(7, "devs".to_owned()), (70, "ops".to_owned())].into(),
        };
        for (typed, start, expected) in [
            ("ch", 0, &["chat:"][..]),
            ("fri", 0, &["friends"]),
            ("/m", 0, &["/msg ", "/members "]),
            ("chat:li", 5, &["Li Wei:", "li si:"]),
            ("chat:张", 5, &["张三:"]),
            ("/msg LI S", 5, &["li si "]),
            ("groupchat:7", 10, &["7:", "70:"]),
            ("/join de", 6, &["7"]),
            ("/history #o", 10, &["70"]),
            ("chat:2:hel", 10, &[]),
            ("hello the", 9, &[]),
            ("", 0, &[]),
        ] {
            assert_eq!(
                complete(typed, &names),
                (start, expected.iter().map(|&e| e.to_owned()).collect()),
                "{typed}"
            );
        }
        assert_eq!((path_begins("/file no"), path_begins("/file")), (Some(6), None));
    }
}
