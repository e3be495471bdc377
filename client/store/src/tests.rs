mod changes;

use crate::database::MIGRATIONS;
use crate::{Folder, Store, StoreError, StoredAccount};
use chatclient_core::outbox::{LocalId, Unsent};
use chatclient_core::snapshot::ConversationSnapshot;
use chatclient_core::{Event, RequestId, SendFailure, Snapshot};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;
use wire::account::Who;
use wire::group::{Group, GroupsPage, Role};
use wire::message::Send;
use wire::session::LoggedIn;
use wire::timeline::{self, ConversationSummary, ConversationView, HistoryPage, SettingsChange};
use wire::{
    Change, ChangeKind, ConversationId, ConversationKind, Mentions, Message, Push, References, Seq, System,
    Target, UnixMillis, UserId,
};

const ME: UserId = UserId(1);
const CHAT: ConversationId = ConversationId(7);

pub(crate) fn folder() -> (TempDir, Folder) {
    let home = tempfile::tempdir().unwrap();
    let folder = Folder::new(home.path().join("chatclient"), "127.0.0.1:6000");
    (home, folder)
}

pub(crate) fn message(seq: u64, from: u32, text: &str) -> Event {
    Event::Message(Arc::new(Message {
        conversation: CHAT,
        kind: ConversationKind::Direct,
        seq: Seq(seq),
        from: UserId(from),
        name: format!("user {from}").into(),
        content_type: "text".into(),
        content: text.into(),
        time: UnixMillis(seq),
        cid: None,
        extra: None,
    }))
}

fn unsent(local: u64, to: Target) -> Unsent {
    let send = Send::text(to, format!("text {local}"));
    Unsent { local: LocalId(local), send, tried_ago_ms: None }
}

pub(crate) fn at(cursor: u64) -> ConversationSnapshot {
    ConversationSnapshot {
        conversation: CHAT,
        cursor: Some(Seq(cursor)),
        read: Seq(0),
        own_above: vec![],
        last: None,
    }
}

pub(crate) fn changes(conversations: Vec<ConversationSnapshot>, unsent: Vec<Unsent>) -> Snapshot {
    Snapshot {
        account: Some(ME),
        token: Some("a token".into()),
        next_number: 9,
        conversations,
        unsent,
        ..Snapshot::default()
    }
}

#[test]
fn what_was_saved_is_there_after_the_end_of_the_process() {
    let (_home, folder) = folder();
    let mut store = folder.open(ME, None).unwrap();
    let waits = [unsent(7, Target::Name("li si".into())), unsent(8, Target::Group(CHAT))];
    let own_above = vec![Seq(5), Seq(9)];
    let conversation = ConversationSnapshot { own_above, read: Seq(1), ..at(2) };
    let saved = changes(vec![conversation], waits.to_vec());
    store.save(Some(&saved), &[message(1, 2, "one"), message(2, 2, "two")]).unwrap();
    drop(store);
    let store = folder.open(ME, None).unwrap();
    assert_eq!(store.snapshot().unwrap(), saved);
    let texts: Vec<_> = store
        .history(CHAT, Seq::MAX, 10)
        .unwrap()
        .iter()
        .map(|message| message.content.to_string())
        .collect();
    assert_eq!(texts, ["one", "two"]);
    let [chat] = &store.conversations().unwrap()[..] else { panic!("one conversation") };
    assert_eq!((chat.peer, &*chat.name, chat.unread, chat.cursor), (Some(UserId(2)), "user 2", 1, Seq(2)));
    assert_eq!(store.unread(9).unwrap().len(), 1);
}

