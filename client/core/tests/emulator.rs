//! Sanitised text on a terminal emulator: whatever it contains, the state of the terminal does not change.

use chatclient_core::sanitize;
use proptest::prelude::*;
use std::num::NonZeroU16;
use unicode_width::UnicodeWidthChar;
use vt100::{Callbacks, Parser, Screen};

const ROWS: u16 = 200;
const COLUMNS: u16 = 80;

/// Everything that the emulator was told to do apart from text.
#[derive(Default)]
struct Told(Vec<String>);

impl Callbacks for Told {
    fn audible_bell(&mut self, _: &mut Screen) {
        self.0.push("bell".into());
    }
    fn visual_bell(&mut self, _: &mut Screen) {
        self.0.push("flash".into());
    }
    fn resize(&mut self, _: &mut Screen, to: (u16, u16)) {
        self.0.push(format!("resize {to:?}"));
    }
    fn set_window_icon_name(&mut self, _: &mut Screen, name: &[u8]) {
        self.0.push(format!("icon {name:?}"));
    }
    fn set_window_title(&mut self, _: &mut Screen, title: &[u8]) {
        self.0.push(format!("title {title:?}"));
    }
    fn copy_to_clipboard(&mut self, _: &mut Screen, _: &[u8], data: &[u8]) {
        self.0.push(format!("clipboard {data:?}"));
    }
    fn paste_from_clipboard(&mut self, _: &mut Screen, _: &[u8]) {
        self.0.push("paste".into());
    }
    fn unhandled_char(&mut self, _: &mut Screen, c: char) {
        self.0.push(format!("character {c:?}"));
    }
    fn unhandled_control(&mut self, _: &mut Screen, byte: u8) {
        self.0.push(format!("control {byte:#x}"));
    }
    fn unhandled_escape(&mut self, _: &mut Screen, _: Option<u8>, _: Option<u8>, byte: u8) {
        self.0.push(format!("escape {byte:#x}"));
    }
    fn unhandled_csi(&mut self, _: &mut Screen, _: Option<u8>, _: Option<u8>, _: &[&[u16]], c: char) {
        self.0.push(format!("CSI {c}"));
    }
    // These include the sequences that set the palette.
    fn unhandled_osc(&mut self, _: &mut Screen, parameters: &[&[u8]]) {
        self.0.push(format!("OSC {parameters:?}"));
    }
}

fn emulator() -> Parser<Told> {
    let size = |cells| NonZeroU16::new(cells).expect("not 0");
    Parser::new_with_callbacks(size(ROWS), size(COLUMNS), 0, Told::default())
}

/// The state of a terminal apart from its text.
fn modes(screen: &Screen) -> (String, String, bool, bool) {
    (
        screen.input_mode_formatted(),
        screen.attributes_formatted(),
        screen.alternate_screen(),
        screen.hide_cursor(),
    )
}

/// Prints a line as the client does, and checks that the emulator got nothing but text.
fn show(name: &str, text: &str) -> Result<(), TestCaseError> {
    let mut emulator = emulator();
    let before = modes(emulator.screen());
    let (name, text) = (sanitize::line(name), sanitize::line(text));
    emulator.process(format!("\x1b[33m{name}\x1b[39m: {text}").as_bytes());
    prop_assert_eq!(&emulator.callbacks().0, &Vec::<String>::new());
    prop_assert_eq!(modes(emulator.screen()), before);
    // Only the characters themselves moved the cursor.
    let mut position = (0, 0);
    for wide in format!("{name}: {text}").chars().map(|c| c.width().unwrap_or(0) as u16) {
        position = if position.1 + wide > COLUMNS {
            (position.0 + 1, wide)
        } else {
            (position.0, position.1 + wide)
        };
    }
    prop_assert_eq!(emulator.screen().cursor_position().0, position.0.min(ROWS - 1));
    Ok(())
}

/// Arbitrary characters, with those of control sequences overrepresented.
fn hostile() -> impl Strategy<Value = String> {
    let command = prop_oneof![
        Just("\x1b]0;owned\x07".to_owned()),
        Just("\x1b]4;1;rgb:ff/00/00\x1b\\".to_owned()),
        Just("\u{9d}2;owned\u{9c}".to_owned()),
        Just("\u{9b}?1049h".to_owned()),
        Just("\x1b[?1000h\x1b[?25l\x1b=".to_owned()),
        Just("\x1bP+q544e\x1b\\".to_owned()),
        Just("\x1b]52;c;b3duZWQ=\x07".to_owned()),
        Just("\r\n\u{8}\u{b}\u{c}\x1bc\x1b[2J".to_owned()),
        Just("\u{202e}\u{2066}\u{200f}\u{2028}\u{2029}".to_owned()),
        Just("e\u{301}\u{301}\u{301}".repeat(20)),
    ];
    let character = prop_oneof![
        4 => (0u32..0xA0).prop_map(|c| char::from_u32(c).unwrap_or('x')),
        1 => (0x2000u32..0x2070).prop_map(|c| char::from_u32(c).unwrap_or('x')),
        1 => (0x4E00u32..0x4F00).prop_map(|c| char::from_u32(c).unwrap_or('x')),
        1 => any::<char>(),
    ];
    let piece = prop_oneof![1 => command, 4 => character.prop_map(String::from)];
    // The emulator reports this character as unhandled.
    prop::collection::vec(piece, 0..150).prop_map(|pieces| pieces.concat().replace('\u{fffd}', "?"))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]
    #[test]
    fn no_text_changes_title_modes_or_palette(name in hostile(), text in hostile()) {
        show(&name, &text)?;
    }
}

/// Shows that the test above can fail: what the emulator does without the sanitizer.
#[test]
fn the_emulator_executes_text_that_is_not_sanitised() {
    let mut emulator = emulator();
    emulator.process(b"\x1b]0;owned\x07\x1b]4;1;rgb:ff/00/00\x07\x07\x1b[?25l");
    let told = &emulator.callbacks().0;
    assert!(
        ["title", "OSC", "bell"].iter().all(|what| told.iter().any(|told| told.starts_with(what))),
        "{told:?}"
    );
    assert!(emulator.screen().hide_cursor());
}
