//! Mentions, muted conversations, keys with Alt, notifications and the configuration.

use crate::place::{Place, USUAL, arrive, leave, log_in_again, row_of};
use crate::pty::Pty;
use crate::support::ME;
use wire::timeline::{self, ConversationView};
use wire::{ConversationId, Push, Seq, UserId};

fn bells(terminal: &Pty) -> usize {
    let bytes = terminal.bytes();
    let text = String::from_utf8_lossy(&bytes).replace("\u{1b}]", "");
    text.matches('\u{7}').count()
}

#[test]
fn a_mention_rings_and_is_marked_and_a_muted_group_is_quiet() {
    let place = Place::new();
    {
        let mut server = place.listening.server.lock().unwrap();
        server.store(7, UserId(3), "welcome", None);
        server.make_group(7);
        // What waits must not ring.
        [2, 3, 7].into_iter().for_each(|id| server.set_cursors(id, 1, 1));
    }
    let mut terminal = place.open(USUAL, &[]);
    terminal.expect_last("choice:");
    log_in_again(&mut terminal);
    terminal.expect_last(">");
    arrive(&place, 7, 3, "nothing for anybody");
    terminal.expect("#7 group 7 | user 3 (3): nothing for anybody");
    assert_eq!(bells(&terminal), 0);
    arrive(&place, 7, 3, "@ME look at this");
    terminal.wait_for("the mark of a mention", |rows| {
        rows.iter().any(|row| row.starts_with(" @ [00:00] #7 group 7 | user 3 (3): @ME look"))
    });
    terminal.expect("2 unread, 1 @: #7 group 7 2");
    assert_eq!(bells(&terminal), 1);
    terminal.type_line("/mute #7");
    terminal.expect("#7 group 7 is muted");
    arrive(&place, 7, 3, "noise");
    terminal.expect("3 unread, 1 @");
    arrive(&place, 2, 2, "not muted");
    let rows = terminal.expect("user 2 (2): not muted");
    assert!(row_of(&rows, "noise").is_none(), "{rows:#?}");
    // Opening shows what was not, and reading it ends the mention.
    terminal.type_line("/open #7");
    let rows = terminal.expect("user 3 (3): noise");
    assert!(row_of(&rows, "── #7 group 7, 3 unread ──").is_some(), "{rows:#?}");
    terminal.expect("1 unread: user 2 1");
    terminal.type_line("/msg 2");
    terminal.expect_last("user 2>");
    arrive(&place, 7, 3, "more noise");
    arrive(&place, 2, 2, "the last one");
    let rows = terminal.expect("the last one");
    assert!(row_of(&rows, "more noise").is_none() && row_of(&rows, "unread: #7").is_none(), "{rows:#?}");
    // The store remembers it.
    leave(&mut terminal);
    let mut again = place.open(USUAL, &[]);
    again.expect_last("choice:");
    again.type_line("");
    again.expect("online");
    again.type_line("/open");
    again.expect("#7 group 7  1 unread  muted");
}

#[test]
fn what_another_session_writes_and_reads_shows_here() {
    let place = Place::new();
    let mut terminal = place.online(USUAL, &[]);
    let status = |terminal: &Pty, text: &str, wanted: bool| {
        terminal.wait_for(&format!("{text:?} in the status: {wanted}"), |rows| {
            let status = rows.iter().rev().find(|row| row.starts_with("──"));
            status.is_some_and(|status| status.contains(text) == wanted)
        });
    };
    terminal.type_line("/msg 3");
    terminal.expect_last("user 3>");
    status(&terminal, "1 unread: user 2 1", true);
    arrive(&place, 2, 1, "from my phone");
    terminal.expect("you → user 2 (2): from my phone");
    let view = ConversationView {
        conversation: ConversationId(2),
        read_seq: Seq(2),
        first_seq: Seq(1),
        last_seq: Seq(2),
        unread: 0,
        unread_more: false,
        mentions: 0,
        pinned: true,
        muted: false,
        hidden: false,
    };
    place.listening.push(&Push::Timeline(timeline::Push::Conversation(Box::new(view))));
    status(&terminal, "unread", false);
    terminal.type_line("/open");
    terminal.wait_for("the pinned one first", |rows| row_of(rows, "Alt-1  user 2 (2)  pinned").is_some());
}

