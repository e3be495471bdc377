//! Parsers of single values.

use crate::stamp::STAMP_BYTES;
use clap::builder::RangedI64ValueParser;
use wire::limits::CONTENT_BYTES;

/// Parses seconds, from 0 to a day.
pub fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("must be seconds, from 0 to 86400".to_owned()),
    }
}

/// Parses the prefix of account names. It leaves room for `-`, 8 digits, `-` and the account's number within the 50
/// characters of a name.
pub fn prefix(text: &str) -> Result<String, String> {
    let is_plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if is_plain && (1..=30).contains(&text.len()) {
        Ok(text.to_owned())
    } else {
        Err("must be 1 to 30 letters, digits, `-` or `_`".to_owned())
    }
}

/// Parses `NAME=PID`.
pub fn named_pid(text: &str) -> Result<(String, u32), String> {
    let (name, pid) = text.split_once('=').ok_or("must be NAME=PID")?;
    let is_plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase());
    match pid.parse() {
        Ok(pid) if is_plain => Ok((name.to_owned(), pid)),
        _ => Err("must be lower-case letters, `=` and a process id".to_owned()),
    }
}

/// The bounds of `--size`: a message holds at least its stamp.
pub fn size() -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(STAMP_BYTES as i64..=CONTENT_BYTES as i64)
}
