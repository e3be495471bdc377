//! `/search`, with and without a connection.

use crate::place::{Place, USUAL, leave};
use wire::UserId;

#[test]
fn results_are_numbered_with_their_conversation_and_continue() {
    let place = Place::new();
    let mut terminal = place.online(USUAL, &[]);
    {
        let mut server = place.listening.server.lock().unwrap();
        for n in 0..25 {
            server.store(3, UserId(3), &format!("the summit, try {n}"), None);
        }
    }
    // They are pushed, and would push the results off the screen.
    terminal.expect("the summit, try 24");
    terminal.type_line("/search summit");
    terminal.expect("found, the latest first:");
    terminal.expect("1  user 3 (3)  #");
    terminal.expect("user 3: the summit, try 24");
    terminal.expect("more: /search");
    terminal.type_line("/search");
    terminal.expect("21  user 3 (3)");
    terminal.expect("the summit, try 0");
    terminal.type_line("/search");
    terminal.expect("there are no further results");
    terminal.type_line("/search @2 summit");
    terminal.expect("nothing found");
    terminal.type_line("/search ?!");
    terminal.expect("/search: it must have a word");
    terminal.type_line("/search @nobody summit");
    terminal.expect("nobody");
}

#[test]
fn without_a_connection_what_is_saved_here_is_searched() {
    let place = Place::new();
    let mut terminal = place.online(USUAL, &[]);
    leave(&mut terminal);
    place.write(2, "hello, not saved here");
    place.listening.refuse();
    let mut terminal = place.open_kept(USUAL, &[]);
    terminal.expect("2 unread: user 2 1, user 3 1");
    terminal.type_line("/search HELLO");
    terminal.expect("offline; found among what is saved on this machine:");
    terminal.expect("1  user 3 (3)  #1");
    let rows = terminal.expect("2  user 2 (2)  #1");
    assert!(rows.iter().all(|row| !row.contains("not saved here")), "{rows:#?}");
}
