//! Any keys, any text of others and any size: nothing panics, and no control sequence reaches the screen but the
//! program's own.

use super::editor::LineEditor;
use super::prompt::{Prompt, PromptKind, Typed};
use super::renderer::{Draw, MarkId, Renderer, Size};
use super::sequences::foreign;
use crate::display::style::{Colours, Mark, Style};
use crate::display::text;
use proptest::prelude::*;
use std::num::NonZeroU16;

#[path = "../../../../src/server/tests/support/effort.rs"]
mod effort;

/// What people and programs send to a terminal, beside noise.
const PIECES: [&[u8]; 22] = [
    b"\r",
    b"\t",
    b"\x1b[Z",
    b"\x1b[A",
    b"\x1b[B",
    b"\x1b[D",
    b"\x1b[1;5D",
    b"\x1b[3~",
    b"\x1b[200~",
    b"\x1b[201~",
    b"\x1b[2J\x1b]0;title\x07",
    b"\x1b\r",
    b"\x12",
    b"\x07",
    b"\x17",
    b"\x19",
    b"\x1f",
    b"chat:2:hello",
    b"/help ",
    "你好🙂e\u{301}\u{301}".as_bytes(),
    b"\xff\xc3\xe4\xbd",
    "\u{9b}31m\u{202e}\u{feff}".as_bytes(),
];

#[derive(Clone, Debug)]
enum Step {
    Keys(Vec<u8>),
    /// A message with this text arrives.
    Message(Vec<u8>),
    /// The status shows a name with this text.
    Status(Vec<u8>),
    Mark(u64),
    Resize(Size),
    Ask(PromptKind),
    Clear,
    Switch,
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let noise = prop::collection::vec(any::<u8>(), 0..30);
    let known = prop::sample::select(PIECES.to_vec()).prop_map(<[u8]>::to_vec);
    prop::collection::vec(prop_oneof![1 => noise, 3 => known], 0..6).prop_map(|pieces| pieces.concat())
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let kinds = [PromptKind::Answer, PromptKind::Command, PromptKind::Command, PromptKind::Secret];
    let step = prop_oneof![
        6 => bytes().prop_map(Step::Keys),
        3 => bytes().prop_map(Step::Message),
        1 => bytes().prop_map(Step::Status),
        2 => (0u64..20).prop_map(Step::Mark),
        2 => (1usize..30, 1usize..70).prop_map(|(height, width)| Step::Resize(Size { height, width })),
        1 => prop::sample::select(kinds.to_vec()).prop_map(Step::Ask),
        1 => Just(Step::Clear),
        1 => Just(Step::Switch),
    ];
    prop::collection::vec(step, 1..40)
}

fn cells(count: usize) -> NonZeroU16 {
    NonZeroU16::new(u16::try_from(count).unwrap()).unwrap()
}

/// Writes to the terminal what the program would.
fn write(emulator: &mut vt100::Parser, written: &str) -> Result<(), TestCaseError> {
    prop_assert_eq!(foreign(written), None, "in {:?}", written);
    emulator.process(written.replace('\n', "\r\n").as_bytes());
    Ok(())
}

fn run(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let style = Style { colours: Colours::Many, unicode: true };
    let mut editor = LineEditor::new(None);
    let mut renderer = Renderer::new(style, Size { height: 24, width: 80 });
    let mut emulator = vt100::Parser::new(cells(24), cells(80), 0);
    let mut prompt = Prompt { text: "li si> ".to_owned(), kind: PromptKind::Command };
    let (mut status, mut draft, mut last) = (String::new(), String::new(), 0);
    for step in steps {
        match step {
            Step::Keys(keys) => {
                editor.feed(&keys);
                while let Some(typed) = editor.next_typed(prompt.kind) {
                    if let Typed::Line(line) = typed {
                        prop_assert!(str::from_utf8(line.as_bytes()).is_ok());
                        renderer.push(Draw::Lines(text::rows(&line).join("\n")));
                    }
                }
            }
            Step::Message(content) => {
                let rows = text::rows(&String::from_utf8_lossy(&content));
                prop_assert!(rows.iter().all(|row| !row.contains(char::is_control)), "{:?}", rows);
                last += 1;
                let shown = format!("[12:03] li si (2):{}", text::below(&rows, style));
                renderer.push(Draw::Message { id: MarkId(last), mark: Mark::Sending, of: None, text: shown });
            }
            Step::Status(name) => {
                status = chatclient_core::sanitize::line(&String::from_utf8_lossy(&name)).into_owned();
            }
            Step::Mark(id) => renderer.push(Draw::Mark { id: MarkId(id), mark: Mark::Read }),
            Step::Resize(size) => {
                emulator.screen_mut().set_size(cells(size.height), cells(size.width));
                renderer.resize(size);
            }
            Step::Ask(kind) => prompt.kind = kind,
            Step::Clear => renderer.clear(),
            Step::Switch => {
                let line = editor.take_line();
                editor.set_line(std::mem::replace(&mut draft, line));
            }
        }
        let view = editor.view(&prompt, &status);
        let written = renderer.draw(Some(&view));
        if prompt.kind == PromptKind::Secret {
            prop_assert_eq!(view.text, "");
        }
        write(&mut emulator, &written)?;
        let size = renderer.size();
        let (row, column) = emulator.screen().cursor_position();
        prop_assert!(usize::from(row) < size.height && usize::from(column) <= size.width);
    }
    let rest = renderer.leave();
    write(&mut emulator, &rest)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(effort::effort(500, 50_000)))]
    #[test]
    fn any_keys_texts_and_sizes_are_survived(steps in steps()) {
        run(steps)?;
    }
}
