//! The program at a terminal: what it understands, whom a line is meant for, and what it says about lines that it does not
//! carry out.

use crate::place::type_login;
use crate::pty::{Pty, Size};
use crate::support::listening::Listening;
use crate::support::{ME, PASSWORD};
use wire::UserId;

const SIZE: Size = Size { rows: 40, columns: 120 };

/// A client that has logged in at the menu. The users 2 and 3 have written, in conversations of the same ids.
fn online(listening: &Listening, home: &std::path::Path) -> Pty {
    for from in [2, 3] {
        listening.server.lock().unwrap().store(from, UserId(from), "hello", None);
    }
    let mut terminal = Pty::start(SIZE, listening.port, home, &[], &[]);
    type_login(&mut terminal);
    terminal.expect("help lists the commands");
    terminal
}

#[test]
fn what_is_meant_for_a_group_is_not_sent_to_a_person() {
    let (listening, home) = (Listening::start(), tempfile::tempdir().unwrap());
    let mut terminal = online(&listening, home.path());
    let texts = |to| listening.server.lock().unwrap().texts(to, ME);
    for line in
        ["groupchat:2:hi all", "/join 2 hi all", "/join 2", "addgroup:2", "grouphistory:2", "/members 2"]
    {
        terminal.type_line(line);
        terminal.expect("2 is no group but your chat with");
        terminal.type_line("/clear");
        terminal.wait_for("an empty screen", |rows| !rows.iter().any(|row| row.contains("is no group")));
    }
    terminal.type_line("groupchat:\"2\":hi all");
    terminal.expect("you are in no group called 2");
    terminal.type_line("chat:2:to you alone");
    terminal.wait_for("the message", |_| texts(2) == ["to you alone"]);
}

#[test]
fn words_of_other_clients_and_keyboards_are_understood_or_answered() {
    let (listening, home) = (Listening::start(), tempfile::tempdir().unwrap());
    let mut terminal = online(&listening, home.path());
    let texts = |to| listening.server.lock().unwrap().texts(to, ME);
    terminal.type_line("chat：2：你好：再见");
    terminal.wait_for("the message", |_| texts(2) == ["你好：再见"]);
    terminal.type_line("／help");
    terminal.expect("chat:WHO:MESSAGE");
    terminal.type_line("/help keys");
    terminal.expect("search them");
    terminal.expect("was not sent: /retry or /drop");
    terminal.type_line("/query 3");
    terminal.expect_last("user 3>");
    terminal.type_line("/me waves");
    terminal.wait_for("the message", |_| texts(3) == ["* waves"]);
    for (line, answer) in [
        ("/part", "/part: a group cannot be left; /close closes the open conversation"),
        ("/leave", "/leave: a group cannot be left"),
        ("/nick bob", "/nick: the name of an account stays"),
        ("/search x", "unknown command `/search`; `help` lists all commands"),
        ("/hlep", "did you mean `/help`?"),
        ("quit:now", "write it alone: quit"),
        ("chat:3", "write it as chat:WHO:MESSAGE, for example chat:2:hello"),
        ("history:nobody", "there is no such user"),
    ] {
        terminal.type_line(line);
        terminal.expect(answer);
    }
    assert_eq!(texts(3), ["* waves"]);
    terminal.type_line("/exit");
    assert_eq!(terminal.wait(), 0);
}

#[test]
fn the_password_of_a_user_on_the_command_line_is_asked_for() {
    let (listening, home) = (Listening::start(), tempfile::tempdir().unwrap());
    let mut terminal = Pty::start(SIZE, listening.port, home.path(), &[], &["--user", "1"]);
    terminal.expect_last("password:");
    terminal.type_line(PASSWORD);
    terminal.expect("logged in as me (1)");
    // A script has nobody to ask.
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_chatclient"))
        .args(["127.0.0.1", &listening.port.to_string(), "--user", "1", "--exec", "friends"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("needs --password-file in a script"));
}
