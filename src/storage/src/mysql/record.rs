//! Answers of the database: rows and their typed columns.

use super::failure::{Cause, Failure};
use crate::calendar::{Month, TIME_MAX};
use crate::column::{Sort, client_kind_of, kind_of, role_of};
use crate::fault;
use crate::page::Rows;
use logic::contract::contact::Notes;
use mysql_common::packets::Column;
use mysql_common::{Row, Value};
use wire::group::Role;
use wire::session::ClientKind;
use wire::{ConversationId, ConversationKind, Seq, UnixMillis, UserId};

/// The answer to one statement.
#[derive(Debug, Default)]
pub struct Answer {
    pub rows: Vec<Record>,
    /// The number of rows that it changed.
    pub changed: u64,
    /// The first id that it generated.
    pub made: u64,
}

/// One row. A value that its column cannot have was changed by another program.
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

    /// What a user notes about a friend, in two columns.
    pub fn notes(&self, first: usize) -> Result<Notes, Failure> {
        let text = |column| Ok::<_, Failure>(self.maybe_text(column)?.map(Into::into));
        Ok(Notes { remark: text(first)?, tag: text(first + 1)? })
    }

    /// Text; `None`: NULL.
    pub fn maybe_text(&self, column: usize) -> Result<Option<&str>, Failure> {
        let text = self.maybe_bytes(column)?.map(std::str::from_utf8);
        text.transpose().map_err(|_| self.unexpected(column))
    }

    /// Text; empty: NULL.
    pub fn text(&self, column: usize) -> Result<&str, Failure> {
        Ok(self.maybe_text(column)?.unwrap_or_default())
    }

    pub fn user(&self, column: usize) -> Result<UserId, Failure> {
        self.unsigned(column).map(UserId)
    }

    /// An account; `None`: NULL.
    pub fn maybe_user(&self, column: usize) -> Result<Option<UserId>, Failure> {
        self.maybe_number(column)?.map(|_| self.user(column)).transpose()
    }

    pub fn conversation(&self, column: usize) -> Result<ConversationId, Failure> {
        self.unsigned(column).map(ConversationId)
    }

    pub fn seq(&self, column: usize) -> Result<Seq, Failure> {
        self.unsigned(column).map(Seq)
    }

    /// A seq; `None`: NULL.
    pub fn maybe_seq(&self, column: usize) -> Result<Option<Seq>, Failure> {
        self.maybe_number(column)?.map(|_| self.seq(column)).transpose()
    }

    pub fn time(&self, column: usize) -> Result<UnixMillis, Failure> {
        let time = self.unsigned(column).map(UnixMillis)?;
        if time <= TIME_MAX { Ok(time) } else { Err(self.unexpected(column)) }
    }

    /// A time; `None`: NULL.
    pub fn maybe_time(&self, column: usize) -> Result<Option<UnixMillis>, Failure> {
        self.maybe_number(column)?.map(|_| self.time(column)).transpose()
    }

    /// A number that is not negative and fits.
    pub fn unsigned<T: TryFrom<i64>>(&self, column: usize) -> Result<T, Failure> {
        T::try_from(self.number(column)?).map_err(|_| self.unexpected(column))
    }

    pub fn kind(&self, column: usize) -> Result<ConversationKind, Failure> {
        kind_of(self.number(column)?).ok_or_else(|| self.unexpected(column))
    }

    pub fn client_kind(&self, column: usize) -> Result<ClientKind, Failure> {
        client_kind_of(self.number(column)?).ok_or_else(|| self.unexpected(column))
    }

    pub fn sort(&self, column: usize) -> Result<Sort, Failure> {
        Sort::of_status(self.number(column)?).ok_or_else(|| self.unexpected(column))
    }

    pub fn role(&self, column: usize) -> Result<Role, Failure> {
        role_of(self.number(column)?).ok_or_else(|| self.unexpected(column))
    }

    /// A month, or 0 for none.
    pub fn month(&self, column: usize) -> Result<Month, Failure> {
        let value: Month = self.unsigned(column)?;
        let is_month = (1970..=9999).contains(&(value / 100)) && (1..=12).contains(&(value % 100));
        if value == 0 || is_month { Ok(value) } else { Err(self.unexpected(column)) }
    }

    /// A column has a value that it cannot have.
    pub fn unexpected(&self, column: usize) -> Failure {
        let columns = self.0.columns_ref();
        let name = |column: &Column| format!("`{}`.`{}`", column.org_table_str(), column.org_name_str());
        let (place, key) = (columns.get(column).map_or_else(String::new, name), self.key());
        Failure::damaged(format!("column {place} in the row with {key}: the value is damaged"))
    }

    /// The first column, which is the key of the row or a part of it.
    fn key(&self) -> String {
        let value = self.0.as_ref(0).map_or_else(String::new, |value| value.as_sql(true));
        match self.0.columns_ref().first() {
            Some(column) => format!("{} = {value}", column.org_name_str()),
            None => value,
        }
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
    Ok((undamaged(rows.iter().take(limit), each)?, rows.len() > limit))
}

/// Converts rows of a list. Those that are damaged are logged and left out: each costs the list only itself.
pub fn undamaged<'a, T>(
    rows: impl IntoIterator<Item = &'a Record>,
    mut each: impl FnMut(&'a Record) -> Result<T, Failure>,
) -> Result<Vec<T>, Failure> {
    let mut whole = Vec::new();
    for row in rows {
        match each(row) {
            Err(failure) if failure.cause == Cause::Damaged => fault::report(&failure.to_string()),
            converted => whole.push(converted?),
        }
    }
    Ok(whole)
}
