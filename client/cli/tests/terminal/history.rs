//! Unread messages, pages of history, and what was read.

use crate::place::{Place, USUAL, leave, log_in_again, row_of};
use crate::pty::{Pty, Size};
use crate::support::listening::Listening;

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
    terminal.wait_for("the whole page", |rows| {
        row_of(rows, "#398 to #417")
            .is_some_and(|block| rows.iter().skip(block).any(|row| row == "older: /older"))
    });
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
    leave(&mut terminal);
    place.listening.refuse();
    let mut terminal = place.open_kept(USUAL, &[]);
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
