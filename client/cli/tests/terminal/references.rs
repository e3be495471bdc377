//! Replies with quotes, and mentions by `@NAME`.

use crate::place::{Place, USUAL, arrive, leave, log_in_again, row_of};
use crate::pty::Pty;
use std::sync::Arc;
use wire::{Mentions, Push, References, Seq, UserId};

/// A group with the users 3, "li", and 4, "li si", in which 3 has written.
fn in_group(is_owner: bool) -> (Place, Pty) {
    let place = Place::new();
    {
        let mut server = place.listening.server.lock().unwrap();
        server.names.users.extend([(3, "li"), (4, "li si")]);
        server.store(7, UserId(3), "who comes along?", None);
        server.make_group(7);
        [2, 3, 7].into_iter().for_each(|id| server.set_cursors(id, 1, 1));
        server.members.insert(7, [(3, 0), (4, 0)].into());
        server.owned.extend(is_owner.then_some(7));
    }
    let mut terminal = place.open(USUAL, &[]);
    terminal.expect_last("choice:");
    log_in_again(&mut terminal);
    terminal.expect_last(">");
    (place, terminal)
}

fn open_group(terminal: &mut Pty) {
    terminal.type_line("/open #7");
    terminal.expect("li (3): who comes along?");
}

/// What the last message of the group refers to.
fn references(place: &Place, seq: u64) -> Option<References> {
    let message = place.listening.server.lock().unwrap().message(7, Seq(seq));
    message.extra.as_deref().map(|extra| extra.references.clone())
}

fn stored(place: &Place, terminal: &mut Pty, seq: u64) -> Option<References> {
    terminal.wait_for("the stored message", |_| {
        place.listening.server.lock().unwrap().conversations[&7].messages.len() as u64 == seq
    });
    references(place, seq)
}

/// A message of user 3 in the group that refers to something.
fn refer(place: &Place, text: &str, references: References) {
    let message = {
        let mut server = place.listening.server.lock().unwrap();
        let sent = server.store(7, UserId(3), text, None);
        let messages = &mut server.conversations.get_mut(&7).unwrap().messages;
        Arc::make_mut(messages.last_mut().unwrap()).extra = Some(references.into());
        server.message(7, sent.seq)
    };
    place.listening.push(&Push::Message(wire::message::Push::New(message)));
}

fn answer(seq: u64) -> References {
    References { reply_to: Some(Seq(seq)), mentions: Mentions::Nobody }
}

#[test]
fn a_reply_quotes_what_it_answers() {
    let (place, mut terminal) = in_group(false);
    open_group(&mut terminal);
    arrive(&place, 7, 3, "and a long text that does not fit into a few columns at all");
    terminal.expect("does not fit");
    terminal.type_line("/reply 1 I do");
    assert_eq!(stored(&place, &mut terminal, 3), Some(answer(1)));
    terminal.expect("you: [re li: who comes along?] I do");
    terminal.type_line("/reply ok");
    assert_eq!(stored(&place, &mut terminal, 4), Some(answer(2)), "the last one of somebody else");
    terminal.expect("[re li: and a long text that does not f~] ok");
    refer(&place, "good", answer(3));
    terminal.expect("li (3): [re you: I do] good");
    refer(&place, "what was that?", answer(99));
    terminal.expect("li (3): [re #99] what was that?");
    // Tab offers the latest messages and tells what each is.
    terminal.type_keys("/reply \t");
    terminal.wait_for("the first candidate", |rows| {
        row_of(rows, "/reply 6 ").is_some() && row_of(rows, "#6 li: what was that?").is_some()
    });
    terminal.type_keys("\t\t");
    terminal.wait_for("the third candidate", |rows| {
        row_of(rows, "/reply 4 ").is_some() && row_of(rows, "#4 you: ok").is_some()
    });
    terminal.type_keys("indeed\r");
    assert_eq!(stored(&place, &mut terminal, 7), Some(answer(4)));
    terminal.type_line("/reply 3:1 hello back");
    terminal.expect("[re #1] hello back");
    terminal.type_line("/reply nobody:1 hello");
    terminal.expect("there is no conversation with nobody");
    // History and another run quote it, too.
    terminal.type_line("/history");
    terminal.expect("#3    [00:00] user 1 (1): [re li: who comes along?] I do");
    leave(&mut terminal);
}

#[test]
fn an_at_with_the_name_of_a_member_is_a_mention() {
    let (place, mut terminal) = in_group(false);
    open_group(&mut terminal);
    terminal.type_keys("lunch, @li\t");
    terminal.expect_last("#7 group 7> lunch, @li");
    terminal.type_keys("\t");
    terminal.expect_last("#7 group 7> lunch, @li si");
    terminal.type_keys("?\r");
    let mention = |id: u32| References { reply_to: None, mentions: Mentions::Users([UserId(id)].into()) };
    assert_eq!(stored(&place, &mut terminal, 2), Some(mention(4)), "the longest name");
    terminal.type_line("@li: and you, @nobody?");
    assert_eq!(stored(&place, &mut terminal, 3), Some(mention(3)));
    terminal.type_line("/reply 1 @LI SI does");
    let both = References { reply_to: Some(Seq(1)), ..mention(4) };
    assert_eq!(stored(&place, &mut terminal, 4), Some(both));
    terminal.type_line("@all hear me, write to a@li.org");
    assert_eq!(stored(&place, &mut terminal, 5), None, "only admins may mention all");
}

#[test]
fn the_owner_of_a_group_mentions_all() {
    let (place, mut terminal) = in_group(true);
    open_group(&mut terminal);
    terminal.type_keys("@a\t");
    terminal.expect_last("#7 group 7> @all");
    terminal.type_keys("hear me\r");
    let all = References { reply_to: None, mentions: Mentions::All };
    assert_eq!(stored(&place, &mut terminal, 2), Some(all));
}

#[test]
fn who_is_mentioned_by_id_or_with_all_is_alerted_in_a_muted_group_too() {
    let (place, mut terminal) = in_group(false);
    terminal.type_line("/mute #7");
    terminal.expect("is muted");
    let mention = |mentions| References { reply_to: None, mentions };
    refer(&place, "not you", mention(Mentions::Users([UserId(4)].into())));
    refer(&place, "you there", mention(Mentions::Users([UserId(4), UserId(1)].into())));
    let rows = terminal.wait_for("the mark of a mention", |rows| {
        rows.iter().any(|row| row.starts_with(" @ [00:00] #7 group 7 | li (3): you there"))
    });
    assert!(row_of(&rows, "not you").is_none(), "{rows:#?}");
    terminal.expect("2 unread, 1 @: #7 group 7 2");
    assert!(terminal.bytes().contains(&7), "the bell");
    refer(&place, "everybody", mention(Mentions::All));
    terminal.wait_for("the second mark", |rows| {
        rows.iter().any(|row| row.starts_with(" @ [00:00] #7 group 7 | li (3): everybody"))
    });
    terminal.expect("3 unread, 2 @");
}
