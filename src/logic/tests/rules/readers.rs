//! READERS: who has read an own message in a group.

use super::harness::{Harness, errno, rules};
use logic::{ConnId, Input};
use wire::group::{Join, Request as GroupRequest};
use wire::timeline::{Cursor, Readers, ReadersPage, Reply as TimelineReply, Request};
use wire::{Command, ConversationId, Errno, Page, Reply, Seq, Target, UserId};

const GROUP: ConversationId = ConversationId(1);

fn readers(conversation: ConversationId, seq: u64) -> Command {
    let page = Page { after: 0, limit: 50 };
    Command::Timeline(Request::Readers(Readers { conversation, seq: Seq(seq), page }))
}

fn read(conn: ConnId, seq: u64) -> Input {
    let read = Request::Read(Cursor { conversation: GROUP, seq: Seq(seq) });
    Input::Request { conn, request: 0, command: read.into() }
}

fn page(reply: Reply) -> ReadersPage {
    match reply {
        Reply::Timeline(TimelineReply::Readers(page)) => *page,
        other => panic!("READERS was answered {other:?}"),
    }
}

#[test]
fn the_sender_learns_who_of_those_who_could_has_read_its_message() {
    let mut t = Harness::new(rules(), &["alice", "bob", "carol", "dave"]);
    t.group(&[1, 2, 3]);
    let [alice, bob, carol, dave] = ["alice", "bob", "carol", "dave"].map(|name| t.login(name));
    t.get(alice, Harness::text(Target::Conversation(GROUP), "1"));
    t.get(dave, GroupRequest::Join(Join { conversation: GROUP }).into());
    t.input(read(bob, 1));
    t.input(read(dave, 2));
    // What carol received she has not read.
    let ack = Request::Ack(Cursor { conversation: GROUP, seq: Seq(2) });
    t.input(Input::Request { conn: carol, request: 0, command: ack.into() });
    t.advance(2_000);
    t.settle();
    let found = page(t.get(alice, readers(GROUP, 1)));
    let ids: Vec<_> = found.readers.iter().map(|reader| (reader.id, &*reader.name)).collect();
    assert_eq!((ids, found.count, found.of, found.more), (vec![(UserId(2), "bob")], 1, 2, false));
    t.input(read(carol, 1));
    t.settle();
    t.advance(2_000);
    t.settle();
    let found = page(t.get(alice, readers(GROUP, 1)));
    assert_eq!((found.count, found.of), (2, 2));
}

#[test]
fn what_is_not_an_own_message_in_a_group_is_refused() {
    let mut t = Harness::new(rules(), &["alice", "bob", "carol"]);
    t.group(&[1, 2]);
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| t.login(name));
    t.get(alice, Harness::text(Target::Conversation(GROUP), "1"));
    t.get(alice, Harness::text(Target::User(UserId(2)), "hi"));
    let (direct, unknown) = (ConversationId(2), ConversationId(99));
    let refused = |t: &mut Harness, conn, conversation, seq| errno(&t.get(conn, readers(conversation, seq)));
    // Whether a conversation exists or not.
    for conversation in [GROUP, direct, unknown] {
        assert_eq!(refused(&mut t, carol, conversation, 1), Errno::Forbidden);
    }
    t.get(carol, GroupRequest::Join(Join { conversation: GROUP }).into());
    for (conn, conversation, seq, expected) in [
        (alice, GROUP, 1, Errno::Ok),
        (bob, GROUP, 1, Errno::Forbidden),
        (carol, GROUP, 1, Errno::NotFound),
        (carol, GROUP, 2, Errno::BadRequest),
        (alice, GROUP, 0, Errno::NotFound),
        (alice, GROUP, 3, Errno::NotFound),
        (alice, direct, 1, Errno::BadRequest),
        (bob, direct, 99, Errno::BadRequest),
    ] {
        assert_eq!(refused(&mut t, conn, conversation, seq), expected, "{conversation} {seq}");
    }
    let stranger = t.open();
    assert_eq!(errno(&t.get(stranger, readers(GROUP, 1))), Errno::NotLoggedIn);
}