#[test]
fn a_sent_message_moves_to_its_timeline_and_a_failed_one_stays_until_forgotten() {
    let (_home, folder) = folder();
    let mut store = folder.open(ME, None).unwrap();
    let to = Target::User(UserId(2));
    store.save(Some(&changes(vec![], vec![unsent(1, to.clone()), unsent(2, to.clone())])), &[]).unwrap();
    let sent = Event::Sent { local: LocalId(1), conversation: CHAT, seq: Seq(3), time: UnixMillis(5) };
    let failed = Event::SendFailed { local: LocalId(2), failure: SendFailure::Expired };
    store.save(None, &[sent, failed]).unwrap();
    assert_eq!(store.snapshot().unwrap().unsent, []);
    let page = store.history(CHAT, Seq::MAX, 10).unwrap();
    assert_eq!((page.len(), page[0].from, &*page[0].content), (1, ME, "text 1"));
    let [failed] = &store.failed().unwrap()[..] else { panic!("one has failed") };
    assert_eq!((failed.local, &failed.target, &*failed.content), (LocalId(2), &to, "text 2"));
    store.forget_failed(LocalId(2)).unwrap();
    assert_eq!(store.failed().unwrap(), []);
}

#[test]
fn only_the_owner_can_read_the_files_and_only_one_client_can_open_them() {
    let (_home, folder) = folder();
    let mut store = folder.open(ME, None).unwrap();
    store.save(Some(&changes(vec![at(1)], vec![])), &[message(1, 2, "secret")]).unwrap();
    let mut files = 0;
    for file in fs::read_dir(folder_path(&store)).unwrap() {
        let mode = file.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        files += 1;
    }
    assert!(files >= 2, "the write-ahead log lies beside it");
    let error = folder.open(ME, None).unwrap_err();
    assert!(matches!(error, StoreError::InUse(_)), "{error}");
    assert_eq!(folder.accounts(), []);
    drop(store);
    assert!(folder.open(ME, None).is_ok());
}

#[test]
fn the_last_token_is_known_after_a_logout() {
    let (_home, folder) = folder();
    let mut store = folder.open(ME, None).unwrap();
    let (by_id, by_name) = (Who::Id(ME), Who::Name("ZHANG SAN".into()));
    assert_eq!(store.known_token(&by_id).unwrap(), None);
    let login = LoggedIn {
        id: ME,
        name: "zhang san".into(),
        token: Some("a token".into()),
        token_expires: UnixMillis(0),
        node: "n1".into(),
        server: None,
        history: None,
        http: None,
        resumed: false,
        friends: Vec::new(),
        groups: Vec::new(),
        conversations: Arc::default(),
        friends_more: false,
        groups_more: false,
        conversations_more: false,
    };
    store.save(Some(&changes(vec![], vec![])), &[Event::LoggedIn(Box::new(login))]).unwrap();
    store.save(Some(&Snapshot { token: None, ..changes(vec![], vec![]) }), &[]).unwrap();
    assert_eq!(store.stored_account().unwrap(), None, "it is logged out");
    drop(store);
    for who in [by_id, by_name] {
        assert_eq!(folder.known_token(&who).as_deref(), Some("a token"));
    }
    for who in [Who::Id(UserId(2)), Who::Name("li si".into())] {
        assert_eq!(folder.known_token(&who), None);
    }
}

fn folder_path(store: &Store) -> PathBuf {
    let folder = store.path.parent().unwrap();
    assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700);
    folder.to_owned()
}

#[test]
fn foreign_files_are_reported_and_left_alone() {
    let (home, folder) = folder();
    let path = home.path().join("chatclient/127.0.0.1_6000_1.db");
    drop(folder.open(ME, None).unwrap());
    let good = fs::read(&path).unwrap();

    fs::write(&path, "this is a shopping list, and long enough to be one\n".repeat(100)).unwrap();
    let error = folder.open(ME, None).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("127.0.0.1_6000_1.db is damaged"), "{error}");
    assert!(fs::read_to_string(&path).unwrap().starts_with("this is a shopping list"));

    fs::write(&path, &good).unwrap();
    let later = MIGRATIONS.len() as i64 + 1;
    folder.open(ME, None).unwrap().db.pragma_update(None, "user_version", later).unwrap();
    let error = folder.open(ME, None).unwrap_err();
    assert!(matches!(error, StoreError::Newer { .. }), "{error}");
}

