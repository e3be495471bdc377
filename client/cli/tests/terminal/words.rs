//! The program at a terminal: what it understands, whom a line is meant for, and what it says about lines that it does
//! not carry out.

use crate::place::type_login;
use crate::pty::{Pty, Size};
use crate::support::listening::Listening;
use crate::support::{ME, PASSWORD};
use wire::{Push, UserId};

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
fn a_name_that_another_one_begins_with_is_asked_about() {
    let (listening, home) = (Listening::start(), tempfile::tempdir().unwrap());
    {
        let mut server = listening.server.lock().unwrap();
        server.names.users = [(2, "alice"), (3, "alice:7")].into();
        server.names.groups = [(8, "devs"), (9, "devs:7")].into();
        for group in [8, 9] {
            server.store(group, UserId(2), "hello", None);
            server.make_group(group);
        }
    }
    let mut terminal = online(&listening, home.path());
    for line in ["history:alice:7", "chat:alice:7:hi", "chat:alice:7"] {
        terminal.type_line(line);
        terminal.expect("alice or alice:7? Put the name in quotes: \"alice\":7");
        terminal.type_line("/clear");
        terminal.wait_for("an empty screen", |rows| !rows.iter().any(|row| row.contains("in quotes")));
    }
    for line in ["grouphistory:devs:7", "groupchat:devs:7:hi"] {
        terminal.type_line(line);
        terminal.expect("devs or devs:7? Put the name in quotes: \"devs\":7");
        terminal.type_line("/clear");
        terminal.wait_for("an empty screen", |rows| !rows.iter().any(|row| row.contains("in quotes")));
    }
    for (line, answer) in [
        ("history:\"alice\":7", "history of alice (2)"),
        ("history:\"alice:7\"", "history of alice:7 (3)"),
        ("history:2:7", "history of alice (2)"),
        ("grouphistory:\"devs:7\"", "history of #9 devs:7"),
    ] {
        terminal.type_line(line);
        terminal.expect(answer);
    }
    terminal.type_line("groupchat:\"devs:7\":hi");
    let texts = |to| listening.server.lock().unwrap().texts(to, ME);
    terminal.wait_for("the message", |_| texts(9) == ["hi"]);
    assert!([2, 3, 8].into_iter().all(|other| texts(other).is_empty()));
}

#[test]
fn names_that_look_alike_have_their_ids_beside_them() {
    let (listening, home) = (Listening::start(), tempfile::tempdir().unwrap());
    {
        let mut server = listening.server.lock().unwrap();
        server.names.users = [(2, "сосо"), (3, "ϲοϲο"), (4, "ann"), (5, "ann (4)")].into();
        for (conversation, from) in [(4, 4), (5, 5), (7, 3)] {
            server.store(conversation, UserId(from), "hello", None);
        }
        server.make_group(7);
    }
    let mut terminal = online(&listening, home.path());
    terminal.expect("(3): hello");
    let joined = {
        let mut server = listening.server.lock().unwrap();
        let seq = server.store_join(7, UserId(3));
        server.message(7, seq)
    };
    listening.push(&Push::Message(wire::message::Push::New(joined)));
    terminal.expect("#7 group 7 | ϲοϲο (3) joined");
    for (line, prompt) in
        [("/msg сосо", "сосо (2)>"), ("/msg 4", "ann>"), ("/msg 5", "ann (4) (5)>"), ("/close", ">")]
    {
        terminal.type_line(line);
        terminal.expect_last(prompt);
    }
    terminal.expect("ϲοϲο (3) 1");
}

#[test]
fn a_name_that_is_taken_is_asked_for_again() {
    let (listening, home) = (Listening::start(), tempfile::tempdir().unwrap());
    listening.server.lock().unwrap().names.taken = ["ann", "bob"].into();
    let mut terminal = Pty::start(SIZE, listening.port, home.path(), &[], &["--user", "ann", "--register"]);
    terminal.expect_last("password:");
    terminal.type_line(PASSWORD);
    terminal.expect_last("password again:");
    terminal.type_line(PASSWORD);
    terminal.expect("the name ann is taken: another user has it, or one that looks like it");
    terminal.expect_last("name:");
    terminal.type_line("12");
    terminal.expect("the name must not consist of digits only");
    terminal.expect_last("name:");
    terminal.type_line("bob");
    terminal.expect("the name bob is taken");
    terminal.expect_last("name:");
    // The password stays.
    terminal.type_line("cat");
    terminal.expect("your id is 7");
    terminal.expect("logged in as me (1)");
}

#[test]
fn an_account_that_exists_is_logged_in_to_with_the_password_of_a_file() {
    let (listening, home) = (Listening::start(), tempfile::tempdir().unwrap());
    listening.server.lock().unwrap().names.taken = ["ann"].into();
    let file = home.path().join("password");
    let start = |password: &str| {
        std::fs::write(&file, password).unwrap();
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let file = file.to_str().unwrap();
        let arguments = ["--user", "ann", "--register", "--password-file", file];
        Pty::start(SIZE, listening.port, home.path(), &[], &arguments)
    };
    start(PASSWORD).expect("logged in as me (1)");
    let mut terminal = start("another password");
    terminal.expect("the name ann is taken, by an account with another password");
    terminal.expect_last("name:");
    terminal.type_line("");
    terminal.expect_last("choice:");
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
        ("/part", "no group is open: /leave GROUP, by id or name"),
        ("/part 7", "type yes to leave it"),
        ("no", "nothing was changed"),
        // What is no answer is carried out.
        ("/part 7", "type yes to leave it"),
        ("／help keys", "was not sent: /retry or /drop"),
        ("/nick bob", "/nick: the name of an account stays"),
        ("/upload x", "unknown command `/upload`; `help` lists all commands"),
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
