//! The program at a terminal: the open conversation, drafts, sizes of the screen, and bytes that are no text.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

#[path = "../../core/tests/support/mod.rs"]
mod support;

#[path = "support/pty.rs"]
mod pty;

use pty::{Pty, Size};
use std::process::{Command, Stdio};
use support::listening::Listening;
use support::{ME, PASSWORD};
use tempfile::TempDir;
use wire::timeline::{self, Receipt};
use wire::{ConversationId, Push, Seq, UnixMillis, UserId, session};

const USUAL: Size = Size { rows: 24, columns: 80 };

/// A server and the folder of its client.
struct Place {
    listening: Listening,
    home: TempDir,
}

impl Place {
    /// With messages of the users 2 and 3.
    fn new() -> Place {
        let place = Place { listening: Listening::start(), home: tempfile::tempdir().unwrap() };
        place.write(2, "hello from two");
        place.write(3, "hello from three");
        place
    }

    /// A user writes while no client is online.
    fn write(&self, from: u32, text: &str) {
        self.listening.server.lock().unwrap().store(from, UserId(from), text, None);
    }

    fn texts(&self, to: u32) -> Vec<String> {
        self.listening.server.lock().unwrap().texts(to, ME)
    }

    fn open(&self, size: Size, environment: &[(&str, &str)]) -> Pty {
        Pty::start(size, self.listening.port, self.home.path(), environment, &[])
    }

    /// A client that has logged in at the menu and shows everything that waited.
    fn online(&self, size: Size, environment: &[(&str, &str)]) -> Pty {
        let mut terminal = self.open(size, environment);
        log_in(&mut terminal);
        terminal
    }
}

fn log_in(terminal: &mut Pty) {
    terminal.expect_last("choice:");
    terminal.type_line("1");
    terminal.expect_last("id or name:");
    terminal.type_line("1");
    terminal.expect_last("password:");
    terminal.type_line(PASSWORD);
    terminal.expect("hello from two");
    terminal.expect("hello from three");
    terminal.wait_for("the prompt", |rows| rows.iter().any(|row| row.trim_end().ends_with(">")));
}

fn kick() -> Push {
    Push::Session(session::Push::Kicked(Box::new(session::Kicked {
        reason: "another login".into(),
        device: Some("phone".into()),
        time: UnixMillis(0),
    })))
}

fn statuses(rows: &[String]) -> usize {
    rows.iter().filter(|row| row.starts_with("── me (1)")).count()
}

// ---- the open conversation -----------------------------------------------------------------------------------------

#[test]
fn only_opening_opens_a_conversation_and_only_one_that_exists() {
    let place = Place::new();
    let mut terminal = place.online(USUAL, &[]);
    terminal.type_line("/msg 2");
    terminal.expect_last("user 2>");
    for line in
        ["chat:3:psst", "/msg 3 psst again", "groupchat:77:hi", "/msg nobody", "/join 77", "chat:nobody:x"]
    {
        terminal.type_line(line);
        terminal.type_line(&format!("after {line}"));
        terminal.expect(&format!(": after {line}"));
        terminal.expect_last("user 2>");
    }
    terminal.expect("/join: there is no such group");
    terminal.expect("/msg: there is no such user");
    terminal.wait_for("the last one", |_| place.texts(2).len() == 6);
    assert!(place.texts(2).iter().all(|text| text.starts_with("after ")));
    assert_eq!(place.texts(3), ["psst", "psst again"]);
}

#[test]
fn a_dumb_terminal_names_the_open_conversation_in_its_prompt() {
    let place = Place::new();
    let mut terminal = place.online(USUAL, &[("TERM", "dumb")]);
    terminal.type_line("/msg 2");
    terminal.expect_last("user 2>");
    terminal.type_line("chat:3:psst");
    terminal.expect("sent to user 3");
    terminal.type_keys("half a li");
    terminal.expect_last("user 2> half a li");
    terminal.type_line("ne");
    terminal.wait_for("the line", |_| place.texts(2) == ["half a line"]);
}

