//! Decimal and hexadecimal numbers, written into and read from bytes without formatting machinery.

/// Appends `value` in decimal.
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

/// The value of every byte as a lower-case hexadecimal digit; 0xff for bytes that are not digits.
const HEX_VALUE: [u8; 256] = {
    let mut table = [0xff; 256];
    let mut value = 0;
    while value < 16 {
        table[HEX[value] as usize] = value as u8;
        value += 1;
    }
    table
};

/// Fills `out` with `value` in lower-case hexadecimal; high digits that do not fit are dropped.
#[inline]
pub fn put_hex(out: &mut [u8], mut value: u64) {
    for digit in out.iter_mut().rev() {
        *digit = HEX[(value & 15) as usize];
        value >>= 4;
    }
}

/// Parses up to 16 lower-case hexadecimal digits.
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
    use crate::scanner::Scanner;

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