#[test]
fn accounts_with_a_token_are_listed_per_server() {
    let (home, folder) = folder();
    let mut store = folder.open(ME, None).unwrap();
    assert_eq!(store.stored_account().unwrap(), None);
    store.save(Some(&changes(vec![], vec![])), &[]).unwrap();
    store.db.execute("UPDATE account SET name = 'zhang san', used_at = 5", []).unwrap();
    drop(store);
    let kept = StoredAccount { id: ME, name: "zhang san".into(), used_at: 5 };
    assert_eq!(folder.accounts(), [kept]);
    assert_eq!(Folder::new(home.path().join("chatclient"), "127.0.0.1:6001").accounts(), []);
    let mut store = folder.open(ME, None).unwrap();
    store.save(Some(&Snapshot { token: None, ..changes(vec![], vec![]) }), &[]).unwrap();
    drop(store);
    assert_eq!(folder.accounts(), [], "logged out");
}

#[test]
fn a_failed_transaction_leaves_nothing() {
    let (_home, folder) = folder();
    let mut store = folder.open(ME, None).unwrap();
    store.db.execute_batch("CREATE TRIGGER full BEFORE INSERT ON message WHEN NEW.seq = 2 BEGIN SELECT RAISE(ABORT, 'full'); END").unwrap();
    let error =
        store.save(Some(&changes(vec![at(2)], vec![])), &[message(1, 2, "one"), message(2, 2, "two")]);
    assert!(error.unwrap_err().to_string().contains("full"));
    assert_eq!(store.snapshot().unwrap().conversations, []);
    assert_eq!(store.history(CHAT, Seq::MAX, 10).unwrap(), []);
}

#[test]
fn each_server_at_an_address_has_a_store_of_its_own() {
    let (home, folder) = folder();
    let save = |store: &mut Store, server: &str, text: &str| {
        let changes = Snapshot { server: Some(server.into()), ..changes(vec![at(1)], vec![]) };
        store.save(Some(&changes), &[message(1, 2, text)]).unwrap();
    };
    // A store from before keeps its file.
    folder
        .open(ME, None)
        .unwrap()
        .save(Some(&changes(vec![at(1)], vec![])), &[message(1, 2, "first")])
        .unwrap();
    let mut first = folder.open(ME, Some("aa")).unwrap();
    save(&mut first, "aa", "first");
    drop(first);
    let mut second = folder.open(ME, Some("bb")).unwrap();
    assert!(second.history(CHAT, Seq::MAX, 9).unwrap().is_empty());
    save(&mut second, "bb", "second");
    drop(second);
    for (server, text) in [("aa", "first"), ("bb", "second"), ("aa", "first")] {
        let store = folder.open(ME, Some(server)).unwrap();
        assert_eq!(&*store.history(CHAT, Seq::MAX, 9).unwrap()[0].content, text);
        assert_eq!(store.snapshot().unwrap().server.as_deref(), Some(server));
    }
    assert_eq!(
        fs::read_dir(home.path().join("chatclient"))
            .unwrap()
            .filter(|file| {
                file.as_ref().unwrap().path().extension().is_some_and(|extension| extension == "db")
            })
            .count(),
        2
    );
}

