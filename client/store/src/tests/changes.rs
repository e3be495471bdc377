//! Changes of messages in the store.

use super::*;

fn plain(seq: u64, from: u32, text: &str) -> Message {
    match message(seq, from, text) {
        Event::Message(message) => Arc::unwrap_or_clone(message),
        _ => unreachable!("it is a message"),
    }
}

fn reaction(seq: u64, from: u32, of: u64, on: bool) -> Message {
    let extra = Some(Change { of: Seq(of), kind: ChangeKind::Reaction { on } }.into());
    Message { content_type: "reaction".into(), extra, ..plain(seq, from, "👍") }
}

fn edit(seq: u64, of: u64, text: &str) -> Message {
    let extra = Some(Change { of: Seq(of), kind: ChangeKind::Edit }.into());
    Message { content_type: "edit".into(), extra, ..plain(seq, 2, text) }
}

fn recall(seq: u64, of: u64) -> Message {
    let extra = Some(Change { of: Seq(of), kind: ChangeKind::Recall }.into());
    Message { content_type: "recall".into(), extra, ..plain(seq, 2, "") }
}

/// A message as it is now.
fn now(store: &Store, seq: u64) -> Message {
    let found = store.history(CHAT, Seq(seq + 1), 1).unwrap();
    Message::clone(&found[0])
}

#[test]
fn a_message_is_the_same_whatever_came_first() {
    is_the_same([reaction(2, 2, 1, true), reaction(3, 1, 1, true), reaction(5, 2, 1, false)]);
    is_the_same([edit(2, 1, "two"), reaction(3, 1, 1, true), edit(5, 1, "three")]);
    is_the_same([edit(2, 1, "two"), reaction(3, 1, 1, true), recall(5, 1)]);
}

/// The reply to HISTORY with one message.
fn page(message: &Message) -> Event {
    let page = HistoryPage { messages: vec![Arc::new(message.clone())], more: false, first_seq: Seq(1) };
    Event::Reply { request: RequestId(1), reply: timeline::Reply::History(Box::new(page)).into() }
}

/// `changes` are all changes of the message 1.
fn is_the_same(changes: [Message; 3]) {
    let mut whole = plain(1, 2, "one");
    for change in &changes {
        assert!(whole.apply(change, ME));
    }
    let mut partly = plain(1, 2, "one");
    assert!(partly.apply(&changes[0], ME) && partly.apply(&changes[1], ME));
    let pushed = |message: &Message| Event::Message(Arc::new(message.clone()));
    let all = || changes.iter().map(pushed).collect::<Vec<_>>();
    let mut orders = vec![
        [vec![pushed(&plain(1, 2, "one"))], all()].concat(),
        [all(), vec![page(&plain(1, 2, "one"))]].concat(),
        [all(), vec![page(&partly)]].concat(),
        [all(), vec![page(&whole)]].concat(),
        [vec![page(&whole)], all()].concat(),
        [vec![page(&partly)], all()].concat(),
        // An older page after a newer one.
        [vec![page(&whole)], all(), vec![page(&partly), page(&plain(1, 2, "one"))]].concat(),
        [vec![page(&plain(1, 2, "one")), page(&whole)], all()].concat(),
        // Some changes were received by another device.
        vec![pushed(&plain(1, 2, "one")), pushed(&changes[2]), page(&whole)],
    ];
    orders.push([all(), all(), vec![page(&partly)], all()].concat());
    for events in orders {
        let (_home, folder) = folder();
        let mut store = folder.open(ME, None).unwrap();
        for event in &events {
            store.save(None, std::slice::from_ref(event)).unwrap();
        }
        assert_eq!(now(&store, 1), whole, "{events:#?}");
        drop(store);
        let store = folder.open(ME, None).unwrap();
        assert_eq!(now(&store, 1), whole);
        let [chat] = &store.conversations().unwrap()[..] else { continue };
        assert_eq!(chat.unread, 0, "changes are nothing to be read");
    }
}

