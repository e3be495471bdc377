//! A cursor over JSON of a known scanner: the fast path for values as this protocol's programs write them.
//!
//! It reads one exact spelling and says `None` to every other, equal in meaning or not; the caller then decodes with
//! types. So it can only ever cost time, never correctness.

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub struct Scanner<'a>(pub &'a [u8]);

impl<'a> Scanner<'a> {
    /// Exactly these bytes.
    #[inline]
    pub fn literal(&mut self, bytes: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(bytes)?;
        Some(())
    }

    /// The next `count` bytes, whatever they are.
    #[inline]
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// An integer literal of at most 16 digits: every integer of the protocol is below 2^53.
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
        // What ends with its digits is cut off: the caller's next literal fails.
        self.0 = &self.0[digits..];
        canonical.then_some(value)
    }

    /// The text up to the next quote, which is taken too; `None` where it holds an escape.
    #[inline]
    pub fn text(&mut self) -> Option<&'a [u8]> {
        let end = memchr::memchr2(b'"', b'\\', self.0)?;
        let taken = self.take(end)?;
        self.literal(b"\"")?;
        Some(taken)
    }

    /// Nothing is left.
    #[inline]
    pub fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

/// Appends an integer as decimal digits.
pub fn put_integer(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Every byte's value as a lower-case hexadecimal digit; 0xff: it is none.
const HEX_VALUE: [u8; 256] = {
    let mut table = [0xff; 256];
    let mut value = 0;
    while value < 16 {
        table[HEX[value] as usize] = value as u8;
        value += 1;
    }
    table
};

/// Writes `value` as lower-case hexadecimal over all of `out`; digits that do not fit are left out at the top.
#[inline]
pub fn put_hex(out: &mut [u8], mut value: u64) {
    for digit in out.iter_mut().rev() {
        *digit = HEX[(value & 15) as usize];
        value >>= 4;
    }
}

/// Reads up to 16 lower-case hexadecimal digits.
#[inline]
pub fn hex(digits: &[u8]) -> Option<u64> {
    let (mut value, mut seen) = (0u64, 0u8);
    for &digit in digits {
        let digit = HEX_VALUE[digit as usize];
        seen |= digit;
        value = value << 4 | u64::from(digit & 15);
    }
    (seen < 16).then_some(value)
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

    #[test]
    fn numbers_come_back_as_they_were_written() {
        for value in [0, 7, 10, 4_294_967_296, (1 << 53) - 1] {
            let mut decimal = Vec::new();
            put_integer(&mut decimal, value);
            decimal.push(b',');
            assert_eq!(Scanner(&decimal).integer(), Some(value));
            let mut digits = [0; 16];
            put_hex(&mut digits, value);
            assert_eq!(hex(&digits), Some(value));
        }
        assert_eq!(hex(b"00g0"), None);
        assert_eq!(hex(b"00A0"), None);
    }
}
