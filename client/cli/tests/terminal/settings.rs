//! Pinned, muted and hidden conversations, and what is forgotten.

use crate::place::{Place, USUAL, arrive, leave, row_of};

#[test]
fn pinned_conversations_come_first_and_hidden_ones_with_their_next_message() {
    let place = Place::new();
    let mut terminal = place.online(USUAL, &[]);
    terminal.type_line("/pin 3");
    terminal.expect("user 3 (3) is listed first");
    terminal.type_line("/open");
    terminal.expect("Alt-1  user 3 (3)  1 unread  pinned");
    terminal.type_line("/hide 2");
    terminal.expect("user 2 (2) is hidden until its next message");
    terminal.type_line("/clear");
    terminal.type_line("/open");
    let rows = terminal.expect("1 hidden");
    assert!(row_of(&rows, "Alt-2").is_none(), "{rows:#?}");
    arrive(&place, 2, 2, "here again");
    terminal.expect("here again");
    terminal.type_line("/open");
    terminal.expect("Alt-2  user 2 (2)  2 unread");
    // The server has it, and the store.
    assert!(place.listening.server.lock().unwrap().conversations[&3].settings.pinned);
    terminal.type_line("/unpin 3");
    terminal.expect("user 3 (3) is listed in its place");
    terminal.type_line("/hide 9");
    terminal.expect("there is no such conversation: /hide WHO, or /hide #GROUP");
}

#[test]
fn the_list_of_conversations_shows_their_last_messages() {
    let place = Place::new();
    let mut terminal = place.online(USUAL, &[]);
    arrive(&place, 2, 2, "here again");
    terminal.expect("here again");
    terminal.type_line("/clear");
    terminal.type_line("/open");
    terminal.expect("user 2: here again");
    terminal.expect("] user 3: ");
}

#[test]
fn what_is_muted_offline_is_told_to_the_server_at_the_next_login() {
    let place = Place::new();
    let mut terminal = place.online(USUAL, &[]);
    leave(&mut terminal);
    place.listening.refuse();
    let mut terminal = place.open_kept(USUAL, &[]);
    terminal.expect("2 unread: user 2 1, user 3 1");
    terminal.type_line("/mute 2");
    terminal.expect("offline; user 2 (2) is muted here; the server is told at the next login");
    terminal.type_line("/pin 2");
    terminal.expect("/pin: not connected");
    leave(&mut terminal);
    place.listening.accept_again();
    let mut terminal = place.open_kept(USUAL, &[]);
    terminal.expect("online");
    terminal.wait_for("the server to be told", |_| {
        place.listening.server.lock().unwrap().conversations[&2].settings.muted
    });
    terminal.type_line("/open");
    terminal.expect("user 2 (2)  1 unread  muted");
}

#[test]
fn forgetting_asks_first_and_leaves_nothing_here() {
    let place = Place::new();
    let mut terminal = place.online(USUAL, &[]);
    terminal.type_line("/msg 2");
    terminal.expect_last("user 2>");
    terminal.type_line("/forget");
    terminal.expect("type yes to go on");
    terminal.type_line("no, what is this?");
    terminal.expect("nothing was removed");
    assert_eq!(place.texts(2), [""; 0], "the answer is no message");
    assert_eq!(place.listening.server.lock().unwrap().conversations[&2].first, 1);
    terminal.type_line("/forget");
    terminal.wait_for("the second question", |rows| {
        rows.iter().filter(|row| row.contains("type yes to go on")).count() == 2
    });
    terminal.type_line("yes");
    terminal.expect("the messages of user 2 (2) up to #1 are removed");
    assert_eq!(place.listening.server.lock().unwrap().conversations[&2].first, 2);
    leave(&mut terminal);
    place.listening.refuse();
    let mut terminal = place.open_kept(USUAL, &[]);
    terminal.type_line("history:2");
    terminal.expect("no messages with user 2 (2)");
    terminal.type_line("history:3");
    terminal.expect("hello from three");
}

#[test]
fn what_one_writes_to_oneself_is_a_note() {
    let place = Place::new();
    let mut terminal = place.online(USUAL, &[]);
    terminal.type_line("/msg ME");
    terminal.expect("me (1) notes, no messages yet");
    terminal.expect_last("me>");
    terminal.type_line("buy milk");
    terminal.wait_for("the note", |_| place.texts(1) == ["buy milk"]);
    terminal.type_line("/open");
    terminal.expect("me (1) notes");
    leave(&mut terminal);
    let mut again = place.open_kept(USUAL, &[]);
    again.expect("buy milk");
    again.type_line("/open");
    let rows = again.expect("me (1) notes");
    assert!(!rows.iter().any(|row| row.contains("me (1) notes  1 unread")), "{rows:#?}");
}
