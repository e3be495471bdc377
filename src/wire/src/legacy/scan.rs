//! Finds where the objects of a stream begin and end.
//!
//! No byte is examined twice, so an object that arrives byte by byte costs linear time. The scanner follows only
//! brackets and strings; whether an object is valid JSON is left to its decoder.

use std::ops::Range;
use thiserror::Error;

/// The state of a scan between two arrivals of bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scanner {
    /// Bytes of the incomplete object that have been examined.
    seen: u32,
    /// How many brackets are open.
    depth: u32,
    /// Whether the examined bytes end inside a string.
    in_string: bool,
}

/// The result of a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scan {
    /// A complete object with its braces.
    Object(Range<usize>),
    /// No object is complete. This many bytes before the incomplete object can be dropped; all bytes if none has begun.
    Incomplete(usize),
}

/// Why a stream can no longer be read as objects. Each of these closes the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum StreamError {
    /// Bytes between two objects are neither NUL nor white space.
    #[error("expected a JSON object, found something else")]
    NotAnObject,
    /// An object contains a NUL, which JSON excludes.
    #[error("a JSON object ends before its last bracket is closed")]
    Truncated,
    /// An object is longer than this limit, bytes.
    #[error("a JSON object is longer than the limit of {0} bytes")]
    TooLong(usize),
}

impl Scanner {
    /// Scans for the next object. `bytes` are those of the last call, without the object it found and the bytes it
    /// allowed to drop, followed by what arrived since. `max` bounds an object's length.
    pub fn scan(&mut self, bytes: &[u8], max: usize) -> Result<Scan, StreamError> {
        let begin = match bytes.iter().position(|byte| !matches!(byte, 0 | b' ' | b'\r' | b'\n' | b'\t')) {
            Some(begin) if bytes[begin] == b'{' => begin,
            Some(_) => return Err(StreamError::NotAnObject),
            None => return Ok(Scan::Incomplete(bytes.len())),
        };
        let object = &bytes[begin..];
        match self.end_of(&object[..object.len().min(max)])? {
            Some(end) => {
                *self = Scanner::default();
                Ok(Scan::Object(begin..begin + end))
            }
            None if object.len() > max => Err(StreamError::TooLong(max)),
            None => Ok(Scan::Incomplete(begin)),
        }
    }

    /// The length of the object that `object` begins with, if its end has arrived.
    fn end_of(&mut self, object: &[u8]) -> Result<Option<usize>, StreamError> {
        let mut at = self.seen as usize;
        while at < object.len() {
            if self.in_string {
                let Some(found) = memchr::memchr3(b'"', b'\\', 0, &object[at..]) else {
                    at = object.len();
                    break;
                };
                at += found;
                match object[at] {
                    b'"' => self.in_string = false,
                    // The escaped byte does not end the string, even where it has yet to arrive.
                    b'\\' => at += 1,
                    _ => return Err(StreamError::Truncated),
                }
            } else {
                match object[at] {
                    b'"' => self.in_string = true,
                    b'{' | b'[' => self.depth += 1,
                    b'}' | b']' => {
                        self.depth -= 1;
                        if self.depth == 0 {
                            return Ok(Some(at + 1));
                        }
                    }
                    0 => return Err(StreamError::Truncated),
                    _ => {}
                }
            }
            at += 1;
        }
        self.seen = at as u32;
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan_all(bytes: &[u8]) -> Result<Vec<String>, StreamError> {
        let (mut scanner, mut at, mut found) = (Scanner::default(), 0, Vec::new());
        loop {
            match scanner.scan(&bytes[at..], 100)? {
                Scan::Object(object) => {
                    found.push(String::from_utf8(bytes[at..][object.clone()].to_vec()).expect("UTF-8"));
                    at += object.end;
                }
                Scan::Incomplete(_) => return Ok(found),
            }
        }
    }

    #[test]
    fn objects_are_found_with_and_without_separators() {
        let whole = |bytes: &[u8]| scan_all(bytes).expect("a stream of objects");
        assert_eq!(
            whole(b"{}{\"a\":[{}]}\0\0 \r\n\t{\"}\":\"{\\\"\\\\\"}{"),
            ["{}", "{\"a\":[{}]}", "{\"}\":\"{\\\"\\\\\"}"]
        );
        assert!(whole(b"").is_empty() && whole(b"\0").is_empty() && whole(b"{\"a\":\"\\").is_empty());
    }

    #[test]
    fn anything_but_an_object_is_refused_at_its_first_byte() {
        for (bytes, error) in [
            (&b"{}x"[..], StreamError::NotAnObject),
            (b"[{}]", StreamError::NotAnObject),
            (b"{} }", StreamError::NotAnObject),
            (b"{\"msgid\":1\0{}", StreamError::Truncated),
            (b"{\"msgid\0", StreamError::Truncated),
        ] {
            assert_eq!(scan_all(bytes), Err(error), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn complete_and_incomplete_objects_are_bounded_alike() {
        let of = |length: usize| [b"{\"", "x".repeat(length - 4).as_bytes(), b"\"}"].concat();
        let mut scanner = Scanner::default();
        assert_eq!(scanner.scan(&of(100), 100), Ok(Scan::Object(0..100)));
        assert_eq!(scanner.scan(&of(101), 100), Err(StreamError::TooLong(100)));
        let mut scanner = Scanner::default();
        assert_eq!(scanner.scan(&of(101)[..100], 100), Ok(Scan::Incomplete(0)));
        assert_eq!(scanner.scan(&of(101), 100), Err(StreamError::TooLong(100)));
    }
}
