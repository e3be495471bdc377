//! Tab completion.

use super::argument;
use super::table::{Completes, Row, TABLE, row_of};
use crate::display::mention::may_follow;
use std::collections::{BTreeSet, VecDeque};
use wire::Seq;
use wire::account::Who;

/// The names that can be completed.
#[derive(Clone, Debug, Default)]
pub struct Names {
    pub users: BTreeSet<String>,
    /// Ids with names.
    pub groups: BTreeSet<(u32, String)>,
    /// What the open conversation has.
    pub here: Here,
}

/// What can be completed in the open conversation.
#[derive(Clone, Debug, Default)]
pub struct Here {
    /// What can be written after an `@`.
    pub members: BTreeSet<String>,
    /// Its recent messages, the latest first.
    pub recent: VecDeque<Recent>,
}

/// A recent message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recent {
    pub seq: Seq,
    /// Whether the user has sent it.
    pub is_own: bool,
    /// Its sender and the beginning of its text.
    pub label: String,
}

/// The replacements for the end of a line.
#[derive(Debug, PartialEq, Eq)]
pub struct Completion {
    /// The byte at which the replaced part begins.
    pub start: usize,
    pub candidates: Vec<String>,
    /// What each candidate stands for, where it does not say that itself.
    pub labels: Vec<String>,
}

impl Completion {
    fn new(start: usize, candidates: Vec<String>) -> Completion {
        Completion { start, candidates, labels: Vec::new() }
    }
}

/// Where the path begins in a line whose command takes one.
pub fn path_start(typed: &str) -> Option<usize> {
    let (word, rest) = typed.split_once(char::is_whitespace)?;
    row_of(word).filter(|row| row.completes == Completes::Path)?;
    Some(typed.len() - rest.trim_start().len())
}

/// Completes a command's name, or its first field.
pub fn complete(typed: &str, names: &Names) -> Completion {
    let nothing = Completion::new(typed.len(), Vec::new());
    if let Some(mention) = mention(typed, names) {
        return mention;
    }
    if typed.starts_with('/') {
        if let Some((word, rest)) = typed.split_once(char::is_whitespace) {
            let start = typed.len() - rest.trim_start().len();
            return row_of(word).map_or(nothing, |row| field(row, typed, start, names));
        }
    } else if let Some((word, rest)) = typed.split_once(':') {
        return match row_of(word) {
            Some(row) if !rest.contains(':') => field(row, typed, typed.len() - rest.len(), names),
            _ => nothing,
        };
    }
    if typed.is_empty() || typed.contains(char::is_whitespace) {
        return nothing;
    }
    let found = TABLE.iter().filter(|row| row.name != "//" && begins(row.name, typed));
    Completion::new(0, found.map(|row| format!("{}{}", row.name, divider(row))).collect())
}

/// Completes the name of a member after an `@`.
fn mention(typed: &str, names: &Names) -> Option<Completion> {
    let (before, prefix) = typed.rsplit_once('@')?;
    let found = names.here.members.iter().filter(|name| may_follow(before) && begins(name, prefix));
    let candidates: Vec<String> = found.map(|name| format!("{name} ")).collect();
    (!candidates.is_empty()).then(|| Completion::new(before.len() + 1, candidates))
}

fn field(row: &Row, typed: &str, start: usize, names: &Names) -> Completion {
    let prefix = &typed[start..];
    let group_start = typed.len() - prefix.trim_start_matches('#').len();
    let (start, candidates) = match row.completes {
        Completes::Message => return recent(prefix, start, names, false),
        Completes::OwnMessage => return recent(prefix, start, names, true),
        Completes::Nothing | Completes::Path => (typed.len(), Vec::new()),
        Completes::User => (start, users(prefix, row, names)),
        Completes::Group => (start, groups(prefix.trim_start_matches('#'), row, names)),
        Completes::UserOrGroup if prefix.starts_with('#') => {
            (group_start, groups(&typed[group_start..], row, names))
        }
        Completes::UserOrGroup => (start, users(prefix, row, names)),
        Completes::Command => {
            let found = TABLE.iter().filter(|row| begins(row.name, prefix));
            (start, found.map(|row| row.name.to_owned()).collect())
        }
    };
    Completion::new(start, candidates)
}

