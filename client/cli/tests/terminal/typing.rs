//! TYPING: when it is sent, and what the status shows of others.

use crate::place::{Place, USUAL, arrive, row_of};
use crate::pty::Pty;
use std::fs;
use wire::timeline::{Push as TimelinePush, Typist};
use wire::{ConversationId, Push, UserId};

fn typed(place: &Place) -> Vec<u32> {
    place.listening.server.lock().unwrap().typing.clone()
}

/// The user with the id of the conversation types in it.
fn types(place: &Place, conversation: u32) {
    let typist = Typist { conversation: ConversationId(conversation), id: UserId(conversation) };
    place.listening.push(&Push::Timeline(TimelinePush::Typing(typist)));
}

fn status_has(terminal: &Pty, text: &str, wanted: bool) {
    terminal.wait_for(&format!("{text:?} in the status: {wanted}"), |rows| {
        let status = rows.iter().rev().find(|row| row.starts_with("──"));
        status.is_some_and(|status| status.contains(text) == wanted)
    });
}

#[test]
fn typing_into_the_open_conversation_is_told_and_commands_are_not() {
    let place = Place::new();
    let mut terminal = place.online(USUAL, &[]);
    terminal.type_keys("nothing is open");
    terminal.wait_for("the line", |rows| row_of(rows, "> nothing is open").is_some());
    terminal.type_keys("\x15/msg 2\r");
    terminal.expect_last("user 2>");
    terminal.type_keys("chat:3:psst");
    terminal.wait_for("the line", |rows| row_of(rows, "chat:3:psst").is_some());
    terminal.type_keys("\r");
    terminal.wait_for("the message", |_| place.texts(3) == ["psst"]);
    assert_eq!(typed(&place), [0; 0]);
    terminal.type_keys("hello");
    terminal.wait_for("TYPING", |_| typed(&place) == [2]);
    terminal.type_keys(" you\r");
    terminal.wait_for("the message", |_| place.texts(2) == ["hello you"]);
    assert_eq!(typed(&place), [2], "once in 3 s");
}

#[test]
fn the_configuration_turns_it_off() {
    let place = Place::new();
    fs::create_dir_all(place.home.path().join("chatclient")).unwrap();
    fs::write(place.home.path().join("chatclient/config.toml"), "typing = false\n").unwrap();
    let mut terminal = place.online(USUAL, &[]);
    terminal.type_line("/msg 2");
    terminal.expect_last("user 2>");
    terminal.type_line("hello");
    terminal.wait_for("the message", |_| place.texts(2) == ["hello"]);
    assert_eq!(typed(&place), [0; 0]);
}

#[test]
fn the_status_shows_who_is_typing_until_the_message_arrives_or_some_seconds() {
    let place = Place::new();
    let mut terminal = place.online(USUAL, &[]);
    types(&place, 3);
    status_has(&terminal, "user 3 is typing…", true);
    terminal.type_line("/msg 2");
    terminal.expect_last("user 2>");
    types(&place, 2);
    status_has(&terminal, "user 2 is typing…", true);
    arrive(&place, 2, 2, "here it is");
    terminal.expect("here it is");
    status_has(&terminal, "user 2 is typing…", false);
    types(&place, 2);
    status_has(&terminal, "user 2 is typing…", true);
    // Nothing else happens meanwhile.
    status_has(&terminal, "typing", false);
}
