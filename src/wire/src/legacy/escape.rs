//! The length of texts inside JSON strings.

use serde::Serialize;

/// A value as JSON text.
pub(super) fn object<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("structs of numbers and strings serialize")
}

/// The length of a character inside a JSON string, bytes.
pub(super) fn width(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        c if c < ' ' => 6,
        c => c.len_utf8(),
    }
}

/// The length of a text inside a JSON string without the quotes, bytes.
pub(super) fn length(text: &str) -> usize {
    text.chars().map(width).sum()
}

/// The longest beginning of `text` that, followed by `…`, takes at most `room` bytes inside a JSON string.
pub(super) fn cut(text: &str, room: usize) -> String {
    const ELLIPSIS: &str = "…";
    let mut left = room.saturating_sub(ELLIPSIS.len());
    let fits = |&c: &char| {
        let fits = width(c) <= left;
        left = left.saturating_sub(width(c));
        fits
    };
    let mut cut: String = text.chars().take_while(fits).collect();
    cut.push_str(ELLIPSIS);
    cut
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::write_string;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lengths_agree_with_the_writer(text in any::<String>(), room in 3usize..40) {
            let mut bytes = Vec::new();
            write_string(&mut bytes, &text);
            prop_assert_eq!(bytes.len(), length(&text) + 2);

            let cut = cut(&text, room);
            let kept = cut.strip_suffix('…').unwrap();
            prop_assert!(length(&cut) <= room && text.starts_with(kept));
            let next = text[kept.len()..].chars().next();
            prop_assert!(next.is_none_or(|next| length(&cut) + width(next) > room), "one more character would have fitted");
        }
    }
}
