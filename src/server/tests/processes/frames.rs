//! Frames however TCP splits and joins them.

use crate::support::client::{errno, text};
use crate::support::{Account, Client, PASSWORD, Server};
use wire::Page;
use wire::account::{Register, Who};
use wire::frame::put_frame;
use wire::kind::{REQUESTS, request};
use wire::limits::CONTENT_BYTES;
use wire::{
    Command, ConversationId, DeviceId, Direction, Errno, Heartbeat, Push, Reply, Seq, Target, UnixMillis,
};
use wire::{account, change, contact, group, message, node, presence, session, timeline};

/// Every type of request but LOGOUT, HEARTBEAT and those before login, as sent by Ann, and the `errno` of its reply.
fn requests(group: ConversationId, bobs_group: ConversationId, bob: &Account) -> Vec<(Command, Errno)> {
    let page = Page { after: 0, limit: 10 };
    let direction = Direction::After(Seq(0));
    vec![
        (text(Target::User(bob.id), "one byte at a time, 逐字节", Some("cid")), Errno::Ok),
        (text(Target::Name("bob".into()), "by name", None), Errno::Ok),
        (text(Target::Conversation(group), "to the group", None), Errno::Ok),
        (
            Command::Change(change::Request::React(change::React {
                conversation: group,
                seq: Seq(2),
                reaction: "👍".into(),
                on: true,
                cid: Some("cid 2".into()),
            })),
            Errno::Ok,
        ),
        (
            Command::Change(change::Request::Edit(change::Edit {
                conversation: group,
                seq: Seq(2),
                content: "to all of the group".into(),
                cid: Some("cid 3".into()),
            })),
            Errno::Ok,
        ),
        (
            Command::Change(change::Request::Recall(change::Recall {
                conversation: group,
                seq: Seq(2),
                cid: Some("cid 4".into()),
            })),
            Errno::Ok,
        ),
        (
            Command::Contact(contact::Request::Add(contact::Add {
                who: Who::Id(bob.id),
                message: Some("hello".into()),
            })),
            Errno::Ok,
        ),
        (
            Command::Contact(contact::Request::Answer(contact::Answer {
                id: bob.id,
                accept: true,
                message: None,
            })),
            Errno::NotFound,
        ),
        (
            Command::Contact(contact::Request::Set(contact::Set {
                id: bob.id,
                remark: Some("my friend".into()),
                tag: None,
            })),
            Errno::Ok,
        ),
        (Command::Contact(contact::Request::Remove(contact::Remove { id: bob.id })), Errno::Ok),
        (
            Command::Group(group::Request::Create(group::Create {
                name: "another".into(),
                desc: "with words".into(),
            })),
            Errno::Ok,
        ),
        (Command::Group(group::Request::Join(group::Join { conversation: bobs_group })), Errno::Ok),
        (
            Command::Group(group::Request::Remove(group::Remove {
                conversation: bobs_group,
                id: bob.id,
                bar: true,
            })),
            Errno::Forbidden,
        ),
        (
            Command::Group(group::Request::SetRole(group::SetRole {
                conversation: group,
                id: bob.id,
                role: group::Role::Admin,
            })),
            Errno::NotFound,
        ),
        (
            Command::Group(group::Request::Transfer(group::Transfer { conversation: group, id: bob.id })),
            Errno::NotFound,
        ),
        (Command::Group(group::Request::Leave(group::Leave { conversation: bobs_group })), Errno::Ok),
        (
            Command::Timeline(timeline::Request::Ack(timeline::Cursor { conversation: group, seq: Seq(1) })),
            Errno::Ok,
        ),
        (
            Command::Timeline(timeline::Request::Read(timeline::Cursor { conversation: group, seq: Seq(1) })),
            Errno::Ok,
        ),
        (
            Command::Timeline(timeline::Request::History(timeline::History {
                conversation: group,
                direction,
                limit: 10,
                with_changes: true,
            })),
            Errno::Ok,
        ),
        (Command::Contact(contact::Request::Friends(page)), Errno::Ok),
        (Command::Group(group::Request::Members(group::Members { conversation: group, page })), Errno::Ok),
        (
            Command::Timeline(timeline::Request::Conversations(timeline::Conversations {
                before: None,
                limit: 10,
                with_last: false,
            })),
            Errno::Ok,
        ),
        (Command::Group(group::Request::Groups(page)), Errno::Ok),
        (
            Command::Timeline(timeline::Request::Set(timeline::Set {
                conversation: group,
                change: timeline::SettingsChange { pinned: Some(true), muted: Some(false), hidden: None },
            })),
            Errno::Ok,
        ),
        (
            Command::Timeline(timeline::Request::Clear(timeline::Clear {
                conversation: group,
                upto: Seq(1),
            })),
            Errno::Ok,
        ),
        (Command::Timeline(timeline::Request::Typing(timeline::Typing { conversation: group })), Errno::Ok),
        (
            Command::Timeline(timeline::Request::Readers(timeline::Readers {
                conversation: group,
                seq: Seq(2),
                page,
            })),
            Errno::Ok,
        ),
        (
            Command::Timeline(timeline::Request::Search(Box::new(wire::search::Search {
                conversation: Some(group),
                ..wire::search::Search::new("words", 1)
            }))),
            Errno::Ok,
        ),
        (Command::Account(account::Request::Profile(None)), Errno::Ok),
        (
            Command::Account(account::Request::Find(account::Find { query: "an".into(), limit: 20 })),
            Errno::Ok,
        ),
        (Command::Session(session::Request::Devices), Errno::Ok),
        (Command::Session(session::Request::Revoke(session::Revoke::One(DeviceId(99)))), Errno::NotFound),
        (
            Command::Account(account::Request::ChangePassword(Box::new(account::ChangePassword {
                old: PASSWORD.into(),
                new: "another password".into(),
            }))),
            Errno::Ok,
        ),
        (Command::Node(node::Request::Nodes), Errno::Ok),
        (
            Command::Presence(presence::Request::Set(presence::SetPresence {
                state: presence::SessionState::Away,
                text: Some("at lunch".into()),
            })),
            Errno::Ok,
        ),
    ]
}

