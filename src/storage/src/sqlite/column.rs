//! Reading typed columns. A value that its column cannot have is an error.

use crate::calendar::{Month, TIME_MAX};
use crate::column::{client_kind_of, kind_of, role_of};
use crate::error::StoreError;
use crate::fault::{self, At};
use rusqlite::types::ValueRef;
use rusqlite::{Error, Result, Row, Rows};
use wire::group::Role;
use wire::session::ClientKind;
use wire::{ConversationKind, Seq, UnixMillis};

/// The next id of a table. One damaged id at the end of the range must not be the last one.
macro_rules! next_id {
    ($table:literal) => {
        concat!("(SELECT coalesce(max(id), 0) + 1 FROM ", $table, " WHERE id < 2147483647)")
    };
}
pub(super) use next_id;

pub fn seq(row: &Row<'_>, column: usize) -> Result<Seq> {
    number(row, column).map(Seq)
}

pub fn time(row: &Row<'_>, column: usize) -> Result<UnixMillis> {
    match number(row, column).map(UnixMillis)? {
        time if time <= TIME_MAX => Ok(time),
        UnixMillis(later) => Err(Error::IntegralValueOutOfRange(column, later as i64)),
    }
}

/// A time; `None`: NULL.
pub fn maybe_time(row: &Row<'_>, column: usize) -> Result<Option<UnixMillis>> {
    match row.get_ref(column)? {
        ValueRef::Null => Ok(None),
        _ => time(row, column).map(Some),
    }
}

/// A seq; `None`: NULL.
pub fn maybe_seq(row: &Row<'_>, column: usize) -> Result<Option<Seq>> {
    match row.get_ref(column)? {
        ValueRef::Null => Ok(None),
        _ => seq(row, column).map(Some),
    }
}

pub fn kind(row: &Row<'_>, column: usize) -> Result<ConversationKind> {
    let value = row.get(column)?;
    kind_of(value).ok_or(Error::IntegralValueOutOfRange(column, value))
}

pub fn client_kind(row: &Row<'_>, column: usize) -> Result<ClientKind> {
    let value = row.get(column)?;
    client_kind_of(value).ok_or(Error::IntegralValueOutOfRange(column, value))
}

pub fn role(row: &Row<'_>, column: usize) -> Result<Role> {
    let value = row.get(column)?;
    role_of(value).ok_or(Error::IntegralValueOutOfRange(column, value))
}

/// A month, or 0 for none.
pub fn month(row: &Row<'_>, column: usize) -> Result<Month> {
    let value: i64 = row.get(column)?;
    let is_month = (1970..=9999).contains(&(value / 100)) && (1..=12).contains(&(value % 100));
    if value == 0 || is_month {
        Ok(value as Month)
    } else {
        Err(Error::IntegralValueOutOfRange(column, value))
    }
}

fn number(row: &Row<'_>, column: usize) -> Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| Error::IntegralValueOutOfRange(column, value))
}

/// The rows of a list, without those that are damaged: each of them is logged with its first column, the key, and costs
/// the list only itself. Returns how many rows there were in all, too.
pub fn undamaged<T>(
    table: &str,
    rows: &mut Rows<'_>,
    mut each: impl FnMut(&Row<'_>) -> Result<T>,
) -> std::result::Result<(Vec<T>, usize), StoreError> {
    let (mut whole, mut count) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        count += 1;
        match each(row) {
            Ok(item) => whole.push(item),
            Err(error) => {
                let key = match row.get_ref(0)? {
                    ValueRef::Integer(key) => key.to_string(),
                    other => format!("{other:?}"),
                };
                fault::tolerate(Err::<T, _>(error).at(table, key))?;
            }
        }
    }
    Ok((whole, count))
}
