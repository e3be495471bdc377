//! A terminal with a store, and a server that was restored from a backup or made anew at the same address.

use crate::support::terminal::Terminal;
use crate::support::{Account, Client, PASSWORD, Server};
use std::fs;
use std::path::Path;
use wire::{Target, UserId};

const ZHANG: UserId = UserId(1);

/// Registers in a terminal.
fn register(terminal: &mut Terminal, name: &str) {
    let again = ("password again: ", PASSWORD);
    for (asked, answer) in [("choice: ", "2"), ("name: ", name), ("password: ", PASSWORD), again] {
        terminal.expect(asked);
        terminal.type_line(answer);
    }
    terminal.expect("your id is");
    terminal.expect("help lists the commands");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

/// Stops the server and replaces its data by a copy.
fn restore(server: &mut Server, backup: &Path) {
    server.terminate();
    let data = server.folder().join("data");
    fs::remove_dir_all(&data).unwrap();
    copy(backup, &data);
}

/// Li, who is online again after the server was restarted.
fn li(server: &Server, account: &Account) -> Client {
    Client::login_to(server.address, account)
}

#[test]
fn after_a_restore_a_terminal_shows_what_the_server_has() {
    let mut server = Server::start_at_fixed_port(&[]);
    let mut zhang = Terminal::open(server.address);
    register(&mut zhang, "zhang san");
    let (mut sender, account) = Client::join(server.address, "li si");
    for text in ["in the backup 1", "in the backup 2"] {
        sender.send(Target::User(ZHANG), text);
        zhang.expect(text);
    }
    let backup = tempfile::tempdir().unwrap();
    server.terminate();
    copy(&server.folder().join("data"), backup.path());
    server.restart();
    zhang.expect("reconnected");
    let mut sender = li(&server, &account);
    for text in ["lost 3", "lost 4", "lost 5"] {
        sender.send(Target::User(ZHANG), text);
        zhang.expect(text);
    }
    restore(&mut server, backup.path());
    zhang.expect("connection lost");
    zhang.type_line("chat:2:written in the dark");
    server.restart();
    let mut sender = li(&server, &account);
    // These take the places of messages that zhang has.
    sender.send(Target::User(ZHANG), "after the restore 3");
    zhang.expect("has nothing after message 2");
    zhang.expect("after the restore 3");
    sender.send(Target::User(ZHANG), "after the restore 4");
    zhang.expect("after the restore 4");
    assert_eq!(&*sender.message().content, "written in the dark");
    // The same is on disk.
    zhang.kill9();
    let mut again = zhang.reopen();
    again.expect("zhang san");
    again.type_line("");
    again.expect("online");
    again.type_line("history:2");
    again.expect("in the backup 2");
    again.expect("after the restore 4");
    assert!(!again.text().contains("lost "), "{:?}", again.text());
}

#[test]
fn a_server_that_was_made_anew_gets_and_shows_nothing_of_the_one_before() {
    let mut server = Server::start_at_fixed_port(&[]);
    let mut zhang = Terminal::open(server.address);
    register(&mut zhang, "zhang san");
    let (mut sender, _) = Client::join(server.address, "li si");
    sender.send(Target::User(ZHANG), "for the first account 1");
    zhang.expect("for the first account 1");
    server.terminate();
    zhang.expect("connection lost");
    zhang.type_line("chat:2:for the first server");
    fs::remove_dir_all(server.folder().join("data")).unwrap();
    server.restart();
    // The ids begin again: 1 is somebody else.
    zhang.expect("you are no longer logged in");
    zhang.type_keys("\r");
    register(&mut zhang, "wang wu");
    let (mut sender, _) = Client::join(server.address, "another li si");
    sender.send(Target::User(ZHANG), "for the second account 1");
    zhang.expect("for the second account 1");
    let before = zhang.text().len();
    zhang.type_line("history:2");
    zhang.expect("for the second account 1");
    assert!(!zhang.text()[before..].contains("for the first"), "{:?}", zhang.text());
    sender.settle();
    assert_eq!(sender.take_pushes().len(), 0, "what was written for the first server was sent to the second");
}