/// Writes a request byte by byte, each in a segment of its own, and waits for the reply.
fn ask_byte_by_byte(client: &mut Client, command: &Command) -> Reply {
    let (number, mut bytes) = (client.next_request(), Vec::new());
    command.encode(number, &mut bytes);
    for byte in bytes {
        client.write(&[byte]).unwrap();
    }
    client.reply(number)
}

#[test]
fn every_request_can_arrive_one_byte_at_a_time() {
    let server = Server::start(&[]);
    let (mut bob, bob_account) = Client::join(server.address, "bob");
    let bobs_group = bob.create_group("of bob");

    let mut ann = Client::connect(server.address);
    let (email, code, nick) = (Some("ann@example.org".into()), None, Some("Annie".into()));
    let register = Register { name: "ann".into(), password: PASSWORD.into(), email, code, nick };
    let made =
        match ask_byte_by_byte(&mut ann, &Command::Account(account::Request::Register(Box::new(register)))) {
            Reply::Account(account::Reply::Registered(made)) => *made,
            other => panic!("REGISTER was answered {other:?}"),
        };
    let account = Account { id: made.id, name: "ann".into(), token: made.token };
    let reply = ask_byte_by_byte(&mut ann, &Client::by_password(&account, "a slow line"));
    assert!(matches!(reply, Reply::Session(session::Reply::LoggedIn(_))), "{reply:?}");
    let group = ann.create_group("of ann");

    let mut kinds = vec![request::REGISTER, request::LOGIN];
    for (command, expected) in requests(group, bobs_group, &bob_account) {
        let reply = ask_byte_by_byte(&mut ann, &command);
        assert_eq!(errno(&reply), expected, "{command:?} was answered {reply:?}");
        kinds.push(command.kind());
    }
    assert_eq!(&*bob.message().content, "one byte at a time, 逐字节");

    let beat = Heartbeat { sequence: 1, time: UnixMillis(1), user: account.id };
    let mut bytes = Vec::new();
    put_frame(&mut bytes, request::HEARTBEAT, 0, |out| out.extend_from_slice(&beat.encode()));
    for byte in bytes {
        ann.write(&[byte]).unwrap();
    }
    ann.heartbeat(account.id);
    assert_eq!(ask_byte_by_byte(&mut ann, &Command::Session(session::Request::Logout)), Reply::Done);

    kinds.extend([request::HEARTBEAT, request::LOGOUT]);
    kinds.sort_unstable();
    kinds.dedup();
    let mut all: Vec<u16> = REQUESTS.iter().copied().flatten().map(|(kind, _)| *kind).collect();
    all.sort_unstable();
    assert_eq!(kinds, all, "every type was sent");
}

