//! The tables and columns of a database, and whether they are this program's. Asked before anything is written.

use crate::error::StoreError;
use std::collections::{BTreeMap, BTreeSet};

/// Foreign tables that an error names.
const NAMED_MAX: usize = 3;

/// The table that holds the schema's version.
pub const VERSION_TABLE: &str = "schema_version";

/// The columns of each table and view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout(BTreeMap<String, BTreeSet<String>>);

impl Layout {
    pub fn add(&mut self, table: &str, column: &str) {
        self.0.entry(table.to_owned()).or_default().insert(column.to_owned());
    }

    pub fn remove(&mut self, table: &str) {
        self.0.remove(table);
    }

    pub fn remove_column(&mut self, table: &str, column: &str) {
        if let Some(columns) = self.0.get_mut(table) {
            columns.remove(column);
        }
    }

    /// All columns with their tables.
    #[cfg(test)]
    pub fn columns(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .flat_map(|(table, columns)| columns.iter().map(|column| (table.as_str(), column.as_str())))
    }

    #[cfg(test)]
    pub fn tables(&self) -> impl Iterator<Item = String> + '_ {
        self.0.keys().cloned()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there may be a version to read: the table for it is of this program's form.
    pub fn has_version(&self) -> bool {
        self.0.get(VERSION_TABLE).is_some_and(|columns| columns.iter().eq(["version"]))
    }

    /// What a database with these tables is to a program that knows the schema up to version `known`. `version` is what
    /// the database records, 0 if nothing. `expected` returns the tables that a version of the schema has.
    pub fn judge(&self, version: u32, known: u32, expected: impl Fn(u32) -> Layout) -> Verdict {
        if self.is_empty() {
            return Verdict::Ours { version: 0 };
        }
        if !self.has_version() {
            return Verdict::Foreign(self.some_names(|_| true));
        }
        if version == 0 {
            // An aborted first start: some of the tables of some version.
            let all = expected(known);
            let is_strange =
                |name: &str| name != VERSION_TABLE && !all.0.contains_key(name) && !is_dated(name);
            return match self.some_names(is_strange) {
                names if names.is_empty() => Verdict::Ours { version },
                names => Verdict::Foreign(names),
            };
        }
        let (mut all, newest) = (expected(version.min(known)), expected(known));
        // What the next migrations drop may be gone: one may have been interrupted.
        all.0.retain(|table, columns| match newest.0.get(table) {
            Some(kept) => {
                columns.retain(|column| kept.contains(column));
                true
            }
            None => false,
        });
        let missing = all.missing_in(self);
        if missing.len() >= all.0.len() {
            return Verdict::Foreign(self.some_names(|name| name != VERSION_TABLE));
        }
        if version > known {
            return Verdict::Newer { found: version };
        }
        match missing.into_iter().next() {
            Some(first) => Verdict::Incomplete(first),
            None => Verdict::Ours { version },
        }
    }

    /// For each table that is absent or lacks a column in `found`, what is missing first.
    fn missing_in(&self, found: &Layout) -> Vec<String> {
        let missing = |(table, columns): (&String, &BTreeSet<String>)| match found.0.get(table) {
            None => Some(format!("the table `{table}`")),
            Some(there) => {
                let column = columns.difference(there).next()?;
                Some(format!("the column `{column}` of the table `{table}`"))
            }
        };
        self.0.iter().filter_map(missing).collect()
    }

    fn some_names(&self, is_wanted: impl Fn(&str) -> bool) -> String {
        let names: Vec<String> =
            self.0.keys().filter(|name| is_wanted(name)).map(|name| format!("`{name}`")).collect();
        let more = if names.len() > NAMED_MAX { ", …" } else { "" };
        names[..names.len().min(NAMED_MAX)].join(", ") + more
    }
}

/// Whether a table is one of those that are created for each month or day.
pub fn is_dated(table: &str) -> bool {
    let is_number =
        |text: &str, digits| text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_month = table.strip_prefix("message_").is_some_and(|month| is_number(month, 6));
    is_month || table.strip_prefix("sent_").is_some_and(|day| is_number(day, 8))
}

