//! Where the objects of a stream begin and end.
//!
//! No byte is looked at twice, so an object that arrives byte by byte costs linear time. What lies inside is looked at
//! only as far as brackets and strings go; whether it is JSON, the reader of the object says.

use std::ops::Range;
use thiserror::Error;

/// Finds one object after another in a stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scanner {
    /// Bytes of the object begun that were looked at.
    seen: u32,
    /// Brackets that are open.
    depth: u32,
    /// Whether those bytes end inside a string.
    in_string: bool,
}

/// What is at the beginning of some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scan {
    /// An object, whole, with its braces.
    Object(Range<usize>),
    /// The object that begins here is not whole; what is before it, or everything where nothing begins, can be dropped.
    Begun(usize),
}

/// Why a stream can no longer be read as objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Stream {
    /// What stands between objects is neither NUL nor space.
    #[error("between two objects stands something that is no JSON object")]
    NoObject,
    /// A NUL, which no JSON text holds, or a bracket that closes nothing.
    #[error("an object is broken off")]
    BrokenOff,
    /// More bytes than are allowed, without an end.
    #[error("an object is longer than the {0} bytes that are allowed here")]
    TooLong(usize),
}

impl Scanner {
    /// Looks at `bytes` from where the last object ended: the same bytes as last time without those that were dropped,
    /// and more behind them. `max` bounds an object's length.
    pub fn scan(&mut self, bytes: &[u8], max: usize) -> Result<Scan, Stream> {
        let begin = match bytes.iter().position(|byte| !matches!(byte, 0 | b' ' | b'\r' | b'\n' | b'\t')) {
            Some(begin) if bytes[begin] == b'{' => begin,
            Some(_) => return Err(Stream::NoObject),
            None => return Ok(Scan::Begun(bytes.len())),
        };
        let object = &bytes[begin..];
        match self.end_of(&object[..object.len().min(max)])? {
            Some(end) => {
                *self = Scanner::default();
                Ok(Scan::Object(begin..begin + end))
            }
            None if object.len() > max => Err(Stream::TooLong(max)),
            None => Ok(Scan::Begun(begin)),
        }
    }

    /// How long the object is, if its end is there. An object that was begun begins where it began before.
    fn end_of(&mut self, object: &[u8]) -> Result<Option<usize>, Stream> {
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
                    // Whatever is escaped does not end the string. If it is not there yet, the backslash is seen again.
                    b'\\' if at + 1 == object.len() => break,
                    b'\\' => at += 1,
                    _ => return Err(Stream::BrokenOff),
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
                    0 => return Err(Stream::BrokenOff),
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

    fn scan_all(bytes: &[u8]) -> Result<Vec<String>, Stream> {
        let (mut scanner, mut at, mut found) = (Scanner::default(), 0, Vec::new());
        loop {
            match scanner.scan(&bytes[at..], 100)? {
                Scan::Object(object) => {
                    found.push(String::from_utf8(bytes[at..][object.clone()].to_vec()).expect("UTF-8"));
                    at += object.end;
                }
                Scan::Begun(_) => return Ok(found),
            }
        }
    }

    #[test]
    fn objects_stand_apart_or_not() {
        let whole = |bytes: &[u8]| scan_all(bytes).expect("a stream of objects");
        assert_eq!(
            whole(b"{}{\"a\":[{}]}\0\0 \r\n\t{\"}\":\"{\\\"\\\\\"}{"),
            ["{}", "{\"a\":[{}]}", "{\"}\":\"{\\\"\\\\\"}"]
        );
        assert!(whole(b"").is_empty() && whole(b"\0").is_empty() && whole(b"{\"a\":\"\\").is_empty());
    }

    #[test]
    fn what_is_no_object_shows_where_it_begins() {
        for (bytes, error) in [
            (&b"{}x"[..], Stream::NoObject),
            (b"[{}]", Stream::NoObject),
            (b"{} }", Stream::NoObject),
            (b"{\"msgid\":1\0{}", Stream::BrokenOff),
            (b"{\"msgid\0", Stream::BrokenOff),
        ] {
            assert_eq!(scan_all(bytes), Err(error), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn length_is_bounded_with_and_without_an_end() {
        let of = |length: usize| [b"{\"", "x".repeat(length - 4).as_bytes(), b"\"}"].concat();
        let mut scanner = Scanner::default();
        assert_eq!(scanner.scan(&of(100), 100), Ok(Scan::Object(0..100)));
        assert_eq!(scanner.scan(&of(101), 100), Err(Stream::TooLong(100)));
        let mut scanner = Scanner::default();
        assert_eq!(scanner.scan(&of(101)[..100], 100), Ok(Scan::Begun(0)));
        assert_eq!(scanner.scan(&of(101), 100), Err(Stream::TooLong(100)));
    }
}