#[test]
fn alt_opens_conversations_by_their_place_and_the_next_active_one() {
    let place = Place::new();
    let mut terminal = place.online(USUAL, &[]);
    terminal.type_line("/open");
    terminal.expect("Alt-1  user 2 (2)  1 unread");
    terminal.expect("Alt-2  user 3 (3)  1 unread");
    terminal.type_keys("\u{1b}2");
    terminal.expect_last("user 3>");
    terminal.expect("1 unread: user 2 1");
    terminal.type_keys("for three");
    terminal.expect_last("user 3> for three");
    terminal.type_keys("\u{1b}a");
    terminal.expect_last("user 2>");
    terminal
        .wait_for("nothing unread", |rows| !rows.iter().any(|row| row.starts_with("── me (1) ── 1 unread")));
    terminal.type_keys("\u{1b}a");
    terminal.expect("nothing else is unread");
    terminal.type_keys("\u{1b}9");
    terminal.expect("there is no conversation 9; /open lists them");
    // A new conversation gets the next place; the others keep theirs.
    arrive(&place, 5, 5, "a stranger");
    terminal.expect("user 5 (5): a stranger");
    terminal.type_keys("\u{1b}3");
    terminal.expect_last("user 5>");
    terminal.type_keys("\u{1b}2");
    terminal.expect_last("user 3> for three");
}

#[test]
fn the_configuration_switches_notifications_and_formats() {
    let place = Place::new();
    let folder = place.home.path().join("chatclient");
    std::fs::create_dir(&folder).unwrap();
    let config =
        "time = \"%H.%M\"\n[notifications]\nosc9 = true\nosc777 = true\ntitle = true\nbell = false\n";
    std::fs::write(folder.join("config.toml"), config).unwrap();
    let mut terminal = place.online(USUAL, &[]);
    terminal.expect("[00.00] user 2 (2): hello from two");
    terminal.expect("2 unread");
    arrive(&place, 2, 2, "psst");
    terminal.expect("[00.00] user 2 (2): psst");
    leave(&mut terminal);
    let written = String::from_utf8_lossy(&terminal.bytes()).into_owned();
    for sequence in [
        "\u{1b}]9;user 2: psst\u{7}",
        "\u{1b}]777;notify;user 2;psst\u{7}",
        "\u{1b}[22;2t",
        "\u{1b}]2;(3) chatclient\u{7}",
        "\u{1b}[23;2t",
    ] {
        assert!(written.contains(sequence), "{sequence:?} is missing in {written:?}");
    }
    assert_eq!(bells(&terminal) - written.matches("\u{1b}]").count(), 0, "no bell");
}

/// A user joins a group, of which its members are told.
fn join(place: &Place, group: u32, user: u32) {
    let entry = {
        let mut server = place.listening.server.lock().unwrap();
        let seq = server.store_join(group, UserId(user));
        server.message(group, seq)
    };
    place.listening.push(&Push::Message(wire::message::Push::New(entry)));
}

#[test]
fn what_was_said_before_one_joined_is_not_unread() {
    let place = Place::new();
    let mut terminal = place.online(USUAL, &[]);
    {
        let mut server = place.listening.server.lock().unwrap();
        server.store(9, UserId(5), "before", None);
        server.conversations.get_mut(&9).unwrap().first = 2;
    }
    join(&place, 9, 1);
    arrive(&place, 9, 5, "after");
    terminal.type_line("groups");
    let counts =
        |rows: &[String]| rows.iter().any(|row| row.contains("unread:") && row.contains("#9 group 9 1"));
    terminal.wait_for("the status", counts);
    terminal.type_line("/open #9");
    terminal.expect("── new ──");
    let rows = terminal.wait_for("the status", |rows| !counts(rows));
    assert!(rows.iter().all(|row| !row.contains("more unread")), "{rows:?}");
}

#[test]
fn unread_begins_with_the_numbers_of_the_server() {
    let place = Place::new();
    {
        let mut server = place.listening.server.lock().unwrap();
        server.store(7, UserId(5), "taken by another device", None);
        server.store(7, ME, "an own one", None);
        server.store_join(7, UserId(6));
        server.store(7, UserId(5), "taken, too", None);
        server.set_cursors(7, 4, 0);
        server.store(7, UserId(5), "coming", None);
    }
    let mut terminal = place.online(USUAL, &[]);
    terminal.expect("3 new in #7 group 7");
    terminal.expect("coming");
    terminal.expect("5 unread: user 2 1, user 3 1, #7 group 7 3");
    arrive(&place, 7, 5, "above what the server has counted");
    terminal.expect("6 unread: user 2 1, user 3 1, #7 group 7 4");
    terminal.type_line("/open #7");
    terminal.expect("── #7 group 7, 4 unread ──");
    terminal.expect("2 unread: user 2 1, user 3 1");
}

#[test]
fn what_happens_in_a_group_is_shown_and_is_not_unread() {
    let place = Place::new();
    let mut terminal = place.online(USUAL, &[]);
    join(&place, 7, 5);
    terminal.expect("| user 5 joined");
    terminal.wait_for("the status", |rows| rows.iter().any(|row| row.contains("2 unread: ")));
    leave(&mut terminal);
    // Also as it is stored.
    place.listening.refuse();
    let terminal = place.open_kept(USUAL, &[]);
    terminal.expect("2 unread: user 2 1, user 3 1");
}
