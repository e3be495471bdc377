//! Sizes of the screen, bytes that are no text, and texts of many lines.

use crate::place::{Place, USUAL, leave};
use crate::pty::Size;
use crate::support::PASSWORD;
use std::process::{Command, Stdio};
use wire::timeline::{self, Receipt};
use wire::{ConversationId, Push, Seq, UnixMillis, UserId};

fn statuses(rows: &[String]) -> usize {
    rows.iter().filter(|row| row.starts_with("── me (1)")).count()
}

#[test]
fn a_change_of_the_size_leaves_one_status_the_line_and_marks_that_still_change() {
    let place = Place::new();
    let mut terminal = place.online(USUAL, &[]);
    terminal.type_line("/msg 2 are you there?");
    terminal.wait_for("the stored message", |rows| rows.iter().any(|row| row.starts_with(" ✓ [")));
    terminal.type_keys("half a line");
    terminal.expect_last("> half a line");
    for (rows, columns) in [(20, 60), (12, 40), (20, 60), (10, 30), (24, 80), (40, 120), (24, 60)] {
        terminal.resize(Size { rows, columns });
        let shown = terminal.wait_for("the line in the new size", |rows| {
            rows.len() == usize::from(rows.len() as u16)
                && rows.iter().rfind(|row| !row.is_empty()).is_some_and(|row| row == "> half a line")
                && statuses(rows) == 1
        });
        assert!(shown.len() == usize::from(rows), "{shown:#?}");
    }
    let receipt = Receipt { conversation: ConversationId(2), id: UserId(2), seq: Seq(2) };
    place.listening.push(&Push::Timeline(timeline::Push::ReadReceipt(receipt)));
    terminal.wait_for("that it was read", |rows| {
        rows.iter().any(|row| row.starts_with(" R [") && row.contains("are you there?"))
            && !rows.iter().any(|row| row.starts_with(" ✓"))
    });
}

fn refused(rows: &[String]) -> usize {
    rows.iter().filter(|row| row.starts_with("not sent: the line contains bytes that are not UTF-8")).count()
}

#[test]
fn every_size_and_every_byte_is_survived() {
    let place = Place::new();
    let mut terminal = place.open(USUAL, &[]);
    terminal.expect_last("choice:");
    terminal.type_keys(b"\xff\r");
    terminal.expect("not sent: the line contains bytes that are not UTF-8");
    terminal.type_keys("\u{15}1\r");
    terminal.expect_last("id or name:");
    terminal.type_keys(b"\xe9\r");
    terminal.wait_for("the first answer", |rows| refused(rows) == 2);
    terminal.type_keys("\u{7f}1\r");
    terminal.expect_last("password:");
    terminal.type_keys(b"secr\xe9t\r");
    terminal.wait_for("the second answer", |rows| refused(rows) == 3);
    terminal.type_line(PASSWORD);
    terminal.expect("hello from two");
    for size in [(1, 1), (2, 1), (1, 80), (3, 2), (6, 20), (24, 1), (20, 60)] {
        terminal.resize(Size { rows: size.0, columns: size.1 });
        place.listening.push(&Push::Message(wire::message::Push::New(std::sync::Arc::new(wire::Message {
            conversation: ConversationId(9),
            kind: wire::ConversationKind::Direct,
            seq: Seq(1),
            from: UserId(9),
            name: "nine 九".into(),
            content_type: "text".into(),
            content: "wide 你好🙂".into(),
            time: UnixMillis(0),
            cid: None,
            extra: None,
        }))));
        terminal.type_keys("help\r你好\u{1b}[D\u{15}");
    }
    terminal.type_line("/msg 2");
    terminal.expect_last("user 2>");
    terminal.type_keys(b"\x1b[200~one \xff two\rquit\r\x1b[201~\r");
    terminal.expect("not sent: the line contains bytes that are not UTF-8");
    terminal.type_keys("\u{3}text\r");
    terminal.wait_for("the message", |_| place.texts(2) == ["text"]);
    leave(&mut terminal);
    assert!(terminal.is_as_found());
    let written = String::from_utf8_lossy(&terminal.bytes()).into_owned();
    assert!(!written.contains(PASSWORD), "{written:?}");
}

#[test]
fn a_piped_line_that_is_not_utf8_is_not_sent() {
    use std::io::Write;
    let place = Place::new();
    let mut program = Command::new(env!("CARGO_BIN_EXE_chatclient"))
        .args(["127.0.0.1", &place.listening.port.to_string(), "--no-store"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = program.stdin.take().unwrap();
    write!(input, "1\n1\n{PASSWORD}\n").unwrap();
    input.write_all(b"chat:2:caf\xe9\nchat:2:whole\nquit\n").unwrap();
    drop(input);
    let output = program.wait_with_output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("not sent: the line contains bytes that are not UTF-8\n"), "{shown}");
    assert_eq!(place.texts(2), ["whole"]);
}

#[test]
fn a_text_of_many_lines_is_shown_in_lines_and_a_long_one_is_folded() {
    let place = Place::new();
    place.write(2, "fn main() {\n    chat();\n}\n");
    let long: Vec<String> = (1..=30).map(|row| format!("row {row}")).collect();
    place.write(3, &long.join("\n"));
    let mut terminal = place.online(Size { rows: 60, columns: 80 }, &[]);
    terminal.wait_for("the code in three rows", |rows| {
        rows.iter().position(|row| row.trim_end() == "   │ fn main() {").is_some_and(|at| {
            rows[at - 1].ends_with("user 2 (2):")
                && rows[at + 1] == "   │     chat();"
                && rows[at + 2] == "   │ }"
        })
    });
    terminal.wait_for("the long text, folded", |rows| {
        rows.iter().any(|row| row == "   │ row 20") && !rows.iter().any(|row| row == "   │ row 21")
    });
    terminal.expect("… 10 more lines: /more");
    terminal.type_line("/more");
    terminal.expect("│ row 30");
    // What is pasted is shown in the same way.
    terminal.type_line("/msg 2");
    terminal.expect_last("user 2>");
    terminal.type_keys("\u{1b}[200~first\rsecond\u{1b}[201~");
    terminal.expect_last("second");
    terminal.type_keys("\r");
    terminal.expect("   │ second");
    terminal.wait_for("the message", |_| place.texts(2) == ["first\nsecond"]);
}
