//! SEARCH over the wire: on one node and on two, through restarts, without an index and with a damaged one.

use crate::support::nodes::Nodes;
use crate::support::{Client, MariaDb, Server};
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use wire::change::{Edit, Recall, Request as ChangeRequest};
use wire::group::Request as GroupRequest;
use wire::search::{Search, SearchPage};
use wire::timeline::{Reply as TimelineReply, Request};
use wire::{Command, ConversationId, Errno, Message, Reply, Target};

/// The index follows the messages.
const PATIENCE: Duration = Duration::from_secs(30);

fn query(text: &str) -> Search {
    Search::new(text, 50)
}

fn command(search: Search) -> Command {
    Request::Search(Box::new(search)).into()
}

fn page(client: &mut Client, search: &Search) -> SearchPage {
    match client.ask_again(&command(search.clone())) {
        Reply::Timeline(TimelineReply::Results(page)) => *page,
        other => panic!("SEARCH was answered {other:?}"),
    }
}

fn texts(client: &mut Client, search: &Search) -> Vec<String> {
    page(client, search).messages.iter().map(|message| message.content.to_string()).collect()
}

/// Asks until these are found.
fn wait_for(client: &mut Client, text: &str, expected: &[&str]) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = texts(client, &query(text));
        if found == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{text}: found {found:?} instead of {expected:?}");
    }
}

fn check_search(one: SocketAddr, two: SocketAddr) {
    let (mut ann, ann_account) = Client::join(one, "ann");
    let (mut bob, bob_account) = Client::join(two, "bob");
    let (mut eve, _) = Client::join(two, "eve");
    let group = ann.create_group("climbing");
    ann.send(Target::Conversation(group), "Der Gipfel vor Bob");
    bob.join_group(group);
    ann.wait_for_member(group, bob_account.id);
    bob.send(Target::Conversation(group), "Über den GIPFEL, 明天去北京大学");
    let direct = ann.send(Target::User(bob_account.id), "Gipfel only for you 🎉");
    let all = ["Gipfel only for you 🎉", "Über den GIPFEL, 明天去北京大学", "Der Gipfel vor Bob"];
    wait_for(&mut ann, "gipfel", &all);
    wait_for(&mut bob, "gipfel", &all[..2]);
    wait_for(&mut ann, "uber gip", &all[1..2]);
    wait_for(&mut bob, "北京", &all[1..2]);
    wait_for(&mut bob, "🎉", &all[..1]);
    assert!(texts(&mut eve, &query("gipfel")).is_empty());

    // Filters, and pages of one.
    let within = Search { conversation: Some(group), ..query("gipfel") };
    assert_eq!(texts(&mut bob, &within), all[1..2]);
    assert_eq!(texts(&mut ann, &Search { from: Some(ann_account.id), ..query("gipfel") }), [all[0], all[2]]);
    let at = Search { since: Some(direct.time), until: Some(direct.time), ..within.clone() };
    assert!(
        texts(&mut ann, &Search { conversation: Some(direct.conversation), ..at })
            .contains(&all[0].to_owned())
    );
    let (mut cursor, mut paged) = (None, Vec::new());
    loop {
        let found = page(&mut ann, &Search { cursor, limit: 1, ..query("gipfel") });
        paged.extend(found.messages.iter().map(|message| message.content.to_string()));
        let Some(next) = found.cursor else { break };
        cursor = Some(next.parse().unwrap());
    }
    assert_eq!(paged, all);
    let deadline = Instant::now() + PATIENCE;
    while page(&mut ann, &query("gipfel")).indexed_to < direct.time {
        assert!(Instant::now() < deadline, "the index does not say how far it has come");
    }

    // Whoever may not see a conversation cannot tell it from one that does not exist.
    let refusals = [group, ConversationId(999_999)].map(|conversation| {
        eve.refusal(&command(Search { conversation: Some(conversation), ..query("gipfel") }))
    });
    assert!(refusals.iter().all(|refusal| refusal.errno == Errno::Forbidden && *refusal == refusals[0]));
    // What was cleared is not found, by the one who cleared it.
    let clear = wire::timeline::Clear { conversation: group, upto: wire::Seq(100) };
    ann.ask_again(&Request::Clear(clear).into());
    assert_eq!(texts(&mut ann, &query("gipfel")), all[..1]);
    assert_eq!(texts(&mut bob, &query("gipfel")), all[..2]);
}

#[test]
fn messages_are_found_by_their_words() {
    let server = Server::start(&[]);
    check_search(server.address, server.address);
    check_random_texts(server.address, server.address);
    check_changes(server.address, server.address);
    wait_until_gone(&server, &["unmistakable", "inimitable"]);
}

