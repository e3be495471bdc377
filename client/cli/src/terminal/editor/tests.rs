//! The editor, key by key.

use super::*;
use std::path::Path;

fn editor(history: Option<&Path>) -> LineEditor {
    LineEditor::new(history.map(Path::to_owned))
}

/// Types bytes at the prompt of a command; returns what the program is told.
fn typed(editor: &mut LineEditor, bytes: impl AsRef<[u8]>) -> Vec<Typed> {
    editor.feed(bytes.as_ref());
    std::iter::from_fn(|| editor.next_typed(PromptKind::Command)).collect()
}

fn line(text: &str) -> Typed {
    Typed::Line(text.to_owned())
}

#[test]
fn keys_edit_the_line() {
    let mut editor = editor(None);
    assert_eq!(typed(&mut editor, "hello\u{1b}[D\u{1b}[D\u{7f}L\r"), [line("heLlo")]);
    assert_eq!(typed(&mut editor, "one two\u{17}three\r"), [line("one three")]);
    assert_eq!(typed(&mut editor, "wrong\u{15}right\u{1}a \r"), [line("a right")]);
    assert_eq!(typed(&mut editor, "half a line"), []);
    assert_eq!(typed(&mut editor, "\u{3}"), [Typed::Interrupted]);
    assert_eq!(typed(&mut editor, "\r"), [line("")]);
    assert_eq!(typed(&mut editor, "\u{4}"), [Typed::End]);
    assert_eq!(
        typed(&mut editor, "\u{1b}3\u{1b}a\u{c}\u{1a}"),
        [Typed::Alt('3'), Typed::Alt('a'), Typed::ClearScreen, Typed::Suspend]
    );
}

#[test]
fn a_pasted_text_is_one_line_and_alt_enter_begins_a_row() {
    let mut editor = editor(None);
    assert_eq!(typed(&mut editor, "\u{1b}[200~fn main() {\r}\r\u{1b}[201~"), []);
    assert_eq!(typed(&mut editor, "\r"), [line("fn main() {\n}\n")]);
    assert_eq!(typed(&mut editor, "one\u{1b}\rtwo\r"), [line("one\ntwo")]);
}

#[test]
fn a_line_that_is_not_utf8_stays_until_it_is_mended() {
    let mut editor = editor(None);
    assert_eq!(typed(&mut editor, b"caf\xe9!\r"), [Typed::NotUtf8]);
    assert_eq!(editor.line(), "caf\u{FFFD}!");
    assert_eq!(typed(&mut editor, "\r"), [Typed::NotUtf8]);
    assert_eq!(typed(&mut editor, "\u{7f}\u{7f}é!\r"), [line("café!")]);
    // The whole paste is one line, whatever bytes are in it.
    assert_eq!(typed(&mut editor, b"\x1b[200~a\xff\rquit\r\x1b[201~"), []);
    assert_eq!(typed(&mut editor, "\r"), [Typed::NotUtf8]);
    // A character that was U+FFFD before is sent.
    assert_eq!(typed(&mut editor, "\u{3}\u{FFFD}\r"), [Typed::Interrupted, line("\u{FFFD}")]);
    editor.feed(b"secr\xe9t\r");
    assert_eq!(editor.next_typed(PromptKind::Secret), Some(Typed::NotUtf8));
    assert_eq!(editor.line(), "", "a password cannot be mended unseen");
}

#[test]
fn earlier_lines_come_back_and_are_searched() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("input_history");
    let mut first = editor(Some(&file));
    typed(&mut first, "chat:2:one\rfriends\rtwo\u{1b}\rrows\r");
    let mut again = editor(Some(&file));
    assert_eq!(typed(&mut again, "draft\u{1b}[A\u{1b}[A\u{1b}[A\r"), [line("friends")]);
    assert_eq!(typed(&mut again, "draft\u{10}\u{10}\u{e}\u{e}\r"), [line("draft")]);
    assert_eq!(typed(&mut again, "\u{12}chat\r"), [line("chat:2:one")]);
    assert_eq!(typed(&mut again, "kept\u{12}fri\u{7}\r"), [line("kept")]);
}

#[test]
fn an_answer_is_not_remembered() {
    let mut editor = editor(None);
    editor.feed(b"a secret\r");
    assert_eq!(editor.next_typed(PromptKind::Secret), Some(line("a secret")));
    assert_eq!(typed(&mut editor, "\u{10}\r"), [line("")]);
    let prompt = Prompt { text: "password: ".to_owned(), kind: PromptKind::Secret };
    editor.feed(b"another");
    assert_eq!(editor.next_typed(PromptKind::Secret), None);
    assert_eq!(editor.view(&prompt, "").text, "");
}

#[test]
fn tab_offers_one_candidate_after_another() {
    let mut editor = editor(None);
    let users = ["Li Wei", "li si"].map(str::to_owned).into();
    editor.set_names(Names { users, ..Names::default() });
    assert_eq!(typed(&mut editor, "chat:li\t"), []);
    assert_eq!(editor.line(), "chat:Li Wei:");
    let prompt = Prompt { text: "> ".to_owned(), kind: PromptKind::Command };
    assert_eq!(editor.view(&prompt, "the status").status.as_deref(), Some("Li Wei:  li si:"));
    assert_eq!(typed(&mut editor, "\thi\r"), [line("chat:li si:hi")]);
}

#[test]
fn a_line_can_be_taken_and_given_back() {
    let mut editor = editor(None);
    typed(&mut editor, "half a li");
    assert_eq!(editor.take_line(), "half a li");
    assert_eq!(editor.line(), "");
    editor.set_line("half a li".to_owned());
    assert_eq!(typed(&mut editor, "ne\r"), [line("half a line")]);
}
