//! Unread messages and mentions over the wire: exact after READ, CLEAR, reactions and joins, after kill -9, and the same
//! on every node.

use crate::database::start_on_shared;
use crate::support::nodes::Nodes;
use crate::support::{Account, Client, Server};
use std::net::SocketAddr;
use wire::message::{Request as MessageRequest, Send};
use wire::timeline::{Clear, ConversationSummary, Conversations, Cursor, Reply as TimelineReply, Request};
use wire::{Command, ConversationId, Mentions, References, Reply, Seq, Target, UserId, change};

fn mentioning(target: Target, mentions: Mentions) -> Command {
    let references = References { reply_to: None, mentions };
    let send = Send { references: Some(Box::new(references)), ..Send::text(target, "you") };
    Command::Message(MessageRequest::Send(send))
}

fn rows(client: &mut Client) -> Vec<ConversationSummary> {
    let request = Request::Conversations(Conversations { before: None, limit: 200, with_last: false });
    match client.ask_again(&request.into()) {
        Reply::Timeline(TimelineReply::Conversations(page)) => page.conversations,
        other => panic!("CONVERSATIONS was answered {other:?}"),
    }
}

/// What HISTORY shows above what was read, up to the end of the row.
fn recount(client: &mut Client, me: UserId, row: &ConversationSummary) -> (u64, u64) {
    let mut after = row.read_seq.max(row.first_seq.prev());
    let (mut unread, mut mentions) = (0, 0);
    while after < row.last_seq {
        let page = client.history(row.conversation, after);
        let Some(last) = page.last() else { break };
        after = last.seq;
        let theirs = page.iter().filter(|entry| entry.seq <= row.last_seq);
        let theirs = theirs.filter(|entry| entry.is_message() && entry.from != me);
        unread += theirs.clone().count() as u64;
        mentions += theirs.filter(|entry| entry.mentions(me)).count() as u64;
    }
    (unread, mentions)
}

/// `(unread, mentions)` of a conversation; every row of LOGIN and of CONVERSATIONS equals a recount.
fn counted(address: SocketAddr, account: &Account, conversation: ConversationId) -> (u64, u64) {
    let mut client = Client::connect(address);
    let login = client.login(account).conversations;
    let again = rows(&mut client);
    for row in login.iter().chain(&again) {
        assert_eq!((row.unread, row.mentions), recount(&mut client, account.id, row), "{row:?}");
    }
    let find = |rows: &[ConversationSummary]| {
        let row = rows.iter().find(|row| row.conversation == conversation).expect("it is listed");
        (row.unread, row.mentions)
    };
    assert_eq!(find(&login), find(&again));
    find(&login)
}

fn read(client: &mut Client, conversation: ConversationId, seq: u64) {
    let read = Request::Read(Cursor { conversation, seq: Seq(seq) });
    assert_eq!(client.ask_again(&read.into()), Reply::Done);
}

#[test]
fn unread_is_exact_and_survives_kill_9() {
    for mut server in [Server::start(&[]), start_on_shared()] {
        let (mut ann, ann_account) = Client::join(server.address, "ann");
        let (mut ben, ben_account) = Client::join(server.address, "ben");
        let (mut eve, eve_account) = Client::join(server.address, "eve");
        let direct = ann.send(Target::User(ben_account.id), "1").conversation;
        let group = ann.create_group("climbing");
        for client in [&mut ben, &mut eve] {
            client.join_group(group);
        }
        for n in 0..700 {
            ann.send(Target::Conversation(direct), &format!("{n}"));
        }
        let to_group = || Target::Conversation(group);
        for mentions in [
            Mentions::Users([ben_account.id].into()),
            Mentions::All,
            Mentions::Users([ann_account.id].into()),
        ] {
            ann.ask_again(&mentioning(to_group(), mentions));
        }
        ben.send(to_group(), "an own one");
        let seq = Seq(4);
        let react = change::React { conversation: group, seq, reaction: "👍".into(), on: true, cid: None };
        ben.ask_again(&change::Request::React(react).into());
        assert_eq!(counted(server.address, &ben_account, direct), (701, 0));
        assert_eq!(counted(server.address, &ben_account, group), (3, 2));
        assert_eq!(counted(server.address, &eve_account, group), (4, 1));
        assert_eq!(counted(server.address, &ann_account, direct), (0, 0));
        // What was read a moment ago counts, before it is written.
        let mut ben = Client::login_to(server.address, &ben_account);
        read(&mut ben, direct, 500);
        read(&mut ben, group, 4);
        assert_eq!(counted(server.address, &ben_account, direct), (201, 0));
        assert_eq!(counted(server.address, &ben_account, group), (2, 1));
        let mut ben = Client::login_to(server.address, &ben_account);
        ben.ask_again(&Request::Clear(Clear { conversation: direct, upto: Seq(690) }).into());
        assert_eq!(counted(server.address, &ben_account, direct), (11, 0));
        server.kill9();
        server.restart();
        assert_eq!(counted(server.address, &ben_account, direct), (11, 0), "it was committed");
        assert_eq!(counted(server.address, &eve_account, group), (4, 1));
        assert!(counted(server.address, &ben_account, group).0 >= 2, "the cursor may be a second behind");
    }
}

#[test]
fn every_node_counts_the_same() {
    let nodes = Nodes::start(2, &[]);
    let [first, second] = [0, 1].map(|number: usize| nodes.nodes[number].address);
    let (mut ann, ann_account) = Client::join(first, "ann");
    let (_, ben_account) = Client::join(second, "ben");
    let direct = ann.send(Target::User(ben_account.id), "1").conversation;
    for round in 0..4 {
        for n in 0..200 {
            ann.send(Target::Conversation(direct), &format!("{round} {n}"));
        }
        let expected = 1 + 200 * (round + 1);
        for address in [second, first] {
            assert_eq!(counted(address, &ben_account, direct), (expected, 0), "round {round}");
        }
    }
    let mut ben = Client::login_to(second, &ben_account);
    ben.send(Target::Conversation(direct), "an answer");
    assert_eq!(counted(first, &ann_account, direct), (1, 0));
    assert_eq!(counted(second, &ann_account, direct), (1, 0));
}
