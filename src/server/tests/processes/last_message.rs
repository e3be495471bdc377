//! The last messages that LOGIN and CONVERSATIONS show, over the wire, on both databases and on every node.

use crate::database::start_on_shared;
use crate::support::nodes::Nodes;
use crate::support::{Account, Client, Server};
use std::net::SocketAddr;
use wire::change::{Edit, React, Recall, Request as Change};
use wire::session::{self, Login};
use wire::timeline::{
    Clear, ConversationSummary, Conversations, LastMessage, Reply as TimelineReply, Request,
};
use wire::{Command, ConversationId, Reply, Seq, Target};

/// The rows of LOGIN and of CONVERSATIONS, which are the same.
fn rows(address: SocketAddr, account: &Account, with_last: bool) -> Vec<ConversationSummary> {
    let mut client = Client::connect(address);
    let Command::Session(session::Request::Login(login)) = Client::by_token(account) else {
        unreachable!("it is a login")
    };
    let login = session::Request::Login(Login { with_last, ..login });
    let Reply::Session(session::Reply::LoggedIn(login)) = client.ask_again(&login.into()) else {
        panic!("not logged in")
    };
    let request = Request::Conversations(Conversations { before: None, limit: 200, with_last });
    match client.ask_again(&request.into()) {
        Reply::Timeline(TimelineReply::Conversations(page)) => {
            // Cursors may be written in between.
            let shown = |row: &ConversationSummary| (row.conversation, row.last.clone());
            assert!(page.conversations.iter().map(shown).eq(login.conversations.iter().map(shown)));
            page.conversations
        }
        other => panic!("CONVERSATIONS was answered {other:?}"),
    }
}

fn last(address: SocketAddr, account: &Account, of: ConversationId) -> Option<(u64, String)> {
    assert!(rows(address, account, false).iter().all(|row| row.last.is_none()), "nobody asked");
    let rows = rows(address, account, true);
    let row = rows.into_iter().find(|row| row.conversation == of).expect("it is listed");
    let found = row.last.map(|last| *last);
    found.map(|LastMessage { seq, content, .. }| (seq.0, content.into()))
}

fn expect(addresses: &[SocketAddr], account: &Account, of: ConversationId, expected: Option<(u64, &str)>) {
    for address in addresses {
        let expected = expected.map(|(seq, text)| (seq, text.to_owned()));
        assert_eq!(last(*address, account, of), expected);
    }
}

/// Ann and Ben log in on the first and the last of the nodes.
fn shows_last_messages(addresses: &[SocketAddr]) {
    let (first, second) = (addresses[0], *addresses.last().unwrap());
    let (mut ann, ann_account) = Client::join(first, "ann");
    let (mut ben, ben_account) = Client::join(second, "ben");
    let direct = ann.send(Target::User(ben_account.id), "hello").conversation;
    let group = ann.create_group("climbing");
    ann.send(Target::Conversation(group), "before ben");
    ben.join_group(group);
    let change = |client: &mut Client, change: Change| {
        let reply = client.ask_again(&change.into());
        assert!(matches!(reply, Reply::Change(_)), "{reply:?}");
    };
    let seq = Seq(1);
    let react = React { conversation: direct, seq, reaction: "👍".into(), on: true, cid: None };
    change(&mut ben, Change::React(react));
    expect(addresses, &ben_account, direct, Some((1, "hello")));
    expect(addresses, &ben_account, group, None);
    expect(addresses, &ann_account, group, Some((2, "before ben")));
    let mut ann = Client::login_to(first, &ann_account);
    change(
        &mut ann,
        Change::Edit(Edit { conversation: direct, seq, content: "x".repeat(999).into(), cid: None }),
    );
    expect(addresses, &ben_account, direct, Some((1, &"x".repeat(200))));
    let mut ann = Client::login_to(first, &ann_account);
    change(&mut ann, Change::Recall(Recall { conversation: direct, seq, cid: None }));
    expect(addresses, &ben_account, direct, Some((1, "")));
    let mut ben = Client::login_to(second, &ben_account);
    let clear = Request::Clear(Clear { conversation: direct, upto: Seq(9) });
    assert_eq!(ben.ask_again(&clear.into()), Reply::Done);
    expect(addresses, &ben_account, direct, None);
    expect(addresses, &ann_account, direct, Some((1, "")));
}

#[test]
fn a_login_shows_the_last_messages() {
    for server in [Server::start(&[]), start_on_shared()] {
        shows_last_messages(&[server.address]);
    }
}

#[test]
fn every_node_shows_the_same_last_messages() {
    let nodes = Nodes::start(2, &[]);
    shows_last_messages(&[0, 1].map(|number: usize| nodes.nodes[number].address));
}
