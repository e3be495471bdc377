//! The unmodified clients of the muduo cluster chat servers, chatting with each other and with TLV clients.

use crate::support::client::text;
use crate::support::legacy_client::{Answers, LegacyClient, SENT_AT, Shown};
use crate::support::{Account, Client, Server};
use std::net::SocketAddr;
use wire::{Command, ConversationId, Reply, Seq, Target, UserId};
use wire::{message, session};

fn user(id: i64) -> Target {
    Target::User(UserId(id as u32))
}

fn texts(shown: &[Shown]) -> Vec<&str> {
    shown.iter().map(|shown| &*shown.text).collect()
}

/// The next `count` texts that the client shows.
fn next_texts(legacy: &mut LegacyClient, count: usize) -> Vec<String> {
    (0..count).map(|_| legacy.shown().text).collect()
}

#[test]
fn legacy_clients_register_befriend_and_chat() {
    let server = Server::start(&[]);
    for answers in [Answers::Inline, Answers::InThread] {
        let [zhang, li] = ["zhang san", "李四"].map(|name| format!("{name} {answers:?}"));
        let mut first = LegacyClient::connect(server.address, answers);
        let zhang_id = first.register(&zhang).expect("the name is free");
        let mut second = LegacyClient::connect(server.address, answers);
        assert_eq!(second.register(&zhang), None, "the name is taken");
        let li_id = second.register(&li).expect("the name is free");
        let home = first.login(zhang_id).unwrap();
        assert_eq!(
            (&*home.name, home.friends.len(), home.groups.len(), home.missed.len()),
            (&*zhang, 0, 0, 0)
        );

        // The other client is away, so the message waits.
        first.chat(li_id, "are you there?");
        first.add_friend(li_id);
        first.create_group("muduo", "one loop a thread");
        let home = wait_for_home(server.address, zhang_id, li_id, &mut second);
        assert_eq!(home.friends, [(zhang_id, zhang.clone(), "online".to_owned())]);
        let [missed] = &home.missed[..] else { panic!("{home:?}") };
        assert_eq!(
            (missed.group, missed.from, &*missed.name, &*missed.text),
            (None, zhang_id, &*zhang, "are you there?")
        );
        assert_eq!(missed.time.len(), SENT_AT.len());

        second.chat(zhang_id, "yes: here \"I\" am");
        assert_eq!(first.shown().text, "yes: here \"I\" am");
        first.chat(li_id, "再见 🙂");
        assert_eq!(second.shown().text, "再见 🙂");
        second.shows_nothing();
    }
}

/// Logs `id` in once the other client's requests, which have no answers, are done.
fn wait_for_home(
    address: SocketAddr,
    other: i64,
    id: i64,
    legacy: &mut LegacyClient,
) -> crate::support::legacy_client::Home {
    // Requests of one connection begin in order, and the last one makes a friend, which a TLV client can see.
    let mut witness = Client::connect(address);
    let account = Account { id: UserId(id as u32), name: String::new(), token: "".into() };
    let login = Client::by_password(&account, "witness");
    let begun = std::time::Instant::now();
    loop {
        let reply = witness.ask_again(&login);
        let Reply::Session(session::Reply::LoggedIn(reply)) = reply else { panic!("{reply:?}") };
        assert_eq!(witness.ask_again(&Command::Session(session::Request::Logout)), Reply::Done);
        if reply.friends.iter().any(|friend| friend.id.0 as i64 == other) && !reply.conversations.is_empty() {
            break;
        }
        assert!(begun.elapsed() < crate::support::PATIENCE);
    }
    legacy.login(id).unwrap()
}

#[test]
fn both_dialects_share_groups() {
    let server = Server::start(&[]);
    let (mut tlv, account) = Client::join(server.address, "tlv");
    let group = tlv.create_group("all");
    let id = i64::from(group.0);
    let (mut first, first_id) = LegacyClient::join(server.address, "first");
    let (mut second, second_id) = LegacyClient::join(server.address, "second");
    for (legacy, name) in [(&mut first, "first"), (&mut second, "second")] {
        legacy.add_group(id);
        tlv.wait_for_member(group, UserId(legacy.id() as u32));
        legacy.group_chat(id, &format!("{name} is here"));
        let message = tlv.message();
        assert_eq!((&*message.name, &*message.content), (name, &*format!("{name} is here")));
        tlv.ack(message.conversation, message.seq).unwrap();
    }
    assert_eq!(first.shown().text, "second is here");
    tlv.send(Target::Conversation(group), "welcome");
    for legacy in [&mut first, &mut second] {
        let Shown { group, from, name, text, .. } = legacy.shown();
        assert_eq!((group, from, &*name, &*text), (Some(id), i64::from(account.id.0), "tlv", "welcome"));
    }
    // In direct chats, both ways.
    tlv.send(user(first_id), "only you");
    assert_eq!(first.shown().text, "only you");
    first.chat(i64::from(account.id.0), "only you, too");
    assert_eq!(&*tlv.message().content, "only you, too");

    // A login shows the group, its members and what was missed, but none of the user's own messages.
    second.group_chat(id, "bye");
    assert_eq!(&*tlv.message().content, "bye");
    drop(second);
    assert_eq!(first.shown().text, "bye");
    first.group_chat(id, "gone?");
    assert_eq!(&*tlv.message().content, "gone?");
    let mut second = LegacyClient::connect(server.address, Answers::Inline);
    let home = second.login(second_id).unwrap();
    let [shown] = &home.groups[..] else { panic!("{home:?}") };
    assert_eq!((shown.id, &*shown.name), (id, "all"));
    let roles: Vec<_> = shown.users.iter().map(|(_, name, _, role)| (&**name, &**role)).collect();
    assert_eq!(roles, [("tlv", "creator"), ("first", "normal"), ("second", "normal")]);
    assert_eq!(texts(&home.missed), ["gone?"]);
    second.shows_nothing();
}

