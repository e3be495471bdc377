//! Strict reading of the protocol's JSON values, and writing them.
//!
//! Known fields are typed and occur at most once. Unknown fields are skipped without recursion (serde_json keeps its
//! own stack on the heap for that), so nesting costs linear time and no call stack.

use crate::limits::INTEGER_MAX;
use serde::de::{DeserializeOwned, Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;

/// Reads an integer literal from 0 to `max`; fractions and exponents are refused.
pub fn integer<'de, D: Deserializer<'de>>(deserializer: D, max: u64) -> Result<u64, D::Error> {
    struct Bounded(u64);

    impl Visitor<'_> for Bounded {
        type Value = u64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "an integer from 0 to {}", self.0)
        }

        fn visit_u64<E: Error>(self, value: u64) -> Result<u64, E> {
            if value <= self.0 {
                Ok(value)
            } else {
                Err(E::invalid_value(Unexpected::Unsigned(value), &self))
            }
        }
    }

    deserializer.deserialize_u64(Bounded(max))
}

/// For `#[serde(deserialize_with)]`: an integer from 0 to 2^53 - 1.
pub fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    integer(deserializer, INTEGER_MAX)
}

/// For `#[serde(deserialize_with)]` on an optional field: an absent field is `None`, and `null` is refused.
pub fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Reads a frame's value as one JSON object; an empty value means `{}`. The error is a sentence that names the field.
pub fn read<T: DeserializeOwned>(value: &[u8]) -> Result<T, String> {
    let text = std::str::from_utf8(value).map_err(|_| "the value is not UTF-8".to_owned())?;
    let text = if text.is_empty() { "{}" } else { text };
    // Derived structs accept arrays as well; the protocol has objects only.
    if !text.trim_start_matches([' ', '\t', '\r', '\n']).starts_with('{') {
        return Err("the value must be one JSON object".to_owned());
    }
    // serde_json checks the escapes of strings that it keeps, but not of strings that it skips.
    if has_lone_surrogate(text.as_bytes()) {
        return Err("the value contains a lone surrogate".to_owned());
    }
    serde_json::from_str(text).map_err(|_| explain::<T>(text))
}

/// Reads a value that failed once more, slower, to find the field at fault.
fn explain<T: DeserializeOwned>(text: &str) -> String {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
        Err(error) => {
            let path = shorten(error.path().to_string(), 60, 60);
            let reason = shorten(error.into_inner().to_string(), 80, 160);
            if path == "." { reason } else { format!("`{path}`: {reason}") }
        }
        Ok(_) => "the value must be one JSON object and nothing after it".to_owned(),
    }
}

/// Cuts the middle out of a long text and keeps so many bytes of its beginning and end: it may quote a name or a value of
/// the request, which is as long as the frame in the worst case.
fn shorten(text: String, beginning: usize, end: usize) -> String {
    if text.len() <= beginning + end {
        return text;
    }
    let beginning = text.floor_char_boundary(beginning);
    let end = text.ceil_char_boundary(text.len() - end);
    format!("{}…{}", &text[..beginning], &text[end..])
}

/// Whether an escape from `\uD800` to `\uDFFF` lacks its other half. One pass; texts without a backslash are skipped.
fn has_lone_surrogate(text: &[u8]) -> bool {
    if !text.contains(&b'\\') {
        return false;
    }
    let unit = |at: usize| -> Option<u16> {
        let digits = text.get(at..at + 6)?;
        (digits[..2] == *b"\\u").then_some(())?;
        u16::from_str_radix(std::str::from_utf8(&digits[2..]).ok()?, 16).ok()
    };
    let mut at = 0;
    while at < text.len() {
        if text[at] != b'\\' {
            at += 1;
            continue;
        }
        match unit(at) {
            Some(0xD800..=0xDBFF) if matches!(unit(at + 6), Some(0xDC00..=0xDFFF)) => at += 12,
            Some(0xD800..=0xDFFF) => return true,
            _ => at += 2,
        }
    }
    false
}

/// Appends `text` as a JSON string with its quotes.
///
/// A text without escapes, as most are, is copied as a whole; serde_json inspects every byte on its own.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    if is_plain(text.as_bytes()) {
        out.reserve(text.len() + 2);
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        write(out, &text);
    }
}

/// Whether a JSON string holds these bytes without escapes.
fn is_plain(text: &[u8]) -> bool {
    // The loop over a chunk has no early exit, so that it compiles to vector instructions.
    let is_plain = |chunk: &[u8]| {
        let escaped = |escaped, &byte: &u8| escaped | (byte < b' ') | (byte == b'"') | (byte == b'\\');
        !chunk.iter().fold(false, escaped)
    };
    text.chunks(64).all(is_plain)
}

/// Appends `value` as JSON.
pub fn write<T: Serialize>(out: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(out, value).expect("protocol values have string keys and a Vec takes every byte");
}

/// Appends a field of an object: `key` with its punctuation, and the value.
#[inline]
pub(crate) fn put<T: Serialize>(out: &mut Vec<u8>, key: &[u8], value: &T) {
    out.extend_from_slice(key);
    write(out, value);
}

/// The same for an integer.
#[inline]
pub(crate) fn put_number(out: &mut Vec<u8>, key: &[u8], mut number: u64) {
    let (mut digits, mut at) = ([0; 20], 20);
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(key);
    out.extend_from_slice(&digits[at..]);
}

/// The same for a text.
#[inline]
pub(crate) fn put_text(out: &mut Vec<u8>, key: &[u8], text: &str) {
    out.extend_from_slice(key);
    write_string(out, text);
}
