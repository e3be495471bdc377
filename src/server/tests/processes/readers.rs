//! Who has read an own message in a group.

use crate::support::{Client, MariaDb, Server};
use std::time::{Duration, Instant};
use wire::timeline::{Cursor, Readers, ReadersPage, Reply as TimelineReply, Request};
use wire::{Command, ConversationId, Errno, Page, Reply, Seq, Target};

/// Cursors are written once a second.
const PATIENCE: Duration = Duration::from_secs(30);

fn readers(conversation: ConversationId, seq: Seq, page: Page) -> Command {
    Command::Timeline(Request::Readers(Readers { conversation, seq, page }))
}

fn page(client: &mut Client, conversation: ConversationId, seq: Seq, page: Page) -> ReadersPage {
    match client.ask_again(&readers(conversation, seq, page)) {
        Reply::Timeline(TimelineReply::Readers(page)) => *page,
        other => panic!("READERS was answered {other:?}"),
    }
}

fn check_readers(server: &Server) {
    let (mut ann, _) = Client::join(server.address, "ann");
    let mut others: Vec<_> =
        ["bob", "cleo", "dan"].iter().map(|name| Client::join(server.address, name)).collect();
    let (mut eve, eve_account) = Client::join(server.address, "eve");
    let group = ann.create_group("climbing");
    others.iter_mut().for_each(|(client, _)| client.join_group(group));
    let seq = ann.send(Target::Conversation(group), "who comes along?").seq;
    assert_eq!(eve.refusal(&readers(group, seq, Page { after: 0, limit: 1 })).errno, Errno::Forbidden);
    eve.join_group(group);
    let all = Page { after: 0, limit: 50 };
    let nobody = page(&mut ann, group, seq, all);
    assert_eq!((nobody.readers.len(), nobody.count, nobody.of, nobody.more), (0, 0, 3, false));
    // Eve, who joined later, does not count.
    let read = |conversation, seq| Command::Timeline(Request::Read(Cursor { conversation, seq }));
    eve.ask_again(&read(group, seq.next()));
    for (client, _) in &mut others[..2] {
        client.ask_again(&read(group, seq));
    }
    let deadline = Instant::now() + PATIENCE;
    let found = loop {
        let found = page(&mut ann, group, seq, all);
        if found.count == 2 || Instant::now() >= deadline {
            break found;
        }
    };
    let expected: Vec<_> = others[..2].iter().map(|(_, account)| account.id).collect();
    let ids: Vec<_> = found.readers.iter().map(|reader| reader.id).collect();
    assert_eq!((ids, found.count, found.of, found.more), (expected.clone(), 2, 3, false));
    assert_eq!(&*found.readers[1].name, "cleo");
    let first = page(&mut ann, group, seq, Page { after: 0, limit: 1 });
    assert_eq!((first.readers.len(), first.count, first.more), (1, 2, true));
    let second = page(&mut ann, group, seq, Page { after: expected[0].0, limit: 1 });
    assert_eq!((&second.readers[..], second.more), (&found.readers[1..], false));

    let direct = ann.send(Target::User(eve_account.id), "only you");
    assert_eq!(others[0].0.refusal(&readers(group, seq, all)).errno, Errno::Forbidden, "not his message");
    assert_eq!(eve.refusal(&readers(group, seq, all)).errno, Errno::NotFound, "before her view");
    for (conversation, seq, expected) in [
        (group, Seq(1), Errno::BadRequest),
        (group, Seq(99), Errno::NotFound),
        (direct.conversation, direct.seq, Errno::BadRequest),
        (ConversationId(999), seq, Errno::Forbidden),
    ] {
        let refusal = ann.refusal(&readers(conversation, seq, all));
        assert_eq!(refusal.errno, expected, "{conversation} {seq}: {}", refusal.errmsg);
    }
}

#[test]
fn the_sender_of_a_group_message_learns_its_readers() {
    check_readers(&Server::start(&[]));
}

#[test]
fn the_sender_of_a_group_message_learns_its_readers_on_a_database_server() {
    let database = MariaDb::shared();
    let url = database.url(&database.new_name());
    check_readers(&Server::start(&["--set", &format!("storage.url={url}")]));
}