/// What a database is.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This program's, complete for this version; 0: empty, or left by an aborted first start.
    Ours { version: u32 },
    /// A newer program's.
    Newer { found: u32 },
    /// This program's, but something was removed: the first of it.
    Incomplete(String),
    /// Another program's: some of its tables.
    Foreign(String),
}

impl Verdict {
    /// The version of a database that may be used; `place` names the database in the error.
    pub fn version(self, place: &str, known: u32) -> Result<u32, StoreError> {
        match self {
            Verdict::Ours { version } => Ok(version),
            Verdict::Newer { found } => Err(StoreError::Newer { found, known }),
            Verdict::Incomplete(what) => Err(StoreError::Unsuitable(format!(
                "{place} lacks {what}, which this program created: another program has changed it; restore it from a \
                 backup"
            ))),
            Verdict::Foreign(tables) => Err(StoreError::Unsuitable(format!(
                "{place} holds tables of another program ({tables}), and nothing in it was changed: set storage.url to \
                 a new or empty database"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(tables: &[(&str, &[&str])]) -> Layout {
        let mut layout = Layout::default();
        for (table, columns) in tables {
            columns.iter().for_each(|column| layout.add(table, column));
        }
        layout
    }

    #[test]
    fn a_database_is_used_only_if_it_is_empty_or_ours() {
        let two: &[(&str, &[&str])] = &[("user", &["id", "name"]), ("member", &["id"])];
        let expected = |version: u32| layout(&two[..version.min(2) as usize]);
        let judge = |tables: &[(&str, &[&str])], version| layout(tables).judge(version, 2, expected);
        let version: (&str, &[&str]) = (VERSION_TABLE, &["version"]);
        assert_eq!(judge(&[], 0), Verdict::Ours { version: 0 });
        assert_eq!(judge(&[version, two[0], two[1]], 2), Verdict::Ours { version: 2 });
        assert_eq!(judge(&[version, two[0], two[1], ("report", &["x"])], 2), Verdict::Ours { version: 2 });
        assert_eq!(judge(&[version, two[1], ("message_202601", &["x"])], 0), Verdict::Ours { version: 0 });
        assert_eq!(judge(&[version, two[0]], 7), Verdict::Newer { found: 7 });
        let lacks = |tables: &[(&str, &[&str])]| match judge(tables, 2) {
            Verdict::Incomplete(what) => what,
            other => panic!("{other:?}"),
        };
        assert_eq!(lacks(&[version, two[0]]), "the table `member`");
        assert_eq!(lacks(&[version, ("user", &["id"]), two[1]]), "the column `name` of the table `user`");
        let dropping = |version: u32| match version {
            1 => layout(&[("user", &["id", "name", "mail"]), ("visit", &["id"])]),
            _ => expected(version),
        };
        let interrupted = layout(&[version, two[0]]);
        assert_eq!(interrupted.judge(1, 2, dropping), Verdict::Ours { version: 1 });
        let foreign = |tables: &[(&str, &[&str])], version| match judge(tables, version) {
            Verdict::Foreign(names) => names,
            other => panic!("{other:?}"),
        };
        assert_eq!(foreign(&[("b", &["x"]), ("a", &["x"])], 0), "`a`, `b`");
        assert_eq!(foreign(two, 0), "`member`, `user`", "the same names without a version");
        assert_eq!(foreign(&[version, ("a", &["x"]), two[0]], 0), "`a`");
        assert_eq!(foreign(&[version, ("user", &["login"])], 7), "`user`");
        let tables: [(&str, &[&str]); 5] = ["a", "b", "c", "d", "e"].map(|name| (name, &["x"][..]));
        assert_eq!(foreign(&tables, 0), "`a`, `b`, `c`, …");
        assert_eq!(foreign(&[(VERSION_TABLE, &["version", "script"])], 5), "`schema_version`");
    }
}
