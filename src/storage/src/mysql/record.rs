//! Answers of the database: rows and their typed columns.

use super::failure::Failure;
use crate::page::Rows;
use mysql::{Row, Value};
use wire::{ConversationId, Seq, UnixMillis, UserId};

/// The answer to one statement.
#[derive(Debug, Default)]
pub struct Answer {
    pub rows: Vec<Record>,
    /// The number of rows that it changed.
    pub changed: u64,
    /// The first id that it generated.
    pub made: u64,
}

/// One row. A column of an unexpected type means that another program changed the schema.
#[derive(Debug)]
pub struct Record(pub Row);

impl Record {
    /// An integer; `None`: NULL.
    pub fn maybe_number(&self, column: usize) -> Result<Option<i64>, Failure> {
        match self.0.as_ref(column) {
            Some(Value::NULL) => Ok(None),
            Some(Value::Int(number)) => Ok(Some(*number)),
            Some(Value::UInt(number)) => Ok(i64::try_from(*number).ok()),
            Some(Value::Bytes(bytes)) => {
                let number = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok());
                number.map(Some).ok_or_else(|| self.unexpected(column))
            }
            _ => Err(self.unexpected(column)),
        }
    }

    pub fn number(&self, column: usize) -> Result<i64, Failure> {
        self.maybe_number(column)?.ok_or_else(|| self.unexpected(column))
    }

    /// Text or bytes; `None`: NULL.
    pub fn maybe_bytes(&self, column: usize) -> Result<Option<&[u8]>, Failure> {
        match self.0.as_ref(column) {
            Some(Value::NULL) => Ok(None),
            Some(Value::Bytes(bytes)) => Ok(Some(bytes)),
            _ => Err(self.unexpected(column)),
        }
    }

    pub fn bytes(&self, column: usize) -> Result<&[u8], Failure> {
        self.maybe_bytes(column)?.ok_or_else(|| self.unexpected(column))
    }

    /// Text; empty: NULL.
    pub fn text(&self, column: usize) -> Result<&str, Failure> {
        let bytes = self.maybe_bytes(column)?.unwrap_or_default();
        std::str::from_utf8(bytes).map_err(|_| self.unexpected(column))
    }

    pub fn user(&self, column: usize) -> Result<UserId, Failure> {
        self.number(column).map(|id| UserId(id as u32))
    }

    pub fn conversation(&self, column: usize) -> Result<ConversationId, Failure> {
        self.number(column).map(|id| ConversationId(id as u32))
    }

    pub fn seq(&self, column: usize) -> Result<Seq, Failure> {
        self.number(column).map(|seq| Seq(seq as u64))
    }

    pub fn time(&self, column: usize) -> Result<UnixMillis, Failure> {
        self.number(column).map(|time| UnixMillis(time as u64))
    }

    fn unexpected(&self, column: usize) -> Failure {
        let name = self
            .0
            .columns_ref()
            .get(column)
            .map_or_else(|| "?".into(), |column| column.name_str().into_owned());
        Failure::refused(format!(
            "the database's column `{name}` has an unexpected type: the schema was changed by another program"
        ))
    }
}

/// The only row of an answer that always has one.
pub fn first(rows: &[Record]) -> Result<&Record, Failure> {
    rows.first().ok_or_else(|| Failure::refused("the database returned no row where one was expected"))
}

/// Converts at most `limit` rows; one more row means that others follow.
pub fn page_of<'a, T>(
    rows: &'a [Record],
    limit: usize,
    each: impl FnMut(&'a Record) -> Result<T, Failure>,
) -> Result<Rows<T>, Failure> {
    let page = rows.iter().take(limit).map(each).collect::<Result<_, _>>()?;
    Ok((page, rows.len() > limit))
}
