//! A fast path for the requests that come most often: reads an object of plain members without serde_json.
//!
//! It takes objects in which every value is an integer of the protocol or a text without escapes, as nearly all clients
//! write them. Anything else, faults included, yields `None`, and the caller falls back to [`json::read`](crate::json),
//! which alone decides what is refused and how. The two agree on every object that this one takes.

use crate::limits::INTEGER_MAX;

/// The value of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar<'a> {
    Text(&'a str),
    /// At most 2^53 - 1.
    Integer(u64),
}

impl<'a> Scalar<'a> {
    pub fn text(self) -> Option<&'a str> {
        match self {
            Scalar::Text(text) => Some(text),
            Scalar::Integer(_) => None,
        }
    }

    /// An integer of at most `max`.
    pub fn integer(self, max: u64) -> Option<u64> {
        match self {
            Scalar::Integer(value) if value <= max => Some(value),
            _ => None,
        }
    }
}

/// Sets a field, unless it is there already.
#[inline]
pub fn set<T>(field: &mut Option<T>, value: T) -> Option<()> {
    match field.replace(value) {
        None => Some(()),
        Some(_) => None,
    }
}

/// Calls `take` with the name and the value of each member. `None`: where the object is not plain, or where `take`
/// returns `None`.
pub fn read<'a>(value: &'a [u8], mut take: impl FnMut(&'a str, Scalar<'a>) -> Option<()>) -> Option<()> {
    let text = std::str::from_utf8(value).ok()?;
    let mut rest = Rest { text, at: 0 };
    rest.byte(b'{')?;
    loop {
        let name = rest.text()?;
        rest.byte(b':')?;
        rest.space();
        let value = match rest.peek()? {
            b'"' => Scalar::Text(rest.text()?),
            _ => Scalar::Integer(rest.integer()?),
        };
        take(name, value)?;
        match rest.next()? {
            b',' => rest.space(),
            b'}' => break,
            _ => return None,
        }
    }
    (rest.at == text.len()).then_some(())
}

/// The part of a text that is not read yet.
struct Rest<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Rest<'a> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    #[inline]
    fn byte(&mut self, wanted: u8) -> Option<()> {
        (self.next()? == wanted).then_some(())
    }

    /// Skips the one space that many encoders write after `:` and `,`.
    #[inline]
    fn space(&mut self) {
        if self.peek() == Some(b' ') {
            self.at += 1;
        }
    }

    /// A text with its quotes, if it has neither escapes nor control characters.
    #[inline]
    fn text(&mut self) -> Option<&'a str> {
        self.byte(b'"')?;
        let rest = self.text.get(self.at..)?;
        let text = &rest[..memchr::memchr(b'"', rest.as_bytes())?];
        // Without an early exit it compiles to vector instructions.
        let is_special = |special, &byte: &u8| special | (byte < b' ') | (byte == b'\\');
        if text.as_bytes().iter().fold(false, is_special) {
            return None;
        }
        self.at += text.len() + 1;
        Some(text)
    }

    /// An integer as the protocol has them: at most 2^53 - 1, without a sign, leading zeros, a fraction or an exponent.
    #[inline]
    fn integer(&mut self) -> Option<u64> {
        let start = self.at;
        let mut value = 0u64;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            value = value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
            self.at += 1;
        }
        let digits = &self.text.as_bytes()[start..self.at];
        let is_canonical = matches!(digits, [_] | [b'1'..=b'9', ..]);
        (is_canonical && value <= INTEGER_MAX).then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    fn members(value: &[u8]) -> Option<Vec<(&str, Scalar<'_>)>> {
        let mut members = Vec::new();
        read(value, |name, value| {
            members.push((name, value));
            Some(())
        })?;
        Some(members)
    }

    #[test]
    fn plain_objects_are_read() {
        let expected = vec![("a", Scalar::Integer(120)), ("b", Scalar::Text("x{y}: ü, 🦀"))];
        assert_eq!(members(r#"{"a":120,"b":"x{y}: ü, 🦀"}"#.as_bytes()), Some(expected.clone()));
        assert_eq!(members(r#"{"a": 120, "b": "x{y}: ü, 🦀"}"#.as_bytes()), Some(expected));
        assert_eq!(members(br#"{"a":9007199254740991}"#), Some(vec![("a", Scalar::Integer(INTEGER_MAX))]));
        assert_eq!(members(br#"{"":0}"#), Some(vec![("", Scalar::Integer(0))]));
    }

    #[test]
    fn everything_else_is_left_to_the_full_decoder() {
        for other in [
            "",
            "{",
            "{}",
            "[]",
            "7",
            "{\"a\":1",
            "{\"a\":1,",
            "{\"a\":1,}",
            "{\"a\":01}",
            "{\"a\":-1}",
            "{\"a\":1.0}",
            "{\"a\":1e3}",
            "{\"a\":9007199254740992}",
            "{\"a\":99999999999999999999}",
            "{\"a\":}",
            "{\"a\"}",
            "{\"a\":true}",
            "{\"a\":null}",
            "{\"a\":[1]}",
            "{\"a\":{}}",
            "{\"a\":\"\\n\"}",
            "{\"\\u0061\":1}",
            "{\"a\":\"\n\"}",
            "{\"a\":\"\0\"}",
            "{\"a\":\"x}",
            "{\"a\":1}}",
            "{\"a\":1} ",
            " {\"a\":1}",
            "{ \"a\":1}",
            "{\"a\":  1}",
            "{\"a\":1 }",
            "{\"a\" :1}",
            "{\"a\":1 ,\"b\":2}",
            "{a:1}",
            "{\"a\":1;\"b\":2}",
        ] {
            assert_eq!(members(other.as_bytes()), None, "{other}");
        }
        assert_eq!(members(b"{\"a\":\"\xff\"}"), None);
    }

    proptest! {
        /// What is taken is what the full decoder reads.
        #[test]
        fn it_agrees_with_serde_json(value in r#"\{("[ab\\]{0,2}":( ?)("[a-zü\\"]{0,5}"|[0-9]{1,18}|-1|1.5|null),?){0,3}\} ?"#) {
            if let Some(members) = members(value.as_bytes()) {
                let object: Map<String, Value> = serde_json::from_str(&value).unwrap();
                let names: std::collections::BTreeSet<_> = members.iter().map(|(name, _)| *name).collect();
                prop_assert_eq!(object.len(), names.len());
                // Of two members of one name serde_json keeps the last.
                for (at, (name, scalar)) in members.iter().enumerate() {
                    if members[at + 1..].iter().any(|(later, _)| later == name) {
                        continue;
                    }
                    match scalar {
                        Scalar::Text(text) => prop_assert_eq!(object[*name].as_str(), Some(*text)),
                        Scalar::Integer(value) => prop_assert_eq!(object[*name].as_u64(), Some(*value)),
                    }
                }
            }
        }
    }
}