#[test]
fn another_account_can_log_in_on_the_connection_of_a_legacy_logout() {
    let server = Server::start(&[]);
    let (mut tlv, _) = Client::join(server.address, "tlv");
    let (mut legacy, first) = LegacyClient::join(server.address, "first");
    let second = LegacyClient::connect(server.address, Answers::Inline).register("second").unwrap();
    tlv.send(user(first), "one");
    assert_eq!(legacy.shown().text, "one");
    legacy.logout();
    // Without a login this is ignored, and messages to the first account wait.
    legacy.chat(second, "unheard");
    let home = legacy.login(second).unwrap();
    assert!(home.missed.is_empty(), "{home:?}");
    tlv.send(user(first), "two");
    tlv.send(user(second), "three");
    assert_eq!(legacy.shown().text, "three");
    legacy.logout();
    let home = legacy.login(first).unwrap();
    assert_eq!(texts(&home.missed), ["two"]);
    legacy.shows_nothing();
}

#[test]
fn failed_legacy_logins_get_an_error_and_a_reason() {
    let server = Server::start(&["--set", "session.conflict=reject"]);
    let (_first, id) = LegacyClient::join(server.address, "ann");
    for answers in [Answers::Inline, Answers::InThread] {
        let mut second = LegacyClient::connect(server.address, answers);
        assert_eq!(second.login(id).unwrap_err().0, 2);
        assert_eq!(second.login(id + 100).unwrap_err().0, 1);
        let wrong = second.ask(&serde_json::json!({"msgid": 1, "id": id, "password": "wrong password"}));
        assert_eq!((&wrong["msgid"], &wrong["errno"]), (&2.into(), &1.into()));
        let without = second.ask(&serde_json::json!({"msgid": 1, "id": id}));
        assert_eq!((&without["errno"], &without["errmsg"]), (&3.into(), &"`password` is missing".into()));
        let short = second.ask(&serde_json::json!({"msgid": 4, "name": "x", "password": "12345"}));
        assert_eq!((&short["msgid"], &short["errno"]), (&5.into(), &1.into()));
    }
}

#[test]
fn a_fork_with_other_message_numbers_is_served() {
    let msgids = "legacy.msgids=[1001,1002,1003,1004,1005,1006,1007,1008,1009,1010]";
    let server = Server::start(&["--set", msgids]);
    let (mut tlv, account) = Client::join(server.address, "tlv");
    let mut fork = LegacyClient::connect_numbered(server.address, Answers::InThread, 1_000);
    let id = fork.register("fork").unwrap();
    fork.login(id).unwrap();
    fork.chat(i64::from(account.id.0), "a");
    assert_eq!(&*tlv.message().content, "a");
    tlv.send(user(id), "b");
    assert_eq!(fork.shown().text, "b");
}

#[test]
fn a_legacy_login_to_a_group_of_500_fits_its_object_and_misses_nothing() {
    let server = Server::start(&[]);
    let mut host = Client::connect(server.address);
    let owner = host.register("owner");
    host.login(&owner);
    let group = host.create_group("everybody");
    let created = host.entry().seq;
    host.ack(group, created).unwrap();
    host.send(Target::Conversation(group), "the first");
    assert_eq!(host.ask_again(&Command::Session(session::Request::Logout)), Reply::Done);
    for number in 0..498 {
        let account = host.register(&format!("member number {number}"));
        host.login(&account);
        host.join_group(group);
        assert_eq!(host.ask_again(&Command::Session(session::Request::Logout)), Reply::Done);
    }
    let (mut legacy, id) = LegacyClient::join(server.address, "the five hundredth");
    legacy.add_group(i64::from(group.0));
    legacy.group_chat(i64::from(group.0), "hello, everybody");
    legacy.logout();
    assert!(matches!(
        host.ask_again(&Client::by_password(&owner, "the desk")),
        Reply::Session(session::Reply::LoggedIn(_))
    ));
    // Before it come the entries of all who joined.
    let said = loop {
        let entry = host.any_entry();
        host.ack(group, entry.seq).unwrap();
        if entry.is_message() {
            break entry;
        }
    };
    assert_eq!(&*said.content, "hello, everybody");
    for number in 0..3 {
        host.send(Target::Conversation(group), &number.to_string());
    }
    let home = legacy.login(id).unwrap();
    let [shown] = &home.groups[..] else { panic!("{home:?}") };
    assert!(shown.users.len() >= 5, "{home:?}");
    // The members fill the object; missed messages that do not fit follow it.
    let followed: Vec<_> = (home.missed.len()..3).map(|_| legacy.shown()).collect();
    let missed: Vec<_> = home.missed.into_iter().chain(followed).collect();
    assert_eq!(texts(&missed), ["0", "1", "2"]);
    legacy.group_chat(i64::from(group.0), "and goodbye");
    assert_eq!(&*host.message().content, "and goodbye");
}