#[test]
fn what_the_server_does_not_have_any_more_is_deleted() {
    let (_home, folder) = folder();
    let mut store = folder.open(ME, Some("aa")).unwrap();
    let events: Vec<Event> = (1..=5).map(|seq| message(seq, 2, &format!("text {seq}"))).collect();
    store.save(Some(&changes(vec![at(5)], vec![unsent(3, Target::User(UserId(2)))])), &events).unwrap();
    assert_eq!(store.kept_below(CHAT, Seq(4)).unwrap().map(|kept| kept.seq), Some(Seq(3)));
    let forgotten = Event::Forgotten { conversation: CHAT, after: Seq(2) };
    store.save(Some(&changes(vec![at(2)], vec![])), &[forgotten]).unwrap();
    let texts: Vec<String> =
        store.history(CHAT, Seq::MAX, 9).unwrap().iter().map(|message| message.content.to_string()).collect();
    assert_eq!(texts, ["text 1", "text 2"]);
    let snapshot = store.snapshot().unwrap();
    assert_eq!(
        (snapshot.conversations[0].cursor, snapshot.unsent.len()),
        (Some(Seq(2)), 1),
        "the outbox stays"
    );
}

#[test]
fn what_messages_refer_to_is_kept() {
    let (_home, folder) = folder();
    let mut store = folder.open(ME, None).unwrap();
    let references = References { reply_to: Some(Seq(1)), mentions: Mentions::Users([ME, UserId(2)].into()) };
    let Event::Message(plain) = message(2, 2, "see above") else { unreachable!() };
    let answer = Message { extra: Some(references.clone().into()), ..(*plain).clone() };
    let own = |local: u64| Unsent {
        send: Send {
            references: Some(Box::new(references.clone())),
            ..Send::text(Target::Group(CHAT), format!("text {local}"))
        },
        ..unsent(local, Target::Group(CHAT))
    };
    let events = [message(1, 2, "hi"), Event::Message(Arc::new(answer.clone()))];
    store.save(Some(&changes(vec![at(2)], vec![own(1), own(2), own(3)])), &events).unwrap();
    let sent = Event::Sent { local: LocalId(1), conversation: CHAT, seq: Seq(3), time: UnixMillis(5) };
    let failed = Event::SendFailed { local: LocalId(2), failure: SendFailure::Expired };
    store.save(None, &[sent, failed]).unwrap();
    drop(store);
    let store = folder.open(ME, None).unwrap();
    assert_eq!(*store.entry(CHAT, Seq(2)).unwrap().unwrap(), answer);
    assert_eq!(store.entry(CHAT, Seq(4)).unwrap(), None);
    let own = store.entry(CHAT, Seq(3)).unwrap().unwrap();
    assert_eq!(own.extra.as_deref().map(|extra| &extra.references), Some(&references));
    assert_eq!(store.failed().unwrap()[0].references.as_deref(), Some(&references));
    assert_eq!(store.snapshot().unwrap().unsent[0].send.references.as_deref(), Some(&references));
}

#[test]
fn entries_that_are_not_messages_are_kept_and_do_not_count() {
    let (_home, folder) = folder();
    let mut store = folder.open(ME, None).unwrap();
    let Event::Message(joined) = message(2, 3, "user 3 joined") else { unreachable!() };
    let system =
        System { event: wire::entry::Event::Joined, who: [UserId(3)].into(), by: UserId(3), value: None };
    let entry = Message { content_type: "system".into(), extra: Some(system.into()), ..(*joined).clone() };
    let events = [message(1, 2, "hi"), Event::Message(Arc::new(entry.clone())), message(3, 2, "there")];
    store.save(Some(&changes(vec![at(3)], vec![])), &events).unwrap();
    drop(store);
    let store = folder.open(ME, None).unwrap();
    assert_eq!(*store.history(CHAT, Seq::MAX, 10).unwrap()[1], entry);
    let [chat] = &store.conversations().unwrap()[..] else { panic!("one conversation") };
    assert_eq!((chat.unread, chat.elsewhere), (2, 0));
    assert_eq!(store.unread(9).unwrap().len(), 2);
}

fn summary(first: u64, last: u64) -> ConversationSummary {
    ConversationSummary {
        peer: Some(UserId(2)),
        name: "user 2".into(),
        last_seq: Seq(last),
        first_seq: Seq(first),
        delivered_seq: Seq(last),
        time: UnixMillis(last),
        ..ConversationSummary::new(CHAT, ConversationKind::Direct)
    }
}