#[test]
fn each_conversation_has_its_draft() {
    let place = Place::new();
    let mut terminal = place.online(USUAL, &[]);
    terminal.type_line("/msg 2");
    terminal.expect_last("user 2>");
    terminal.type_keys("for two");
    terminal.expect_last("user 2> for two");
    place.listening.cut();
    terminal.expect("connection lost");
    terminal.expect_last("user 2> for two");
    terminal.expect("reconnected");
    place.listening.push(&kick());
    terminal.expect("by a login from phone");
    terminal.expect("a line that you did not finish waits: log in as me (1) to continue");
    terminal.expect_last("choice:");
    log_in_again(&mut terminal);
    terminal.expect_last("user 2> for two");
    // It outlives the program.
    terminal.type_keys("\u{15}/msg 3\r");
    terminal.expect_last("user 3>");
    terminal.type_keys("for three");
    terminal.expect_last("user 3> for three");
    terminal.type_keys("\u{1}\u{b}loginout\r");
    terminal.expect_last("choice:");
    log_in_again(&mut terminal);
    terminal.expect_last("user 3>");
    terminal.type_keys("for three");
    terminal.expect_last("user 3> for three");
    terminal.hang_up();
    let mut again = place.open(USUAL, &[]);
    again.expect_last("choice:");
    again.type_line("4");
    again.expect_last("user 3> for three");
    again.type_line("");
    again.wait_for("the draft as a message", |_| place.texts(3) == ["for three"]);
}

fn log_in_again(terminal: &mut Pty) {
    terminal.type_line("1");
    terminal.expect_last("id or name:");
    terminal.type_line("1");
    terminal.expect_last("password:");
    terminal.type_line(PASSWORD);
}

#[test]
fn a_script_that_takes_the_session_is_named() {
    let place = Place::new();
    let terminal = place.online(USUAL, &[]);
    place.listening.push(&Push::Session(session::Push::Kicked(Box::new(session::Kicked {
        reason: "another login".into(),
        device: Some("chatclient script on host".into()),
        time: UnixMillis(0),
    }))));
    terminal.expect("by a login from chatclient script on host");
    terminal.expect("a script logged in as you; the server allows one session per account");
}

// ---- the screen ----------------------------------------------------------------------------------------------------

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
        }))));
        terminal.type_keys("help\r你好\u{1b}[D\u{15}");
    }
    terminal.type_line("/msg 2");
    terminal.expect_last("user 2>");
    terminal.type_keys(b"\x1b[200~one \xff two\rquit\r\x1b[201~\r");
    terminal.expect("not sent: the line contains bytes that are not UTF-8");
    terminal.type_keys("\u{3}text\r");
    terminal.wait_for("the message", |_| place.texts(2) == ["text"]);
    terminal.type_line("quit");
    assert_eq!(terminal.wait(), 0);
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

// ---- unread and history --------------------------------------------------------------------------------------------

/// 430 messages of the users 2 and 3, received by another device, which has read those of 3 up to the 420th.
fn with_history() -> (Place, Pty) {
    let place = Place { listening: Listening::start(), home: tempfile::tempdir().unwrap() };
    for (user, read) in [(2, 0), (3, 420)] {
        (1..=430).for_each(|number| place.write(user, &format!("m{number} of {user}")));
        place.listening.server.lock().unwrap().set_cursors(user, 430, read);
    }
    let mut terminal = place.open(Size { rows: 50, columns: 80 }, &[]);
    terminal.expect_last("choice:");
    log_in_again(&mut terminal);
    terminal.expect("440 unread: user 2 430, user 3 10");
    (place, terminal)
}

fn last_read(place: &Place, conversation: u32) -> Option<u64> {
    let server = place.listening.server.lock().unwrap();
    server.reads.iter().rev().find(|read| read.0 == conversation).map(|read| read.1)
}