#[test]
fn messages_are_found_by_their_words_on_a_database_server() {
    let (database, folder) = (MariaDb::shared(), tempfile::tempdir().unwrap());
    let url = database.url(&database.new_name());
    let file = folder.path().join("index");
    let settings = [format!("storage.url={url}"), format!("search.file={}", file.display())];
    let server = Server::start(&["--set", &settings[0], "--set", &settings[1]]);
    check_search(server.address, server.address);
}

#[test]
fn each_of_two_nodes_finds_what_the_other_stored() {
    let nodes = Nodes::start(2, &[]);
    let [one, two] = [nodes.nodes[0].address, nodes.nodes[1].address];
    check_search(one, two);
    check_changes(one, two);
    check_random_texts(one, two);
}

/// An edited message is found by its text of now, a recalled one by nothing.
fn check_changes(one: SocketAddr, two: SocketAddr) {
    let (mut ida, _) = Client::join(one, "ida");
    let (mut jan, account) = Client::join(two, "jan");
    let sent = ida.send(Target::User(account.id), "unmistakable original");
    let (conversation, seq) = (sent.conversation, sent.seq);
    wait_for(&mut jan, "unmistakable", &["unmistakable original"]);
    let edit = Edit { conversation, seq, content: "inimitable replacement".into(), cid: None };
    ida.ask_again(&ChangeRequest::Edit(edit).into());
    wait_for(&mut jan, "inimitable", &["inimitable replacement"]);
    wait_for(&mut ida, "inimitable", &["inimitable replacement"]);
    assert!(texts(&mut jan, &query("unmistakable")).is_empty());
    ida.ask_again(&ChangeRequest::Recall(Recall { conversation, seq, cid: None }).into());
    for client in [&mut ida, &mut jan] {
        assert!(texts(client, &query("inimitable")).is_empty());
    }
}

