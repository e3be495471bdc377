//! For tests: the control characters and sequences that the program itself writes. Anything else came from outside.

/// The first control character or sequence that the program does not write; `None`: there is none.
pub fn foreign(text: &str) -> Option<String> {
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_control()) {
        rest = &rest[at..];
        let known = ["\n", "\r", "\u{7}", "\u{1b}[?2004h", "\u{1b}[?2004l"]
            .into_iter()
            .find(|known| rest.starts_with(known));
        let length = known.map(str::len).or_else(|| sequence(rest));
        match length {
            Some(length) => rest = &rest[length..],
            None => return Some(rest.chars().take(20).collect()),
        }
    }
    None
}

/// The length of a sequence that moves the cursor, erases below it or sets a colour.
fn sequence(text: &str) -> Option<usize> {
    let body = text.strip_prefix("\u{1b}[")?;
    let end = body.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    body[end..].starts_with(['A', 'B', 'C', 'H', 'J', 'm']).then_some(2 + end + 1)
}
