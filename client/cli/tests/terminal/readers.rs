//! Who has read own messages in groups.

use crate::place::{Place, USUAL, arrive, log_in_again, row_of};
use crate::pty::Pty;
use wire::UserId;

/// A group of five others, with one message of one's own.
fn in_group() -> (Place, Pty) {
    let place = Place::new();
    {
        let mut server = place.listening.server.lock().unwrap();
        server.store(7, UserId(3), "welcome", None);
        server.make_group(7);
        [2, 3, 7].into_iter().for_each(|id| server.set_cursors(id, 1, 1));
        server.members.insert(7, (2..=6).map(|user| (user, 0)).collect());
    }
    let mut terminal = place.open(USUAL, &[]);
    terminal.expect_last("choice:");
    log_in_again(&mut terminal);
    terminal.expect_last(">");
    terminal.type_line("/open #7");
    terminal.expect("welcome");
    (place, terminal)
}

fn read(place: &Place, users: &[u32], seq: u64) {
    let mut server = place.listening.server.lock().unwrap();
    let members = server.members.get_mut(&7).unwrap();
    members.extend(users.iter().map(|user| (*user, seq)));
}

fn asked(place: &Place) -> Vec<(u32, u64)> {
    place.listening.server.lock().unwrap().readers_asked.clone()
}

#[test]
fn own_messages_of_the_open_group_show_how_many_have_read_them() {
    let (place, mut terminal) = in_group();
    read(&place, &[2, 4], 2);
    terminal.type_line("hello all");
    let starts = |rows: &[String], start: &str| rows.iter().any(|row| row.starts_with(start));
    let rows = terminal.wait_for("two readers", |rows| starts(rows, " ✓ 2/5 ["));
    let place_of = row_of(&rows, "you: hello all").unwrap();
    read(&place, &[3], 2);
    arrive(&place, 7, 3, "hi me");
    let rows = terminal.wait_for("three readers", |rows| starts(rows, " ✓ 3/5 ["));
    assert_eq!(row_of(&rows, "you: hello all"), Some(place_of), "in its place: {rows:#?}");
    // Of a message that all have read nothing more is asked, and neither of those before it.
    terminal.type_line("and again");
    terminal.wait_for("the second one", |rows| starts(rows, " ✓ 0/5 ["));
    read(&place, &[2, 3, 4, 5, 6], 4);
    let rows = terminal.wait_for("all have read", |rows| {
        rows.iter().filter(|row| row.starts_with(" R [") && row.contains("you: ")).count() == 2
    });
    assert!(row_of(&rows, "/5").is_none(), "{rows:#?}");
    let before = asked(&place);
    assert!(before.iter().all(|place| [(7, 2), (7, 4)].contains(place)), "{before:?}");
    // In a direct chat nothing is asked.
    terminal.type_line("/msg 2");
    terminal.expect_last("user 2>");
    terminal.type_line("a direct message");
    terminal.wait_for("the message", |rows| {
        rows.iter().any(|row| row.starts_with(" ✓ [") && row.contains("direct"))
    });
    assert_eq!(asked(&place), before);
}

#[test]
fn readers_lists_who_has_read_a_message() {
    let (place, mut terminal) = in_group();
    terminal.type_line("/readers");
    terminal.expect("none of the latest messages of the group is yours");
    terminal.type_line("hello all");
    terminal.expect("✓");
    read(&place, &[2, 4], 2);
    terminal.type_line("/readers");
    terminal.expect("message #2 of #7 group 7: read by 2 of 5:");
    terminal.expect("4      user 4");
    read(&place, &[2, 3, 4, 5, 6], 2);
    terminal.type_line("/readers #2");
    terminal.expect("message #2 of #7 group 7: read by 5 of 5:");
    terminal.wait_for("the mark", |rows| rows.iter().any(|row| row.starts_with(" R [")));
    terminal.type_line("/readers 7:1");
    terminal.expect("/readers: only the sender may see that");
    terminal.type_line("/readers x:y");
    terminal.expect("write it as /readers [GROUP:][SEQ], for example /readers 7:12");
    terminal.type_line("/msg 2");
    terminal.expect_last("user 2>");
    terminal.type_line("/readers");
    terminal.expect("no group is open: /readers GROUP:SEQ");
}

#[test]
fn a_terminal_that_cannot_repaint_asks_for_no_counts() {
    let place = Place::new();
    {
        let mut server = place.listening.server.lock().unwrap();
        server.store(7, UserId(3), "welcome", None);
        server.make_group(7);
        server.members.insert(7, [(2, 2), (3, 0)].into());
    }
    let mut terminal = place.open(USUAL, &[("TERM", "dumb")]);
    terminal.expect("choice:");
    log_in_again(&mut terminal);
    terminal.expect("welcome");
    terminal.type_line("groupchat:7:hello all");
    terminal.expect("sent to #7 group 7");
    terminal.type_line("/open #7");
    terminal.expect("#7 group 7>");
    terminal.type_line("/readers");
    terminal.expect("message #2 of #7 group 7: read by 1 of 2:");
    assert_eq!(asked(&place), [(7, 2)]);
}
