//! Changes of messages: `/edit`, `/recall`, `/react` and `/unreact`, and what the screen shows of them.

use crate::place::{Place, USUAL, arrive, leave, row_of};
use crate::pty::Pty;
use wire::{Change, ChangeKind, Push, Seq, UserId};

/// Another user reacts to a message.
fn react(place: &Place, from: u32, conversation: u32, seq: u64, reaction: &str, on: bool) {
    change(place, from, conversation, seq, ChangeKind::Reaction { on }, reaction);
}

/// Another user changes a message.
fn change(place: &Place, from: u32, conversation: u32, seq: u64, kind: ChangeKind, content: &str) {
    let entry = {
        let mut server = place.listening.server.lock().unwrap();
        let change = Change { of: Seq(seq), kind };
        let told = server.change(UserId(from), conversation, change, content);
        server.message(conversation, told.seq)
    };
    place.listening.push(&Push::Message(wire::message::Push::New(entry)));
}

/// So many lines push what was there off the screen.
fn scroll(terminal: &mut Pty) {
    for number in 0..30 {
        terminal.type_line(&format!("/drop {number}"));
    }
    terminal.type_line("/drop");
    terminal.expect("0 message(s) dropped");
}

#[test]
fn reactions_are_shown_with_their_message_or_told_in_a_line() {
    let place = Place::new();
    let mut terminal = place.online(USUAL, &[]);
    terminal.type_line("/msg 2");
    terminal.expect_last("user 2>");
    terminal.type_line("/react 1 👍");
    terminal.expect("(👍)");
    terminal.type_line("/unreact 1 🎉");
    terminal.expect("you have not reacted like that to #1");
    terminal.type_line("/react 9 👍");
    terminal.expect("/react: there is no such message");
    react(&place, 2, 2, 1, "👍", true);
    let rows = terminal.expect("(👍 2)");
    assert!(row_of(&rows, "reacted 👍").is_none(), "{rows:#?}");
    scroll(&mut terminal);
    react(&place, 2, 2, 1, "🎉", true);
    terminal.expect("user 2 reacted 🎉 to #1");
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
    terminal.expect("(👍)");
}

#[test]
fn an_edited_message_is_painted_anew_or_told_in_a_line() {
    let place = Place::new();
    let mut terminal = place.online(USUAL, &[]);
    terminal.type_line("/msg 2");
    terminal.expect_last("user 2>");
    terminal.type_line("at eigth");
    terminal.expect("✓ [");
    // Tab completes the numbers of own messages only.
    terminal.type_keys("/edit \tat eight,\x1b\rnot before\r");
    let rows = terminal.expect("not before  (edited)");
    assert!(row_of(&rows, "at eigth").is_none(), "{rows:#?}");
    change(&place, 2, 2, 1, ChangeKind::Edit, "hello again");
    let rows = terminal.expect("user 2 (2): hello again  (edited)");
    assert!(row_of(&rows, "edited #").is_none(), "{rows:#?}");
    terminal.type_line("/edit 1 mine");
    terminal.expect("/edit: the message is somebody else's");
    terminal.type_line("/edit 2");
    terminal.expect("/edit N TEXT");
    scroll(&mut terminal);
    change(&place, 2, 2, 1, ChangeKind::Edit, "and again");
    terminal.expect("user 2 edited #1: and again");
    leave(&mut terminal);
    place.listening.refuse();
    let mut terminal = place.open_kept(USUAL, &[]);
    terminal.type_line("history:2");
    terminal.expect("and again  (edited)");
}

#[test]
fn a_recalled_text_is_shown_nowhere() {
    let place = Place::new();
    let mut terminal = place.online(USUAL, &[]);
    terminal.type_line("/msg 2");
    terminal.expect_last("user 2>");
    terminal.type_line("a secret of mine");
    terminal.expect("✓ [");
    terminal.type_line("/reply 2 which I answer");
    terminal.expect("[re you: a secret of mine] which I answer");
    terminal.type_line("/history");
    terminal.expect("#2 ");
    terminal.type_keys("/recall \t");
    terminal.expect("user 2> /recall 3 ");
    terminal.type_keys("\x7f\x7f2\r");
    let rows = terminal.wait_for("the recall", |rows| row_of(rows, "secret").is_none());
    assert!(row_of(&rows, "[re you: (recalled)] which I answer").is_some(), "{rows:#?}");
    assert!(row_of(&rows, "recalled #2").is_none(), "the screen shows it");
    assert_eq!(
        rows.iter().filter(|row| row.ends_with("(recalled)")).count(),
        2,
        "also in the list: {rows:#?}"
    );
    // It cannot be changed any more, so it is not offered either.
    terminal.type_keys("/edit \t\t");
    terminal.expect("user 2> /edit 3 ");
    terminal.type_keys("\x15");
    change(&place, 2, 2, 1, ChangeKind::Recall, "");
    terminal.expect("user 2 (2): (recalled)");
    scroll(&mut terminal);
    terminal.type_line("/recall 3");
    terminal.expect("you recalled #3");
    leave(&mut terminal);
    place.listening.refuse();
    let mut terminal = place.open_kept(USUAL, &[]);
    terminal.type_line("history:2");
    let rows = terminal.expect("user 2 (2): (recalled)");
    assert!(row_of(&rows, "secret").is_none() && row_of(&rows, "from two").is_none(), "{rows:#?}");
}

#[test]
fn a_recalled_message_is_not_unread() {
    let place = Place::new();
    let terminal = place.online(USUAL, &[]);
    arrive(&place, 3, 3, "look");
    terminal.expect("3 unread: user 2 1, user 3 2");
    change(&place, 3, 3, 2, ChangeKind::Recall, "");
    terminal.expect("2 unread: user 2 1, user 3 1");
}
