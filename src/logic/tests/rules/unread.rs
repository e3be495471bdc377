//! Unread messages in LOGIN and CONVERSATIONS, whose cursors may not be written yet.

use super::harness::{Harness, Seen, errno, rules};
use super::{ALICE_BOB, TO_BOB, harness};
use logic::contract::{Read, timeline as contract};
use logic::{ConnId, Found, Input};
use wire::group::{Join, Remove, Request as GroupRequest};
use wire::message::{self, Send};
use wire::timeline::{ConversationSummary, Conversations, Cursor, Reply as TimelineReply, Request};
use wire::{Command, ConversationId, Errno, Mentions, References, Reply, Seq, Target, UserId, session};

const BOB: UserId = UserId(2);

fn conversations() -> Command {
    Request::Conversations(Conversations { before: None, limit: 50, with_last: false }).into()
}

fn listed(t: &mut Harness, conn: ConnId) -> Vec<ConversationSummary> {
    match t.get(conn, conversations()) {
        Reply::Timeline(TimelineReply::Conversations(page)) => page.conversations,
        other => panic!("{other:?}"),
    }
}

fn logged_in(t: &mut Harness, name: &str) -> (ConnId, Vec<ConversationSummary>) {
    let conn = t.open();
    match t.get(conn, Harness::login_command(name)) {
        Reply::Session(session::Reply::LoggedIn(reply)) => (conn, reply.conversations.to_vec()),
        other => panic!("{other:?}"),
    }
}

fn read(conversation: ConversationId, seq: u64) -> Command {
    Request::Read(Cursor { conversation, seq: Seq(seq) }).into()
}

fn mention(target: Target, user: UserId) -> Command {
    let references = References { reply_to: None, mentions: Mentions::Users([user].into()) };
    let send = Send { references: Some(Box::new(references)), ..Send::text(target, "you") };
    Command::Message(message::Request::Send(send))
}

/// `(read_seq, unread, mentions)` of each.
fn numbers(rows: &[ConversationSummary]) -> Vec<(u64, u64, u64)> {
    rows.iter().map(|row| (row.read_seq.0, row.unread, row.mentions)).collect()
}

#[test]
fn what_was_read_a_moment_ago_is_not_unread() {
    let mut t = Harness::new(rules(), &["alice", "bob", "carol"]);
    let group = t.group(&[1, 2]);
    let to_group = Target::Conversation(group);
    let (alice, bob) = (t.login("alice"), t.login("bob"));
    for n in 0..4 {
        t.get(alice, Harness::text(to_group.clone(), &n.to_string()));
        t.get(alice, mention(TO_BOB, BOB));
    }
    t.get(bob, Harness::text(to_group, "own"));
    assert_eq!(numbers(&listed(&mut t, bob)), [(0, 4, 0), (0, 4, 4)]);
    let direct = ConversationId(group.0 + 1);
    t.get(bob, read(direct, 3));
    t.get(bob, read(group, 1));
    // Neither is written yet.
    assert_eq!(numbers(&listed(&mut t, bob)), [(1, 3, 0), (3, 1, 1)]);
    t.input(Input::Closed { conn: bob });
    let (bob, rows) = logged_in(&mut t, "bob");
    assert_eq!(numbers(&rows), [(1, 3, 0), (3, 1, 1)]);
    t.get(bob, read(direct, 4));
    assert_eq!(numbers(&listed(&mut t, bob)), [(1, 3, 0), (4, 0, 0)]);
    t.advance(2_000);
    t.settle();
    let (_, rows) = logged_in(&mut t, "bob");
    assert_eq!(numbers(&rows), [(1, 3, 0), (4, 0, 0)]);
}

