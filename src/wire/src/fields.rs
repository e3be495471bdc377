//! Shared parts of request values: the [`Value`] trait, checks of bounds, and common fields.

use crate::json;
use crate::{Seq, UserId, limits};

/// The value of a request's frame, both ways.
pub(crate) trait Value: Sized {
    /// The names of the fields that [`Value::decode`] reads.
    const FIELDS: &[&str];

    /// Reads the value and checks every bound. The error is a sentence that names the field or the limit.
    fn decode(value: &[u8]) -> Result<Self, String>;

    /// Appends the value.
    fn encode(&self, out: &mut Vec<u8>);
}

impl<T: Value> Value for Box<T> {
    const FIELDS: &[&str] = T::FIELDS;

    fn decode(value: &[u8]) -> Result<Box<T>, String> {
        T::decode(value).map(Box::new)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        (**self).encode(out);
    }
}

/// Declares structs of optional fields: a value as it stands in JSON, before its bounds are checked.
macro_rules! fields {
    ($($struct:ident { $($field:ident $(as $rename:literal)?: $type:ty,)* })*) => {$(
        #[derive(Default, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(default)]
        struct $struct {
            $(
                $(#[serde(rename = $rename)])?
                #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "crate::json::present")]
                $field: Option<$type>,
            )*
        }

        impl $struct {
            #[allow(dead_code, reason = "some values share their fields")]
            const NAMES: &[&str] = &[$($crate::fields::name_of!($field $($rename)?),)*];
        }
    )*};
}

/// The name of a field in JSON.
macro_rules! name_of {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $rename:literal) => {
        $rename
    };
}

pub(crate) use {fields, name_of};

fields! {
    NoFields {}
    PageFields { after: UserId, limit: Seq, }
}

/// Checks the value of a request that has no fields.
pub(crate) fn decode_empty(value: &[u8]) -> Result<(), String> {
    json::read::<NoFields>(value).map(|_| ())
}

/// Appends the value of a request that has no fields.
pub(crate) fn encode_empty(out: &mut Vec<u8>) {
    json::write(out, &NoFields {});
}

/// A page of a listing that is ordered by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Only ids above this one; 0 for the first page.
    pub after: u32,
    /// At most this many rows, 1 to 200.
    pub limit: u32,
}

impl Page {
    pub(crate) fn from_fields(after: Option<UserId>, limit: Option<Seq>) -> Result<Page, String> {
        Ok(Page { after: after.unwrap_or_default().0, limit: rows(limit)? })
    }

    pub(crate) fn to_fields(self) -> (Option<UserId>, Option<Seq>) {
        (Some(UserId(self.after)), rows_field(self.limit))
    }
}

impl Value for Page {
    const FIELDS: &[&str] = PageFields::NAMES;

    fn decode(value: &[u8]) -> Result<Page, String> {
        let f: PageFields = json::read(value)?;
        Page::from_fields(f.after, f.limit)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let (after, limit) = self.to_fields();
        json::write(out, &PageFields { after, limit });
    }
}

/// Checks a `limit`: how many rows a page has at most.
pub(crate) fn rows(limit: Option<Seq>) -> Result<u32, String> {
    match limit {
        None => Ok(limits::PAGE_DEFAULT),
        Some(Seq(limit)) if (1..=u64::from(limits::PAGE_MAX)).contains(&limit) => Ok(limit as u32),
        Some(_) => Err(format!("`limit` must be from 1 to {}", limits::PAGE_MAX)),
    }
}

pub(crate) fn rows_field(limit: u32) -> Option<Seq> {
    Some(Seq(u64::from(limit)))
}

pub(crate) fn need<T>(field: &str, value: Option<T>) -> Result<T, String> {
    value.ok_or_else(|| format!("`{field}` is missing"))
}

/// Checks that a text has `min` to `max` bytes.
pub(crate) fn sized(field: &str, text: Box<str>, min: usize, max: usize) -> Result<Box<str>, String> {
    if (min..=max).contains(&text.len()) {
        Ok(text)
    } else {
        Err(format!("`{field}` must be {min} to {max} bytes long"))
    }
}

pub(crate) fn sized_option(
    field: &str,
    text: Option<Box<str>>,
    min: usize,
    max: usize,
) -> Result<Option<Box<str>>, String> {
    text.map(|text| sized(field, text, min, max)).transpose()
}

/// Checks that a text has at most this many characters.
pub(crate) fn short(field: &str, text: Box<str>, characters: usize) -> Result<Box<str>, String> {
    if text.chars().take(characters + 1).count() <= characters {
        Ok(text)
    } else {
        Err(format!("`{field}` must be at most {characters} characters long"))
    }
}

/// Checks a name that is only looked up. Its length is all that matters: a name that nobody can have is not found.
pub(crate) fn sought_name(field: &str, name: Box<str>) -> Result<Box<str>, String> {
    short(field, name, limits::NAME_SOUGHT_CHARS)
}

pub(crate) fn short_option(
    field: &str,
    text: Option<Box<str>>,
    characters: usize,
) -> Result<Option<Box<str>>, String> {
    text.map(|text| short(field, text, characters)).transpose()
}

/// For `#[serde(skip_serializing_if)]`: a flag that is absent where it is false.
pub(crate) fn is_false(value: &bool) -> bool {
    !*value
}
