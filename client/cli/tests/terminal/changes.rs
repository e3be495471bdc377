//! Changes of messages: `/react` and `/unreact`, and the lines that tell of them.

use crate::place::{Place, USUAL, leave};
use crate::support::FakeServer;
use wire::{Push, UserId};

/// Another user reacts to a message.
fn react(place: &Place, from: u32, conversation: u32, seq: u64, reaction: &str, on: bool) {
    let entry = {
        let mut server = place.listening.server.lock().unwrap();
        let told = server.react(UserId(from), &FakeServer::reaction(conversation, seq, reaction, on));
        server.message(conversation, told.seq)
    };
    place.listening.push(&Push::Message(wire::message::Push::New(entry)));
}

#[test]
fn reactions_are_told_in_a_line_and_shown_with_their_message() {
    let place = Place::new();
    let mut terminal = place.online(USUAL, &[]);
    terminal.type_line("/msg 2");
    terminal.expect_last("user 2>");
    terminal.type_line("/react 1 👍");
    terminal.expect("you reacted 👍 to #1");
    terminal.type_line("/unreact 1 🎉");
    terminal.expect("you have not reacted like that to #1");
    terminal.type_line("/react 9 👍");
    terminal.expect("/react: there is no such message");
    react(&place, 2, 2, 1, "👍", true);
    terminal.expect("user 2 reacted 👍 to #1");
    react(&place, 2, 2, 1, "🎉", true);
    react(&place, 2, 2, 1, "🎉", false);
    terminal.expect("user 2 took back 🎉 from #1");
    terminal.type_line("/history");
    terminal.expect("(👍 2)");
    // In another conversation.
    terminal.type_line("/react 3:1 👀");
    terminal.expect("reacted 👀 to #1");
    terminal.type_line("/react 1");
    terminal.expect("/react N EMOJI");
    // The store has it, too.
    leave(&mut terminal);
    place.listening.refuse();
    let mut terminal = place.open_kept(USUAL, &[]);
    terminal.type_line("history:2");
    terminal.expect("(👍 2)");
    terminal.type_line("history:3");
    terminal.expect("(👀)");
}

#[test]
fn the_numbers_of_recent_messages_are_completed() {
    let place = Place::new();
    let mut terminal = place.online(USUAL, &[]);
    terminal.type_line("/msg 2");
    terminal.expect_last("user 2>");
    terminal.type_keys("/react \t👍\r");
    terminal.expect("you reacted 👍 to #1");
}
