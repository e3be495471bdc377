//! [`Keyboard`]: turns the bytes of a terminal into keys. Any bytes in any pieces are accepted.

use std::collections::VecDeque;

/// The longest control sequence; what is longer is no key.
const SEQUENCE_MAX: usize = 32;
/// The most bytes of a paste that arrive as one key.
const PASTE_MAX: usize = 256 * 1024;
const PASTE_BEGIN: &[u8] = b"200";
const PASTE_END: &[u8] = b"\x1b[201~";

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    Char(char),
    /// A character with Ctrl, in lower case; also `_`, `@`, `\`, `]` and `^`.
    Ctrl(char),
    /// A character with Alt; `\n` is Enter, `\u{8}` Backspace.
    Alt(char),
    /// Text between the marks of a bracketed paste, or a part of it. Bytes that are not UTF-8 are U+FFFD.
    Paste {
        text: String,
        is_utf8: bool,
    },
    /// A byte that is not part of a UTF-8 character.
    Invalid(u8),
    Enter,
    Tab,
    BackTab,
    Backspace,
    Delete,
    Left,
    Right,
    WordLeft,
    WordRight,
    Up,
    Down,
    Home,
    End,
}

/// The bytes that are not keys yet.
#[derive(Debug, Default)]
pub struct Keyboard {
    bytes: VecDeque<u8>,
    /// Whether the mark of the end of a paste has not arrived yet.
    pasting: bool,
}

/// What the first bytes are.
enum Found {
    Key(Key),
    /// Something that is no key.
    Nothing,
    PasteBegins,
}

impl Keyboard {
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    /// The next key; `None`: more bytes are needed.
    pub fn next_key(&mut self) -> Option<Key> {
        loop {
            if self.pasting {
                return self.paste();
            }
            let bytes = self.bytes.make_contiguous();
            let (length, found) = first(bytes)?;
            self.bytes.drain(..length);
            match found {
                Found::Key(key) => return Some(key),
                Found::Nothing => {}
                Found::PasteBegins => self.pasting = true,
            }
        }
    }

    fn paste(&mut self) -> Option<Key> {
        let bytes = self.bytes.make_contiguous();
        let end = bytes.windows(PASTE_END.len()).position(|window| window == PASTE_END);
        let (length, taken) = match end {
            Some(at) => (at, at + PASTE_END.len()),
            None if bytes.len() > PASTE_MAX => {
                let at = character_boundary(bytes, PASTE_MAX - PASTE_END.len());
                (at, at)
            }
            None => return None,
        };
        let text = String::from_utf8_lossy(&bytes[..length]);
        let is_utf8 = matches!(text, std::borrow::Cow::Borrowed(_));
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        self.bytes.drain(..taken);
        self.pasting = end.is_none();
        Some(Key::Paste { text, is_utf8 })
    }
}

/// The last place at or before `at` where a UTF-8 character begins.
fn character_boundary(bytes: &[u8], at: usize) -> usize {
    (at.saturating_sub(3)..=at).rev().find(|at| bytes[*at] & 0xC0 != 0x80).unwrap_or(at)
}

/// The first key and its length; `None`: incomplete.
fn first(bytes: &[u8]) -> Option<(usize, Found)> {
    let key = |key| Some((1, Found::Key(key)));
    match *bytes.first()? {
        0x1B => escape(bytes),
        b'\r' | b'\n' => key(Key::Enter),
        b'\t' => key(Key::Tab),
        0x08 | 0x7F => key(Key::Backspace),
        control @ 0..=0x1F => key(Key::Ctrl(char::from(control + 0x40).to_ascii_lowercase())),
        byte => match character(bytes)? {
            Ok(c) => Some((c.len_utf8(), Found::Key(Key::Char(c)))),
            Err(()) => key(Key::Invalid(byte)),
        },
    }
}

/// The first character; `None`: incomplete.
fn character(bytes: &[u8]) -> Option<Result<char, ()>> {
    let bytes = &bytes[..bytes.len().min(4)];
    let valid = match str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if error.valid_up_to() > 0 => str::from_utf8(&bytes[..error.valid_up_to()]).ok()?,
        Err(error) => return error.error_len().map(|_| Err(())),
    };
    valid.chars().next().map(Ok)
}

/// What begins with ESC: a control sequence, or a key with Alt.
fn escape(bytes: &[u8]) -> Option<(usize, Found)> {
    match *bytes.get(1)? {
        b'[' => sequence(bytes),
        // Keys in the application mode of cursor keys: ESC O and a letter.
        b'O' => {
            let end = *bytes.get(2)?;
            Some((3, letter_key(end, b"").map_or(Found::Nothing, Found::Key)))
        }
        b'\r' | b'\n' => Some((2, Found::Key(Key::Alt('\n')))),
        0x08 | 0x7F => Some((2, Found::Key(Key::Alt('\u{8}')))),
        // A second ESC begins anew; other control characters are themselves.
        0..=0x1F => Some((1, Found::Nothing)),
        _ => match character(&bytes[1..])? {
            Ok(c) => Some((1 + c.len_utf8(), Found::Key(Key::Alt(c)))),
            Err(()) => Some((1, Found::Nothing)),
        },
    }
}