fn recent(prefix: &str, start: usize, names: &Names, only_own: bool) -> Completion {
    let prefix = prefix.trim_start_matches('#');
    let is_meant = |recent: &&Recent| (recent.is_own || !only_own) && begins(&recent.seq.to_string(), prefix);
    let found = names.here.recent.iter().filter(is_meant);
    let (candidates, labels) =
        found.map(|recent| (format!("{} ", recent.seq), format!("#{} {}", recent.seq, recent.label))).unzip();
    Completion { start, candidates, labels }
}

fn users(prefix: &str, row: &Row, names: &Names) -> Vec<String> {
    let prefix = prefix.trim_start_matches('"');
    let found = names.users.iter().filter(|name| begins(name, prefix));
    found.map(|name| format!("{}{}", written(name), field_end(row))).collect()
}

/// A name as it is written in a command: in quotes where it would be taken for an id, or divided.
fn written(name: &str) -> String {
    let is_plain = argument::who(name) == Some(Who::Name(name.into())) && !name.contains(argument::DIVIDERS);
    if is_plain { name.to_owned() } else { format!("\"{name}\"") }
}

fn groups(prefix: &str, row: &Row, names: &Names) -> Vec<String> {
    let found = names.groups.iter();
    let found = found.filter(|(id, name)| begins(&id.to_string(), prefix) || begins(name, prefix));
    found.map(|(id, _)| format!("{id}{}", field_end(row))).collect()
}

fn begins(text: &str, with: &str) -> bool {
    text.to_lowercase().starts_with(&with.to_lowercase())
}

/// The separator between the name and the first field: `:`, a space or nothing.
fn divider(row: &Row) -> &'static str {
    row.form[row.name.len()..].get(..1).unwrap_or("")
}

/// The separator between the first field and the second.
fn field_end(row: &Row) -> &'static str {
    let fields = &row.form[(row.name.len() + 1).min(row.form.len())..];
    fields.find([':', ' ']).map_or("", |at| &fields[at..=at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_their_first_fields_are_completed() {
        let names = Names {
            users: ["li si", "Li Wei", "张三", "alice:bob", "1"].map(str::to_owned).into(),
            groups: [(7, "devs".to_owned()), (70, "ops".to_owned())].into(),
            here: Here {
                members: ["li si", "lin", "all"].map(str::to_owned).into(),
                recent: [12, 11, 9]
                    .map(|seq| Recent { seq: Seq(seq), is_own: seq == 11, label: "ann: hi".to_owned() })
                    .into(),
            },
        };
        for (typed, start, expected) in [
            ("ch", 0, &["chat:"][..]),
            ("fri", 0, &["friends"]),
            ("/m", 0, &["/msg ", "/mute ", "/me ", "/members ", "/more"]),
            ("/for", 0, &["/forget "]),
            ("/hide #o", 7, &["70"]),
            ("chat:li", 5, &["Li Wei:", "li si:"]),
            ("chat:张", 5, &["张三:"]),
            ("chat:al", 5, &["\"alice:bob\":"]),
            ("chat:\"al", 5, &["\"alice:bob\":"]),
            ("addfriend:1", 10, &["\"1\""]),
            ("/msg LI S", 5, &["li si "]),
            ("/add LI S", 5, &["li si"]),
            ("groupchat:7", 10, &["7:", "70:"]),
            ("/join de", 6, &["7 "]),
            ("/history #o", 10, &["70"]),
            ("/react 1", 7, &["12 ", "11 "]),
            ("/unreact ", 9, &["12 ", "11 ", "9 "]),
            ("/edit 1", 6, &["11 "]),
            ("/recall ", 8, &["11 "]),
            ("/help addg", 6, &["addgroup"]),
            ("chat:2:hel", 10, &[]),
            ("hello the", 9, &[]),
            ("hello @L", 7, &["li si ", "lin "]),
            ("@", 1, &["all ", "li si ", "lin "]),
            ("/reply 12 @lin", 11, &["lin "]),
            ("write to a@l", 12, &[]),
            ("/reply ", 7, &["12 ", "11 ", "9 "]),
            ("/reply #1", 7, &["12 ", "11 "]),
            ("", 0, &[]),
        ] {
            let candidates: Vec<_> = expected.iter().map(|&e| e.to_owned()).collect();
            let found = complete(typed, &names);
            assert_eq!((found.start, found.candidates), (start, candidates), "{typed}");
        }
        assert_eq!(complete("/reply 9", &names).labels, ["#9 ann: hi"]);
        assert_eq!((path_start("/file no"), path_start("/file")), (Some(6), None));
    }
}