/// Waits until no file of the index has any of these texts.
fn wait_until_gone(server: &Server, texts: &[&str]) {
    let deadline = Instant::now() + PATIENCE;
    let has = |text: &str| {
        let files = ["", "-wal"].map(|end| format!("{}{end}", index_of(server).display()));
        let bytes = files.map(|file| fs::read(file).unwrap_or_default());
        bytes.iter().any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
    };
    while texts.iter().any(|text| has(text)) {
        assert!(Instant::now() < deadline, "the index still has a text that was recalled");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Compares searches with a filter over HISTORY.
fn check_random_texts(one: SocketAddr, two: SocketAddr) {
    const WORDS: &[&str] = &[
        "alpha", "ALPHABET", "beta", "été", "北京", "大学", "カナ", "ｶﾀ", "서울", "🎉", "naïve", "x1",
        "\"q\"",
    ];
    let (mut fay, _) = Client::join(one, "fay");
    let (mut gus, gus_account) = Client::join(two, "gus");
    let group = fay.create_group("words");
    gus.join_group(group);
    fay.wait_for_member(group, gus_account.id);
    let mut state = 42_u64;
    let mut next = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut last = None;
    for n in 0..120 {
        let mut text = String::new();
        for _ in 0..1 + next(4) {
            text += WORDS[next(WORDS.len())];
            text += ["", " ", ", "][next(3)];
        }
        let sender = if n % 2 == 0 { &mut fay } else { &mut gus };
        last = Some(sender.send(Target::Conversation(group), &text).seq);
    }
    fay.send(Target::Conversation(group), "endofwords");
    wait_for(&mut fay, "endofwords", &["endofwords"]);
    wait_for(&mut gus, "endofwords", &["endofwords"]);
    let history = gus.history(group, wire::Seq(0));
    assert!(last.is_some_and(|last| history.iter().any(|message| message.seq == last)));
    for text in [
        "alph",
        "alphabet",
        "été",
        "ETE bet",
        "京",
        "北京 大",
        "ｶﾅ",
        "서",
        "🎉 x",
        "naive alpha",
        "q",
        "\"q\" NOT alpha",
    ] {
        let sought = wire::words::Sought::parse(text).unwrap();
        let is_sought = |message: &&Message| message.is_message() && sought.is_in(&message.content);
        let mut expected: Vec<_> =
            history.iter().map(|m| &**m).filter(is_sought).map(|message| message.seq).collect();
        expected.reverse();
        for client in [&mut fay, &mut gus] {
            let (mut found, mut cursor) = (Vec::new(), None);
            loop {
                let page =
                    page(client, &Search { conversation: Some(group), cursor, limit: 20, ..query(text) });
                found.extend(page.messages.iter().map(|message| message.seq));
                let Some(next) = page.cursor else { break };
                cursor = Some(next.parse().unwrap());
            }
            assert_eq!(found, expected, "{text}");
        }
    }
}

fn index_of(server: &Server) -> PathBuf {
    server.folder().join("data/chat.db.search")
}

#[test]
fn the_index_survives_a_restart_and_is_made_anew_when_it_is_lost_or_damaged() {
    let mut server = Server::start(&[]);
    let (mut ann, account) = Client::join(server.address, "ann");
    let group = ann.create_group("climbing");
    let texts: Vec<_> = (0..50).map(|n| format!("summit number{n}")).collect();
    for text in &texts {
        ann.send(Target::Conversation(group), text);
    }
    wait_for(&mut ann, "summit number49", &["summit number49"]);
    let damage: [&dyn Fn(&PathBuf); 4] = [
        &|_| {},
        &|index| fs::remove_file(index).unwrap(),
        &|index| fs::write(index, "this is not an index any more").unwrap(),
        &|index| {
            let mut bytes = fs::read(index).unwrap();
            bytes[4_096..].fill(0xA5);
            fs::write(index, bytes).unwrap();
        },
    ];
    for (n, damage) in damage.iter().enumerate() {
        server.terminate();
        damage(&index_of(&server));
        server.restart();
        ann = Client::login_to(server.address, &account);
        wait_for(&mut ann, "summit number49", &["summit number49"]);
        wait_for(&mut ann, "number7", &["summit number7"]);
        let text = format!("after damage{n}");
        ann.send(Target::Conversation(group), &text);
        wait_for(&mut ann, &format!("damage{n}"), &[&text]);
    }
}

#[test]
fn chat_goes_on_while_the_index_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    // Where a folder is needed there is a file, and later none.
    let (blocked, index) = (folder.path().join("blocked"), folder.path().join("blocked/index"));
    fs::write(&blocked, "").unwrap();
    let server = Server::start(&["--set", &format!("search.file={}", index.display())]);
    let (mut ann, account) = Client::join(server.address, "ann");
    let direct = ann.send(Target::User(account.id), "a note about summits").conversation;
    server.wait_for_log("messages cannot be searched until it can");
    // At once, and not only after a while.
    match ann.ask(&command(query("summits"))) {
        Reply::Refused(refusal) => {
            assert_eq!((refusal.errno, refusal.retry_after_ms.is_some()), (Errno::Unavailable, true));
        }
        other => panic!("SEARCH was answered {other:?}"),
    }
    ann.send(Target::Conversation(direct), "and another one");
    fs::remove_file(&blocked).unwrap();
    wait_for(&mut ann, "summits", &["a note about summits"]);
    assert!(index.exists());
}

#[test]
fn hostile_queries_are_refused_or_find_nothing() {
    let server = Server::start(&[]);
    let (mut ann, _) = Client::join(server.address, "ann");
    let group = ann.create_group("climbing");
    ann.send(Target::Conversation(group), "words AND more");
    wait_for(&mut ann, "words", &["words AND more"]);
    for text in ["\"".repeat(500), "\0".to_owned(), "*".to_owned(), "a ".repeat(20), "x".repeat(1_000)] {
        let refusal = ann.refusal(&command(query(&text)));
        assert_eq!((refusal.errno, refusal.field.as_deref()), (Errno::BadRequest, Some("text")), "{text:?}");
    }
    for (text, is_found) in [
        ("words\" OR \"x", false),
        ("words NOT more", false),
        ("NEAR(words more)", false),
        ("text : words", false),
        ("more \"words\" -AND", true),
        ("{words}*^\0\"", true),
        ("'; DROP TABLE words; --", false),
    ] {
        assert_eq!(texts(&mut ann, &query(text)).len(), usize::from(is_found), "{text}");
    }
    wait_for(&mut ann, "words", &["words AND more"]);
}

#[test]
fn a_server_that_does_not_search_says_so() {
    let server = Server::start(&["--set", "search.enabled=false"]);
    let (mut ann, _) = Client::join(server.address, "ann");
    let refusal = ann.refusal(&command(query("words")));
    assert_eq!((refusal.errno, refusal.limit.as_deref()), (Errno::Forbidden, Some("search.enabled")));
    assert!(!index_of(&server).exists());
    let leave = GroupRequest::Groups(wire::Page { after: 0, limit: 1 });
    assert!(matches!(ann.ask_again(&leave.into()), Reply::Group(_)));
}
