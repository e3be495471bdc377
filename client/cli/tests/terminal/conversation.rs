//! The open conversation, drafts, and sessions that end.

use crate::place::{Place, USUAL, log_in_again};
use wire::{Push, UnixMillis, session};

fn kick() -> Push {
    Push::Session(session::Push::Kicked(Box::new(session::Kicked {
        reason: "another login".into(),
        code: Some(session::KickCode::Login),
        device: Some("phone".into()),
        time: UnixMillis(0),
    })))
}

#[test]
fn only_opening_opens_a_conversation_and_only_one_that_exists() {
    let place = Place::new();
    let mut terminal = place.online(USUAL, &[]);
    terminal.type_line("/msg 2");
    terminal.expect_last("user 2>");
    for line in
        ["chat:3:psst", "/msg 3 psst again", "groupchat:77:hi", "/msg nobody", "/join 77", "chat:nobody:x"]
    {
        terminal.type_line(line);
        terminal.type_line(&format!("after {line}"));
        terminal.expect(&format!(": after {line}"));
        terminal.expect_last("user 2>");
    }
    terminal.expect("/join: there is no such group");
    terminal.expect("/msg: there is no such user");
    terminal.wait_for("the last one", |_| place.texts(2).len() == 6);
    assert!(place.texts(2).iter().all(|text| text.starts_with("after ")));
    assert_eq!(place.texts(3), ["psst", "psst again"]);
}

#[test]
fn a_dumb_terminal_names_the_open_conversation_in_its_prompt() {
    let place = Place::new();
    let mut terminal = place.online(USUAL, &[("TERM", "dumb")]);
    terminal.type_line("/msg 2");
    terminal.expect_last("user 2>");
    terminal.type_line("chat:3:psst");
    terminal.expect("sent to user 3");
    terminal.type_keys("half a li");
    terminal.expect_last("user 2> half a li");
    terminal.type_line("ne");
    terminal.wait_for("the line", |_| place.texts(2) == ["half a line"]);
}

#[test]
fn each_conversation_has_its_draft() {
    let place = Place::new();
    let mut terminal = place.online(USUAL, &[]);
    terminal.type_line("/msg 2");
    terminal.expect_last("user 2>");
    terminal.type_keys("for two");
    terminal.expect_last("user 2> for two");
    place.listening.cut();
    terminal.expect("connection lost");
    terminal.expect_last("user 2> for two");
    terminal.expect("reconnected");
    place.listening.push(&kick());
    terminal.expect("by a login from phone");
    terminal.expect("a line that you did not finish waits: log in as me (1) to continue");
    terminal.expect_last("choice:");
    log_in_again(&mut terminal);
    terminal.expect_last("user 2> for two");
    // It outlives the program.
    terminal.type_keys("\u{15}/msg 3\r");
    terminal.expect_last("user 3>");
    terminal.type_keys("for three");
    terminal.expect_last("user 3> for three");
    terminal.type_keys("\u{1}\u{b}loginout\r");
    terminal.expect_last("choice:");
    log_in_again(&mut terminal);
    terminal.expect_last("user 3>");
    terminal.type_keys("for three");
    terminal.expect_last("user 3> for three");
    terminal.hang_up();
    let mut again = place.open_kept(USUAL, &[]);
    again.expect_last("user 3> for three");
    again.type_line("");
    again.wait_for("the draft as a message", |_| place.texts(3) == ["for three"]);
}

#[test]
fn a_script_that_takes_the_session_is_named() {
    let place = Place::new();
    let terminal = place.online(USUAL, &[]);
    place.listening.push(&Push::Session(session::Push::Kicked(Box::new(session::Kicked {
        reason: "another login".into(),
        code: Some(session::KickCode::Login),
        device: Some("chatclient script on host".into()),
        time: UnixMillis(0),
    }))));
    terminal.expect("by a login from chatclient script on host");
    terminal.expect("a script logged in as you; the server allows one session per account");
}
