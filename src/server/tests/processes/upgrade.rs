//! A server on the database of an earlier version: everything is there, and everything new can be done to it.

use crate::database::start_on;
use crate::support::client::PASSWORD;
use crate::support::{Account, Client, MariaDb, Server};
use mysql::prelude::Queryable;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command as Program;
use wire::account::Who;
use wire::change::{React, Reply as ChangeReply, Request as ChangeRequest};
use wire::contact::Friend;
use wire::group::{Member, Reply as GroupReply, Request as GroupRequest, Role};
use wire::message::{Request as MessageRequest, Send};
use wire::presence::Presence;
use wire::session::LoggedIn;
use wire::{
    Command, ConversationId, ConversationKind, Credentials, Mentions, Message, Page, References, Reply, Seq,
    Target, UserId, session,
};

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/version_3");
const ANN: UserId = UserId(1);
const BOB: UserId = UserId(2);
const EVE: UserId = UserId(3);
const GROUP: ConversationId = ConversationId(1);
const DIRECT: ConversationId = ConversationId(2);

/// A sender, a type and a text.
type Entry = (UserId, String, String);

fn text(from: UserId, text: impl Into<String>) -> Entry {
    (from, "text".to_owned(), text.into())
}

/// The group's entries, as fixtures/version_3/README.md says.
fn of_group() -> Vec<Entry> {
    let early = (1..=20).map(|number| ([ANN, BOB][number % 2], number));
    let later = (21..=40).map(|number| ([ANN, BOB, EVE][number % 3], number));
    early.chain(later).map(|(from, number)| text(from, format!("message {number}"))).collect()
}

fn of_direct() -> Vec<Entry> {
    let texts = [
        "hello",
        "你好,明天见",
        "👍🏽 naïve café",
        "a picture",
        "old news",
        "the last 0",
        "the last 1",
        "the last 2",
    ];
    let mut entries: Vec<Entry> = texts.into_iter().map(|content| text(ANN, content)).collect();
    entries[3].1 = "image".to_owned();
    entries
}

fn entries(messages: &[std::sync::Arc<Message>]) -> Vec<Entry> {
    let entry = |entry: &Message| (entry.from, entry.content_type.to_string(), entry.content.to_string());
    messages.iter().map(|message| entry(message)).collect()
}

/// Logs in by the password of the fixture.
fn log_in(server: &Server, id: UserId) -> (Client, LoggedIn) {
    let mut client = Client::connect(server.address);
    let credentials = Credentials::Password { who: Who::Id(id), password: PASSWORD.into() };
    match client.ask_again(&Command::Session(session::Request::Login(session::Login::new(credentials)))) {
        Reply::Session(session::Reply::LoggedIn(session)) => (client, *session),
        other => panic!("LOGIN was answered {other:?}"),
    }
}

fn members(client: &mut Client) -> Vec<(UserId, Box<str>, Role)> {
    let page = Page { after: 0, limit: 200 };
    match client.ask_again(&GroupRequest::Members(wire::group::Members { conversation: GROUP, page }).into())
    {
        Reply::Group(GroupReply::Members(page)) => {
            page.members.into_iter().map(|Member { id, name, role, .. }| (id, name, role)).collect()
        }
        other => panic!("MEMBERS was answered {other:?}"),
    }
}