#[test]
fn nothing_is_counted_again_that_was_not_read_in_part() {
    let mut t = harness();
    let (alice, bob) = (t.login("alice"), t.login("bob"));
    for n in 1..=3 {
        t.get(alice, Harness::text(TO_BOB, &n.to_string()));
    }
    let reads = |t: &mut Harness| {
        t.ask(bob, conversations());
        let mut reads = 0;
        while t.find_one() {
            reads += 1;
        }
        reads
    };
    assert_eq!(reads(&mut t), 1);
    t.get(bob, read(ALICE_BOB, 2));
    assert_eq!(reads(&mut t), 2, "a part was read");
    t.get(bob, read(ALICE_BOB, 3));
    assert_eq!(reads(&mut t), 1, "all was read");
}

#[test]
fn a_page_whose_count_fails_is_answered() {
    let mut t = harness();
    let (alice, bob) = (t.login("alice"), t.login("bob"));
    for n in 1..=3 {
        t.get(alice, Harness::text(TO_BOB, &n.to_string()));
    }
    t.get(bob, read(ALICE_BOB, 2));
    let request = t.ask(bob, conversations());
    assert!(t.find_one());
    assert_eq!(t.reply(bob, request), None, "it is being counted again");
    let (count, _) = t.reads.pop_front().expect("it is being counted again");
    t.logic.handle_found(t.now, count, Found::Unavailable, &mut t.effects);
    t.advance(0);
    let reply = t.reply(bob, request).expect("every request is answered");
    assert_eq!(errno(&reply), Errno::Unavailable);
}

#[test]
fn last_messages_are_shown_to_those_who_ask() {
    let mut t = Harness::new(rules(), &["alice", "bob"]);
    let alice = t.login("alice");
    t.get(alice, Harness::text(TO_BOB, "hello"));
    let texts = |rows: &[ConversationSummary]| -> Vec<Option<Box<str>>> {
        rows.iter().map(|row| row.last.as_ref().map(|last| last.content.clone())).collect()
    };
    for (with_last, expected) in [(false, None), (true, Some("hello".into()))] {
        let conn = t.open();
        let Command::Session(session::Request::Login(login)) = Harness::login_command("bob") else {
            panic!()
        };
        let login = session::Login { with_last, ..login };
        let Reply::Session(session::Reply::LoggedIn(reply)) =
            t.get(conn, session::Request::Login(login).into())
        else {
            panic!("not logged in")
        };
        assert_eq!(texts(&reply.conversations), std::slice::from_ref(&expected));
        let request = Request::Conversations(Conversations { before: None, limit: 50, with_last });
        let Reply::Timeline(TimelineReply::Conversations(page)) = t.get(conn, request.into()) else {
            panic!()
        };
        assert_eq!(texts(&page.conversations), [expected]);
    }
}

/// The membership changes after the rows were read, and before what is unread is counted with a cursor that is not
/// written yet.
#[test]
fn rows_are_as_the_membership_is_when_their_unread_are_counted() {
    let group = |request: GroupRequest| -> Command { request.into() };
    for rejoins in [false, true] {
        let mut t = Harness::new(rules(), &["alice", "bob"]);
        let conversation = t.group(&[1, 2]);
        let (alice, bob) = (t.login("alice"), t.login("bob"));
        for n in 0..3 {
            t.get(alice, Harness::text(Target::Conversation(conversation), &n.to_string()));
        }
        t.get(bob, read(conversation, 1));
        t.take(bob);
        t.ask(bob, conversations());
        t.step_until(|read| matches!(read, Read::Timeline(contract::Read::Count { .. })));
        let waiting = t.reads.pop_back().expect("there is one");
        t.get(alice, group(GroupRequest::Remove(Remove { conversation, id: BOB, bar: false })));
        if rejoins {
            t.get(bob, group(GroupRequest::Join(Join { conversation })));
        }
        t.reads.push_back(waiting);
        t.settle();
        let rows = t.take(bob).into_iter().find_map(|seen| match seen {
            Seen::Reply(_, Reply::Timeline(TimelineReply::Conversations(page))) => Some(page.conversations),
            _ => None,
        });
        let seen: Vec<_> = rows.expect("a reply").iter().map(|row| (row.first_seq, row.unread)).collect();
        assert_eq!(seen, if rejoins { vec![(Seq(5), 0)] } else { vec![] });
    }
}
