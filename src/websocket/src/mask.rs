//! The mask over what a client sends (RFC 6455, 5.3).

/// Applies a mask to bytes that begin at `offset` of the payload.
pub(crate) fn apply(bytes: &mut [u8], mut mask: [u8; 4], offset: usize) {
    mask.rotate_left(offset % 4);
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (chunks, rest) = bytes.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_has_its_byte_of_the_mask() {
        let mask = [1, 2, 4, 8];
        for length in 0..40 {
            for offset in 0..5 {
                let mut bytes = vec![0; length];
                apply(&mut bytes, mask, offset);
                let expected: Vec<u8> = (0..length).map(|at| mask[(at + offset) % 4]).collect();
                assert_eq!(bytes, expected);
            }
        }
    }
}
