//! Why a request was not carried out: the error part of every reply, and the value of an ERROR push.

use crate::json::{self, present};
use crate::{Errno, UnixMillis};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Never `Ok`.
    pub errno: Errno,
    /// A sentence that names the field or the limit.
    pub errmsg: Cow<'static, str>,
    /// When to try again, where waiting helps.
    pub retry_after_ms: Option<u64>,
    /// The `cid` to retry with, where the message may have been stored.
    pub cid: Option<Box<str>>,
    /// The field of the request that it is about.
    pub field: Option<Cow<'static, str>>,
    /// The configuration key of the limit that was reached, as `limits.groups`.
    pub limit: Option<Box<str>>,
    /// Until when the request is refused.
    pub until: Option<UnixMillis>,
}

impl Refusal {
    /// A refusal that waiting does not change.
    pub fn new(errno: Errno, errmsg: impl Into<Cow<'static, str>>) -> Refusal {
        let errmsg = errmsg.into();
        Refusal { errno, errmsg, retry_after_ms: None, cid: None, field: None, limit: None, until: None }
    }

    /// A refusal that may not be repeated after `retry_after_ms`.
    pub fn later(errno: Errno, errmsg: impl Into<Cow<'static, str>>, retry_after_ms: u64) -> Refusal {
        Refusal { retry_after_ms: Some(retry_after_ms), ..Refusal::new(errno, errmsg) }
    }

    /// Names the field of the request that the refusal is about.
    #[must_use]
    pub fn about(self, field: &'static str) -> Refusal {
        Refusal { field: Some(Cow::Borrowed(field)), ..self }
    }

    /// Names the configuration key of the limit that was reached.
    #[must_use]
    pub fn with_limit(self, key: &'static str) -> Refusal {
        Refusal { limit: Some(key.into()), ..self }
    }

    /// Appends the refusal as a JSON object.
    pub(crate) fn encode_value(&self, out: &mut Vec<u8>) {
        let Refusal { errno, errmsg, retry_after_ms, cid, field, limit, until } = self;
        let envelope = Envelope {
            errno: errno.number(),
            errmsg: errmsg.as_ref().into(),
            retry_after_ms: *retry_after_ms,
            cid: cid.clone(),
            field: field.as_deref().map(Box::from),
            limit: limit.clone(),
            until: *until,
        };
        json::write(out, &envelope);
    }

    /// Reads a refusal; `None` where `errno` is 0.
    pub(crate) fn decode_value(value: &[u8]) -> Result<Option<Refusal>, String> {
        let Envelope { errno, errmsg, retry_after_ms, cid, field, limit, until } = json::read(value)?;
        match Errno::from_number(errno) {
            Some(Errno::Ok) => Ok(None),
            // A newer server may use error numbers that this client does not know.
            known => Ok(Some(Refusal {
                errno: known.unwrap_or(Errno::Internal),
                errmsg: Cow::Owned(errmsg.into_string()),
                retry_after_ms,
                cid,
                field: field.map(|field| Cow::Owned(field.into_string())),
                limit,
                until,
            })),
        }
    }
}

/// The fields of a refusal; the value of every reply begins with these.
#[derive(Serialize, Deserialize)]
struct Envelope {
    errno: u8,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    errmsg: Box<str>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    retry_after_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    cid: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    field: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    limit: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    until: Option<UnixMillis>,
}

/// A well-framed request that is invalid. It is answered, and the connection stays open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadRequest {
    /// The protocol has no request of this type.
    UnknownType(u16),
    /// The value is invalid; the sentence names the field or the limit.
    Value(String),
}

impl From<BadRequest> for Refusal {
    fn from(bad: BadRequest) -> Refusal {
        match bad {
            BadRequest::UnknownType(kind) => {
                Refusal::new(Errno::UnknownType, format!("there is no request of type {kind}"))
            }
            BadRequest::Value(sentence) => {
                let field = field_of(&sentence).map(|field| Cow::Owned(field.to_owned()));
                Refusal { field, ..Refusal::new(Errno::BadRequest, sentence) }
            }
        }
    }
}

/// The field that a sentence is about: it begins with its name in backticks, of an element of a list with its place.
fn field_of(sentence: &str) -> Option<&str> {
    let (field, _) = sentence.strip_prefix('`')?.split_once('`')?;
    Some(field.split_once('[').map_or(field, |(list, _)| list))
}

impl From<String> for BadRequest {
    fn from(sentence: String) -> BadRequest {
        BadRequest::Value(sentence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_field_without_the_place_of_an_element() {
        let field = |sentence: &str| Refusal::from(BadRequest::Value(sentence.to_owned())).field;
        assert_eq!(field("`mentions[0]` must be an id").as_deref(), Some("mentions"));
        assert_eq!(field("`to` must be an id").as_deref(), Some("to"));
        assert_eq!(field("the value must be an object"), None);
    }
}