#[test]
fn what_is_cleared_here_or_elsewhere_is_deleted() {
    let (_home, folder) = folder();
    let mut store = folder.open(ME, None).unwrap();
    let events: Vec<Event> = (1..=5).map(|seq| message(seq, 2, &format!("text {seq}"))).collect();
    store.save(Some(&changes(vec![at(5)], vec![])), &events).unwrap();
    let seqs = |store: &Store| {
        store.history(CHAT, Seq::MAX, 9).unwrap().iter().map(|message| message.seq.0).collect::<Vec<_>>()
    };
    store.save(None, &[Event::Cleared { conversation: CHAT, upto: Seq(2) }]).unwrap();
    assert_eq!(seqs(&store), [3, 4, 5]);
    let [chat] = &store.conversations().unwrap()[..] else { panic!("one conversation") };
    assert_eq!((chat.unread, chat.elsewhere, chat.read), (3, 0, Seq(2)));
    store.save(None, &[Event::Conversations(vec![summary(5, 5)])]).unwrap();
    assert_eq!(seqs(&store), [5]);
}

#[test]
fn what_another_device_has_read_cleared_and_set_is_kept() {
    let (_home, folder) = folder();
    let mut store = folder.open(ME, None).unwrap();
    let events: Vec<Event> = (1..=5).map(|seq| message(seq, 2, &format!("text {seq}"))).collect();
    store.save(Some(&changes(vec![at(5)], vec![])), &events).unwrap();
    let view = |read_seq, first_seq, is_set| {
        let (pinned, muted, hidden) = (is_set, is_set, is_set);
        let view = ConversationView {
            conversation: CHAT,
            read_seq,
            first_seq,
            last_seq: Seq(5),
            unread: 0,
            unread_more: false,
            mentions: 0,
            pinned,
            muted,
            hidden,
        };
        [Event::Push(Push::Timeline(timeline::Push::Conversation(Box::new(view))))]
    };
    let chat = |store: &Store| {
        let [chat] = &store.conversations().unwrap()[..] else { panic!("one conversation") };
        (chat.read, chat.unread, [chat.pinned, chat.muted, chat.hidden])
    };
    store.save(None, &view(Seq(3), Seq(1), true)).unwrap();
    assert_eq!(chat(&store), (Seq(3), 2, [true; 3]));
    store.save(None, &view(Seq(2), Seq(5), false)).unwrap();
    assert_eq!(chat(&store), (Seq(4), 1, [false; 3]));
    assert_eq!(store.history(CHAT, Seq::MAX, 9).unwrap().len(), 1);
    // A mute that the server has not been told stays.
    store.mute_here(CHAT, true).unwrap();
    store.save(None, &view(Seq(5), Seq(5), false)).unwrap();
    assert_eq!(chat(&store), (Seq(5), 0, [false, true, false]));
}

#[test]
fn settings_are_kept_and_what_was_muted_offline_waits_to_be_told() {
    let (_home, folder) = folder();
    let mut store = folder.open(ME, None).unwrap();
    store.save(Some(&changes(vec![at(1)], vec![])), &[message(1, 2, "one")]).unwrap();
    let changed = |change| Event::SettingsChanged { conversation: CHAT, change };
    let settings = |store: &Store| {
        let [chat] = &store.conversations().unwrap()[..] else { panic!("one conversation") };
        (chat.pinned, chat.muted, chat.hidden)
    };
    let none = SettingsChange::default();
    let all = SettingsChange { pinned: Some(true), muted: Some(true), hidden: Some(true) };
    store.save(None, &[changed(all)]).unwrap();
    drop(store);
    let mut store = folder.open(ME, None).unwrap();
    assert_eq!(settings(&store), (true, true, true));
    store.save(None, &[message(2, 2, "two")]).unwrap();
    assert_eq!(settings(&store), (true, true, false), "a message ends it");
    store
        .save(None, &[Event::Conversations(vec![ConversationSummary { hidden: true, ..summary(1, 2) }])])
        .unwrap();
    assert_eq!(settings(&store), (false, false, true), "the server knows better");
    store.mute_here(CHAT, true).unwrap();
    store.save(None, &[Event::Conversations(vec![summary(1, 2)])]).unwrap();
    assert_eq!(settings(&store), (false, true, false), "but not what it was not told");
    assert_eq!(store.mutes_to_tell().unwrap(), [(CHAT, true)]);
    store.save(None, &[changed(SettingsChange { pinned: Some(true), ..none })]).unwrap();
    assert_eq!(store.mutes_to_tell().unwrap(), [(CHAT, true)]);
    store.save(None, &[changed(SettingsChange { muted: Some(true), ..none })]).unwrap();
    assert_eq!(store.mutes_to_tell().unwrap(), []);
    assert_eq!(settings(&store), (true, true, false));
}