/// ESC [ parameters final (ECMA-48, section 5.4).
fn sequence(bytes: &[u8]) -> Option<(usize, Found)> {
    let body = &bytes[2..];
    let Some(length) = body.iter().take(SEQUENCE_MAX).position(|byte| !matches!(byte, 0x20..=0x3F)) else {
        return (body.len() >= SEQUENCE_MAX).then_some((2 + SEQUENCE_MAX, Found::Nothing));
    };
    let (parameters, end) = (&body[..length], body[length]);
    if !matches!(end, 0x40..=0x7E) {
        // It broke off; this byte is something else.
        return Some((2 + length, Found::Nothing));
    }
    let found = match (end, parameters) {
        (b'~', PASTE_BEGIN) => Found::PasteBegins,
        (b'~', _) => match parameters.split(|byte| *byte == b';').next() {
            Some(b"1" | b"7") => Found::Key(Key::Home),
            Some(b"4" | b"8") => Found::Key(Key::End),
            Some(b"3") => Found::Key(Key::Delete),
            _ => Found::Nothing,
        },
        _ => letter_key(end, parameters).map_or(Found::Nothing, Found::Key),
    };
    Some((3 + length, found))
}

/// A key that ends in a letter. Parameters `1;3` and `1;5` are Alt and Ctrl.
fn letter_key(letter: u8, parameters: &[u8]) -> Option<Key> {
    let by_word = matches!(parameters, b"1;3" | b"1;5");
    Some(match letter {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'C' if by_word => Key::WordRight,
        b'C' => Key::Right,
        b'D' if by_word => Key::WordLeft,
        b'D' => Key::Left,
        b'H' => Key::Home,
        b'F' => Key::End,
        b'M' => Key::Enter,
        b'Z' => Key::BackTab,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut keyboard = Keyboard::default();
        keyboard.feed(bytes);
        std::iter::from_fn(|| keyboard.next_key()).collect()
    }

    #[test]
    fn bytes_become_keys() {
        assert_eq!(keys("a你\r".as_bytes()), [Key::Char('a'), Key::Char('你'), Key::Enter]);
        assert_eq!(
            keys(b"\x1b[A\x1bOB\x1b[1;5C\x1b[3~\x1b[Z"),
            [Key::Up, Key::Down, Key::WordRight, Key::Delete, Key::BackTab]
        );
        assert_eq!(
            keys(b"\x1b1\x1ba\x01\x1f"),
            [Key::Alt('1'), Key::Alt('a'), Key::Ctrl('a'), Key::Ctrl('_')]
        );
        assert_eq!(keys(b"\x1b[?1;2cx\x1b[3\x01"), [Key::Char('x'), Key::Ctrl('a')]);
    }

    #[test]
    fn what_is_not_utf8_is_reported_byte_by_byte() {
        assert_eq!(
            keys(b"caf\xe9 x"),
            [
                Key::Char('c'),
                Key::Char('a'),
                Key::Char('f'),
                Key::Invalid(0xE9),
                Key::Char(' '),
                Key::Char('x')
            ]
        );
        assert_eq!(keys(b"\xff\xc3\r"), [Key::Invalid(0xFF), Key::Invalid(0xC3), Key::Enter]);
    }

    #[test]
    fn a_paste_is_one_key_with_its_line_ends() {
        let paste = |text: &str, is_utf8| Key::Paste { text: text.to_owned(), is_utf8 };
        assert_eq!(
            keys(b"\x1b[200~one\rtwo\r\nthree\x1b[201~\r"),
            [paste("one\ntwo\nthree", true), Key::Enter]
        );
        assert_eq!(keys(b"\x1b[200~caf\xe9\rquit\r\x1b[201~"), [paste("caf\u{FFFD}\nquit\n", false)]);
        // A part of the mark does not end it.
        assert_eq!(keys(b"\x1b[200~\x1b[201\x1b[201~x"), [paste("\x1b[201", true), Key::Char('x')]);
        // A huge paste comes in pieces and loses nothing.
        let huge = "你".repeat(PASTE_MAX);
        let (mut keyboard, mut pieces, mut joined) = (Keyboard::default(), 0, String::new());
        for chunk in format!("\x1b[200~{huge}\x1b[201~").as_bytes().chunks(4096) {
            keyboard.feed(chunk);
            while let Some(key) = keyboard.next_key() {
                let Key::Paste { text, is_utf8: true } = key else { panic!("{key:?}") };
                (pieces, joined) = (pieces + 1, joined + &text);
            }
        }
        assert!(pieces > 1 && joined == huge);
    }

    proptest! {
        #[test]
        fn the_keys_do_not_depend_on_how_the_bytes_arrive(bytes: Vec<u8>, cut in 0usize..100) {
            let whole = keys(&bytes);
            let mut keyboard = Keyboard::default();
            let mut pieces = Vec::new();
            for piece in bytes.chunks(1 + cut % 7) {
                keyboard.feed(piece);
                pieces.extend(std::iter::from_fn(|| keyboard.next_key()));
            }
            prop_assert_eq!(whole, pieces);
        }
    }
}