/// What every start on the fixture must show.
fn check_old(server: &Server, more_in_group: usize) {
    let (mut ann, _) = log_in(server, ANN);
    let (mut bob, bob_session) = log_in(server, BOB);
    let (mut eve, eve_session) = log_in(server, EVE);
    let (name, state) = ("ann".into(), Presence::Online);
    let friends = [Friend { id: ANN, name, state, text: None, last_seen: None, remark: None, tag: None }];
    assert_eq!(bob_session.friends[..], friends);
    let climbing = &bob_session.groups[0];
    assert_eq!(
        (&*climbing.name, &*climbing.desc, climbing.role),
        ("climbing", "who comes along", Role::Normal)
    );
    let seen = |session: &LoggedIn, of: ConversationId| {
        let row = session.conversations.iter().find(|row| row.conversation == of).expect("it is listed");
        (row.kind, row.name.to_string(), row.last_seq.0, row.first_seq, row.read_seq)
    };
    let end = 40 + more_in_group as u64;
    let read = |session: &LoggedIn| seen(session, GROUP).4;
    assert_eq!(seen(&bob_session, GROUP).2, end);
    assert_eq!(seen(&eve_session, GROUP).3, Seq(21), "a view begins where it began");
    assert!(read(&bob_session) >= Seq(38) && read(&eve_session) >= Seq(20));
    assert_eq!(seen(&bob_session, DIRECT), (ConversationKind::Direct, "ann".to_owned(), 8, Seq(1), Seq(3)));
    assert_eq!(eve_session.conversations.len(), 1);
    assert_eq!(
        members(&mut eve),
        [
            (ANN, "ann".into(), Role::Creator),
            (BOB, "bob".into(), Role::Normal),
            (EVE, "eve".into(), Role::Normal)
        ]
    );
    for client in [&mut ann, &mut bob] {
        assert_eq!(entries(&client.history(GROUP, Seq(0)))[..40], of_group());
        assert_eq!(entries(&client.history(DIRECT, Seq(0))), of_direct());
    }
    assert_eq!(entries(&eve.history(GROUP, Seq(0)))[..20], of_group()[20..]);
}

fn check_upgrade(mut server: Server) {
    let (mut bob, _) = log_in(&server, BOB);
    let pushed: BTreeSet<_> = (0..7).map(|_| bob.message()).map(|it| (it.conversation, it.seq.0)).collect();
    let missed = (39..=40).map(|seq| (GROUP, seq)).chain((4..=8).map(|seq| (DIRECT, seq)));
    assert_eq!(pushed, missed.collect(), "what he had not received is pushed");
    check_old(&server, 0);
    let (mut ann, _) = log_in(&server, ANN);
    let (mut bob, _) = log_in(&server, BOB);
    // Old messages are answered, reacted to and continued.
    let references = References { reply_to: Some(Seq(7)), mentions: Mentions::Users([EVE].into()) };
    let send = Send {
        references: Some(Box::new(references)),
        ..Send::text(Target::Conversation(GROUP), "still there?")
    };
    match bob.ask_again(&MessageRequest::Send(send).into()) {
        Reply::Message(wire::message::Reply::Sent(sent)) => assert_eq!(sent.seq, Seq(41)),
        other => panic!("SEND was answered {other:?}"),
    }
    let react = React { conversation: GROUP, seq: Seq(7), reaction: "👍".into(), on: true, cid: None };
    match ann.ask_again(&ChangeRequest::React(react).into()) {
        Reply::Change(ChangeReply::Reacted(changed)) => assert_eq!(changed.seq, Seq(42)),
        other => panic!("REACT was answered {other:?}"),
    }
    let mut new = Client::connect(server.address);
    let Account { id, .. } = new.register("dora");
    assert_eq!(id, UserId(4), "ids go on");
    server.kill9();
    server.restart();
    check_old(&server, 2);
    let (mut bob, _) = log_in(&server, BOB);
    let seventh = bob.history(GROUP, Seq(6)).remove(0);
    assert_eq!(seventh.changes().map(|changes| changes.reactions.len()), Some(1));
}

#[test]
fn a_database_of_version_3_is_upgraded_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let archive = Path::new(FIXTURE).join("sqlite.tar.gz");
    let unpacked =
        Program::new("tar").arg("-xzf").arg(archive).arg("-C").arg(folder.path()).status().unwrap();
    assert!(unpacked.success());
    let url = format!("storage.url=sqlite:{}/chat.db", folder.path().display());
    check_upgrade(Server::start(&["--set", &url]));
}

#[test]
fn a_database_of_version_3_is_upgraded_mysql() {
    let database = MariaDb::shared();
    let name = database.new_name();
    let mut conn = database.connect().unwrap();
    conn.query_drop(format!("CREATE DATABASE {name} CHARACTER SET utf8mb4")).unwrap();
    conn.query_drop(format!("USE {name}")).unwrap();
    let dump = std::fs::read_to_string(Path::new(FIXTURE).join("mysql.sql")).unwrap();
    for statement in dump.split(";\n").filter(|statement| !statement.trim().is_empty()) {
        conn.query_drop(statement).unwrap();
    }
    check_upgrade(start_on(&database.url(&name)));
}
