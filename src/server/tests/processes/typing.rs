//! TYPING between users of one node and of two, and between two terminals.

use crate::support::legacy_client::LegacyClient;
use crate::support::nodes::Nodes;
use crate::support::terminal::Terminal;
use crate::support::{Client, PATIENCE, Server};
use crate::terminal::{register, status};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use wire::timeline::{Push as TimelinePush, Request, Typing, Typist};
use wire::{Command, ConversationId, Errno, Push, Reply, Seq, Target};

fn typing(conversation: ConversationId) -> Command {
    Request::Typing(Typing { conversation }).into()
}

fn typist(push: &Push) -> Option<Typist> {
    match push {
        Push::Timeline(TimelinePush::Typing(typist)) => Some(*typist),
        _ => None,
    }
}

/// Types until the other client is told; the bus may lose one.
fn is_told(from: &mut Client, conversation: ConversationId, to: &mut Client) -> Typist {
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert_eq!(from.ask_again(&typing(conversation)), Reply::Done);
        if let Some(told) = to.try_push(Duration::from_secs(1), typist) {
            return told;
        }
        assert!(Instant::now() < deadline, "nobody is told");
    }
}

fn check_typing(one: SocketAddr, two: SocketAddr) {
    let (mut ann, ann_account) = Client::join(one, "ann");
    let (mut bob, bob_account) = Client::join(two, "bob");
    let (mut eve, _) = Client::join(one, "eve");
    let direct = ann.send(Target::User(bob_account.id), "hi").conversation;
    bob.message();
    let from_ann = Typist { conversation: direct, id: ann_account.id };
    assert_eq!(is_told(&mut ann, direct, &mut bob), from_ann);
    assert_eq!(is_told(&mut bob, direct, &mut ann), Typist { id: bob_account.id, ..from_ann });
    // What comes right after it is not passed on.
    for _ in 0..10 {
        assert_eq!(ann.ask_again(&typing(direct)), Reply::Done);
    }
    ann.send(Target::User(bob_account.id), "that was it");
    assert_eq!(&*bob.message().content, "that was it");
    assert_eq!(bob.try_push(Duration::ZERO, typist), None);

    let group = ann.create_group("climbing");
    bob.join_group(group);
    let (mut legacy, legacy_id) = LegacyClient::join(two, "legacy");
    legacy.add_group(i64::from(group.0));
    ann.wait_for_member(group, wire::UserId(legacy_id as u32));
    let in_group = Typist { conversation: group, ..from_ann };
    assert_eq!(is_told(&mut ann, group, &mut bob), in_group);
    legacy.shows_nothing();

    let refusals = [direct, group, ConversationId(4_000)].map(|of| eve.refusal(&typing(of)));
    assert!(refusals.iter().all(|refusal| refusal.errno == Errno::Forbidden && *refusal == refusals[0]));
    assert_eq!((ann.try_push(Duration::ZERO, typist), eve.try_push(Duration::ZERO, typist)), (None, None));
    assert_eq!(ann.history(direct, Seq(0)).len(), 2, "nothing is stored");
}

#[test]
fn members_are_told_who_is_typing() {
    let server = Server::start(&[]);
    check_typing(server.address, server.address);
}

#[test]
fn members_on_another_node_are_told_who_is_typing() {
    let nodes = Nodes::start(2, &[]);
    check_typing(nodes.nodes[0].address, nodes.nodes[1].address);
}

#[test]
fn a_terminal_shows_that_the_other_one_is_typing() {
    let server = Server::start(&[]);
    let (mut zhang, mut li) = (Terminal::open(server.address), Terminal::open(server.address));
    register(&mut zhang, "zhang san", 1);
    register(&mut li, "li si", 2);
    zhang.type_line("chat:li si:hello");
    li.expect("zhang san (1): hello");
    // Who is typing is told once the conversation is known.
    zhang.expect_to_see("that it is stored", |rows| {
        rows.iter().any(|row| row.contains('✓') && row.ends_with("hello"))
    });
    zhang.type_line("/msg li si");
    zhang.expect("li si> ");
    zhang.type_keys("how are");
    li.expect_to_see("who is typing", |rows| status(rows).contains("zhang san is typing…"));
    zhang.type_keys(" you?\r");
    li.expect("zhang san (1): how are you?");
    li.expect_to_see("nobody typing", |rows| !status(rows).contains("typing"));
}