fn row_of(rows: &[String], text: &str) -> Option<usize> {
    rows.iter().position(|row| row.contains(text))
}

#[test]
fn a_conversation_opens_at_the_first_unread_message_and_only_what_was_shown_is_read() {
    let (place, mut terminal) = with_history();
    terminal.type_line("/msg 2");
    let rows = terminal.expect("407 more unread: /newer");
    let title = row_of(&rows, "── user 2 (2), 430 unread ──").unwrap();
    let new = row_of(&rows, "── new ──").unwrap();
    assert!(title < new && rows[new + 1].ends_with("user 2 (2): m1 of 2"), "{rows:#?}");
    assert!(row_of(&rows, "m23 of 2").is_some() && row_of(&rows, "m24 of 2").is_none(), "{rows:#?}");
    terminal.expect("417 unread: user 2 407, user 3 10");
    terminal.wait_for("READ", |_| last_read(&place, 2) == Some(23));
    terminal.type_line("/newer");
    terminal.expect("m43 of 2");
    terminal.expect("387 more unread: /newer");
    terminal.wait_for("READ", |_| last_read(&place, 2) == Some(43));
    terminal.type_line("/older");
    terminal.expect("there is nothing older");
    assert_eq!(last_read(&place, 3), None);
}

#[test]
fn older_pages_go_upwards_in_the_open_conversation() {
    let (place, mut terminal) = with_history();
    terminal.type_line("/msg 2");
    terminal.expect("407 more unread: /newer");
    terminal.type_line("/msg 3");
    let rows = terminal.expect("m430 of 3");
    let new = row_of(&rows, "m421 of 3").unwrap() - 1;
    assert!(rows[new].starts_with("── new ──") && rows[new - 1].ends_with("m420 of 3"), "{rows:#?}");
    assert!(row_of(&rows, "m417 of 3").is_none(), "{rows:#?}");
    terminal.wait_for("READ", |_| last_read(&place, 3) == Some(430));
    terminal.expect("407 unread: user 2 407");
    terminal.type_line("/older");
    let rows = terminal.expect("history of user 3 (3), #398 to #417 (20):");
    let block = row_of(&rows, "#398 to #417").unwrap();
    assert_eq!(rows[block + 1], "── 1970-01-01 ──");
    assert!(rows[block + 2].ends_with("user 3 (3): m398 of 3"), "{rows:#?}");
    assert!(rows[block + 21].ends_with("user 3 (3): m417 of 3"), "{rows:#?}");
    assert_eq!(rows[block + 22], "older: /older");
    // A page of another conversation changes nothing about the open one, and its hint is a command.
    terminal.type_line("history:2");
    terminal.expect("older: history:2:411");
    terminal.type_line("history:2:411");
    terminal.expect("history of user 2 (2), #391 to #410 (20):");
    terminal.type_line("/older");
    terminal.expect("history of user 3 (3), #378 to #397 (20):");
    // What lies between is unread.
    terminal.expect("407 unread: user 2 407");
    assert_eq!(last_read(&place, 2), Some(23));
}

#[test]
fn without_a_server_a_conversation_opens_with_what_is_stored() {
    let place = Place::new();
    let mut terminal = place.online(USUAL, &[]);
    terminal.type_line("quit");
    assert_eq!(terminal.wait(), 0);
    place.listening.refuse();
    let mut terminal = place.open(USUAL, &[]);
    terminal.expect_last("choice:");
    terminal.type_line("4");
    terminal.expect("2 unread: user 2 1, user 3 1");
    terminal.type_line("/msg 2");
    terminal.wait_for("the stored message", |rows| {
        row_of(rows, "── user 2 (2), 1 unread ──").is_some_and(|title| {
            rows[title + 1].starts_with("── new ──")
                && rows[title + 2].ends_with("user 2 (2): hello from two")
        })
    });
    terminal.expect("1 unread: user 3 1");
}