#[test]
fn an_own_message_is_changed_also_where_its_reply_comes_after_the_change() {
    let (_home, folder) = folder();
    let mut store = folder.open(ME, None).unwrap();
    let first = changes(vec![], vec![unsent(7, Target::Conversation(CHAT))]);
    store.save(Some(&first), &[Event::Message(Arc::new(reaction(2, 2, 1, true)))]).unwrap();
    let (local, conversation, seq, time) = (LocalId(7), CHAT, Seq(1), UnixMillis(1));
    store.save(None, &[Event::Sent { local, conversation, seq, time }]).unwrap();
    let own = now(&store, 1);
    assert_eq!((&*own.content, own.changes().map(|changes| changes.changed)), ("text 7", Some(Seq(2))));
}

/// `tell` makes the event that tells of the recall of message 1.
fn check_recall(tell: impl Fn() -> Event) {
    let (_home, folder) = folder();
    let mut store = folder.open(ME, None).unwrap();
    let texts = ["the first secret", "the second secret", "the third secret"];
    let pushed = |message: Message| Event::Message(Arc::new(message));
    let all = changes(vec![at(5)], vec![]);
    let events = [plain(1, 2, texts[0]), plain(2, 2, "harmless"), edit(3, 1, texts[1]), edit(4, 1, texts[2])];
    for message in events {
        store.save(Some(&all), &[pushed(message)]).unwrap();
    }
    assert_eq!((&*now(&store, 1).content, &*now(&store, 3).content), (texts[2], ""));
    let folder = store.path.parent().unwrap().to_owned();
    let has = |text: &str| {
        let mut files = fs::read_dir(&folder).unwrap();
        files.any(|file| {
            let file = fs::read(file.unwrap().path()).unwrap();
            file.windows(text.len()).any(|at| at == text.as_bytes())
        })
    };
    let unread = |store: &Store| (store.conversations().unwrap()[0].unread, store.unread(9).unwrap().len());
    assert_eq!((has(texts[2]), unread(&store)), (true, (2, 2)));
    store.save(None, &[tell()]).unwrap();
    assert_eq!(unread(&store), (1, 1));
    assert!(now(&store, 1).recalled().is_some());
    for text in texts {
        assert!(!has(text), "{text}");
    }
    assert!(has("harmless"));
}

#[test]
fn a_recalled_text_is_gone_from_the_files() {
    check_recall(|| Event::Message(Arc::new(recall(5, 1))));
}

#[test]
fn a_text_whose_recall_a_page_tells_is_gone_from_the_files() {
    check_recall(|| {
        let mut recalled = plain(1, 2, "");
        recalled.recall(wire::change::Changes {
            changed: Seq(5),
            recalled: Some(UnixMillis(5)),
            ..Default::default()
        });
        page(&recalled)
    });
}

#[test]
fn the_last_message_is_shown_as_it_is_now() {
    let (_home, folder) = folder();
    let mut store = folder.open(ME, None).unwrap();
    assert!(store.last_messages().unwrap().is_empty());
    let last = |store: &Store| {
        let all = store.last_messages().unwrap();
        all.into_iter().map(|(id, last)| (id, last.seq.0, last.content.into_string())).collect::<Vec<_>>()
    };
    let all = changes(vec![at(5)], vec![]);
    for (message, expected) in [
        (plain(1, 2, "one"), (1, "one")),
        (plain(2, 2, &"é".repeat(300)), (2, &*"é".repeat(200))),
        (edit(3, 2, "two"), (2, "two")),
        (reaction(4, 2, 1, true), (2, "two")),
        (recall(5, 2), (2, "")),
    ] {
        store.save(Some(&all), &[Event::Message(Arc::new(message))]).unwrap();
        assert_eq!(last(&store), [(CHAT, expected.0, expected.1.to_owned())]);
    }
}
