//! A cursor over JSON in one exact spelling: the fast path for values as the programs of this project write them.
//!
//! Any other spelling, even of the same value, yields `None`, and the caller falls back to the typed decoder. The fast
//! path can cost time but never correctness.

/// The bytes that are left to read.
#[derive(Clone, Copy, Debug)]
pub struct Scanner<'a>(pub &'a [u8]);

impl<'a> Scanner<'a> {
    /// Consumes exactly these bytes.
    #[inline]
    pub fn literal(&mut self, bytes: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(bytes)?;
        Some(())
    }

    /// Consumes the next `count` bytes, whatever they are.
    #[inline]
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// Consumes an integer of at most 16 digits: every integer of the protocol is below 2^53.
    #[inline]
    pub fn integer(&mut self) -> Option<u64> {
        let (mut value, mut digits) = (0u64, 0);
        for &byte in self.0 {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
            digits += 1;
        }
        let canonical = (1..=16).contains(&digits) && (digits == 1 || self.0[0] != b'0');
        // Where the input ends with the digits, it is incomplete, and the caller's next literal fails.
        self.0 = &self.0[digits..];
        canonical.then_some(value)
    }

    /// Consumes the text up to the next quote, and the quote; `None` where the text holds an escape.
    #[inline]
    pub fn text(&mut self) -> Option<&'a [u8]> {
        let end = memchr::memchr2(b'"', b'\\', self.0)?;
        let taken = self.take(end)?;
        self.literal(b"\"")?;
        Some(taken)
    }

    /// Succeeds where nothing is left.
    #[inline]
    pub fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_spelling_is_read() {
        let read = |text: &'static str| {
            let mut scanner = Scanner(text.as_bytes());
            scanner.literal(b"{\"a\":")?;
            let integer = scanner.integer()?;
            scanner.literal(b",\"b\":\"")?;
            let text = scanner.text()?;
            scanner.literal(b"}")?;
            scanner.end()?;
            Some((integer, text))
        };
        assert_eq!(read("{\"a\":120,\"b\":\"xy\"}"), Some((120, &b"xy"[..])));
        for other in [
            "{\"a\": 120,\"b\":\"xy\"}",
            "{\"a\":0120,\"b\":\"xy\"}",
            "{\"a\":,\"b\":\"xy\"}",
            "{\"a\":12345678901234567,\"b\":\"xy\"}",
            "{\"a\":1,\"b\":\"x\\u0079\"}",
            "{\"a\":1,\"b\":\"xy\"} ",
            "{\"a\":1,\"b\":\"xy\"",
            "{\"a\":1",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
