//! Two people at terminals: from the first menu to the last line, across a crash of the server, and beside an attacker.

use crate::support::terminal::Terminal;
use crate::support::{Client, PASSWORD, PATIENCE, Server};
use wire::{Command, Push, Target};

/// What somebody types who sits down for the first time.
fn register(terminal: &mut Terminal, name: &str, id: u32) {
    terminal.expect("choice: ");
    terminal.type_line("2");
    terminal.expect("name: ");
    terminal.type_line(name);
    terminal.expect("password: ");
    terminal.type_line(PASSWORD);
    terminal.expect("█");
    terminal.expect(&format!("your id is {id}"));
    terminal.expect("> ");
}

fn two_who_know_each_other(server: &Server) -> (Terminal, Terminal) {
    let (mut zhang, mut li) = (Terminal::open(server.address), Terminal::open(server.address));
    register(&mut zhang, "zhang san", 1);
    register(&mut li, "li si", 2);
    (zhang, li)
}

/// How often a text stands on the screen.
fn count(terminal: &Terminal, text: &str) -> usize {
    terminal.text().matches(text).count()
}

#[test]
fn two_who_never_met_register_and_talk() {
    let server = Server::start(&[]);
    let (mut zhang, mut li) = two_who_know_each_other(&server);
    zhang.type_line("chat:2:hello, 李四: how are you?");
    li.expect("zhang san (1): hello, 李四: how are you?");
    zhang.expect("sent to");
    li.type_line("chat:zhang san:well");
    zhang.expect("li si (2): well");

    // What is no command is not sent to anybody.
    zhang.type_line("caht:2:a slip of the fingers");
    zhang.expect("unknown command `caht`; did you mean `chat`?");
    zhang.type_line("a line without any colon");
    zhang.expect("unknown command");
    zhang.type_line("chat:2:that was all");
    li.expect("that was all");
    assert_eq!(count(&li, "slip") + count(&li, "colon"), 0);

    for terminal in [&mut zhang, &mut li] {
        terminal.type_line("quit");
        assert_eq!(terminal.wait(), 0);
        assert_eq!(count(terminal, PASSWORD), 0, "a password was shown: {:?}", terminal.text());
    }
}

#[test]
fn a_terminal_that_can_do_nothing_shows_no_password_either() {
    let server = Server::start(&[]);
    for id in 1..=10 {
        let mut terminal = Terminal::open_as("dumb", server.address);
        terminal.expect("choice:");
        terminal.type_line("2");
        terminal.expect("name:");
        terminal.type_line(&format!("user {id}"));
        terminal.expect("password:");
        terminal.type_line(PASSWORD);
        terminal.expect(&format!("your id is {id}"));
        terminal.expect("help lists the commands");
        terminal.type_line("quit");
        assert_eq!(terminal.wait(), 0);
        assert_eq!(count(&terminal, PASSWORD), 0, "the password was shown: {:?}", terminal.text());
    }
}

#[test]
fn both_come_back_after_a_crash_and_what_was_typed_meanwhile_arrives_once() {
    let mut server = Server::start_at_fixed_port(&[]);
    let (mut zhang, mut li) = two_who_know_each_other(&server);
    zhang.type_line("chat:2:before the crash");
    li.expect("before the crash");
    zhang.expect("sent to");
    server.kill9();
    zhang.expect("connection lost");
    li.expect("connection lost");
    zhang.type_line("chat:2:written in the dark");
    zhang.expect("offline");
    server.restart();
    li.expect("zhang san (1): written in the dark");
    zhang.expect("sent to");
    zhang.type_line("chat:2:after the crash");
    li.expect("after the crash");
    assert_eq!(count(&li, "written in the dark"), 1, "{:?}", li.text());
    li.type_line("history:1");
    li.expect("history of ");
    for (number, text) in [(1, "before the crash"), (2, "written in the dark"), (3, "after the crash")] {
        li.expect(&format!("#{number} "));
        li.expect(&format!("zhang san (1): {text}"));
    }
}

#[test]
fn text_of_others_cannot_control_the_terminal() {
    const TITLE: &str = "\u{1b}]0;owned\u{7}";
    const BACKWARDS: &str = "\u{202e}gnp.exe\u{202c}\u{2066}";
    let server = Server::start(&[]);
    let (mut zhang, mut li) = two_who_know_each_other(&server);
    let (mut mallory, _) = Client::join(server.address, "mallory");
    let attack = |tail: &str| format!("{TITLE}{BACKWARDS}\u{1b}[2J\u{9b}31m\r\n\u{8}{tail}");
    mallory.send(Target::Name("li si".into()), &attack("END OF MESSAGE"));
    li.expect("END OF MESSAGE");
    let desc = attack("END OF DESCRIPTION").into();
    let made = mallory.ask(&Command::CreateGroup { name: "trap".into(), desc });
    let group = match made {
        wire::Reply::GroupCreated(made) => made.conversation,
        other => panic!("CREATE_GROUP was answered {other:?}"),
    };
    li.type_line(&format!("addgroup:{group}"));
    li.expect("you joined");
    mallory.send(Target::Conversation(group), &attack("END OF GROUP MESSAGE"));
    li.expect("END OF GROUP MESSAGE");
    li.type_line("groups");
    li.expect("END OF DESCRIPTION");
    li.type_line("history:3");
    li.expect("history of ");
    li.expect("END OF MESSAGE");
    // In the terminal of somebody who only has it in the history, too.
    zhang.type_line("chat:3:hello");
    mallory.push(PATIENCE, |push| matches!(push, Push::Message(m) if &*m.name == "zhang san").then_some(()));
    for terminal in [&zhang, &li] {
        let text = terminal.text();
        for control in ["\u{1b}]", "owned\u{7}", "\u{202e}", "\u{202c}", "\u{2066}", "\u{1b}[2J", "\u{9b}"] {
            assert!(!text.contains(control), "{control:?} reached the terminal: {text:?}");
        }
        assert!(!terminal.bytes().contains(&0x9b) || text.chars().all(|c| c != '\u{9b}'));
    }
}

#[test]
fn somebody_else_logs_in_after_a_logout() {
    let server = Server::start(&[]);
    let (mut zhang, mut li) = two_who_know_each_other(&server);
    zhang.type_line("loginout");
    zhang.expect("logged out");
    let mut stranger = Client::connect(server.address);
    stranger.register("wang wu");
    zhang.expect("choice: ");
    zhang.type_line("1");
    zhang.expect("id or name: ");
    zhang.type_line("wang wu");
    zhang.expect("password: ");
    zhang.type_line("not the password");
    zhang.expect("login failed");
    zhang.expect("choice: ");
    zhang.type_line("1");
    zhang.expect("id or name: ");
    zhang.type_line("3");
    zhang.expect("password: ");
    zhang.type_line(PASSWORD);
    zhang.expect("> ");
    zhang.type_line("chat:2:it is me, wang");
    li.expect("wang wu (3): it is me, wang");
    li.type_line("chat:1:zhang, are you there?");
    li.expect("sent to");
    zhang.type_line("history:1");
    zhang.expect("no messages with");
    zhang.type_line("quit");
    assert_eq!(zhang.wait(), 0);
    assert_eq!(count(&zhang, "are you there"), 0, "what is for another account was shown");
    assert_eq!(count(&zhang, PASSWORD) + count(&zhang, "not the password"), 0, "a password was shown");
}
