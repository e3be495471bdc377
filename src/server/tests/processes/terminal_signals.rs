//! Signals to a terminal client: it restores the terminal, and its exit status names the signal.

use crate::support::terminal::Terminal;
use crate::support::{Client, Server};
use crate::terminal::register;
use rustix::process::Signal;
use wire::UserId;

/// Signals that end a program, and their names in its exit status.
const ENDINGS: [(Signal, &str); 4] = [
    (Signal::TERM, "Terminated"),
    (Signal::HUP, "Hangup"),
    (Signal::INT, "Interrupt"),
    (Signal::QUIT, "Quit"),
];

/// Sends a signal, and checks the exit status and the terminal.
#[track_caller]
fn end(mut terminal: Terminal, ending: (Signal, &str)) -> Terminal {
    let (which, name) = ending;
    terminal.signal(which);
    let status = terminal.wait_status();
    assert_eq!(status.signal(), Some(name), "{which:?} ends it as that signal, not with {status}");
    assert!(terminal.is_as_found(), "after {which:?}");
    terminal
}

#[test]
fn at_the_menu_a_signal_ends_the_client_and_restores_the_terminal() {
    let server = Server::start(&[]);
    for ending in ENDINGS {
        let mut terminal = Terminal::open(server.address);
        terminal.expect("choice: ");
        assert!(!terminal.is_as_found(), "the editor has it");
        let terminal = end(terminal, ending);
        assert!(terminal.text().ends_with("\u{1b}[?2004l"), "{:?}", terminal.text());
        let mut dumb = Terminal::open_as(&[("TERM", "dumb")], server.address);
        dumb.expect("choice: ");
        assert!(!dumb.is_as_found(), "its echo is off");
        end(dumb, ending);
    }
}

#[test]
fn in_a_chat_a_signal_ends_the_client_after_the_last_message_is_stored() {
    let server = Server::start(&[]);
    let (mut ann, _) = Client::join(server.address, "ann");
    for (ending, id) in ENDINGS.into_iter().zip(2..) {
        let mut terminal = Terminal::open(server.address);
        register(&mut terminal, &format!("user {id}"), id);
        terminal.type_keys("chat:ann:the last word\rhalf a li");
        terminal.expect("half a li");
        end(terminal, ending);
        let message = ann.message();
        assert_eq!((message.from, &*message.content), (UserId(id), "the last word"));
    }
}

#[test]
fn ctrl_c_as_a_key_clears_the_line_and_ctrl_d_quits() {
    let server = Server::start(&[]);
    let mut terminal = Terminal::open(server.address);
    register(&mut terminal, "li si", 1);
    terminal.type_keys("\u{3}");
    terminal.expect("quit or Ctrl-D leaves");
    // The editor reads the next key only when it is active again.
    terminal.expect("> ");
    terminal.type_keys("\u{4}");
    assert_eq!(terminal.wait(), 0);
    let mut terminal = terminal.reopen();
    terminal.expect("choice: ");
    terminal.type_keys("\u{3}");
    assert_eq!(terminal.wait(), 0);
    assert!(terminal.is_as_found());
}