#[test]
fn a_thousand_missed_messages_reach_a_legacy_client_once_and_in_order() {
    let server = Server::start(&[]);
    let mut legacy = LegacyClient::connect(server.address, Answers::Inline);
    let id = legacy.register("away").unwrap();
    let (mut tlv, _) = Client::join(server.address, "tlv");
    let (mut other, _) = LegacyClient::join(server.address, "other");
    let all: Vec<String> = (1..=500).map(|number| format!("message {number}")).collect();
    let posted: Vec<u32> = all.iter().map(|one| tlv.post(&text(user(id), one, None)).unwrap()).collect();
    for one in &all {
        other.chat(id, one);
    }
    for request in posted {
        assert!(matches!(tlv.reply(request), Reply::Message(message::Reply::Sent(_))));
    }
    let home = legacy.login(id).unwrap();
    assert!(home.missed.len() > 3, "as many as fit come with the answer: {home:?}");
    let mut shown = home.missed;
    while shown.len() < 1_000 {
        shown.push(legacy.shown());
    }
    legacy.shows_nothing();
    for name in ["tlv", "other"] {
        let told: Vec<_> = shown.iter().filter(|one| one.name == name).map(|one| &*one.text).collect();
        assert_eq!(told, all, "of {name}");
    }
    drop(legacy);
    // Messages that were shown are not missed again.
    let again = LegacyClient::connect(server.address, Answers::Inline).login(id).unwrap();
    assert!(again.missed.is_empty(), "{again:?}");
}

#[test]
fn legacy_clients_get_any_text_whole_or_cut_at_a_character() {
    let server = Server::start(&[]);
    let mut legacy = LegacyClient::connect(server.address, Answers::InThread);
    let id = legacy.register("reader").unwrap();
    let (mut tlv, _) = Client::join(server.address, "tlv");
    let long = "长".repeat(10_000);
    let all = [
        "say \"hi\"",
        "C:\\dir\\",
        "你好，世界",
        "🙂👍🏽",
        "a\tb\r\nc\u{1}\u{7f}",
        &"x".repeat(600),
        &"\"".repeat(600),
        &long,
    ];
    let check = |told: &str, sent: &str| match told.strip_suffix('…') {
        None => assert_eq!(told, sent),
        Some(kept) => assert!(sent.starts_with(kept) && kept.len() > 300 && sent.len() >= 600, "{told}"),
    };
    let check = |told: Vec<String>| {
        assert_eq!(told.len(), all.len());
        told.iter().zip(all).for_each(|(told, sent)| check(told, sent));
        assert_eq!(told[..6], all[..6], "what fits is whole");
    };
    // While the client is away, then while it is online.
    let mut conversation = ConversationId(0);
    for one in all {
        conversation = tlv.send(user(id), one).conversation;
    }
    let home = legacy.login(id).unwrap();
    let mut told: Vec<String> = home.missed.into_iter().map(|shown| shown.text).collect();
    told.extend(next_texts(&mut legacy, all.len() - told.len()));
    check(told);
    for one in all {
        tlv.send(user(id), one);
    }
    check(next_texts(&mut legacy, all.len()));
    // The timeline has every text whole.
    let stored = tlv.history(conversation, Seq(0));
    assert!(stored.iter().map(|message| &*message.content).eq(all.iter().chain(&all).copied()));
}

#[test]
fn a_note_of_a_legacy_client_is_kept_and_not_sent_back() {
    let server = Server::start(&[]);
    let (mut ben, ben_account) = Client::join(server.address, "ben");
    let (mut ann, id) = LegacyClient::join(server.address, "ann");
    ann.chat(id, "eggs");
    ann.chat(ben_account.id.0.into(), "after it");
    assert_eq!(&*ben.message().content, "after it");
    ann.shows_nothing();
    drop(ann);
    let mut again = LegacyClient::connect(server.address, Answers::InThread);
    assert_eq!(again.login(id).unwrap().missed, [], "like any other own message");
    drop(again);
    let account = Account { id: UserId(id as u32), name: "ann".to_owned(), token: "".into() };
    let mut other = Client::connect(server.address);
    let reply = other.ask_again(&Client::by_password(&account, "another client"));
    let Reply::Session(session::Reply::LoggedIn(login)) = reply else { panic!("{reply:?}") };
    let notes = login.conversations.iter().find(|row| row.peer == Some(account.id)).expect("they are listed");
    let contents: Vec<_> =
        other.history(notes.conversation, Seq(0)).iter().map(|note| note.content.to_string()).collect();
    assert_eq!(contents, ["eggs"]);
}