#[test]
fn requests_written_at_once_get_one_reply_each() {
    let server = Server::start(&[]);
    let mut stranger = Client::connect(server.address);
    let (ann, bob) = (stranger.register("ann"), stranger.register("bob"));
    let mut bob_client = Client::login_to(server.address, &bob);

    // The login, everything after it and the logout in one write.
    let mut client = Client::connect(server.address);
    let mut bytes = Vec::new();
    let mut add = |client: &mut Client, command: &Command| {
        let number = client.next_request();
        command.encode(number, &mut bytes);
        number
    };
    let login = add(&mut client, &Client::by_token(&ann));
    let sends: Vec<u32> =
        (0..500).map(|at| add(&mut client, &text(Target::User(bob.id), &at.to_string(), None))).collect();
    let unanswered = text(Target::User(bob.id), "nobody wants a reply", None);
    let logout = add(&mut client, &Command::Session(session::Request::Logout));
    let late = add(&mut client, &text(Target::User(bob.id), "too late", None));
    unanswered.encode(0, &mut bytes);
    client.write(&bytes).unwrap();

    assert!(matches!(client.reply(login), Reply::Session(session::Reply::LoggedIn(_))));
    for (seq, request) in (1..).zip(sends) {
        match client.reply(request) {
            Reply::Message(message::Reply::Sent(sent)) => {
                assert_eq!(sent.seq, Seq(seq), "in the order of sending");
            }
            other => panic!("SEND was answered {other:?}"),
        }
    }
    assert_eq!(client.reply(logout), Reply::Done);
    assert_eq!(errno(&client.reply(late)), Errno::NotLoggedIn);
    for at in 0..500 {
        assert_eq!(*bob_client.message().content, *at.to_string());
    }
    assert_eq!(bob_client.take_pushes(), []);
}

#[test]
fn a_message_of_maximum_length_arrives_whole_however_it_is_escaped() {
    let server = Server::start(&[]);
    let (mut ann, _) = Client::join(server.address, "ann");
    let (mut bob, account) = Client::join(server.address, "bob");
    for letter in ["x", "\u{1}", "\"", "é", "龙", "🦀"] {
        let content = letter.repeat(CONTENT_BYTES / letter.len());
        ann.send(Target::User(account.id), &content);
        assert!(*bob.message().content == *content, "{letter:?} {} times", CONTENT_BYTES / letter.len());
    }
    let refusal = ann.refusal(&text(Target::User(account.id), &"x".repeat(CONTENT_BYTES + 1), None));
    assert_eq!(refusal.errno, Errno::BadRequest);
    assert!(refusal.errmsg.contains("content"), "{refusal:?}");
    assert!(bob.take_pushes().iter().all(|push| !matches!(push, Push::Message(message::Push::New(_)))));
}