#[test]
fn what_earlier_versions_muted_is_told_to_the_server() {
    let (_home, folder) = folder();
    let store = folder.open(ME, None).unwrap();
    store
        .db
        .execute_batch(
            "ALTER TABLE conversation DROP COLUMN pinned; ALTER TABLE conversation DROP COLUMN hidden_at;
             ALTER TABLE conversation DROP COLUMN mute_untold; ALTER TABLE message DROP COLUMN refs;
             ALTER TABLE outbox DROP COLUMN refs; DROP INDEX message_ref; ALTER TABLE message DROP COLUMN ref;
             ALTER TABLE message DROP COLUMN changes; PRAGMA user_version = 6;
             INSERT INTO conversation (id, kind, name, muted) VALUES (7, 'direct', 'user 2', 1), (8, 'group', 'g', 0)",
        )
        .unwrap();
    drop(store);
    let store = folder.open(ME, None).unwrap();
    assert_eq!(store.mutes_to_tell().unwrap(), [(CHAT, true)]);
}

#[test]
fn a_group_that_was_left_is_in_no_list_and_its_end_is_known() {
    let (_home, folder) = folder();
    let mut store = folder.open(ME, None).unwrap();
    let groups = [CHAT, ConversationId(8)].map(|conversation| Group {
        conversation,
        name: "climbing".into(),
        desc: "".into(),
        role: Role::Normal,
    });
    let page = GroupsPage { groups: groups.into(), more: true };
    let reply = wire::Reply::Group(wire::group::Reply::Groups(Box::new(page)));
    store.save(None, &[Event::Reply { request: RequestId(1), reply }]).unwrap();
    let told = |seq, user| {
        let Event::Message(message) = message(seq, user, "told") else { unreachable!() };
        let who = [UserId(user)].into();
        let system = System { event: wire::entry::Event::Left, who, by: UserId(user), value: None };
        let (kind, content_type) = (ConversationKind::Group, wire::entry::SYSTEM.into());
        let extra = Some(system.into());
        Event::Message(Arc::new(Message { kind, content_type, extra, ..(*message).clone() }))
    };
    // Another member leaves, then this one.
    store.save(Some(&changes(vec![at(1)], vec![])), &[told(1, 2)]).unwrap();
    assert_eq!(store.groups().unwrap().len(), 2);
    assert_eq!(store.snapshot().unwrap().conversations[0].last, None);
    store.save(Some(&changes(vec![at(2)], vec![])), &[told(2, ME.0)]).unwrap();
    let left: Vec<ConversationId> = store.groups().unwrap().iter().map(|group| group.conversation).collect();
    assert_eq!(left, [ConversationId(8)]);
    let last = store.snapshot().unwrap().conversations[0].last.clone().expect("it has left");
    assert!(last.ends_view_of(ME) && last.seq == Seq(2));
    assert_eq!(store.kept_below(CHAT, Seq::MAX).unwrap(), Some(last));
}
