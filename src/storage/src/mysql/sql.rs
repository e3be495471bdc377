//! Statements as text. Many are sent in one packet, so that a batch of any size costs the same few round trips.

use std::fmt::{self, Display, Write};

/// The most branches of one `CASE`: the server tries them one after another for each row.
pub const CASE_MAX: usize = 64;

/// A builder of statements. Each ends with [`Sql::end`].
#[derive(Debug, Default)]
pub struct Sql {
    text: String,
    /// Where each statement ends.
    ends: Vec<usize>,
}

impl Sql {
    pub fn new() -> Sql {
        Sql::default()
    }

    /// Adds text verbatim.
    pub fn push(&mut self, text: impl Display) -> &mut Sql {
        write!(self.text, "{text}").expect("a String takes every character");
        self
    }

    /// Adds a text literal.
    pub fn text(&mut self, text: &str) -> &mut Sql {
        self.text.push('\'');
        let mut rest = text;
        // In UTF-8 these bytes occur in no other character.
        while let Some(at) = rest.bytes().position(|byte| matches!(byte, 0 | b'\'' | b'\\')) {
            self.text.push_str(&rest[..at]);
            self.text.push_str(match rest.as_bytes()[at] {
                0 => "\\0",
                b'\'' => "\\'",
                _ => "\\\\",
            });
            rest = &rest[at + 1..];
        }
        self.text.push_str(rest);
        self.text.push('\'');
        self
    }

    /// Adds a text literal or NULL.
    pub fn maybe_text(&mut self, text: Option<&str>) -> &mut Sql {
        match text {
            Some(text) => self.text(text),
            None => self.push("NULL"),
        }
    }

    /// Adds a binary literal.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Sql {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        self.text.push_str("x'");
        for byte in bytes {
            self.text.push(char::from(DIGITS[usize::from(byte >> 4)]));
            self.text.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        self.text.push('\'');
        self
    }

    /// Adds what `each` writes for every item, separated by `between`.
    pub fn list<T>(
        &mut self,
        between: &str,
        items: impl IntoIterator<Item = T>,
        mut each: impl FnMut(&mut Sql, T),
    ) -> &mut Sql {
        for (at, item) in items.into_iter().enumerate() {
            if at > 0 {
                self.text.push_str(between);
            }
            each(self, item);
        }
        self
    }

    /// Adds a list in parentheses, separated by commas.
    pub fn set<T: Display>(&mut self, items: impl IntoIterator<Item = T>) -> &mut Sql {
        self.push("(")
            .list(",", items, |sql, item| {
                sql.push(item);
            })
            .push(")")
    }

    pub fn end(&mut self) -> &mut Sql {
        self.text.push(';');
        self.ends.push(self.text.len());
        self
    }

    /// Adds a whole statement.
    pub fn statement(&mut self, text: impl Display) -> &mut Sql {
        self.push(text).end()
    }

    pub fn statements(&self) -> usize {
        self.ends.len()
    }

    /// The kind and the table of a statement, for the log: its values are nobody's business.
    pub fn outline(&self, statement: usize) -> String {
        let start = statement.checked_sub(1).map_or(0, |before| self.ends.get(before).copied().unwrap_or(0));
        let end = self.ends.get(statement).copied().unwrap_or(self.text.len());
        let mut words =
            self.text[start..end].split(|c: char| c.is_whitespace() || matches!(c, '(' | ',' | ';'));
        let kind = words.next().unwrap_or_default().to_owned();
        let is_before_table = |word: &&str| matches!(*word, "FROM" | "INTO" | "UPDATE" | "TABLE");
        let table = match &*kind {
            "UPDATE" => words.next(),
            _ => words.find(is_before_table).and_then(|_| words.next()),
        };
        match table {
            Some(table) => format!("{kind} on the table `{table}`"),
            None => kind,
        }
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Display for Sql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_cannot_be_escaped_from() {
        let mut sql = Sql::new();
        sql.text("it's a \\ and \0 宽'").push(",").bytes(&[0, 0x7f, 0xff]).push(",").maybe_text(None).end();
        assert_eq!(sql.as_str(), "'it\\'s a \\\\ and \\0 宽\\'',x'007fff',NULL;");
        assert_eq!(sql.statements(), 1);
        let mut sql = Sql::new();
        sql.set([1, 2]).list(" OR ", ["a", "b"], |sql, item| {
            sql.text(item);
        });
        assert_eq!(sql.as_str(), "(1,2)'a' OR 'b'");
        let mut sql = Sql::new();
        sql.statement("START TRANSACTION")
            .statement("SELECT ';', 'FROM x' AS a FROM user WHERE id = 1")
            .statement("INSERT INTO message_202601 (a) VALUES (';')")
            .statement("UPDATE conversation SET a = 1");
        assert_eq!(
            [0, 2, 3].map(|at| sql.outline(at)),
            ["START", "INSERT on the table `message_202601`", "UPDATE on the table `conversation`"]
        );
    }
}
